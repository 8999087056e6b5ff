// The counts of rate limits: exact, independent, bounded, safe with clocks.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { createRateMemory, SharedRateLimiter } from '../../src/rate/limiter.ts';
import { makeLimit, type TakingPlan } from '../support/rate-limits.ts';

const NOW = 1_800_000_000.25;
const makeLimiter = () => new SharedRateLimiter(createRateMemory(NOW - 1000));

/** How many requests in a row pass. */
function passing(limiter: SharedRateLimiter, limit = makeLimit(), key = 'a', now = NOW, most = 10_000): number {
  for (let passed = 0; passed < most; passed++) {
    if (limiter.take(limit, key, now).retryAfter !== undefined) return passed;
  }
  return most;
}

describe('a sender', () => {
  for (const [rate, burst] of [
    [1, 1],
    [100, 200],
    [7 / 60, 3],
    [1 / 3600, 1000],
    [100_000, 5],
    [3, 7],
  ] as const) {
    test(`has ${burst} requests at once, and then ${rate} per second`, () => {
      const limiter = makeLimiter();
      const limit = makeLimit({ interval: 1 / rate, burst });
      assert.equal(passing(limiter, limit), burst);
      let passed = 0;
      const steps = 40;
      for (let step = 1; step <= steps; step++) {
        passed += passing(limiter, limit, 'a', NOW + step / 4 / rate);
      }
      assert.equal(passed, steps / 4);
      assert.equal(passing(limiter, limit, 'a', NOW + (burst + steps) / rate), burst, 'after a rest');
    });
  }

  test('gets back what was counted for nothing, and never more', () => {
    const limiter = makeLimiter();
    const limit = makeLimit({ interval: 10, burst: 3 });
    limiter.giveBack(limit, 'a', NOW);
    assert.equal(passing(limiter, limit), 3);
    limiter.giveBack(limit, 'a', NOW);
    assert.equal(passing(limiter, limit), 1);
    limiter.giveBack(limit, 'a', NOW + 1000);
    assert.equal(passing(limiter, limit, 'a', NOW + 1000), 3);
  });

  test('is told what remains, when all of it is back and when to try again', () => {
    const limiter = makeLimiter();
    const limit = makeLimit({ interval: 0.5, burst: 3, quota: 4, window: 2 });
    const policy = { name: 'per_client', quota: 4, window: 2 };
    assert.deepEqual(limiter.take(limit, 'a', NOW), {
      quota: { ...policy, remaining: 2, resetAfter: 0.5 },
      retryAfter: undefined,
    });
    limiter.take(limit, 'a', NOW);
    assert.equal(limiter.take(limit, 'a', NOW).quota.remaining, 0);
    const refused = { quota: { ...policy, remaining: 0, resetAfter: 1.5 }, retryAfter: 0.5 };
    assert.deepEqual(limiter.take(limit, 'a', NOW), refused);
    assert.deepEqual(limiter.take(limit, 'a', NOW), refused, 'refused requests are not counted');
    assert.equal(limiter.take(limit, 'a', NOW + 0.125).retryAfter, 0.375);
    assert.equal(limiter.take(limit, 'a', NOW + 0.5).retryAfter, undefined);
  });

  test('loses nothing to fractions: what remains falls by one each time, also where requests take up almost no time', () => {
    for (const [interval, burst] of [
      [0.01, 200],
      [1e-7, 1000],
      [60 / 7, 49],
    ] as const) {
      const limiter = makeLimiter();
      const limit = makeLimit({ interval, burst });
      for (let left = burst - 1; left >= 0; left--) {
        assert.equal(limiter.take(limit, 'a', NOW).quota.remaining, left);
      }
      assert.equal(passing(limiter, limit), 0);
    }
  });

  test('is counted apart from others, and apart for each limit', () => {
    const limiter = makeLimiter();
    const limit = makeLimit({ burst: 2 });
    for (const key of ['a', 'b', 'a b', 'x'.repeat(600)]) assert.equal(passing(limiter, limit, key), 2, key);
    for (const key of ['a', 'b', 'a b', 'x'.repeat(600)]) assert.equal(passing(limiter, limit, key), 0, key);
    assert.equal(passing(limiter, makeLimit({ name: 'other', burst: 2 }), 'a'), 2);
  });

  test('never has more than the rate allows, whenever it asks', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 4000 }), { maxLength: 200 }),
        fc.integer({ min: 1, max: 5 }),
        (moments, burst) => {
          const limiter = makeLimiter();
          const limit = makeLimit({ interval: 0.1, burst });
          const passed = moments
            .toSorted((one, other) => one - other)
            .filter((moment) => limiter.take(limit, 'a', NOW + moment / 1000).retryAfter === undefined);
          for (const [first, start] of passed.entries()) {
            for (const [last, end] of passed.entries()) {
              if (last < first) continue;
              const allowed = burst + (end - start) / 100 + 0.51;
              assert.ok(last - first + 1 <= allowed, `${last - first + 1} from ${start} to ${end}`);
            }
          }
        },
      ),
    );
  });
});

