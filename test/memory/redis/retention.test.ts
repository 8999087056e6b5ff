// Replicas with different `max_age` at one real Redis agree on how long proofs are remembered, whatever order they come in.

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { LEASE, retentionOf } from '../../../src/memory/redis/retention.ts';
import { openStore, startRedis, until } from '../../support/redis.ts';

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

describe('what replicas need together', () => {
  const agreed = (founded: number, own: number, ...steps: (readonly [seconds: number, since: number])[]) =>
    retentionOf(
      steps.map(([seconds, since]) => ({ seconds, since })),
      { founded, own, clockTolerance: 15 },
    );

  test('without steps it is what the first of them needed', () => {
    assert.deepEqual(agreed(75, 75), { rememberFor: 75, shorterMemories: [] });
    assert.deepEqual(agreed(615, 75), { rememberFor: 615, shorterMemories: [] });
  });

  test('the longest step counts; proofs from before it, and for a while after, were remembered for less', () => {
    assert.deepEqual(agreed(75, 615, [135, 1000], [615, 5000]), {
      rememberFor: 615,
      shorterMemories: [
        { until: 5000 + MARGIN + 15, rememberedFor: 135 - 15 },
        { until: 1000 + MARGIN + 15, rememberedFor: 75 - 15 },
      ],
    });
  });

  test('a shorter step that came later takes nothing from a longer one', () => {
    assert.deepEqual(agreed(75, 615, [615, 1000], [135, 5000]).shorterMemories, [
      { until: 1000 + MARGIN + 15, rememberedFor: 135 - 15 },
      { until: 1000 + MARGIN + 15, rememberedFor: 75 - 15 },
    ]);
  });

  test('one who needs no more than what was remembered before forgets nothing', () => {
    assert.deepEqual(agreed(75, 75, [615, 5000]), { rememberFor: 615, shorterMemories: [] });
    assert.equal(agreed(75, 135, [135, 1000], [615, 5000]).shorterMemories.length, 1);
  });

  test('a step that cannot be read counts as the longest, and as wanted since just now', () => {
    assert.deepEqual(agreed(75, 615, [615, Infinity]), {
      rememberFor: 615,
      shorterMemories: [{ until: Infinity, rememberedFor: 60 }],
    });
  });
});

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
