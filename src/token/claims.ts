// Other claims of a token against what a route demands.

/** A claim equals one of `anyOf`; an array claim matches by any item. `path` is the JSON Pointer split into members. */
export interface ClaimRule {
  readonly name: string;
  readonly path: readonly string[];
  readonly anyOf: readonly (string | number | boolean)[];
}
