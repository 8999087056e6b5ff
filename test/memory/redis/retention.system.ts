// Replicas with different `max_age` at one real Redis, in any order.

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { LEASE } from '../../../src/memory/redis/retention.ts';
import { openStore, startRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

/** Seconds after which a step counts for proofs dated by then: a lease, and proofs dated ahead. */
const MARGIN = LEASE + 600;
const now = () => Date.now() / 1000;

/** Stores of replicas at one Redis, each with the retention of its routes. */
async function replicas(t: TestContext) {
  const redis = await startRedis(t);
  const open = (retention: number, more: { clockTolerance?: number; now?: () => number } = {}) => {
    const { clockTolerance = 0, ...options } = more;
    return openStore(t, redis.port, { ...options, policy: { retention, clockTolerance, timeout: 2 } });
  };
  return { redis, open };
}

describe('a replica that needs more than those before it', () => {
  test('tells them, and counts as forgotten what they may have forgotten', async (t) => {
    const { open } = await replicas(t);
    const short = await open(75);
    assert.deepEqual(short.coverage.retention, { rememberFor: 75, shorterMemories: [] });
    const began = now();
    const long = await open(615);
    const { rememberFor, shorterMemories = [] } = long.coverage.retention ?? {};
    assert.equal(rememberFor, 615);
    assert.equal(shorterMemories.length, 1);
    assert.equal(shorterMemories[0]?.rememberedFor, 75);
    assert.ok((shorterMemories[0]?.until ?? 0) >= began + MARGIN && (shorterMemories[0]?.until ?? 0) <= now() + MARGIN);
    // One that comes now and one that was there remember as long; the latter at its next look.
    assert.equal((await open(75)).coverage.retention?.rememberFor, 615);
    const judgedBy = short.coverage;
    await until(() => short.coverage.retention?.rememberFor === 615);
    assert.equal(
      await short.remember('k', 'j', now() + 75, now(), judgedBy),
      'challenge',
      'judged to be kept for less',
    );
    assert.equal(await short.remember('k', 'j', now() + 615, now()), 'fresh');
  });

  test('reads again before it remembers anything, when it has not read for longer than a lease', async (t) => {
    const { open } = await replicas(t);
    const clock = { ahead: 0 };
    const short = await open(75, { now: () => now() + clock.ahead });
    await open(615);
    assert.equal(short.coverage.retention?.rememberFor, 75);
    const judgedBy = short.coverage;
    clock.ahead = LEASE + 1;
    assert.equal(await short.remember('k', 'j', now() + 75, now(), judgedBy), 'challenge');
    assert.equal(short.coverage.retention?.rememberFor, 615);
    clock.ahead = 0;
  });

  test('by a reload relies on it only when it is agreed upon', async (t) => {
    const { open, redis } = await replicas(t);
    const policy = {
      place: { kind: 'server', host: '127.0.0.1', port: redis.port, db: 0 },
      username: undefined,
      password: undefined,
      tls: undefined,
      timeout: 2,
      prefix: 'holdfast:',
      whenUnavailable: 'reject',
      clockTolerance: 0,
    } as const;
    const store = await open(75);
    redis.hang();
    store.configure({ ...policy, retention: 615 });
    assert.deepEqual(store.coverage.retention, {
      rememberFor: 75,
      shorterMemories: [{ until: Infinity, rememberedFor: 75 }],
    });
    redis.resume();
    await until(() => store.coverage.retention?.rememberFor === 615);
    // Lower again: nothing is forgotten, and others that still need it are served.
    store.configure({ ...policy, retention: 75 });
    assert.deepEqual(store.coverage.retention?.rememberFor, 615);
  });
});

test('a step lasts an hour longer than it is wanted; the founder’s retention lasts as long as the memory', async (t) => {
  const { open, redis } = await replicas(t);
  await open(100);
  await open(300);
  const steps = (await redis.command('KEYS', 'holdfast:retention:*')) as string[];
  assert.deepEqual(
    steps.map((key) => key.split(':').at(-1)),
    ['315'],
  );
  const left = Number(await redis.command('PTTL', steps[0] ?? ''));
  assert.ok(left > 3_500_000 && left <= 3_600_000, String(left));
  await redis.command('DEL', steps[0] ?? '');
  assert.equal((await open(75)).coverage.retention?.rememberFor, 100);
});
