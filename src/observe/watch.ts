// The stopwatch of single requests: time by stage, and the clocks of clients.

import type { Watch } from '../enforce.ts';
import type { Histogram } from './histogram.ts';
import { addHistogram, type MetricRegistry } from './instruments.ts';
import { type ClockResult, TIMED_STAGES, type TimedStage } from './labels.ts';
import { METRICS } from './metric-table.ts';

/** Milliseconds between two requests that are watched: what watching costs is bounded, and under little traffic all are. */
const EVERY = 10;
/** Seconds: from a token that is remembered to a slow issuer or Redis. */
const STAGE_BUCKETS = [0.000_01, 0.000_025, 0.000_05, 0.0001, 0.000_25, 0.0005, 0.001, 0.005, 0.02, 0.1, 0.5, 2];
/** Seconds. */
const OFFSET_BUCKETS = [-300, -120, -60, -30, -10, -5, -2, 0, 2, 5, 10, 30, 60, 120, 300];

/** Watches one request. Nothing is measured of the others. */
class RequestWatch implements Watch {
  readonly #durations: Histogram;
  readonly #offsets: Histogram;
  #since = performance.now();

  constructor(durations: Histogram, offsets: Histogram) {
    this.#durations = durations;
    this.#offsets = offsets;
  }

  /** A stage was passed that began when the one before it was. */
  passed(stage: TimedStage): void {
    const now = performance.now();
    this.#durations.observe(stage, (now - this.#since) / 1000);
    this.#since = now;
  }

  /** @param seconds `iat` of a proof with a good signature, minus our time */
  clock(seconds: number, result: ClockResult): void {
    this.#offsets.observe(result, seconds);
  }
}

/** @returns who is asked at each request: `now` on the monotonic clock, milliseconds; undefined: this one is not watched */
export function createWatches(registry: MetricRegistry): (now: number) => Watch | undefined {
  const durations = addHistogram(registry, METRICS.verificationDuration, STAGE_BUCKETS);
  const offsets = addHistogram(registry, METRICS.clockOffset, OFFSET_BUCKETS);
  for (const stage of TIMED_STAGES) durations.zero(stage);
  for (const result of ['accepted', 'refused'] as const) offsets.zero(result);
  let last = -EVERY;
  return (now) => {
    if (now - last < EVERY) return undefined;
    last = now;
    return new RequestWatch(durations, offsets);
  };
}
