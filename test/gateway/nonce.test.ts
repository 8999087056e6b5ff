// Nonces and clocks: challenge, retry, renewal, expiry, wrong clocks.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { type Answered, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { dpop, type DpopWishes, issue, MARK, prove, TO_KEY } from './credentials.ts';

const ROUTES = `
- { name: required, match: { path: /required/* }, upstream: orders, require: dpop, dpop: { nonce: required } }
- { name: on-skew, match: { path: /on-skew/* }, upstream: orders, require: dpop, dpop: { nonce: on-skew } }
- { name: plain, match: { path: /plain/* }, upstream: orders, require: dpop }
- { name: either, match: { path: /either/* }, upstream: orders, require: sender-constrained, dpop: { nonce: required } }
`;

/** A gateway whose clock stands still until it is moved. */
async function startAt(t: TestContext, seconds = Date.now() / 1000, files?: Record<string, string>, more = '') {
  const clock = { now: seconds };
  const gateway = await startTestGateway(t, { routes: ROUTES, now: () => clock.now, more, ...(files && { files }) });
  return { gateway, clock };
}

const withNonce = (nonce: string, claims: object = {}): DpopWishes => ({ proving: { claims: { nonce, ...claims } } });

/** The nonce of a challenge that is one. */
function challenged(answer: Answered, reason: 'nonce_required' | 'nonce_stale'): string {
  assert.deepEqual([answer.status, answer.reason], [401, reason]);
  assert.match(answer.fields.one('www-authenticate') ?? '', /^DPoP error="use_dpop_nonce", /);
  return answer.fields.one('dpop-nonce') ?? assert.fail('no nonce');
}

test('a client without nonce is challenged, and passes when it tries again with the one it got', async (t) => {
  const { gateway, clock } = await startAt(t);
  const nonce = challenged(await dpop(gateway, 'GET', '/required/1'), 'nonce_required');
  assert.equal(await gateway.count('holdfast_nonce_challenges_total'), 1);

  await t.test('in the first half of its life, an answer brings no other', async () => {
    clock.now += 59;
    const answer = await dpop(gateway, 'GET', '/required/1', withNonce(nonce));
    assert.deepEqual([answer.status, answer.fields.all('dpop-nonce')], [200, []]);
    assert.deepEqual(answer.fields.all('cache-control'), []);
  });
  await t.test('in the last half, a successful answer brings a fresh one, and may not be stored', async () => {
    clock.now += 2;
    const answer = await dpop(gateway, 'GET', '/required/1', withNonce(nonce));
    const fresh = answer.fields.one('dpop-nonce');
    assert.equal(answer.status, 200);
    assert.ok(fresh !== undefined && fresh !== nonce);
    assert.equal(answer.fields.one('cache-control'), 'no-store');
    assert.equal((await dpop(gateway, 'GET', '/required/1', withNonce(fresh))).status, 200);
  });
  await t.test('after its life it is stale, and the challenge brings the next one', async () => {
    clock.now += 60;
    const next = challenged(await dpop(gateway, 'GET', '/required/1', withNonce(nonce)), 'nonce_stale');
    assert.equal((await dpop(gateway, 'GET', '/required/1', withNonce(next))).status, 200);
  });
});

test('a route that takes Bearer too asks for a nonce by the DPoP challenge alone', async (t) => {
  const { gateway } = await startAt(t);
  const nonce = challenged(await dpop(gateway, 'GET', '/either/1'), 'nonce_required');
  assert.equal((await dpop(gateway, 'GET', '/either/1', withNonce(nonce))).status, 200);
  const other = await dpop(gateway, 'GET', '/either/1', { claims: { ...TO_KEY, exp: 1 } });
  assert.deepEqual([other.reason, other.fields.all('www-authenticate').length], ['token_expired', 2]);
});

test('a client whose clock is wrong by hours passes with a nonce, because freshness comes from it', async (t) => {
  const { gateway } = await startAt(t);
  const iat = (gateway.now() | 0) - 7200;
  const wrongClock = { proving: { claims: { iat } } };
  const nonce = challenged(await dpop(gateway, 'GET', '/required/1', wrongClock), 'nonce_required');
  assert.equal((await dpop(gateway, 'GET', '/required/1', withNonce(nonce, { iat }))).status, 200);
});

test('on-skew challenges only those whose clock is wrong; elsewhere they are refused', async (t) => {
  const { gateway } = await startAt(t);
  assert.equal((await dpop(gateway, 'GET', '/on-skew/1')).status, 200);
  for (const [seconds, refused] of [
    [-3600, 'proof_stale'],
    [3600, 'proof_from_future'],
  ] as const) {
    const claims = { iat: gateway.now() + seconds };
    assert.equal((await dpop(gateway, 'GET', '/plain/1', { proving: { claims } })).reason, refused);
    const nonce = challenged(await dpop(gateway, 'GET', '/on-skew/1', { proving: { claims } }), 'nonce_required');
    assert.equal((await dpop(gateway, 'GET', '/on-skew/1', withNonce(nonce, claims))).status, 200);
  }
});

