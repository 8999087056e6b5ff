// Field edits at work: lines of a client or an upstream removed and put in their place.

import { squeezeName } from '../../http/field.ts';
import type { FieldEdits } from '../../policy/edits.ts';

/** The edits of one direction. */
export interface EditRules {
  /** Whether lines of that name do not pass. */
  readonly drops: (name: string) => boolean;
  /** Whether it is named in any edit. */
  readonly changes: (name: string) => boolean;
  /** What is put in: names and values in turn. */
  readonly lines: readonly string[];
}

/**
 * @param withImitations a name that differs by separators alone is removed as well: servers that follow CGI read `X_Tenant` as
 * `X-Tenant`, so that a client could speak next to what the route sets
 */
export function compileEdits(edits: FieldEdits | undefined, withImitations: boolean): EditRules | undefined {
  if (edits === undefined) return undefined;
  const key = withImitations ? squeezeName : (name: string) => name;
  const keyOf = (name: string) => key(name.toLowerCase());
  const dropped = new Set([...edits.set.map(([name]) => name), ...edits.remove].map(keyOf));
  const changed = new Set([...dropped, ...edits.add.map(([name]) => keyOf(name))]);
  return {
    drops: (name) => dropped.has(keyOf(name)),
    changes: (name) => changed.has(keyOf(name)),
    lines: [...edits.set, ...edits.add].flat(),
  };
}

/**
 * @param fields names and values in turn, as they would pass; those of ours are added afterwards, out of reach
 * @param kept lower-cased name of a field whose lines are not put in; undefined: none
 */
export function applyEdits(fields: readonly string[], { drops, lines }: EditRules, kept?: string): string[] {
  const edited: string[] = [];
  for (let at = 0; at < fields.length; at += 2) {
    const [name = '', value = ''] = [fields[at], fields[at + 1]];
    if (!drops(name)) edited.push(name, value);
  }
  for (let at = 0; at < lines.length; at += 2) {
    const [name = '', value = ''] = [lines[at], lines[at + 1]];
    if (name.toLowerCase() !== kept) edited.push(name, value);
  }
  return edited;
}
