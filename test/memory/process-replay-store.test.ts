// The process replay store: fresh once, never evicted, never forgotten early.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createReplayMemory, ProcessReplayStore } from '../../src/memory/process-replay-store.ts';

const NOW = 1_800_000_000.25;
/** A store whose `entries` are those at `clock.now`. */
const makeStore = (capacity = 1000, clock = { now: NOW }) =>
  new ProcessReplayStore(createReplayMemory({ capacity, since: NOW }), () => clock.now);

describe('a proof', () => {
  test('is fresh once: of 500 parallel calls exactly one', async () => {
    const store = makeStore();
    const calls = Array.from({ length: 500 }, async () => store.remember('key', 'jti', NOW + 75, NOW));
    const answers = await Promise.all(calls);
    assert.equal(answers.filter((answer) => answer === 'fresh').length, 1);
    assert.equal(answers.filter((answer) => answer === 'replayed').length, 499);
    assert.equal(store.entries, 1);
  });

  test('is fresh once for all stores over one memory, which may come as a copy', () => {
    const memory = createReplayMemory({ capacity: 10, since: NOW });
    const stores = [memory, memory, structuredClone({ ...memory, table: undefined })].map(
      (each) => new ProcessReplayStore({ ...each, table: memory.table }, () => NOW),
    );
    const answers = stores.map((store) => store.remember('key', 'jti', NOW + 75, NOW));
    assert.deepEqual(answers, ['fresh', 'replayed', 'replayed']);
    assert.deepEqual([...stores.map(({ entries }) => entries), stores[2]!.coverage.since], [1, 1, 1, NOW]);
  });

  test('has another fingerprint in each process', () => {
    const [one, other] = [createReplayMemory({ capacity: 1, since: 0 }), createReplayMemory({ capacity: 1, since: 0 })];
    assert.equal(one.secret.length, 32);
    assert.notDeepEqual(one.secret, other.secret);
    for (const memory of [one, other]) new ProcessReplayStore(memory).remember('key', 'jti', NOW + 75, NOW);
    assert.notDeepEqual(Buffer.from(one.table), Buffer.from(other.table));
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

  test('is remembered up to and including the moment of its expiry, and through its second', () => {
    const store = makeStore();
    store.remember('key', 'jti', NOW + 75, NOW);
    for (const now of [NOW + 75, Math.ceil(NOW + 75)]) {
      assert.equal(store.remember('key', 'jti', NOW + 200, now), 'replayed');
    }
    assert.equal(store.remember('key', 'jti', NOW + 200, Math.ceil(NOW + 75) + 0.001), 'fresh');
  });

  test('that has expired already, or never does, is not fresh: nobody could remember it', () => {
    const store = makeStore();
    for (const expiresAt of [NOW - 1, -Infinity, Number.NaN, Infinity, NOW + 2 ** 29]) {
      assert.equal(store.remember('key', 'jti', expiresAt, NOW), 'replayed', `${expiresAt}`);
    }
    assert.equal(store.entries, 0);
    assert.equal(store.remember('key', 'jti', NOW + 2 ** 29 - 2, NOW), 'fresh');
    assert.equal(store.entries, 1);
  });
});

describe('a proof that is still good', () => {
  for (const now of [NOW, Math.floor(NOW)]) {
    test(`is not taken for a forgotten one that expires in the same second as another, at ${now}`, () => {
      const store = makeStore(1);
      store.remember('key', 'jti', now + 75, now);
      assert.equal(store.remember('key', 'other', now + 150, now + 77), 'fresh');
      const next = makeStore(3);
      next.remember('key', 'jti', now + 75, now);
      assert.equal(next.remember('key', 'same moment', now + 75, now + 75), 'fresh');
      assert.equal(next.remember('key', 'same second', Math.ceil(now + 75), Math.ceil(now + 75)), 'fresh');
    });
  }

  test('is fresh at its last moment, while expired ones are overwritten', () => {
    const store = makeStore(2);
    for (let now = NOW; now < NOW + 50; now += 0.5) {
      assert.equal(store.remember('key', `at ${now}`, now, now), 'fresh');
    }
  });
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
    const clock = { now: NOW + 77 };
    const store = makeStore(3, clock);
    for (const jti of ['a', 'b', 'c']) store.remember('key', jti, NOW + 75, NOW);
    for (const jti of ['d', 'e', 'f']) assert.equal(store.remember('key', jti, NOW + 150, clock.now), 'fresh');
    assert.equal(store.remember('key', 'g', NOW + 150, clock.now), 'full');
    assert.equal(store.entries, 3);
  });

  test('takes a new proof in the place of the last one, when that expires before all others', () => {
    const store = makeStore(2);
    store.remember('key', 'long', NOW + 75, NOW);
    store.remember('key', 'short', NOW + 2, NOW);
    assert.equal(store.remember('key', 'next', NOW + 75, NOW + 1), 'full');
    assert.equal(store.remember('key', 'next', NOW + 75, NOW + 4), 'fresh');
    assert.equal(store.remember('key', 'more', NOW + 75, NOW + 4), 'full');
    for (const jti of ['long', 'next']) {
      assert.equal(store.remember('key', jti, NOW + 75, NOW + 4), 'replayed');
    }
  });

  test('of no capacity refuses everything', () => {
    assert.equal(makeStore(0).remember('key', 'jti', NOW + 75, NOW), 'full');
    assert.equal(makeStore(0).entries, 0);
  });

  for (const capacity of [1023, 1024, 1025, 3000, 50_000]) {
    test(`of capacity ${capacity} takes that many in at most 24 bytes each, knows them all, and soon after is full`, () => {
      const memory = createReplayMemory({ capacity, since: NOW });
      assert.ok(memory.table.byteLength <= 24 * capacity, `${memory.table.byteLength}`);
      const store = new ProcessReplayStore(memory, () => NOW);
      for (let nth = 0; nth < capacity; nth++) {
        assert.equal(store.remember('key', `${nth}`, NOW + 75, NOW), 'fresh', `${nth}`);
      }
      for (let nth = 0; nth < capacity; nth++) {
        assert.equal(store.remember('key', `${nth}`, NOW + 75, NOW), 'replayed', `${nth}`);
      }
      assert.equal(store.entries, capacity);
      let more = 0;
      while (store.remember('key', `more ${more}`, NOW + 75, NOW) === 'fresh') more++;
      assert.ok(more <= capacity * 0.19, `${more}`);
    });
  }
});

