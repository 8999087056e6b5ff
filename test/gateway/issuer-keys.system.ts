// Keys of an issuer under stress: rotation, withdrawal, floods, outages.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { assertUnharmed, attack, serviceOf } from '../support/bystander.ts';
import { type GatewayWishes, ISSUER_KEY, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { breakOff, json, type Served, serve, status } from '../support/issuer-server.ts';
import { AUDIENCE, ISSUER, makeKey, makeToken, type TestKey } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { dpop, issue, TO_KEY } from './credentials.ts';

const WORKERS = 4;
const NEXT_KEY = await makeKey('ES256', 'k2');
const ROUTES = `
- { name: any, match: { path: /any/* }, upstream: orders, require: token, weaker_than_defaults: [require] }
- { name: orders, match: { path: /orders/* }, upstream: orders, require: dpop }
`;

interface Stage {
  readonly gateway: TestGateway;
  readonly issuer: Served;
  /** Moves the clock of the supervisor, which alone talks to the issuer: a cooldown is over, a day has gone by. */
  readonly wait: (seconds: number) => void;
}

/** Four workers, and an issuer whose answers the test gives. */
async function stage(t: TestContext, answer: Served['answer'], wishes: GatewayWishes = {}): Promise<Stage> {
  const issuer = await serve(t);
  issuer.answer = answer;
  // It stands still but for what the test adds: no cooldown is over because the machine is slow.
  let now = real();
  const gateway = await startTestGateway(t, {
    routes: ROUTES,
    threads: true,
    now: () => now,
    issuers: `login: { issuer: ${ISSUER}, audience: [${AUDIENCE}], keys: { jwks_uri: "${issuer.origin}/jwks" } }`,
    more: `drain: { delay: 0s, grace: 5s }\nlog: { level: fatal }\nworkers: ${WORKERS}`,
    ...wishes,
  });
  return { gateway, issuer, wait: (seconds) => void (now += seconds) };
}

const publish = (...keys: TestKey[]) => json({ keys: keys.map(({ jwk }) => jwk) });
const real = () => Date.now() / 1000;

/** What comes of so many requests, each on a connection of its own, which the kernel spreads over the workers. */
async function outcomes(count: number, ask: (nth: number) => Promise<{ status: number; reason: string | undefined }>) {
  const seen = new Set<string | number>();
  let next = 0;
  // Two of these at a time are sixteen handshakes, so that none waits for others: one of them that takes long would end for it.
  const client = async () => {
    for (let nth = next++; nth < count; nth = next++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { status, reason } = await ask(nth);
      seen.add(reason ?? status);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, 8) }, client));
  return seen;
}
const everywhere = (gateway: TestGateway, token: string) =>
  outcomes(8 * WORKERS, () => gateway.request('GET', '/any/1', { token }));
const only = (outcome: string | number) => new Set([outcome]);

describe('rotation', () => {
  test('a key that is new is taken at every worker with the first token that it signed, for one reading', async (t) => {
    const { gateway, issuer } = await stage(t, publish(ISSUER_KEY));
    issuer.answer = publish(ISSUER_KEY, NEXT_KEY);
    const token = await makeToken(NEXT_KEY, real());
    assert.deepEqual(await everywhere(gateway, token), only(200));
    assert.deepEqual(await everywhere(gateway, await makeToken(ISSUER_KEY, real())), only(200));
    assert.equal(issuer.seen.length, 2);
  });

  test('while requests come in, none is lost', async (t) => {
    const { gateway, issuer } = await stage(t, publish(ISSUER_KEY));
    const [before, after] = [await issue(gateway, TO_KEY), await makeToken(NEXT_KEY, real(), { claims: TO_KEY })];
    const half = outcomes(40, async () => dpop(gateway, 'GET', '/orders/1', { token: before }));
    issuer.answer = publish(ISSUER_KEY, NEXT_KEY);
    const rest = outcomes(40, async (nth) => dpop(gateway, 'GET', '/orders/1', { token: nth % 2 ? before : after }));
    assert.deepEqual([await half, await rest], [only(200), only(200)]);
    assert.equal(issuer.seen.length, 2);
  });
});

