// Real threads over one replay store: one winner per proof, killed threads included.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { createReplayMemory, ProcessReplayStore } from '../../src/memory/process-replay-store.ts';
import type { ThreadPlan } from '../support/replay-thread.ts';

const START = 1_800_000_000;

const sharedNumbers = (length: number) => new Int32Array(new SharedArrayBuffer(4 * length));

function makePlan(proofs: number, capacity: number, over: Partial<ThreadPlan> = {}): ThreadPlan {
  return {
    memory: createReplayMemory({ capacity, since: START }),
    wins: sharedNumbers(proofs),
    place: sharedNumbers(1),
    ready: sharedNumbers(1),
    answered: sharedNumbers(1),
    full: sharedNumbers(1),
    threads: 4,
    start: START,
    perSecond: Infinity,
    lasts: 75,
    again: 0,
    ...over,
  };
}

function startThread(t: TestContext, plan: ThreadPlan): Worker {
  const worker = new Worker(new URL('../support/replay-thread.ts', import.meta.url), { workerData: plan });
  t.after(() => worker.terminate());
  return worker;
}

async function runThreads(t: TestContext, plan: ThreadPlan): Promise<void> {
  const workers = Array.from({ length: plan.threads }, () => startThread(t, plan));
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
}

/** How many jti had 0, 1, … winners. */
function tally({ wins }: ThreadPlan): Record<number, number> {
  const result: Record<number, number> = {};
  for (const won of wins) result[won] = (result[won] ?? 0) + 1;
  return result;
}

describe('four threads with the same proofs', () => {
  test('have one winner for each', async (t) => {
    const plan = makePlan(25_000, 25_000);
    await runThreads(t, plan);
    assert.deepEqual(tally(plan), { 1: 25_000 });
    assert.equal(plan.answered[0], 100_000);
    assert.equal(new ProcessReplayStore(plan.memory, () => START).entries, 25_000);
  });

  test('have one winner for each in a table of one bucket, while others expire and are overwritten', async (t) => {
    // At most 6 seconds of 60 proofs live at once for one thread; a thread that is behind keeps more alive.
    const plan = makePlan(20_000, 1023, { perSecond: 60, lasts: 5, again: 100 });
    await runThreads(t, plan);
    const { 1: once = 0, 0: never = 0, ...more } = tally(plan);
    assert.deepEqual(more, {}, 'more than one winner');
    // Threads are each at their own second: one that is ahead overwrites what another still asks for, and then nobody wins.
    assert.ok(once > 19_000, `${once} won, ${never} did not`);
  });

  test('of a memory with too little room fill it to the last place', async (t) => {
    const plan = makePlan(2000, 500);
    await runThreads(t, plan);
    assert.deepEqual(tally(plan), { 0: 1500, 1: 500 });
    assert.ok(plan.full[0]! >= 1500);
  });
});

/** How often threads are killed, at least, and how many proofs have been won by then. */
const [DEATHS, WINS] = [20, 400];

describe('threads that are killed again and again', () => {
  test('hold nobody up, let no proof pass twice, and cost one place each at most', async (t) => {
    const capacity = 1000;
    const plan = makePlan(1_000_000, capacity, { threads: 1, perSecond: 100, lasts: 5, again: 3 });
    let deaths = 0;
    const killing = async () => {
      while (deaths < DEATHS || (tally(plan)[1] ?? 0) < WINS) {
        const worker = startThread(t, plan);
        const answered = plan.answered[0]!;
        while (plan.answered[0] === answered) await pause(1);
        await pause(Math.random() * 20);
        await worker.terminate();
        deaths += 1;
      }
    };
    await Promise.all([killing(), killing(), killing()]);
    const { 0: untouched = 0, 1: won = 0, ...more } = tally(plan);
    assert.deepEqual(more, {}, 'more than one winner');
    const lost = Math.max(0, plan.place[0]! - won);
    assert.ok(lost < won / 10, `${won} won, ${lost} without winner, ${untouched} untouched, ${deaths} deaths`);
    const store = new ProcessReplayStore(plan.memory);
    const later = START + 1_000_000;
    let room = 0;
    while (store.remember('other', `${room}`, later + 75, later) === 'fresh') room += 1;
    assert.ok(room >= capacity - deaths, `room for ${room} after ${deaths} deaths`);
  });
});
