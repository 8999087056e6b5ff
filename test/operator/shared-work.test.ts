// Work that is shared: its age, who gets its result, and how much of the time it may take.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shareWork } from '../../src/operator/shared-work.ts';

/** Work that ends when the test says so. */
function heldWork() {
  const runs: PromiseWithResolvers<number>[] = [];
  const ask = shareWork(() => {
    const run = Promise.withResolvers<number>();
    runs.push(run);
    return run.promise;
  });
  return { ask, runs };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('who asks while work is under way gets the result of the next run, which begins when this one has ended', async () => {
  const { ask, runs } = heldWork();
  const first = [ask(), ask()];
  await turn();
  assert.equal(runs.length, 1);
  const later = [ask(), ask(), ask()];
  await turn();
  assert.equal(runs.length, 1);
  runs[0]?.resolve(1);
  assert.deepEqual(await Promise.all(first), [1, 1]);
  while (runs.length < 2) await turn();
  runs[1]?.resolve(2);
  assert.deepEqual(await Promise.all(later), [2, 2, 2]);
  assert.equal(runs.length, 2);
});

test('a run that fails is told to those who waited for it, and the next question begins another', async () => {
  const { ask, runs } = heldWork();
  const asked = [ask(), ask()];
  await turn();
  runs[0]?.reject(new Error('failed'));
  for (const one of asked) await assert.rejects(one, /failed/);
  const again = ask();
  while (runs.length < 2) await turn();
  runs[1]?.resolve(2);
  assert.equal(await again, 2);
});

test('asked without a pause, it rests nine times as long as it worked', async () => {
  const runs: { begun: number; ended: number }[] = [];
  const ask = shareWork(async () => {
    const begun = performance.now();
    while (performance.now() - begun < 10);
    runs.push({ begun, ended: performance.now() });
  });
  for (let run = 0; run < 5; run += 1) await ask();
  for (const [index, { begun, ended }] of runs.slice(0, -1).entries()) {
    const rested = (runs[index + 1]?.begun ?? 0) - ended;
    // Timers count whole milliseconds.
    assert.ok(rested >= Math.min(9 * (ended - begun), 1000) - 2, `${ended - begun} ms of work, ${rested} ms of rest`);
  }
});
