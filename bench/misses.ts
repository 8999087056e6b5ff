// The goals that are missed: the part of Node in each miss, and ours by the budget's steps.

import type { Budget } from './budget.ts';
import { partsOf } from './budget-parts.ts';

/** A kind of request to a program, as the budgets have them. */
export type Budgeted = readonly [kind: Budget['kind'], program: Budget['program']];

/** CPU µs per request: medians. */
export interface Cost {
  readonly ours: number;
  readonly allowed: number;
  /** Of Node alone. */
  readonly floor?: number | undefined;
  /** Of which requests, and what they are compared with. */
  readonly budgets?: readonly [ours: Budgeted, other: Budgeted] | undefined;
}

/** A goal that was not met. */
export interface Miss {
  readonly what: string;
  readonly cost?: Cost | undefined;
  /** What was measured that explains it, where it is no cost of requests. */
  readonly because?: string | undefined;
}

/** Steps that differ by less are not told. */
const LEAST = 0.5;
const MOST_STEPS = 6;

const µs = (value: number) => value.toFixed(Math.abs(value) < 9.95 ? 1 : 0);
const nameOf = ([kind, program]: Budgeted) => `${kind}, ${program}`;

function partsOfMiss({ ours, allowed, floor }: Cost): string {
  const above = ours - allowed;
  const start = `${µs(ours)} µs, and the goal allows ${µs(allowed)}`;
  if (floor === undefined) return `${start}: ${µs(above)} too many.`;
  const nodes = Math.min(above, Math.max(0, floor - allowed));
  return `${start}. Node alone takes ${µs(floor)}: of the ${µs(above)} µs too many ${µs(nodes)} are Node's and ${µs(above - nodes)} ours.`;
}

/** How two budgets differ, step by step, the largest first. */
function differenceOf(budgets: readonly Budget[], [one, other]: NonNullable<Cost['budgets']>): string {
  const find = ([kind, program]: Budgeted) => budgets.find((each) => each.kind === kind && each.program === program);
  const [ours, theirs] = [find(one), find(other)];
  if (ours === undefined || theirs === undefined) return '';
  const base = new Map<string, number>(partsOf(theirs));
  const all = partsOf(ours).map(([name, value]) => [name, value - base.get(name)!] as const);
  const sum = all.reduce((total, [, value]) => total + value, 0);
  const told = all.filter(([, value]) => Math.abs(value) >= LEAST).toSorted((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const steps = told
    .slice(0, MOST_STEPS)
    .map(([name, value]) => `${name} ${value > 0 ? '+' : '−'}${µs(Math.abs(value))}`);
  const rest = sum - told.slice(0, MOST_STEPS).reduce((total, [, value]) => total + value, 0);
  return `By the budget, “${nameOf(one)}” costs ${µs(Math.abs(sum))} µs ${sum < 0 ? 'less' : 'more'} than “${nameOf(other)}”: ${[...steps, `all else ${rest < 0 ? '−' : '+'}${µs(Math.abs(rest))}`].join('; ')}.`;
}

/** A paragraph for all goals that compare the same requests; nothing where all are met. */
export function missesSection(misses: readonly Miss[], budgets: readonly Budget[]): string {
  if (misses.length === 0) return '';
  const groups = Map.groupBy(misses, ({ cost }) => cost?.budgets?.map(nameOf).join() ?? '');
  const paragraphs = [...groups.values()].map((group) => {
    const lines = group.map(({ what, cost, because }) => `- ${what}: ${cost ? partsOfMiss(cost) : because}`);
    const compared = group[0]?.cost?.budgets;
    const difference = compared === undefined ? '' : differenceOf(budgets, compared);
    return `${lines.join('\n')}\n${difference && `\n${difference}\n`}`;
  });
  return `### What is missed, and why

${paragraphs.join('\n')}
`;
}
