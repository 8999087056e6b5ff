// Several gateways with one Redis: one use per proof, also in outages.

import assert from 'node:assert/strict';
import { Agent } from 'node:https';
import { type TestContext, test } from 'node:test';
import { type Answered, type GatewayWishes, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { dpop, type DpopWishes, issue, prove, TO_KEY } from './credentials.ts';

const ROUTES = `
- { name: plain, match: { path: /plain/* }, upstream: orders, require: dpop }
- { name: nonce, match: { path: /nonce/* }, upstream: orders, require: dpop, dpop: { nonce: required } }
`;
/** How many proofs all replicas get at once; the figure in docs/scaling.md was taken with 10000. */
const PROOFS = Number(process.env['HOLDFAST_SHARED_PROOFS'] ?? 300);

/** Milliseconds for which a gateway waits for Redis: more than a busy machine keeps it waiting. */
const DEADLINE = 1000;

function start(
  t: TestContext,
  redis: Pick<TestRedis, 'url'>,
  more = '',
  wishes: GatewayWishes = {},
): Promise<TestGateway> {
  return startTestGateway(t, {
    routes: ROUTES,
    ...wishes,
    more: `${wishes.more ?? 'drain: { delay: 0s, grace: 5s }\n'}replay: { store: redis, redis: { url: "${redis.url}", timeout: ${wishes.threads ? 5 * DEADLINE : DEADLINE}ms }${more} }\n`,
  });
}

const FALLBACK = ', when_unavailable: nonce-fallback';
const withNonce = (nonce: string, token?: string): DpopWishes => ({
  ...(token === undefined ? {} : { token }),
  proving: { claims: { nonce } },
});

function challenged(answer: Answered, reason: 'nonce_required' | 'nonce_stale'): string {
  assert.deepEqual([answer.status, answer.reason], [401, reason]);
  return answer.fields.one('dpop-nonce') ?? assert.fail('no nonce');
}

const isUp = async (gateway: TestGateway) => (await gateway.count('holdfast_replay_store_up')) === 1;

test('a proof that was used at one gateway is refused at all others, and the nonce of one counts at all', async (t) => {
  const redis = await startRedis(t);
  const gateways = [await start(t, redis), await start(t, redis), await start(t, redis)] as const;
  const [one] = gateways;
  const nonce = challenged(await dpop(one, 'GET', '/nonce/1'), 'nonce_required');
  const token = await issue(one, TO_KEY);
  const proof = await prove(one, token, 'GET', '/nonce/1', { claims: { nonce } });
  const answers = await Promise.all(gateways.map((gateway) => gateway.request('GET', '/nonce/1', { token, proof })));
  assert.deepEqual(answers.map(({ reason }) => reason ?? 'passed').toSorted(), [
    'passed',
    'proof_replayed',
    'proof_replayed',
  ]);
});

test('a store that has forgotten asks for a nonce, once, for proofs that may have been used before', async (t) => {
  const redis = await startRedis(t);
  const gateway = await start(t, redis);
  const token = await issue(gateway, TO_KEY);
  // New to everybody, like a store that lost everything: what is dated before 2 × clock_tolerance later may have been used.
  const proof = await prove(gateway, token, 'GET', '/plain/1');
  const nonce = challenged(await gateway.request('GET', '/plain/1', { token, proof }), 'nonce_required');
  const used = await prove(gateway, token, 'GET', '/plain/1', { claims: { nonce } });
  assert.equal((await gateway.request('GET', '/plain/1', { token, proof: used })).status, 200);

  await redis.restart();
  const again = () => gateway.request('GET', '/plain/1', { token, proof: used });
  let answer = await again();
  for (; answer.status === 503; answer = await again()) assert.equal(answer.reason, 'replay_store_unavailable');
  const next = challenged(answer, 'nonce_stale');
  assert.equal((await dpop(gateway, 'GET', '/plain/1', withNonce(next))).status, 200);
});

test('a reload moves the gateway to another Redis without a pause, and what was used before stays used', async (t) => {
  const [redis, other] = [await startRedis(t), await startRedis(t)];
  const gateway = await start(t, redis);
  const token = await issue(gateway, TO_KEY);
  const nonce = challenged(await dpop(gateway, 'GET', '/nonce/1'), 'nonce_required');
  const proof = await prove(gateway, token, 'GET', '/nonce/1', { claims: { nonce } });
  assert.equal((await gateway.request('GET', '/nonce/1', { token, proof })).status, 200);
  const more = (url: string) =>
    `drain: { delay: 0s, grace: 5s }\nreplay: { store: redis, redis: { url: "${url}", timeout: ${DEADLINE / 2}ms } }\n`;
  // The same server: nothing but the deadline changes.
  await gateway.reload({ routes: ROUTES, more: more(redis.url) });
  assert.equal((await gateway.request('GET', '/nonce/1', { token, proof })).reason, 'proof_replayed');
  await gateway.reload({ routes: ROUTES, more: more(other.url) });
  await gateway.logged({ msg: 'the replica replay store has another connection' });
  const next = challenged(await gateway.request('GET', '/nonce/1', { token, proof }), 'nonce_stale');
  assert.equal((await dpop(gateway, 'GET', '/nonce/1', withNonce(next))).status, 200);
  assert.ok(Number(await other.command('DBSIZE')) > 0);
  await until(async () => !String(await redis.command('CLIENT', 'LIST')).includes('name=holdfast'));
});

test('reject: without the store nothing passes, within the deadline; the gateway stays ready, and shows it', async (t) => {
  const redis = await startRedis(t);
  const gateway = await start(t, redis);
  const nonce = challenged(await dpop(gateway, 'GET', '/nonce/1'), 'nonce_required');
  assert.equal((await dpop(gateway, 'GET', '/nonce/1', withNonce(nonce))).status, 200);
  assert.ok(await isUp(gateway));

  redis.hang();
  for (let nth = 0; nth < 5; nth += 1) {
    const started = performance.now();
    const answer = await dpop(gateway, 'GET', '/nonce/1', withNonce(nonce));
    assert.deepEqual([answer.status, answer.reason], [503, 'replay_store_unavailable']);
    assert.ok(performance.now() - started < 10 * DEADLINE);
  }
  await gateway.logged({ msg: 'the replica replay store is away', reason: 'timeout' });
  assert.equal(await isUp(gateway), false);
  assert.equal(await gateway.count('holdfast_replay_store_errors_total', { reason: 'timeout' }), 5);
  const ready = await gateway.page('/readyz');
  assert.equal(ready.status, 200);
  assert.deepEqual(gateway.running.ready().details['replay_store'], {
    store: 'redis',
    up: false,
    reasons: ['timeout'],
  });

  redis.resume();
  await until(() => isUp(gateway));
  assert.equal((await dpop(gateway, 'GET', '/nonce/1', withNonce(nonce))).status, 200);
  assert.ok((await gateway.count('holdfast_replay_store_duration_seconds_count')) >= 2);
});

test('down at start: the gateway starts, is ready, refuses with 503, and passes requests when the store comes', async (t) => {
  const redis = await startRedis(t);
  await redis.kill();
  const gateway = await start(t, redis);
  assert.equal((await gateway.page('/readyz')).status, 200);
  const nonce = challenged(await dpop(gateway, 'GET', '/nonce/1'), 'nonce_required');
  assert.equal((await dpop(gateway, 'GET', '/nonce/1', withNonce(nonce))).reason, 'replay_store_unavailable');
  assert.equal((await dpop(gateway, 'GET', '/plain/1')).reason, 'replay_store_unavailable');
  await redis.restart();
  await until(() => isUp(gateway));
  const next = challenged(await dpop(gateway, 'GET', '/nonce/1', withNonce(nonce)), 'nonce_stale');
  assert.equal((await dpop(gateway, 'GET', '/nonce/1', withNonce(next))).status, 200);
});

test('nonce-fallback: while the store is away a proof passes at one gateway only, and afterwards it stays used', async (t) => {
  const redis = await startRedis(t);
  const [here, elsewhere] = [await start(t, redis, FALLBACK), await start(t, redis, FALLBACK)];
  const shared = challenged(await dpop(here, 'GET', '/nonce/1'), 'nonce_required');
  await redis.kill();
  await until(async () => !(await isUp(here)) && !(await isUp(elsewhere)));

  // Nonces of all are not enough now, and neither is none.
  challenged(await dpop(here, 'GET', '/nonce/1', withNonce(shared)), 'nonce_stale');
  const own = challenged(await dpop(here, 'GET', '/plain/1'), 'nonce_required');
  const token = await issue(here, TO_KEY);
  const proof = await prove(here, token, 'GET', '/plain/1', { claims: { nonce: own } });
  assert.equal((await here.request('GET', '/plain/1', { token, proof })).status, 200);
  assert.equal((await here.request('GET', '/plain/1', { token, proof })).reason, 'proof_replayed');
  challenged(await elsewhere.request('GET', '/plain/1', { token, proof }), 'nonce_stale');

  await redis.restart();
  await until(async () => (await isUp(here)) && (await isUp(elsewhere)));
  assert.equal((await here.request('GET', '/plain/1', { token, proof })).reason, 'proof_replayed');
  challenged(await elsewhere.request('GET', '/plain/1', { token, proof }), 'nonce_stale');
  // What it minted while the store was away is good here until it expires; the next one is good everywhere.
  assert.equal((await dpop(here, 'GET', '/nonce/1', withNonce(own))).status, 200);
  const next = challenged(await dpop(here, 'GET', '/nonce/1'), 'nonce_required');
  assert.equal((await dpop(elsewhere, 'GET', '/nonce/1', withNonce(next))).status, 200);
});

test('nonce-fallback: the request that finds the store hung is challenged, not lost', async (t) => {
  const redis = await startRedis(t);
  const gateway = await start(t, redis, FALLBACK);
  const shared = challenged(await dpop(gateway, 'GET', '/nonce/1'), 'nonce_required');
  redis.hang();
  const own = challenged(await dpop(gateway, 'GET', '/nonce/1', withNonce(shared)), 'nonce_stale');
  assert.equal((await dpop(gateway, 'GET', '/nonce/1', withNonce(own))).status, 200);
  redis.resume();
});

test('nonce-fallback: all workers of a process are one memory', async (t) => {
  const redis = await startRedis(t);
  await redis.kill();
  const gateway = await start(t, redis, FALLBACK, {
    threads: true,
    more: 'drain: { delay: 0s, grace: 5s }\nlog: { level: fatal }\nworkers: 3\n',
  });
  const nonce = challenged(await dpop(gateway, 'GET', '/plain/1'), 'nonce_required');
  const token = await issue(gateway, TO_KEY);
  for (let round = 0; round < 5; round += 1) {
    const proof = await prove(gateway, token, 'GET', '/plain/1', { claims: { nonce } });
    const answers = await Promise.all(
      Array.from({ length: 18 }, () => gateway.request('GET', '/plain/1', { token, proof })),
    );
    const outcomes = answers.map(({ reason }) => reason ?? 'passed').toSorted();
    assert.deepEqual(outcomes, ['passed', ...Array.from({ length: 17 }, () => 'proof_replayed')]);
  }
});

test(`of ${PROOFS} proofs that three replicas of two workers get at once, exactly ${PROOFS} pass`, async (t) => {
  const redis = await startRedis(t);
  const wishes = { threads: true, more: 'drain: { delay: 0s, grace: 5s }\nlog: { level: fatal }\nworkers: 2\n' };
  const gateways = await Promise.all([1, 2, 3].map(() => start(t, redis, '', wishes)));
  const agents = gateways.map(() => new Agent({ keepAlive: true, maxSockets: 12 }));
  t.after(() => agents.forEach((agent) => agent.destroy()));
  const [first] = gateways;
  assert.ok(first !== undefined);
  const token = await issue(first, TO_KEY);
  let passed = 0;
  const lost: string[] = [];
  let left = PROOFS;
  const client = async () => {
    let nonce = challenged(await dpop(first, 'GET', '/nonce/1'), 'nonce_required');
    while (left-- > 0) {
      const proof = await prove(first, token, 'GET', '/nonce/1', { claims: { nonce } });
      const answers = await Promise.all(
        gateways.map((gateway, nth) =>
          gateway.request('GET', '/nonce/1', { token, proof, agent: agents[nth] as Agent }),
        ),
      );
      const good = answers.filter(({ status }) => status === 200);
      passed += good.length;
      nonce = good[0]?.fields.one('dpop-nonce') ?? nonce;
      const others = answers.filter(({ status, reason }) => status !== 200 && reason !== 'proof_replayed');
      lost.push(...others.map(({ status, reason }) => `${status} ${reason}`));
      assert.equal(good.length, 1, `${good.length} passed, ${lost.join()}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, client));
  assert.equal(passed, PROOFS);
  assert.deepEqual(lost, []);
});

const LIMITED = {
  more: 'drain: { delay: 0s, grace: 5s }\nrate_limits: { few: { key: subject, rate: 1/h, burst: 3, shared: true } }\n',
  routes: `
- { name: bearer, match: { path: /bearer/* }, upstream: orders, require: token, rate_limit: few, weaker_than_defaults: [require] }
- { name: free, match: { path: /free/* }, upstream: orders, require: token, weaker_than_defaults: [require] }
`,
};

test('a rate that replicas share lets as much pass as one gateway, and says what is left at each', async (t) => {
  const redis = await startRedis(t);
  const gateways = [await start(t, redis, '', LIMITED), await start(t, redis, '', LIMITED)] as const;
  const seen: (string | undefined)[] = [];
  for (const gateway of [...gateways, ...gateways]) {
    const { status, reason, fields } = await gateway.request('GET', '/bearer/1', { token: await issue(gateway) });
    seen.push(reason ?? `${status} ${/r=\d/.exec(fields.one('ratelimit') ?? '')?.[0]}`);
  }
  assert.deepEqual(seen, ['200 r=2', '200 r=1', '200 r=0', 'rate_limited']);
  const [gateway] = gateways;
  const other = await gateway.request('GET', '/bearer/1', { token: await issue(gateway, { sub: 'somebody else' }) });
  assert.equal(other.status, 200);
});

for (const [more, expected] of [
  ['', [503, 'rate_store_unavailable']],
  [FALLBACK, [200, undefined]],
] as const) {
  test(`a shared rate while the store is away${more}: ${expected.join(' ')}; routes without one go on`, async (t) => {
    const redis = await startRedis(t);
    const gateway = await start(t, redis, more, LIMITED);
    await redis.kill();
    await until(async () => !(await isUp(gateway)));
    const token = await issue(gateway);
    const { status, reason } = await gateway.request('GET', '/bearer/1', { token });
    assert.deepEqual([status, reason], expected);
    assert.equal((await gateway.request('GET', '/free/1', { token })).status, 200);
    if (more === '') return;
    for (let nth = 0; nth < 2; nth++) assert.equal((await gateway.request('GET', '/bearer/1', { token })).status, 200);
    assert.equal((await gateway.request('GET', '/bearer/1', { token })).reason, 'rate_limited');
  });
}

test('a Redis user who may run no scripts is named in the log, once', async (t) => {
  const redis = await startRedis(t);
  const gateway = await start(t, redis, '', LIMITED);
  await redis.command('ACL', 'SETUSER', 'default', '-eval');
  const token = await issue(gateway);
  for (let nth = 0; nth < 2; nth++)
    assert.equal((await gateway.request('GET', '/bearer/1', { token })).reason, 'rate_store_unavailable');
  const msg = 'shared rate limits cannot be counted in the replica replay store';
  const { expected } = await gateway.logged({ msg });
  assert.equal(expected, 'an ACL user with +eval +time +get +set +del');
  assert.equal(gateway.log.filter((line) => line['msg'] === msg).length, 1);
  assert.ok(await isUp(gateway));
});
