// The memory of proofs inside one process: fresh once, never evicted, never forgotten too early.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ProcessReplayStore } from '../../src/store/process-replay-store.ts';

const NOW = 1_800_000_000.25;
const makeStore = (capacity = 1000) => new ProcessReplayStore({ capacity, since: NOW });

describe('a proof', () => {
  test('is fresh once: of 500 parallel calls exactly one', async () => {
    const store = makeStore();
    const calls = Array.from({ length: 500 }, async () => store.remember('key', 'jti', NOW + 75, NOW));
    const answers = await Promise.all(calls);
    assert.equal(answers.filter((answer) => answer === 'fresh').length, 1);
    assert.equal(answers.filter((answer) => answer === 'replayed').length, 499);
    assert.equal(store.entries, 1);
  });

  test('is replayed under any later expiry too: another route remembers longer', () => {
    const store = makeStore();
    assert.equal(store.remember('key', 'jti', NOW + 75, NOW), 'fresh');
    assert.equal(store.remember('key', 'jti', NOW + 600, NOW + 1), 'replayed');
    assert.equal(store.remember('key', 'jti', NOW + 10, NOW + 1), 'replayed');
  });

  test('is another one when the same jti comes from another key', () => {
    const store = makeStore();
    assert.equal(store.remember('one', 'jti', NOW + 75, NOW), 'fresh');
    assert.equal(store.remember('other', 'jti', NOW + 75, NOW), 'fresh');
  });

  test('is another one when key and jti are split at another place', () => {
    const store = makeStore();
    for (const [jkt, jti] of [
      ['ab', 'c'],
      ['a', 'bc'],
      ['', 'abc'],
      ['1', '1:a'],
      ['11', ':a'],
    ] as const) {
      assert.equal(store.remember(jkt, jti, NOW + 75, NOW), 'fresh', `${jkt} ${jti}`);
    }
  });

  test('is remembered up to and including the moment of its expiry', () => {
    const store = makeStore();
    store.remember('key', 'jti', NOW + 75, NOW);
    assert.equal(store.remember('key', 'jti', NOW + 75, NOW + 75), 'replayed');
  });
});

describe('a proof that is still good', () => {
  for (const now of [NOW, Math.floor(NOW)]) {
    test(`is not taken for a forgotten one that expires in the same second as another, at ${now}`, () => {
      const store = makeStore();
      store.remember('key', 'jti', now + 75, now);
      assert.equal(store.remember('key', 'same moment', now + 75, now + 75), 'fresh');
      assert.equal(store.remember('key', 'same second', Math.ceil(now + 75), Math.ceil(now + 75)), 'fresh');
    });
  }
});

describe('a full memory', () => {
  test('refuses new proofs, still knows the old ones and evicts none', () => {
    const store = makeStore(3);
    for (const jti of ['a', 'b', 'c']) assert.equal(store.remember('key', jti, NOW + 75, NOW), 'fresh');
    assert.equal(store.remember('key', 'd', NOW + 75, NOW), 'full');
    for (const jti of ['a', 'b', 'c']) assert.equal(store.remember('key', jti, NOW + 75, NOW + 1), 'replayed');
    assert.equal(store.entries, 3);
  });

  test('takes new proofs when the old ones have expired', () => {
    const store = makeStore(3);
    for (const jti of ['a', 'b', 'c']) store.remember('key', jti, NOW + 75, NOW);
    assert.equal(store.remember('key', 'd', NOW + 150, NOW + 77), 'fresh');
    assert.equal(store.entries, 1);
  });

  test('of no capacity refuses everything', () => {
    assert.equal(makeStore(0).remember('key', 'jti', NOW + 75, NOW), 'full');
  });
});

describe('forgetting', () => {
  test('drops a bounded number of entries per call, and overtakes remembering', () => {
    const store = makeStore(20_000);
    for (let n = 0; n < 10_000; n += 1) store.remember('key', `${n}`, NOW + 75, NOW);
    store.remember('key', 'next', NOW + 200, NOW + 100);
    assert.ok(store.entries > 9900, 'one call must not sweep the memory');
    for (let n = 0; n < 400; n += 1) store.remember('key', `later ${n}`, NOW + 200, NOW + 100);
    assert.equal(store.entries, 401);
  });

  test('is final: what was dropped is replayed when the clock steps back', () => {
    const store = makeStore();
    store.remember('key', 'jti', NOW + 75, NOW);
    store.remember('key', 'other', NOW + 500, NOW + 400);
    assert.equal(store.entries, 1, 'the first one was dropped');
    assert.equal(store.remember('key', 'jti', NOW + 75, NOW), 'replayed');
    assert.equal(
      store.remember('key', 'never seen', NOW + 75, NOW),
      'replayed',
      'nobody can tell it from a dropped one',
    );
  });

  test('reaches as far as entries did, so a clock that jumped ahead and came back stops no one for long', () => {
    const store = makeStore();
    store.remember('key', 'jti', NOW + 75, NOW);
    store.remember('key', 'ahead', NOW + 86_475, NOW + 86_400);
    assert.equal(store.remember('key', 'back', NOW + 77, NOW + 2), 'fresh');
  });

  test('never lets a proof be fresh twice, whatever the clock does', () => {
    const call = fc.record({
      jti: fc.constantFrom('a', 'b', 'c'),
      lasts: fc.integer({ min: 0, max: 20 }),
      now: fc.integer({ min: 0, max: 60 }),
    });
    fc.assert(
      fc.property(fc.array(call, { maxLength: 40 }), fc.integer({ min: 1, max: 3 }), (calls, capacity) => {
        const store = makeStore(capacity);
        const acceptedUntil = new Map<string, number>();
        for (const { jti, lasts, now } of calls) {
          // One proof has one expiry: its iat decides it, whenever it is shown.
          const expiresAt = acceptedUntil.get(jti) ?? now + lasts;
          if (store.remember('key', jti, expiresAt, now) !== 'fresh') continue;
          assert.ok(!acceptedUntil.has(jti), `${jti} twice`);
          acceptedUntil.set(jti, expiresAt);
        }
      }),
    );
  });
});