test('a nonce of an on-skew route counts on every route of the origin: clients keep one per origin', async (t) => {
  const { gateway } = await startAt(t);
  const nonce = challenged(await dpop(gateway, 'GET', '/required/1'), 'nonce_required');
  assert.equal((await dpop(gateway, 'GET', '/plain/1', withNonce(nonce))).status, 200);
});

test('a proof with a nonce is remembered as long as its nonce counts', async (t) => {
  const { gateway, clock } = await startAt(t);
  const nonce = challenged(await dpop(gateway, 'GET', '/required/1'), 'nonce_required');
  const token = await issue(gateway, TO_KEY);
  const proof = await prove(gateway, token, 'GET', '/required/1', { claims: { nonce } });
  assert.equal((await gateway.request('GET', '/required/1', { token, proof })).status, 200);
  clock.now += 119; // long after max_age of its iat
  assert.equal((await gateway.request('GET', '/required/1', { token, proof })).reason, 'proof_replayed');
  clock.now += 2;
  assert.equal((await gateway.request('GET', '/required/1', { token, proof })).reason, 'nonce_stale');
});

test('a proof without nonce is remembered through max_age, and too old afterwards', async (t) => {
  const { gateway, clock } = await startAt(t);
  const token = await issue(gateway, TO_KEY);
  const proof = await prove(gateway, token, 'GET', '/plain/1');
  assert.equal((await gateway.request('GET', '/plain/1', { token, proof })).status, 200);
  assert.equal(await gateway.count('holdfast_replay_entries'), 1);
  clock.now += 59;
  assert.equal((await gateway.request('GET', '/plain/1', { token, proof })).reason, 'proof_replayed');
  clock.now += 3;
  assert.equal((await gateway.request('GET', '/plain/1', { token, proof })).reason, 'proof_stale');
});

test('a proof from before the start of the process is challenged, since its use may be forgotten', async (t) => {
  const { gateway } = await startAt(t);
  const claims = { iat: Math.floor(gateway.now()) - 1 };
  const nonce = challenged(await dpop(gateway, 'GET', '/plain/1', { proving: { claims } }), 'nonce_required');
  assert.equal((await dpop(gateway, 'GET', '/plain/1', withNonce(nonce, claims))).status, 200);
});

test('nonces of another process are stale, unless both have the secret; an old secret still reads and does not mint', async (t) => {
  const [a, b] = [randomBytes(24).toString('base64'), randomBytes(24).toString('base64')];
  const files = { 'nonce-a': a, 'nonce-b': b };
  const start = Math.floor(Date.now() / 1000);
  const old = await startAt(t, start, files, 'nonce: { secret_files: [nonce-a] }');
  const both = await startAt(t, start, files, 'nonce: { secret_files: [nonce-b, nonce-a] }');
  const alone = await startAt(t, start);
  for (const { clock } of [old, both, alone]) clock.now += 10;
  const ask = ({ gateway }: { gateway: TestGateway }, wishes?: DpopWishes) =>
    dpop(gateway, 'GET', '/required/1', wishes);

  const minted = challenged(await ask(old), 'nonce_required');
  assert.equal((await ask(both, withNonce(minted))).status, 200);
  challenged(await ask(alone, withNonce(minted)), 'nonce_stale');
  const newer = challenged(await ask(both), 'nonce_required');
  assert.equal((await ask(both, withNonce(newer))).status, 200);
  challenged(await ask(old, withNonce(newer)), 'nonce_stale');
});

test('of fifty copies of one proof that come at once, exactly one passes', async (t) => {
  const { gateway } = await startAt(t);
  const token = await issue(gateway, TO_KEY);
  const proof = await prove(gateway, token, 'GET', '/plain/1');
  const copies = Array.from({ length: 50 }, () => gateway.request('GET', '/plain/1', { token, proof }));
  const outcomes = (await Promise.all(copies)).map(({ status, reason }) => reason ?? String(status));
  assert.deepEqual(outcomes.toSorted(), ['200', ...Array.from({ length: 49 }, () => 'proof_replayed')]);
  assert.equal(gateway.upstream.seen.length, 1);
});

test('a replay is one whatever is respelled: the query, or the signature by the same key', async (t) => {
  const { gateway } = await startAt(t);
  const token = await issue(gateway, TO_KEY);
  const claims = { jti: `${MARK}-same` };
  const [proof, signedAgain] = [
    await prove(gateway, token, 'GET', '/plain/1', { claims }),
    await prove(gateway, token, 'GET', '/plain/1', { claims }),
  ];
  assert.notEqual(proof, signedAgain);
  assert.equal((await gateway.request('GET', '/plain/1', { token, proof })).status, 200);
  assert.equal((await gateway.request('GET', '/plain/1?other=query', { token, proof })).reason, 'proof_replayed');
  assert.equal((await gateway.request('GET', '/plain/1', { token, proof: signedAgain })).reason, 'proof_replayed');
});
