// The decisions that a comparison relies on are the rows of its table in docs/comparison.md.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** Why one side accepts what the other refuses. */
export interface Decision<C> {
  /** First cell of its row in docs/comparison.md. */
  readonly name: string;
  /** What we say: reasons, or `accepted` where the other side refuses. */
  readonly ours: readonly string[];
  /** Whether the input is of this kind, judged without our code. */
  readonly applies: (input: C) => boolean;
}

/** The decision that explains what we said about an input; undefined: none does. */
export function explain<C>(decisions: readonly Decision<C>[], ours: string, input: C): string | undefined {
  return decisions.find((one) => one.ours.includes(ours) && one.applies(input))?.name;
}

/** Asserts that the table under a heading has exactly these decisions, with what we say, in this order. */
export function assertDocumented(heading: string, decisions: readonly Decision<never>[]): void {
  const page = readFileSync(new URL('../../docs/comparison.md', import.meta.url), 'utf8');
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const rows = [...section.matchAll(/^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$/gm)]
    .slice(2)
    .map(([, name, ours]) => [name, ours]);
  const expected = decisions.map(({ name, ours }) => [name, ours.map((one) => `\`${one}\``).join(', ')]);
  assert.deepEqual(rows, expected);
}
