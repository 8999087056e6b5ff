// One comparison over recipes, kept ones first, which keeps those that found something.

import { readFileSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';

/** New recipes per comparison: few in `npm test`, many in `npm run test:nightly`. */
export const TRIALS = Number(process.env['TRIALS'] ?? 300);

const KEPT = new URL('./seeds.json', import.meta.url);

/** What was found once and is replayed every time; `seed` and `path` are fast-check's, `recipe` needs neither. */
interface Kept {
  readonly comparison: string;
  readonly seed: number;
  readonly path: string;
  readonly recipe: unknown;
}

/** Outcome on both sides; `decision` says why they may differ. */
export interface Trial {
  readonly ours: string;
  readonly theirs: string;
  readonly decision: string | undefined;
}

/** How often each outcome came up, and which decisions explain the differences. */
export interface Tally {
  readonly outcomes: ReadonlyMap<string, number>;
  readonly decisions: ReadonlySet<string>;
}

/**
 * Fails at the first recipe on which both sides differ and no decision says why: the smallest such recipe is printed and
 * written to seeds.json, from where it is tried first in every later run.
 */
export async function compareAll<R>(
  context: TestContext,
  recipes: fc.Arbitrary<R>,
  examples: readonly R[],
  attempt: (recipe: R) => Promise<Trial>,
): Promise<Tally> {
  const outcomes = new Map<string, number>();
  const decisions = new Set<string>();
  const kept = (JSON.parse(readFileSync(KEPT, 'utf8')) as Kept[]).filter(
    ({ comparison }) => comparison === context.name,
  );
  const first = [...kept.map(({ recipe }) => recipe as R), ...examples];
  const property = fc.asyncProperty(recipes, async (recipe) => {
    const { ours, theirs, decision } = await attempt(recipe);
    const agreed = (ours === 'accepted') === (theirs === 'accepted');
    if (!agreed && decision === undefined) throw new Error(`ours: ${ours}, theirs: ${theirs}`);
    if (!agreed && decision !== undefined) decisions.add(decision);
    const outcome = agreed ? ours : `differs: ${decision}`;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  });
  const result = await fc.check(property, {
    numRuns: first.length + TRIALS,
    examples: first.map((recipe): [R] => [recipe]),
  });
  if (result.failed) {
    keep({
      comparison: context.name,
      seed: result.seed,
      path: result.counterexamplePath ?? '',
      recipe: result.counterexample?.[0],
    });
    throw new Error(fc.defaultReportMessage(result), { cause: result.errorInstance });
  }
  const lines = [...outcomes].toSorted(([, a], [, b]) => b - a).map(([outcome, count]) => `${count} × ${outcome}`);
  context.diagnostic(`${result.numRuns} inputs: ${lines.join('; ')}`);
  return { outcomes, decisions };
}

function keep(found: Kept): void {
  const all = JSON.parse(readFileSync(KEPT, 'utf8')) as Kept[];
  if (all.some(({ recipe }) => isDeepStrictEqual(recipe, found.recipe))) return;
  writeFileSync(KEPT, `${JSON.stringify([...all, found], undefined, 2)}\n`);
}
