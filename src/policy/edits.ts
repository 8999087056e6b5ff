// Changes that a route makes on the way: to fields, and to the path for the upstream.

/** Edits of field lines; no name is in two of them. */
export interface FieldEdits {
  /** Names and values: the only lines of their names afterwards. */
  readonly set: readonly (readonly [name: string, value: string])[];
  /** Further lines. */
  readonly add: readonly (readonly [name: string, value: string])[];
  /** Names whose lines do not pass. */
  readonly remove: readonly string[];
}

/** `whole`: `to` is the path. `front`: its first `segments` segments become `to`, which has no slash at its end ('': nothing). */
export type PathRewrite =
  | { readonly part: 'whole'; readonly to: string }
  | { readonly part: 'front'; readonly segments: number; readonly to: string };
