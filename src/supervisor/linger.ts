// The wait of a drain: `delay`, and longer while new connections still come.

import type { Arrivals } from '../observe/arrivals.ts';
import type { Policy } from '../policy/policy.ts';

/** Seconds without a new connection that show that balancers have looked away. */
const QUIET = 1;

export interface Lingering {
  readonly arrivals: Pick<Arrivals, 'count'>;
  readonly pause: (seconds: number) => Promise<void>;
  /** `delay` is over, and there will be more of it. */
  readonly prolonged: () => void;
}

/**
 * Waits for `delay`, and on until a second has passed in which no connection came, for half of `grace` at most. Where `delay` is 0, it waits for nothing.
 * @returns seconds that are left of `grace`
 */
export async function linger(
  { delay, grace }: Policy['drain'],
  { arrivals, pause, prolonged }: Lingering,
): Promise<number> {
  const last = Math.min(delay, QUIET);
  await pause(delay - last);
  const comes = async (seconds: number) => {
    const before = arrivals.count;
    await pause(seconds);
    return arrivals.count !== before;
  };
  let left = grace;
  if (delay === 0 || !(await comes(last)) || left - QUIET < grace / 2) return left;
  prolonged();
  do left -= QUIET;
  while ((await comes(QUIET)) && left - QUIET >= grace / 2);
  return left;
}