describe('withdrawal', () => {
  test('a key that is gone stops counting at every worker, and with it what it had signed before', async (t) => {
    const { gateway, issuer } = await stage(t, publish(ISSUER_KEY));
    const [gone, comes] = [await issue(gateway), await makeToken(NEXT_KEY, real())];
    assert.deepEqual(await everywhere(gateway, gone), only(200));
    issuer.answer = publish(NEXT_KEY);
    assert.deepEqual(await everywhere(gateway, comes), only(200));
    assert.deepEqual(await everywhere(gateway, gone), only('token_key_unknown'));
  });

  test('an empty set withdraws them all: nothing opens any more, and readiness is not the price', async (t) => {
    const { gateway, issuer } = await stage(t, publish(ISSUER_KEY));
    const token = await issue(gateway);
    assert.deepEqual(await everywhere(gateway, token), only(200));
    issuer.answer = publish();
    await gateway.request('GET', '/any/1', { token: await makeToken(NEXT_KEY, real()) });
    await gateway.logged({ msg: 'keys loaded', keys: 0, withdrawn: 1 });
    assert.deepEqual(await everywhere(gateway, token), only('token_key_unknown'));
    assert.equal((await gateway.page('/readyz')).status, 200);
  });
});

describe('unknown kids', () => {
  const stranger = async (nth: number) => makeToken(NEXT_KEY, real(), { header: { kid: `invented ${nth}` } });

  test('from all workers at once cause one reading in a cooldown, and nobody else waits for it', async (t) => {
    const { gateway, issuer, wait } = await stage(t, publish(ISSUER_KEY));
    const token = await issue(gateway);
    const flood = () => outcomes(300, async (nth) => gateway.request('GET', '/any/1', { token: await stranger(nth) }));
    for (const readings of [2, 2, 3]) {
      if (readings === 3) wait(31);
      const [flooded, served] = await Promise.all([flood(), everywhere(gateway, token)]);
      assert.deepEqual([flooded, served], [only('token_key_unknown'), only(200)]);
      if (readings === 3) {
        // A worker asks once a second at most: until then it says nothing of a kid that is new.
        await until(async () => {
          await flood();
          return issuer.seen.length === 3;
        });
      }
      assert.equal(issuer.seen.length, readings);
    }
    await gateway.reaches(3, 'holdfast_issuer_key_refreshes_total', { result: 'loaded' });
  });

  test('do not keep a key that is new from being found after the cooldown', async (t) => {
    const { gateway, issuer, wait } = await stage(t, publish(ISSUER_KEY));
    await outcomes(20, async (nth) => gateway.request('GET', '/any/1', { token: await stranger(nth) }));
    issuer.answer = publish(ISSUER_KEY, NEXT_KEY);
    wait(31);
    const token = await makeToken(NEXT_KEY, real());
    await until(async () => (await gateway.request('GET', '/any/1', { token })).status === 200);
    assert.deepEqual(await everywhere(gateway, token), only(200));
  });
});

test('a flood of one invented kid hides a key that is new for one cooldown at most, and harms no other client', async (t) => {
  const { gateway, issuer, wait } = await stage(t, publish(ISSUER_KEY));
  const known = await makeToken(ISSUER_KEY, real());
  const junk = await makeToken(NEXT_KEY, real(), { header: { kid: 'invented' } });
  const pass = async () => (await gateway.request('GET', '/any/1', { token: known })).status === 200;
  const before = await serviceOf(100, pass);
  const flood = attack(t, { attackers: 8 }, async () => {
    assert.equal((await gateway.request('GET', '/any/1', { token: junk })).reason, 'token_key_unknown');
  });
  await until(async () => (await pass()) && issuer.seen.length === 2);
  issuer.answer = publish(ISSUER_KEY, NEXT_KEY);
  const fresh = await makeToken(NEXT_KEY, real());
  await assertUnharmed(100, pass, before);
  assert.equal((await gateway.request('GET', '/any/1', { token: fresh })).reason, 'token_key_unknown');
  wait(31);
  // The flood itself has the set read again: the first token under the new key passes.
  await until(async () => (await pass()) && issuer.seen.length === 3);
  assert.deepEqual(await everywhere(gateway, fresh), only(200));
  await flood.stop();
  assert.equal(issuer.seen.length, 3);
});

