// One field line of a message, as a name and a value, and what imitations of a name are.

/** A header or trailer field (RFC 9110 §5), name and value as they are written. */
export type Field = readonly [name: string, value: string];

/** Letters and digits alone: what imitations have in common with a name. */
export function squeezeName(lowerCased: string): string {
  return lowerCased.replaceAll(/[^a-z0-9]/g, '');
}
