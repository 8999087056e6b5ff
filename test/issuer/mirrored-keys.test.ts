// Keys in a worker: copies that stay the same objects, asked for sparingly.

import assert from 'node:assert/strict';
import type { KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { MirroredKeys } from '../../src/issuer/mirrored-keys.ts';
import type { VerificationKey } from '../../src/jose/key-set.ts';

const key = (id: string) =>
  ({ kid: id, algorithms: ['ES256'], key: {} as KeyObject, id, current: true }) satisfies VerificationKey;

/** Copies, as they come out of a message. */
const state = (ids: readonly string[], keepUntil = 1000) => ({ keys: ids.map(key), keepUntil });

test('a key that stays is the same object, and one that is gone counts no longer', () => {
  const keys = new MirroredKeys(
    async () => {},
    () => 0,
  );
  assert.equal(keys.current(0), undefined);
  keys.update(state(['a', 'b']));
  const [a, b] = keys.current(0) ?? [];
  keys.update(state(['b', 'c']));
  assert.deepEqual(
    keys.current(0)?.map(({ id }) => id),
    ['b', 'c'],
  );
  assert.equal(keys.current(0)?.[0], b);
  assert.deepEqual([a?.current, b?.current], [false, true]);
});

test('a set that is too old is dropped, with what was verified by it', () => {
  const keys = new MirroredKeys(
    async () => {},
    () => 0,
  );
  keys.update(state(['a'], 1000));
  const [a] = keys.current(1000) ?? [];
  assert.equal(a?.current, true);
  assert.equal(keys.current(1000.5), undefined);
  assert.equal(a?.current, false);
});

test('strangers with unknown kids cause one question at a time, and four a second', async () => {
  let now = 100;
  const asked: (string | undefined)[] = [];
  let answer = Promise.withResolvers<void>();
  const keys = new MirroredKeys(
    (kid) => {
      asked.push(kid);
      return answer.promise;
    },
    () => now,
  );
  const waiting = ['x', 'y', undefined].map((kid) => keys.refreshFor(kid));
  assert.deepEqual(asked, ['x']);
  answer.resolve();
  await Promise.all(waiting);
  await keys.refreshFor('z');
  assert.deepEqual(asked, ['x'], 'within a quarter of a second after the answer');
  now += 0.25;
  answer = Promise.withResolvers();
  answer.resolve();
  await keys.refreshFor('z');
  assert.deepEqual(asked, ['x', 'z']);
  now -= 3600;
  await keys.refreshFor('w');
  assert.deepEqual(asked, ['x', 'z', 'w'], 'a clock that stepped back prolongs nothing');
});

test('a thousand requests wait for an answer, and no more: the others are decided by the keys that there are', async () => {
  const answer = Promise.withResolvers<void>();
  const keys = new MirroredKeys(
    () => answer.promise,
    () => 100,
  );
  let settled = 0;
  const all = Array.from({ length: 1500 }, async () => {
    await keys.refreshFor('x');
    settled += 1;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(settled, 500);
  answer.resolve();
  await Promise.all(all);
  assert.equal(settled, 1500);
});
