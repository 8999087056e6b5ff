// The replay store in a real Redis: exactly once, and honest about its gaps.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCa, makeCertificate } from '../../support/pki.ts';
import { freePort } from '../../support/programs.ts';
import { openStore, startRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

const now = () => Date.now() / 1000;

describe('a proof in Redis', () => {
  test('is fresh once, whichever store is asked, and fresh again for another key', async (t) => {
    const redis = await startRedis(t);
    const [one, other] = [await openStore(t, redis.port), await openStore(t, redis.port)];
    const ask = (store: typeof one, jkt: string, jti: string) => store.remember(jkt, jti, now() + 60, now());
    assert.equal(await ask(one, 'k', 'j'), 'fresh');
    assert.equal(await ask(other, 'k', 'j'), 'replayed');
    assert.equal(await ask(one, 'k', 'j'), 'replayed');
    assert.equal(await ask(other, 'other', 'j'), 'fresh');
    // Two pairs that concatenate to the same text.
    assert.equal(await ask(one, 'ab', 'c'), 'fresh');
    assert.equal(await ask(one, 'a', 'bc'), 'fresh');
  });

  test('of many questions at once at two stores exactly one is fresh', async (t) => {
    const redis = await startRedis(t);
    // Patient: 1200 at once are late on a busy machine, and then honestly unavailable.
    const patient = { policy: { timeout: 10 } };
    const stores = [await openStore(t, redis.port, patient), await openStore(t, redis.port, patient)];
    const jtis = Array.from({ length: 300 }, (_, nth) => `jti ${nth}`);
    const answers = await Promise.all(
      jtis.flatMap((jti) =>
        [0, 1, 0, 1].map(async (at) => `${jti} ${await stores[at]?.remember('k', jti, now() + 60, now())}`),
      ),
    );
    for (const jti of jtis) {
      assert.deepEqual(answers.filter((answer) => answer.startsWith(`${jti} `)).toSorted(), [
        `${jti} fresh`,
        `${jti} replayed`,
        `${jti} replayed`,
        `${jti} replayed`,
      ]);
    }
  });

  test('leaves a hash in Redis, under the prefix, for as long as it can be accepted', async (t) => {
    const redis = await startRedis(t);
    const store = await openStore(t, redis.port, { policy: { prefix: 'gw-eu:' } });
    assert.equal(await store.remember('thumbprint', 'a jti of the client', now() + 60, now()), 'fresh');
    const keys = (await redis.command('KEYS', '*')) as string[];
    assert.ok(
      keys.every((key) => key.startsWith('gw-eu:')),
      keys.join(),
    );
    const proofs = keys.filter((key) => /^gw-eu:[\w-]{43}$/.test(key));
    assert.equal(proofs.length, 1, keys.join());
    assert.ok(!keys.join().includes('thumbprint'));
    const left = Number(await redis.command('PTTL', proofs[0] ?? ''));
    assert.ok(left > 59_000 && left <= 60_001, String(left));
  });

  test('that has expired is not fresh, and is not written', async (t) => {
    const redis = await startRedis(t);
    const store = await openStore(t, redis.port);
    const before = await redis.command('DBSIZE');
    for (const expiresAt of [now(), now() - 1, Number.NaN]) {
      assert.equal(await store.remember('k', 'j', expiresAt, now()), 'replayed');
    }
    assert.equal(await redis.command('DBSIZE'), before);
  });
});

describe('what a store tells of the time before it', () => {
  test('all stores at one memory name the same moment, later ones too, with room for clocks that differ', async (t) => {
    const redis = await startRedis(t);
    const at = now();
    const policy = { clockTolerance: 15 };
    const one = await openStore(t, redis.port, { policy, now: () => at });
    const later = await openStore(t, redis.port, { policy, now: () => at + 500 });
    assert.ok(Math.abs(one.coverage.since - (at + 30)) < 0.001, String(one.coverage.since - at));
    assert.equal(later.coverage.since, one.coverage.since);
  });

  test('a memory that was emptied under its connection is found to be another one at the next look', async (t) => {
    const redis = await startRedis(t);
    const store = await openStore(t, redis.port);
    const before = store.coverage.since;
    await redis.command('FLUSHALL');
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await until(() => store.coverage.since > before);
  });

  test('with another place than before, nothing before that move is known', async (t) => {
    const redis = await startRedis(t);
    await openStore(t, redis.port, { now: () => now() - 1000 });
    const moved = now();
    const store = await openStore(t, redis.port);
    store.distrustBefore(moved);
    assert.equal(store.coverage.since, moved);
  });
});

test('TLS: the certificate is verified by name and by the CA of the configuration', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-redis-tls-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [ca, stranger] = [await makeCa(), await makeCa()];
  const server = await makeCertificate({ names: ['localhost'], ca });
  for (const [name, text] of Object.entries({ ca: ca.cert, crt: server.cert, key: server.key })) {
    writeFileSync(join(folder, `tls.${name}`), text);
  }
  const port = await freePort();
  const directives = ['ca-cert-file', 'cert-file', 'key-file'].map(
    (name, at) => `tls-${name} ${folder}/tls.${['ca', 'crt', 'key'][at]}`,
  );
  await startRedis(t, { config: `tls-port ${port}\ntls-auth-clients no\n${directives.join('\n')}` });
  const at = (host: string, trusted: string) =>
    openStore(t, 0, { policy: { place: { kind: 'server', host, port, db: 0 }, tls: { ca: trusted }, timeout: 1 } });
  const store = await at('localhost', ca.cert);
  assert.deepEqual(store.state, { up: true, reason: undefined });
  assert.equal(await store.remember('k', 'j', now() + 60, now()), 'fresh');
  assert.equal((await at('127.0.0.1', ca.cert)).state.up, false, 'another name');
  assert.equal((await at('localhost', stranger.cert)).state.up, false, 'another CA');
});
