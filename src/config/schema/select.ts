// Places in a configuration's data by a pattern of keys.

import type { ConfigPath } from '../problem.ts';

/** Every place in a configuration's data that a pattern of keys names, with what is there. */
export function select(data: unknown, pattern: string): readonly (readonly [ConfigPath, unknown])[] {
  let found: (readonly [ConfigPath, unknown])[] = [[[], data]];
  for (const key of pattern.split('.')) {
    found = found.flatMap(([path, value]) =>
      entries(value)
        .filter(([name]) => key === '*' || key === String(name))
        .map(([name, inner]) => [[...path, name], inner] as const),
    );
  }
  return found;
}

function entries(value: unknown): readonly (readonly [string | number, unknown])[] {
  if (Array.isArray(value)) return [...value.entries()];
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}