describe('a cold start', () => {
  test('of many workers is one reading, for which the first requests wait', async (t) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const at = { open: 0, most: 0, began: 0 };
    const held: Served['answer'] = (request, response) => {
      at.open += 1;
      at.most = Math.max(at.most, at.open);
      at.began = performance.now();
      response.once('close', () => (at.open -= 1));
      void promise.then(() => publish(ISSUER_KEY)(request, response));
    };
    const { gateway, issuer } = await stage(t, held, { unready: true });
    // Where the start took as long as a reading may take, it is the next one that they wait for.
    await until(() => at.open === 1 && performance.now() - at.began < 1000);
    const readings = issuer.seen.length;
    assert.equal((await gateway.page('/readyz')).status, 503);
    const asked = everywhere(gateway, await makeToken(ISSUER_KEY, real()));
    // The reading is given up after five seconds: they are not spent on all the handshakes.
    await until(async () => (await gateway.count('holdfast_connections')) > 0);
    resolve();
    assert.deepEqual(await asked, only(200));
    assert.deepEqual([issuer.seen.length, at.most], [readings, 1]);
    assert.equal((await gateway.page('/readyz')).status, 200);
  });

  test('while the issuer is away opens nothing, and asks it no more for a thousand requests than for one', async (t) => {
    const { gateway, issuer, wait } = await stage(t, status(503), { unready: true });
    await gateway.logged({ msg: 'keys could not be loaded', issuer: 'login' });
    const token = await makeToken(ISSUER_KEY, real());
    const started = performance.now();
    for (let round = 0; round < 10; round++) {
      const asked = outcomes(100, () => gateway.request('GET', '/any/1', { token }));
      assert.deepEqual(await asked, only('issuer_unavailable'));
    }
    const seconds = (performance.now() - started) / 1000;
    // At the start, once for those who asked, and in the background after half a second, one, two, four …
    const retries = Math.ceil(Math.log2(1 + seconds / 0.5));
    assert.ok(issuer.seen.length <= 2 + retries, `${issuer.seen.length} readings in ${seconds} s`);
    assert.equal(gateway.upstream.seen.length, 0);
    issuer.answer = publish(ISSUER_KEY);
    wait(31);
    await until(async () => (await gateway.request('GET', '/any/1', { token })).status === 200);
    assert.deepEqual(await everywhere(gateway, token), only(200));
  });
});

/** Readings that the supervisor may do by itself in so many seconds of failures: after 1 s, 2 s, 4 s …, each half of it at least. */
const retriesIn = (seconds: number) => Math.ceil(Math.log2(2 * seconds + 2));

