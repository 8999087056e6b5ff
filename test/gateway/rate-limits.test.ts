// Rate limits end to end: what is counted, together with whom, and what clients read.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type Answered, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { makeKey } from '../support/tokens.ts';
import { CLIENT, dpop, issue, MARK, prove, TO_CERTIFICATE, TO_KEY } from './credentials.ts';

const POLICY = {
  more: `drain: { delay: 0s, grace: 5s }
rate_limits:
  per_client: { key: client, rate: 6/m, burst: 3 }
  per_subject: { key: subject, rate: 6/m, burst: 3 }
  per_key: { key: thumbprint, rate: 6/m, burst: 3 }
  per_address: { key: address, rate: 6/m, burst: 3 }
`,
  listener: 'client_certificate: { request: optional, ca_file: clients.pem }\n',
  routes: `
- { name: client, match: { path: /client/* }, upstream: orders, require: dpop, rate_limit: per_client }
- { name: same, match: { path: /same/* }, upstream: orders, require: dpop, rate_limit: per_client }
- { name: strict, match: { path: /strict/* }, upstream: orders, require: dpop, dpop: { nonce: required }, scope: [admin], rate_limit: per_client }
- { name: subject, match: { path: /subject/* }, upstream: orders, require: token, rate_limit: per_subject, weaker_than_defaults: [require] }
- { name: key, match: { path: /key/* }, upstream: orders, rate_limit: per_key }
- name: open
  match: { path: /open/* }
  upstream: orders
  require: public
  rate_limit: per_address
  cors: { origins: [https://app.example.com] }
  weaker_than_defaults: [require]
- { name: free, match: { path: /free/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
`,
};
const POLICY_FIELD = (name: string) => `"${name}";q=3;w=30`;

/** A gateway whose clock stands still until it is moved. */
async function startAt(t: TestContext) {
  const clock = { now: Math.floor(Date.now() / 1000) };
  return { gateway: await startTestGateway(t, { ...POLICY, now: () => clock.now }), clock };
}

const standing = ({ status, fields }: Answered) => [status, fields.one('ratelimit')];

/** How many requests in a row pass, of at most five. */
async function passing(send: () => Promise<Answered>): Promise<number> {
  for (let passed = 0; passed < 5; passed++) {
    const answer = await send();
    if (answer.status === 429) return passed;
    assert.deepEqual([answer.status, answer.reason], [200, undefined]);
  }
  return 5;
}

test('a request that somebody sends again and again costs its sender one', async (t) => {
  const { gateway } = await startAt(t);
  const token = await issue(gateway, TO_KEY);
  const proof = await prove(gateway, token, 'GET', '/client/1');
  assert.equal((await gateway.request('GET', '/client/1', { token, proof })).status, 200);
  for (let nth = 0; nth < 5; nth++) {
    assert.equal((await gateway.request('GET', '/client/1', { token, proof })).reason, 'proof_replayed');
  }
  assert.equal(await passing(() => dpop(gateway, 'GET', '/client/1', { token })), 2);
});

test('each answer says what is left, and a refusal when to come back: then as many pass as time gave back', async (t) => {
  const { gateway, clock } = await startAt(t);
  const send = () => dpop(gateway, 'GET', '/client/1');
  assert.deepEqual(standing(await send()), [200, '"per_client";r=2;t=10']);
  assert.deepEqual(standing(await send()), [200, '"per_client";r=1;t=20']);
  const last = await send();
  assert.deepEqual(standing(last), [200, '"per_client";r=0;t=30']);
  assert.equal(last.fields.one('ratelimit-policy'), POLICY_FIELD('per_client'));
  const refused = await send();
  assert.deepEqual(standing(refused), [429, '"per_client";r=0;t=30']);
  assert.deepEqual([refused.reason, refused.fields.one('retry-after')], ['rate_limited', '10']);
  assert.equal(refused.fields.one('ratelimit-policy'), POLICY_FIELD('per_client'));
  clock.now += 20;
  assert.equal(await passing(send), 2);
  clock.now += 3600;
  assert.equal(await passing(send), 3);
});

test('neither challenges nor refused requests count', async (t) => {
  const { gateway } = await startAt(t);
  const token = await issue(gateway, { ...TO_KEY, scope: 'admin' });
  let nonce = '';
  for (let nth = 0; nth < 5; nth++) {
    const challenged = await gateway.request('GET', '/strict/1', {
      token,
      proof: await prove(gateway, token, 'GET', '/strict/1'),
    });
    assert.deepEqual([challenged.status, challenged.reason], [401, 'nonce_required']);
    assert.deepEqual(challenged.fields.all('ratelimit'), []);
    nonce = challenged.fields.one('dpop-nonce') ?? assert.fail();
    const refusals = {
      scope_insufficient: { claims: { scope: 'orders' }, proving: { claims: { nonce } } },
      proof_method_mismatch: { token, proving: { claims: { nonce, htm: 'POST' } } },
      token_expired: { claims: { exp: 1 } },
    };
    for (const [reason, wishes] of Object.entries(refusals)) {
      assert.equal((await dpop(gateway, 'GET', '/strict/1', wishes)).reason, reason);
    }
    assert.equal((await gateway.request('GET', '/strict/1')).reason, 'credentials_missing');
  }
  assert.equal(await passing(() => dpop(gateway, 'GET', '/strict/1', { token, proving: { claims: { nonce } } })), 3);
});

