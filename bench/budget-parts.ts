// The parts of a budget: the steps of the serving thread, then all other threads.

import type { Budget } from './budget.ts';
import { STEPS } from './steps.ts';

const HELPERS = 'helper threads of V8: garbage, compilation';
const OTHERS = 'other threads';

/** In the order in which they are shown. */
export const PARTS_OF_BUDGET = [...STEPS, HELPERS, OTHERS] as const;

/** Every part of one, in order; they add up to all of it. */
export const partsOf = ({ steps, helpers, others }: Budget): (readonly [name: string, cost: number])[] => [
  ...STEPS.map((step) => [step, steps[step] ?? 0] as const),
  [HELPERS, helpers],
  [OTHERS, others],
];

/** CPU µs of a budget, all threads. */
export const totalOf = (one: Budget): number => partsOf(one).reduce((all, [, cost]) => all + cost, 0);