describe('a clock that steps back', () => {
  test('makes a sender wait as long as one that used up everything, and no longer', () => {
    const limiter = makeLimiter();
    const limit = makeLimit({ interval: 0.1, burst: 5 });
    limiter.take(limit, 'a', NOW + 86_400);
    assert.equal(limiter.take(limit, 'a', NOW).retryAfter?.toFixed(3), '0.100');
    assert.equal(passing(limiter, limit, 'a', NOW + 0.1), 1);
    assert.equal(passing(limiter, limit, 'a', NOW + 0.6), 5);
  });
  test('and a limit that is made smaller, count as if the smaller one were used up', () => {
    const limiter = makeLimiter();
    assert.equal(passing(limiter, makeLimit({ interval: 0.1, burst: 10 })), 10);
    const smaller = makeLimit({ interval: 0.1, burst: 7 });
    assert.equal(limiter.take(smaller, 'a', NOW).retryAfter?.toFixed(3), '0.100');
    assert.equal(passing(limiter, smaller, 'a', NOW + 0.21), 2);
  });
  test('stops nobody whose time it does not reach', () => {
    const limiter = makeLimiter();
    const limit = makeLimit({ interval: 0.1, burst: 5 });
    limiter.take(limit, 'a', NOW + 86_400);
    assert.equal(passing(limiter, limit, 'a', NOW + 86_401), 5);
    assert.equal(passing(limiter, limit, 'b', NOW), 5);
  });
});

describe('a flood of senders', () => {
  const SENDERS = 2 ** 18;
  test('takes the places of rested ones, so that there are always enough', () => {
    const limiter = makeLimiter();
    const limit = makeLimit({ interval: 0.001, burst: 1 });
    for (let nth = 0; nth < SENDERS * 1.2; nth++) {
      assert.equal(limiter.take(limit, `${nth}`, NOW + nth / 100).retryAfter, undefined, `${nth}`);
    }
  });

  test('takes no place of one that is not rested: who is known is neither locked out nor let off, who is new waits', () => {
    const limiter = makeLimiter();
    const limit = makeLimit({ interval: 10, burst: 4 });
    for (let nth = 0; nth < 2; nth++) limiter.take(limit, 'known', NOW);
    let refused = 0;
    for (let nth = 0; nth < SENDERS * 1.3; nth++) {
      const { retryAfter } = limiter.take(limit, `${nth}`, NOW);
      if (nth % 2 === 0) limiter.take(limit, `${nth}`, NOW);
      if (retryAfter === undefined) continue;
      refused += 1;
      assert.equal(retryAfter, 10, 'until the first place is free');
    }
    assert.ok(refused > SENDERS * 0.29 && refused < SENDERS * 0.4, `${refused}`);
    assert.equal(passing(limiter, limit, 'known'), 2);
    assert.equal(passing(limiter, limit, 'known', NOW + 10.001), 1);
  });
});

describe('four threads', () => {
  test('count one sender together', async (t) => {
    const passed = await takeInThreads(t, {
      limit: makeLimit({ interval: 3600, burst: 100_000 }),
      keys: 1,
      requests: 50_000,
    });
    assert.ok(passed >= 100_000 && passed <= 100_003, `${passed}`);
  });

  test('let at most one request more each pass, once, when a sender appears', async (t) => {
    const keys = 5000;
    const passed = await takeInThreads(t, { limit: makeLimit({ interval: 3600, burst: 1 }), keys, requests: 2 });
    assert.ok(passed >= keys && passed <= keys * 1.01, `${passed}`);
  });
});

/** @returns how many requests passed */
async function takeInThreads(
  t: TestContext,
  plan: Omit<TakingPlan, 'memory' | 'now' | 'ready' | 'threads'>,
): Promise<number> {
  const ready = new Int32Array(new SharedArrayBuffer(4));
  const workerData: TakingPlan = { ...plan, memory: createRateMemory(NOW), now: NOW, ready, threads: 4 };
  const passed = Array.from({ length: 4 }, async () => {
    const worker = new Worker(new URL('../support/rate-limits.ts', import.meta.url), { workerData });
    t.after(() => worker.terminate());
    const [count]: number[] = await once(worker, 'message');
    return count ?? 0;
  });
  return (await Promise.all(passed)).reduce((one, other) => one + other, 0);
}