test('a refused request burns no proof: the same one passes when there is room again', async (t) => {
  const { gateway, clock } = await startAt(t);
  const token = await issue(gateway, TO_KEY);
  assert.equal(await passing(() => dpop(gateway, 'GET', '/client/1')), 3);
  const proof = await prove(gateway, token, 'GET', '/client/1');
  assert.equal((await gateway.request('GET', '/client/1', { token, proof })).status, 429);
  clock.now += 10;
  assert.equal((await gateway.request('GET', '/client/1', { token, proof })).status, 200);
});

test('a client is counted over all its tokens and all routes with the limit, and apart from other clients', async (t) => {
  const { gateway } = await startAt(t);
  const send = (path: string, client: string) => () =>
    dpop(gateway, 'GET', path, { claims: { client_id: client, sub: `${Math.random()}` } });
  assert.equal(await passing(send('/client/1', 'a')), 3);
  assert.equal(await passing(send('/same/1', 'a')), 0);
  assert.equal(await passing(send('/same/1', 'b')), 3);
});

test('a subject is counted over all its clients and keys', async (t) => {
  const { gateway } = await startAt(t);
  const key = await makeKey();
  const unbound = async (sub: string) =>
    gateway.request('GET', '/subject/1', { token: await issue(gateway, { sub, client_id: `${Math.random()}` }) });
  const bound = () =>
    dpop(gateway, 'GET', '/subject/1', { claims: { sub: 'a', cnf: { jkt: key.jkt } }, proving: { key } });
  assert.equal(await passing(() => unbound('a')), 3);
  assert.equal(await passing(bound), 0);
  assert.equal(await passing(() => unbound('b')), 3);
});

test('a thumbprint is counted over all tokens that are bound to it, be it of a key or a certificate', async (t) => {
  const { gateway } = await startAt(t);
  const send = () => dpop(gateway, 'GET', '/key/1', { claims: { sub: `${Math.random()}` } });
  const other = await makeKey();
  const byCertificate = async () =>
    gateway.request('GET', '/key/1', { token: await issue(gateway, TO_CERTIFICATE), client: CLIENT });
  assert.equal(await passing(send), 3);
  assert.equal(
    await passing(() =>
      dpop(gateway, 'GET', '/key/1', { claims: { cnf: { jkt: other.jkt } }, proving: { key: other } }),
    ),
    3,
  );
  assert.equal(await passing(byCertificate), 3);
});

test('on a public route addresses are counted, preflights are not, and pages can read what is left', async (t) => {
  const { gateway } = await startAt(t);
  const fields = [['Origin', 'https://app.example.com']] as const;
  const preflight = [...fields, ['Access-Control-Request-Method', 'GET']] as const;
  for (let nth = 0; nth < 5; nth++) {
    assert.equal((await gateway.request('OPTIONS', '/open/1', { fields: preflight })).status, 204);
  }
  const answer = await gateway.request('GET', '/open/1', { fields });
  const exposed = 'DPoP-Nonce, WWW-Authenticate, X-Request-Id, RateLimit, RateLimit-Policy, Retry-After';
  assert.equal(answer.fields.one('access-control-expose-headers'), exposed);
  assert.equal(await passing(() => gateway.request('GET', '/open/1')), 2);
  const refused = await gateway.request('GET', '/open/1', { fields });
  assert.deepEqual([refused.status, refused.fields.all('www-authenticate')], [429, []]);
  assert.equal(refused.fields.one('access-control-expose-headers'), exposed);
  assert.equal(await passing(() => gateway.request('GET', '/free/1')), 5);
});

test('the upstream’s own fields are replaced where there is a limit, and pass where there is none', async (t) => {
  const { gateway } = await startAt(t);
  gateway.upstream.answer = (_request, response) => response.writeHead(200, { RateLimit: '"theirs";r=9' }).end();
  assert.deepEqual(standing(await gateway.request('GET', '/open/1')), [200, '"per_address";r=2;t=10']);
  assert.deepEqual(standing(await gateway.request('GET', '/free/1')), [200, '"theirs";r=9']);
});

test('a refusal is logged with the name of the limit and without who it was, and counted', async (t) => {
  const { gateway } = await startAt(t);
  await passing(() => dpop(gateway, 'GET', '/client/1'));
  const line = await loggedRefusal(gateway);
  assert.deepEqual(line['facts'], { what: 'per_client', retry_after: 10 });
  assert.ok(!JSON.stringify(gateway.log).includes(MARK));
  assert.equal(await gateway.count('holdfast_rejections_total', { reason: 'rate_limited', stage: 'policy' }), 1);
});

function loggedRefusal(gateway: TestGateway) {
  return gateway.logged({ msg: 'request', reason: 'rate_limited' });
}
