// The verdict of a soak run: each thing that must hold, with what was found.

import type { Sample } from './sampling.ts';

const MIB = 1024 * 1024;
const HOUR = 3600;

/** Seconds. In a shorter run memory is still finding its size, and is shown but not judged. */
const SHORTEST = 180;
/** The part of a run in which code is compiled, caches fill and heaps find their size. */
export const WARM_UP = 1 / 3;
/** Bytes that memory may gain by its trend over the judged part of a run, and by which its peak may be above its median. */
const MOST_GAINED = 16 * MIB;
const MOST_ABOVE = 64 * MIB;

/** What happened to memory after the warm-up. */
export interface Trend {
  /** Bytes per second, by least squares. */
  readonly slope: number;
  /** Bytes gained by that slope from the end of the warm-up to the end of the load. */
  readonly gained: number;
  readonly median: number;
  readonly peak: number;
}

/** @param samples of the load alone */
export function memoryTrend(samples: readonly Sample[]): Trend {
  const last = samples.at(-1)?.at ?? 0;
  const judged = samples.filter(({ at }) => at >= last * WARM_UP);
  const mean = (of: (sample: Sample) => number) => judged.reduce((all, one) => all + of(one), 0) / judged.length;
  const [meanAt, meanResident] = [mean(({ at }) => at), mean(({ resident }) => resident)];
  const covariance = mean(({ at, resident }) => (at - meanAt) * (resident - meanResident));
  const slope = covariance / mean(({ at }) => (at - meanAt) ** 2);
  const sorted = judged.map(({ resident }) => resident).toSorted((a, b) => a - b);
  const gained = slope * (last - (judged[0]?.at ?? 0));
  return { slope, gained, median: sorted[sorted.length >> 1] ?? Number.NaN, peak: sorted.at(-1) ?? Number.NaN };
}

/** Everything that a run leaves to judge. */
export interface Outcome {
  readonly seconds: number;
  readonly samples: readonly Sample[];
  readonly requests: number;
  /** Exchanges that did not go as they should, and whatever went wrong with the run itself. */
  readonly unexpected: readonly string[];
  /** Of the gateway's log. */
  readonly errors: readonly string[];
  readonly stderr: string;
  readonly exit: number | null;
  readonly restarts: number;
  /** Before the load, and when it was over. */
  readonly before: Sample;
  readonly after: Sample;
}

export interface Check {
  readonly what: string;
  readonly found: string;
  readonly holds: boolean;
}

/** The run is good when every check holds. */
export function judge(outcome: Outcome): readonly Check[] {
  const { unexpected, requests, errors, stderr, exit, restarts, before, after } = outcome;
  const check = (what: string, holds: boolean, found: string): Check => ({ what, found, holds });
  return [
    check('every exchange went as it should', unexpected.length === 0, `${requests} did, ${unexpected.length} did not`),
    ...judgeMemory(outcome),
    check('no error in the log', errors.length === 0, `${errors.length}`),
    check('nothing on standard error', stderr === '', `${stderr.length} characters`),
    check('no worker was replaced', restarts === 0, `${restarts} were`),
    check('no connection is left', after.connections === 0, `${after.connections} are`),
    check(
      'no file descriptor is left',
      after.descriptors <= before.descriptors,
      `${before.descriptors} before, ${after.descriptors} after`,
    ),
    check('it ends with 0 after SIGTERM', exit === 0, `${exit}`),
  ];
}

function judgeMemory({ seconds, samples }: Outcome): readonly Check[] {
  if (seconds < SHORTEST) return [];
  const { slope, gained, median, peak } = memoryTrend(samples);
  const mib = (bytes: number) => (bytes / MIB).toFixed(1);
  return [
    {
      what: `memory is flat after the first third: its trend gains at most ${mib(MOST_GAINED)} MiB`,
      found: `${mib(gained)} MiB, ${mib(slope * HOUR)} MiB/h`,
      holds: gained <= MOST_GAINED,
    },
    {
      what: `and its peak is at most ${mib(MOST_ABOVE)} MiB above its median`,
      found: `median ${mib(median)} MiB, peak ${mib(peak)} MiB`,
      holds: peak - median <= MOST_ABOVE,
    },
  ];
}
