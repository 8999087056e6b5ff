// Rates that replicas count together in a real Redis, and outages of it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ReplicaRateLimiter } from '../../src/memory/replica-rates.ts';
import type { RedisReplayStore } from '../../src/memory/redis/replay-store.ts';
import { createRateMemory, SharedRateLimiter, type Taken } from '../../src/rate/limiter.ts';
import type { RateLimit } from '../../src/rate/limit.ts';
import { freePort } from '../support/programs.ts';
import { makeLimit } from '../support/rate-limits.ts';
import { openStore, startCluster, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const now = () => Date.now() / 1000;
const LIMIT = makeLimit({ interval: 3600, burst: 5, quota: 5, window: 18_000, shared: true });

const limiterOf = (store: RedisReplayStore) =>
  new ReplicaRateLimiter(new SharedRateLimiter(createRateMemory(now())), store);

async function take(limiter: ReplicaRateLimiter, key = 'alice', limit = LIMIT): Promise<Taken> {
  const counted = await limiter.take(limit, key, now());
  assert.notEqual(counted, 'unavailable');
  return counted as Taken;
}
const passes = (taken: Taken) => taken.retryAfter === undefined;

test('all replicas together pass the burst, however they race, and each sender has its own', async (t) => {
  const redis = await startRedis(t);
  const replicas = await Promise.all(
    Array.from({ length: 3 }, async () => limiterOf(await openStore(t, redis.port, { policy: { timeout: 5 } }))),
  );
  const race = (key: string) => replicas.flatMap((one) => Array.from({ length: 20 }, () => take(one, key)));
  const [alice, bob] = await Promise.all([Promise.all(race('alice')), Promise.all(race('bob'))]);
  assert.deepEqual([alice.filter(passes).length, bob.filter(passes).length], [5, 5]);
  assert.deepEqual(
    alice
      .filter(passes)
      .map(({ quota }) => quota.remaining)
      .toSorted((one, other) => one - other),
    [0, 1, 2, 3, 4],
  );
});

describe('a sender', () => {
  test('that is refused is told when, and being refused costs it nothing', async (t) => {
    const limiter = limiterOf(await openStore(t, (await startRedis(t)).port, { policy: { timeout: 5 } }));
    for (let nth = 0; nth < 5; nth++) assert.ok(passes(await take(limiter)));
    const refused = await Promise.all(Array.from({ length: 10 }, () => take(limiter)));
    for (const { retryAfter = 0, quota } of refused) {
      assert.ok(retryAfter > 3500 && retryAfter <= 3600, `${retryAfter}`);
      assert.ok(quota.resetAfter > 17_900 && quota.resetAfter <= 18_000);
      assert.deepEqual([quota.name, quota.remaining, quota.quota, quota.window], ['per_client', 0, 5, 18_000]);
    }
  });

  test('gets one back that did not pass after all, and never more than it had', async (t) => {
    const redis = await startRedis(t);
    const limiter = limiterOf(await openStore(t, redis.port, { policy: { timeout: 5 } }));
    for (let nth = 0; nth < 5; nth++) await take(limiter);
    limiter.giveBack(LIMIT, 'alice', now());
    assert.ok(passes(await take(limiter)));
    assert.ok(!passes(await take(limiter)));
    // One that has nothing to get back gets nothing.
    for (let nth = 0; nth < 3; nth++) limiter.giveBack(LIMIT, 'bob', now());
    for (let nth = 0; nth < 5; nth++) assert.ok(passes(await take(limiter, 'bob')));
    assert.ok(!passes(await take(limiter, 'bob')));
  });

  test('is counted by the clock of Redis, whatever that of the gateway says', async (t) => {
    const limiter = limiterOf(await openStore(t, (await startRedis(t)).port, { policy: { timeout: 5 } }));
    for (let nth = 0; nth < 5; nth++)
      assert.ok(passes((await limiter.take(LIMIT, 'alice', now() + nth * 1e6)) as Taken));
    assert.ok(!passes((await limiter.take(LIMIT, 'alice', now() + 1e9)) as Taken));
  });

  test('is rested after its time, and then it takes no memory in Redis', async (t) => {
    const redis = await startRedis(t);
    const limiter = limiterOf(await openStore(t, redis.port, { policy: { timeout: 5 } }));
    const fast = makeLimit({ interval: 0.02, burst: 2, shared: true });
    const rates = async () => (await redis.command('KEYS', 'holdfast:rate:*')) as unknown[];
    assert.ok(passes(await take(limiter, 'alice', fast)));
    await until(async () => (await rates()).length === 0);
    assert.ok(passes(await take(limiter, 'alice', fast)));
  });

  test('is not named in Redis, and limits are apart', async (t) => {
    const redis = await startRedis(t);
    const limiter = limiterOf(await openStore(t, redis.port, { policy: { timeout: 5 } }));
    const other: RateLimit = { ...LIMIT, name: 'another' };
    for (let nth = 0; nth < 5; nth++) await take(limiter);
    assert.ok(passes(await take(limiter, 'alice', other)));
    const keys = ((await redis.command('KEYS', '*')) as unknown[]).map(String);
    assert.equal(keys.filter((key) => key.startsWith('holdfast:rate:')).length, 2);
    assert.doesNotMatch(keys.join(), /alice|per_client|another/);
  });
});

test('a limit that is not shared asks Redis nothing', async (t) => {
  const redis = await startRedis(t);
  const limiter = limiterOf(await openStore(t, redis.port));
  const own = { ...LIMIT, shared: false };
  assert.ok(!(limiter.take(own, 'alice', now()) instanceof Promise));
  assert.deepEqual(await redis.command('KEYS', 'holdfast:rate:*'), []);
});

test('counts in a cluster, where each sender has its server', async (t) => {
  const nodes = await startCluster(t);
  const place = { kind: 'cluster', nodes: nodes.map(({ port }) => ({ host: '127.0.0.1', port })) } as const;
  const store = await openStore(t, 0, { policy: { timeout: 5, place } });
  const limiter = limiterOf(store);
  const senders = Array.from({ length: 12 }, (_, nth) => `sender ${nth}`);
  const taken = await Promise.all(senders.flatMap((key) => Array.from({ length: 8 }, () => take(limiter, key))));
  assert.equal(taken.filter(passes).length, 12 * 5);
});

describe('without the store', () => {
  test('nothing passes, and nobody waits; it comes back, and counts go on', async (t) => {
    const redis = await startRedis(t);
    const store = await openStore(t, redis.port);
    const limiter = limiterOf(store);
    for (let nth = 0; nth < 5; nth++) await limiter.take(LIMIT, 'alice', now());
    redis.hang();
    await until(async () => (await limiter.take(LIMIT, 'bob', now())) === 'unavailable');
    await until(() => !store.state.up);
    assert.equal(await limiter.take(LIMIT, 'bob', now()), 'unavailable');
    redis.resume();
    await until(() => store.state.up);
    assert.ok(!passes(await take(limiter)));
  });

  test('with nonce-fallback each process counts for itself', async (t) => {
    const store = await openStore(t, await freePort(), { policy: { whenUnavailable: 'nonce-fallback' } });
    const limiter = limiterOf(store);
    for (let nth = 0; nth < 5; nth++) assert.ok(passes(await take(limiter)));
    assert.ok(!passes(await take(limiter)));
    limiter.giveBack(LIMIT, 'alice', now());
    await until(async () => passes(await take(limiter)));
    assert.ok(!passes(await take(limiter)));
  });

  for (const denied of ['eval', 'time', 'set']) {
    test(`a user who may not run ${denied} is refused, and proofs go on where they can`, async (t) => {
      const redis = await startRedis(t);
      const failed: string[] = [];
      const events = { state: () => {}, answered: () => {}, failed: (reason: string) => void failed.push(reason) };
      const store = await openStore(t, redis.port, { policy: { timeout: 5 }, events });
      await redis.command('ACL', 'SETUSER', 'default', `-${denied}`);
      assert.equal(await limiterOf(store).take(LIMIT, 'alice', now()), 'unavailable');
      assert.deepEqual(failed, ['no_scripts']);
      if (denied === 'set') return;
      assert.ok(store.state.up);
      assert.equal(await store.remember('k', 'jti', now() + 60, now()), 'fresh');
    });
  }

  test('a server without memory is an outage, not a pass', async (t) => {
    const redis = await startRedis(t);
    const store = await openStore(t, redis.port, { policy: { timeout: 5 } });
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    assert.equal(await limiterOf(store).take(LIMIT, 'alice', now()), 'unavailable');
  });
});