describe('forgetting', () => {
  test('happens where room is needed, one entry for one', () => {
    const clock = { now: NOW };
    const store = makeStore(1000, clock);
    for (let nth = 0; nth < 1000; nth++) store.remember('key', `${nth}`, NOW + 75 + (nth % 10), NOW);
    clock.now = NOW + 80;
    assert.equal(store.entries, 500, 'expired ones do not count');
    for (let nth = 0; nth < 500; nth++) {
      assert.equal(store.remember('key', `later ${nth}`, NOW + 200, clock.now), 'fresh');
    }
    assert.equal(store.remember('key', 'one more', NOW + 200, clock.now), 'full');
    assert.equal(store.entries, 1000);
  });

  test('is final: what was overwritten is replayed when the clock steps back', () => {
    const store = makeStore(1);
    store.remember('key', 'jti', NOW + 75, NOW);
    assert.equal(store.remember('key', 'other', NOW + 500, NOW + 400), 'fresh');
    assert.equal(store.remember('key', 'jti', NOW + 75, NOW), 'replayed');
    const unseen = 'nobody can tell it from an overwritten one';
    assert.equal(store.remember('key', 'never seen', NOW + 75, NOW), 'replayed', unseen);
    assert.equal(store.remember('key', 'never seen', NOW + 76.5, NOW), 'full');
  });

  test('reaches as far as entries did, so a clock that jumped ahead and came back stops no one for long', () => {
    const store = makeStore(2);
    store.remember('key', 'jti', NOW + 75, NOW);
    store.remember('key', 'later', NOW + 76, NOW);
    store.remember('key', 'ahead', NOW + 86_475, NOW + 86_400);
    assert.equal(store.remember('key', 'back', NOW + 79, NOW + 78), 'fresh');
  });

  test('does not mind where the seconds of 30 bits wrap', () => {
    const store = makeStore(2);
    const wrap = Math.ceil(NOW / 2 ** 30) * 2 ** 30;
    store.remember('key', 'before', wrap - 1, wrap - 60);
    store.remember('key', 'after', wrap + 1, wrap - 60);
    for (const now of [wrap - 60, wrap - 1]) {
      assert.equal(store.remember('key', 'before', wrap + 20, now), 'replayed');
      assert.equal(store.remember('key', 'other', wrap + 20, now), 'full');
    }
    assert.equal(store.remember('key', 'other', wrap + 20, wrap), 'fresh');
    assert.equal(store.remember('key', 'after', wrap + 20, wrap + 1), 'replayed');
    assert.equal(store.remember('key', 'after', wrap + 20, wrap + 2), 'fresh');
  });
});

describe('any sequence of calls', () => {
  const call = fc.record({
    jti: fc.constantFrom('a', 'b', 'c', 'd'),
    lasts: fc.integer({ min: 0, max: 20 }),
    now: fc.integer({ min: 1, max: 60 }),
  });
  const calls = fc.array(call, { maxLength: 40 });

  test('never lets a proof be fresh twice, whatever the clock does', () => {
    fc.assert(
      fc.property(calls, fc.integer({ min: 1, max: 3 }), (sequence, capacity) => {
        const store = makeStore(capacity);
        const acceptedUntil = new Map<string, number>();
        for (const { jti, lasts, now } of sequence) {
          // One proof has one expiry: its iat decides it, whenever it is shown.
          const expiresAt = acceptedUntil.get(jti) ?? now + lasts;
          if (store.remember('key', jti, expiresAt, now) !== 'fresh') continue;
          assert.ok(!acceptedUntil.has(jti), `${jti} twice`);
          acceptedUntil.set(jti, expiresAt);
        }
      }),
    );
  });

  test('is answered as by a map of expiries, while the clock runs forward', () => {
    fc.assert(
      fc.property(calls, fc.integer({ min: 0, max: 3 }), (sequence, capacity) => {
        const clock = { now: 0 };
        const store = makeStore(capacity, clock);
        const model = new Map<string, number>();
        for (const { jti, lasts, now } of sequence.toSorted((one, other) => one.now - other.now)) {
          clock.now = now;
          for (const [key, until] of model) if (until < now) model.delete(key);
          const expected = model.has(jti) ? 'replayed' : model.size >= capacity ? 'full' : 'fresh';
          assert.equal(store.remember('key', jti, now + lasts, now), expected);
          if (expected === 'fresh') model.set(jti, now + lasts);
          assert.equal(store.entries, model.size);
        }
      }),
    );
  });
});
