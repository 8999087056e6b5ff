// Untrusted JSON taken apart: a member of another type than expected counts as absent.

export type Json = Readonly<Record<string, unknown>>;

export function mapping(value: unknown): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function mappings(value: unknown): readonly Json[] {
  return items(value)
    .map(mapping)
    .filter((item) => item !== undefined);
}

/** What stands in for a part that cannot be read, where leaving it out would say less than was meant. */
const UNREADABLE: Json = { type: 'unreadable', unreadable: true };

/** Every part of a list, readable or not: for lists whose parts narrow something. Absent is empty. */
export function everyPart(value: unknown): readonly Json[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return [UNREADABLE];
  return items(value).map((item) => mapping(item) ?? UNREADABLE);
}

export function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function texts(value: unknown): readonly string[] {
  return items(value).flatMap((item) => asText(item) ?? []);
}

export function integer(value: unknown): number | undefined {
  return Number.isSafeInteger(value) ? (value as number) : undefined;
}

/** The members that are texts; without a prototype, so that no name means something else. */
export function textMap(value: unknown): Readonly<Record<string, string>> {
  const found = Object.entries(mapping(value) ?? {}).filter(([, one]) => typeof one === 'string');
  return Object.assign(Object.create(null) as Record<string, string>, Object.fromEntries(found));
}

/** Names of members beyond the known ones. */
export function unknownMembers(value: Json, known: readonly string[]): readonly string[] {
  return Object.keys(value).filter((name) => !known.includes(name));
}

/** A scalar of nested data as text; undefined: there is none. */
export function scalarAt(data: unknown, path: readonly (string | number)[]): string | undefined {
  const found = path.reduce<unknown>((value, key) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    return (value as Record<string | number, unknown>)[key];
  }, data);
  const isScalar = typeof found === 'string' || typeof found === 'number' || typeof found === 'boolean';
  return isScalar ? String(found) : undefined;
}
