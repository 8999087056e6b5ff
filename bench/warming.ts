// Load until a program gets no cheaper: Node compiles for many seconds while it serves.

import type { Contender, Plan, Setting } from './contenders.ts';
import { fileOfLoad, measure, observe, type RawLoad, sendRaw, writeRequests } from './loading.ts';
import { treeUsage } from './machine.ts';

/** Seconds. */
const WINDOW = 2;
const MOST = 30;
/** Of the cheapest window before: what is cheaper than that still gets warm. */
const SAME = 0.97;

/** @param costs of windows of load, in their order @returns whether none of the last two was cheaper than all before it */
export function isWarm(costs: readonly number[]): boolean {
  const cheaper = (at: number) => costs[at]! < Math.min(...costs.slice(0, at)) * SAME;
  return costs.length > 2 && !cheaper(costs.length - 1) && !cheaper(costs.length - 2);
}

/** @param load gives the CPU time of a request in a window of so many seconds @returns seconds until it was warm; 0 where the plan has no warm-up */
async function warmUpBy(load: (seconds: number) => Promise<number>, { warmUp: least }: Plan): Promise<number> {
  if (least === 0) return 0;
  const costs: number[] = [];
  let took = 0;
  while (took < MOST && (took < least || !isWarm(costs))) {
    costs.push(await load(WINDOW));
    took += WINDOW;
  }
  return took;
}

/** With one kind of request. */
export const warmUp = (each: Contender, setting: Setting, plan: Plan): Promise<number> =>
  warmUpBy(async (seconds) => (await measure(each, setting, seconds)).cpu, plan);

/** With many kinds in turn, whatever is answered. */
export async function warmUpWithAll(
  { program, url }: Pick<Contender, 'program' | 'url'>,
  requests: readonly string[],
  { folder }: Setting,
  plan: Plan,
): Promise<number> {
  const file = fileOfLoad(folder, 'all.txt');
  writeRequests(file, requests);
  const load = (seconds: number): RawLoad => ({ url, file, connections: 16, seconds });
  return warmUpBy(async (seconds) => {
    const usage = () => treeUsage(program.pid).cpu;
    const { from, to, between } = await observe(usage, (opened) => sendRaw(load(seconds), opened));
    return (to - from) / between;
  }, plan);
}
