// The keys of the contract whose feature is not built yet: refused when they are written, so that none is silently ignored.

import type { ConfigPath } from '../problem.ts';

export interface LaterKey {
  /** Keys from the top; `*`: every name or index. */
  readonly key: string;
  /** Values that change nothing today, and so are taken. */
  readonly taken?: readonly unknown[];
  /** What is refused, where the value does not say it. */
  readonly what?: string;
}

/** A feature that is built loses its rows here, and nothing else changes. */
export const LATER: readonly LaterKey[] = [
  { key: 'listeners.*.mode', taken: ['proxy'] },
  { key: 'listeners.*.dialect' },
  { key: 'tracing' },
  { key: 'rate_limits.*.shared', taken: [false] },
  { key: 'defaults.forward.assertion' },
  { key: 'routes.*.forward.assertion' },
  { key: 'routes.*.resource' },
];

export const NOT_BUILT_YET = 'is part of the contract but not built yet';

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
