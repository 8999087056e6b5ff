// A rate limit for tests, in one thread or in several at the same time.

import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { type RateMemory, SharedRateLimiter } from '../../src/rate/limiter.ts';
import type { RateLimit } from '../../src/rate/limit.ts';

export function makeLimit(over: Partial<RateLimit> = {}): RateLimit {
  const text = '100/s, 200 at once, by client';
  const figures = { interval: 0.01, burst: 200, quota: 200, window: 2 };
  return { name: 'per_client', key: 'client', ...figures, shared: false, text, ...over };
}

/** A subject has one request a minute. */
export const ONE_A_MINUTE: RateLimit = {
  name: 'few',
  key: 'subject',
  interval: 60,
  burst: 1,
  quota: 1,
  window: 60,
  shared: false,
  text: '1/m',
};

/** What a thread gets as workerData. */
export interface TakingPlan {
  readonly memory: RateMemory;
  readonly limit: RateLimit;
  readonly now: number;
  /** Senders, and requests for each of them. */
  readonly keys: number;
  readonly requests: number;
  /** How many threads are at the start. */
  readonly ready: Int32Array;
  readonly threads: number;
}

function take({ memory, limit, now, keys, requests, ready, threads }: TakingPlan): number {
  const limiter = new SharedRateLimiter(memory);
  if (Atomics.add(ready, 0, 1) === threads - 1) Atomics.notify(ready, 0);
  for (let seen = Atomics.load(ready, 0); seen < threads; seen = Atomics.load(ready, 0)) Atomics.wait(ready, 0, seen);
  let passed = 0;
  for (let key = 0; key < keys; key++) {
    for (let nth = 0; nth < requests; nth++) {
      if (limiter.take(limit, `${key}`, now).retryAfter === undefined) passed += 1;
    }
  }
  return passed;
}

if (!isMainThread) parentPort?.postMessage(take(workerData));
