// Places in a configuration's data by a pattern of keys.

import type { ConfigPath } from '../problem.ts';

/** Every place in a configuration's data that a pattern of keys names, with what is there. */
export function select(data: unknown, pattern: string): readonly (readonly [ConfigPath, unknown])[] {
  let found: (readonly [ConfigPath, unknown])[] = [[[], data]];
  for (const key of pattern.split('.')) {
    found = found.flatMap(([path, value]) =>
      (key === '*' ? entries(value) : entry(value, key)).map(([name, inner]) => [[...path, name], inner] as const),
    );
  }
  return found;
}

/** Without a look at the others: there are keys in every route that few routes have. */
function entry(value: unknown, key: string): readonly (readonly [string | number, unknown])[] {
  if (Array.isArray(value)) return entries(value).filter(([name]) => key === String(name));
  const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
  return isThere ? [[key, (value as Readonly<Record<string, unknown>>)[key]]] : [];
}

function entries(value: unknown): readonly (readonly [string | number, unknown])[] {
  if (Array.isArray(value)) return [...value.entries()];
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}