describe('an outage with keys at hand', () => {
  const pad = { keys: [ISSUER_KEY.jwk], pad: 'x'.repeat(1024 * 1024) };
  const bad: Readonly<Record<string, Served['answer']>> = {
    'that closes connections': breakOff,
    'that is failing': status(500),
    'that redirects': (_request, response) =>
      response.writeHead(302, { location: 'https://elsewhere.example/jwks' }).end(),
    'that says nothing': json(''),
    'that gives no JSON': json('{"keys":['),
    'that gives no key set': json({ keys: { k1: ISSUER_KEY.jwk } }),
    'that gives too much': json(pad),
    'that gives HTML': json('<html>Sign in</html>', { 'content-type': 'text/html' }),
  };
  test('costs nobody anything but those whose key is not there', async (t) => {
    const { gateway, issuer, wait } = await stage(t, publish(ISSUER_KEY));
    const token = await issue(gateway);
    for (const [what, answer] of Object.entries(bad)) {
      await t.test(`of an issuer ${what}`, async () => {
        issuer.answer = answer;
        const readings = issuer.seen.length;
        const began = performance.now();
        wait(31);
        await until(async () => {
          const stranger = await makeToken(NEXT_KEY, real(), { header: { kid: `for ${what}` } });
          assert.equal((await gateway.request('GET', '/any/1', { token: stranger })).reason, 'token_key_unknown');
          return issuer.seen.length > readings;
        });
        // One for the stranger; the supervisor's own retries, at first after half a second at least, may come between.
        const seconds = (performance.now() - began) / 1000;
        assert.deepEqual(new Set(issuer.seen.slice(readings)), new Set(['/jwks']));
        assert.ok(issuer.seen.length - readings <= 1 + retriesIn(seconds));
        assert.deepEqual(await everywhere(gateway, token), only(200));
        const { status: code, body } = await gateway.page('/readyz');
        assert.equal(code, 200);
        assert.match(body, /"last_error":/);
      });
    }
    const failed = () => gateway.count('holdfast_issuer_key_refreshes_total', { result: 'failed' });
    // All but the first reading; one of the supervisor's own may be on its way.
    await until(async () => (await failed()) === issuer.seen.length - 1);
    assert.ok((await failed()) >= Object.keys(bad).length);
    gateway.running.kill(0);
    await until(() =>
      gateway.running.workers.every(({ state, restarts }, at) => state === 'serving' && (at > 0 || restarts === 1)),
    );
    assert.deepEqual(await everywhere(gateway, token), only(200), 'at a worker that was not there before, too');
  });

  test('of an issuer that hangs is over for those who wait after five seconds, and nobody else waits', async (t) => {
    const { gateway, issuer } = await stage(t, publish(ISSUER_KEY));
    const token = await issue(gateway);
    const givenUp = Promise.withResolvers<number>();
    issuer.answer = (_request, response) => {
      const asked = performance.now();
      response.once('close', () => givenUp.resolve((performance.now() - asked) / 1000));
    };
    let isGivenUp = false;
    void givenUp.promise.then(() => (isGivenUp = true));
    const waiting = outcomes(20, async () =>
      gateway.request('GET', '/any/1', { token: await makeToken(NEXT_KEY, real()) }),
    );
    await until(() => issuer.seen.length === 2);
    assert.deepEqual(await outcomes(2 * WORKERS, () => gateway.request('GET', '/any/1', { token })), only(200));
    assert.equal(isGivenUp, false, 'served while the others wait');
    assert.deepEqual(await everywhere(gateway, token), only(200));
    assert.deepEqual(await waiting, only('token_key_unknown'));
    const seconds = await givenUp.promise;
    assert.ok(seconds > 4 && seconds < 8, `${seconds} s`);
    assert.equal(issuer.seen.length, 2);
  });

  test('that lasts a day ends the keys at every worker, and what was verified by them', async (t) => {
    const { gateway, issuer, wait } = await stage(t, publish(ISSUER_KEY));
    const token = await issue(gateway);
    assert.deepEqual(await everywhere(gateway, token), only(200));
    const stranger = await makeToken(NEXT_KEY, real());
    issuer.answer = status(503);
    for (const [seconds, outcome] of [
      [24 * 3600 - 60, 200],
      [120, 'issuer_unavailable'],
    ] as const) {
      wait(seconds);
      const readings = issuer.seen.length;
      await until(async () => {
        await gateway.request('GET', '/any/1', { token: stranger });
        return issuer.seen.length > readings;
      });
      assert.deepEqual(await everywhere(gateway, token), only(outcome));
    }
    assert.equal((await gateway.page('/readyz')).status, 200);
    issuer.answer = publish(ISSUER_KEY);
    wait(120);
    await until(async () => (await gateway.request('GET', '/any/1', { token })).status === 200);
    assert.deepEqual(await everywhere(gateway, token), only(200));
  });
});
