// The wait of a drain, by a clock of its test.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linger } from '../../src/supervisor/linger.ts';

/** @param until second at which the last connection comes, of which there are ten in each before */
async function wait(drain: { readonly delay: number; readonly grace: number }, until: number) {
  let now = 0;
  let prolonged = 0;
  const left = await linger(drain, {
    arrivals: {
      get count() {
        return Math.floor(Math.min(now, until) * 10);
      },
    },
    pause: async (seconds) => {
      now += seconds;
    },
    prolonged: () => (prolonged += 1),
  });
  return { waited: now, left, prolonged };
}

test('the delay is enough where the last second of it brought no connection', async () => {
  assert.deepEqual(await wait({ delay: 5, grace: 30 }, 4), { waited: 5, left: 30, prolonged: 0 });
});

test('it is prolonged, which is told once, until a second brings none, and grace pays for it', async () => {
  assert.deepEqual(await wait({ delay: 5, grace: 30 }, 8), { waited: 9, left: 26, prolonged: 1 });
});

test('clients that go on and on prolong it by half of grace and no more', async () => {
  assert.deepEqual(await wait({ delay: 5, grace: 30 }, Infinity), { waited: 20, left: 15, prolonged: 1 });
  assert.deepEqual(await wait({ delay: 5, grace: 1 }, Infinity), { waited: 5, left: 1, prolonged: 0 });
});

test('of a delay below a second all is looked at, and it is prolonged by whole ones', async () => {
  assert.deepEqual(await wait({ delay: 0.5, grace: 30 }, 0.75), { waited: 2.5, left: 28, prolonged: 1 });
});

test('no delay is no delay, however many connect', async () => {
  assert.deepEqual(await wait({ delay: 0, grace: 30 }, Infinity), { waited: 0, left: 30, prolonged: 0 });
});
