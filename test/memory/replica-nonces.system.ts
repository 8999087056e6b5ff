// Nonces of replicas: common, gone with what Redis forgot, local in outages.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { type NonceSource, StoreNonces } from '../../src/memory/replica-nonces.ts';
import { openStore, startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const LIFETIME = 120;
const ofProcess = () => randomBytes(32);

function noncesOf(source: NonceSource, configured: readonly Uint8Array[] = [], own = ofProcess()): StoreNonces {
  return new StoreNonces({ source, configured, ofProcess: own, lifetime: LIFETIME });
}

describe('nonces beside a shared memory', () => {
  const memory = { away: false, secrets: { generation: 'g1', secrets: [randomBytes(32)] } };

  test('count at every process that shares it, and at no other', () => {
    const [one, other] = [noncesOf(memory), noncesOf(memory)];
    const stranger = noncesOf({ away: false, secrets: { generation: 'g1', secrets: [randomBytes(32)] } });
    const nonce = one.mint(1000);
    assert.deepEqual(other.read(nonce, 1001), { mintedAt: 1000, expiresAt: 1120 });
    assert.equal(stranger.read(nonce, 1001), undefined);
    assert.equal(other.read(nonce, 1121), undefined, 'expired');
  });

  test('do not count after it has forgotten, whatever secrets there are: those of files neither', () => {
    const file = randomBytes(32);
    for (const configured of [[], [file]]) {
      const source = { ...memory };
      const nonces = noncesOf(source, configured);
      const nonce = nonces.mint(1000);
      assert.notEqual(nonces.read(nonce, 1000), undefined);
      source.secrets = { ...memory.secrets, generation: 'g2' };
      assert.equal(nonces.read(nonce, 1000), undefined);
      assert.notEqual(nonces.read(nonces.mint(1000), 1000), undefined);
    }
  });

  test('while it is away are of this process, count here then and later, and elsewhere never', () => {
    const source = { ...memory };
    const [here, elsewhere] = [noncesOf(source), noncesOf(source)];
    const shared = here.mint(1000);
    source.away = true;
    assert.equal(here.read(shared, 1000), undefined);
    const own = here.mint(1000);
    assert.deepEqual(here.read(own, 1000), { mintedAt: 1000, expiresAt: 1120, own: true });
    assert.equal(elsewhere.read(own, 1000), undefined);
    source.away = false;
    assert.equal(here.read(own, 1119)?.own, true);
    assert.equal(elsewhere.read(own, 1119), undefined);
    assert.notEqual(here.mint(1000), own);
    assert.equal(here.read(own, 1121), undefined);
    assert.deepEqual(here.read(shared, 1000), { mintedAt: 1000, expiresAt: 1120 });
  });

  test('of two threads of one process are the same while it is away', () => {
    const own = ofProcess();
    const [one, other] = [noncesOf({ ...memory, away: true }, [], own), noncesOf({ ...memory, away: false }, [], own)];
    assert.equal(other.read(one.mint(1000), 1000)?.own, true);
  });
});

/** A replica with a clock of its own, and an account of its own, by which its connection can be cut. */
async function replica(t: TestContext, redis: TestRedis, name: string, clock: { now: number }, ahead: number) {
  await redis.command('ACL', 'SETUSER', name, 'on', 'nopass', '~*', '+@all');
  const now = () => clock.now + ahead;
  const policy = { username: name, password: 'any' };
  const store = await openStore(t, redis.port, { policy, now, wantsSecrets: true });
  const nonces = noncesOf(store);
  return {
    mint: () => nonces.mint(now()),
    counts: (nonce: string) => nonces.read(nonce, now()) !== undefined,
    /** It looks at Redis again. */
    async look() {
      const before = store.secrets;
      await redis.command('CLIENT', 'KILL', 'USER', name);
      await until(() => store.secrets !== before && store.state.up);
    },
  };
}

test('secrets in Redis: over hours of rotation every nonce counts everywhere, though one replica looks forty minutes late and clocks differ', async (t) => {
  const redis = await startRedis(t);
  // Every step of the clock is within one look of the late one.
  const clock = { now: 3600 * 100 + 17 };
  const replicas = [
    await replica(t, redis, 'exact', clock, 0),
    await replica(t, redis, 'ahead', clock, 4),
    await replica(t, redis, 'late', clock, -4),
  ] as const;
  const [exact, ahead, late] = replicas;
  const minted = new Set<string>();
  for (let step = 0; step < 60; step += 1) {
    clock.now += 240;
    await exact.look();
    await ahead.look();
    if (step % 10 === 9) await late.look();
    for (const from of replicas) {
      const nonce = from.mint();
      minted.add(nonce);
      assert.ok(
        replicas.every((one) => one.counts(nonce)),
        `step ${step}`,
      );
    }
  }
  assert.equal(minted.size, 180);
  const secrets = (await redis.command('KEYS', 'holdfast:nonce:*')) as string[];
  assert.ok(secrets.length >= 5, 'one for every hour');
  for (const key of secrets) assert.ok(Number(await redis.command('TTL', key)) > 0, 'none is kept for ever');
});
