// The sums of what load processes reported: counts, and latencies by kind.

import { MEASURED } from './kinds.ts';
import { type KindResult, quantile, type Step } from './report.ts';
import type { Report } from './setting.ts';

const STEP = 5;
/** Unexpected things that are kept as text; more of them are only counted. */
const KEPT = 1000;

export class Tally {
  readonly unexpected: string[] = [];
  late = 0;
  readonly #byKind = new Map<string, number[]>();
  readonly #steps: Step[] = [];
  #step: { from: number; count: number; measured: number[] } = { from: 0, count: 0, measured: [] };

  add({ latencies, unexpected, late }: Report): void {
    for (const [kind, values] of Object.entries(latencies)) {
      const all = this.#byKind.get(kind) ?? [];
      this.#byKind.set(kind, all);
      for (const value of values) all.push(value);
      this.#step.count += values.length;
      if (MEASURED.includes(kind)) for (const value of values) this.#step.measured.push(value);
    }
    this.unexpected.push(...unexpected.slice(0, Math.max(0, KEPT - this.unexpected.length)));
    this.late += late;
  }

  /** Ends a step when its time has come. @param at seconds since the load began @returns the step that ended */
  tick(at: number): Step | undefined {
    const { from, count, measured } = this.#step;
    if (at - from < STEP) return undefined;
    const step = { at, perSecond: count / (at - from), p50: quantile(measured, 0.5), p99: quantile(measured, 0.99) };
    this.#steps.push(step);
    this.#step = { from: at, count: 0, measured: [] };
    return step;
  }

  get steps(): readonly Step[] {
    return this.#steps;
  }

  get requests(): number {
    return [...this.#byKind.values()].reduce((all, { length }) => all + length, 0);
  }

  get kinds(): readonly KindResult[] {
    return [...this.#byKind]
      .map(([name, values]) => ({
        name,
        count: values.length,
        p50: quantile(values, 0.5),
        p99: quantile(values, 0.99),
      }))
      .toSorted((a, b) => a.name.localeCompare(b.name));
  }
}
