// Token exchange end to end, with a real authorization server.

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { type OpaqueServer, startOpaqueServer, UPSTREAM_AUDIENCE } from '../support/authorization-server.ts';
import { CLIENT_CA, type GatewayWishes, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { AUDIENCE } from '../support/tokens.ts';
import { dpop, HOLDER, THIEF } from './credentials.ts';

const CREDENTIALS = {
  secret: 'client_id: "by:secret", client_secret_file: issuer.secret',
  key: 'client_id: "by:key", private_key_file: issuer.jwk',
  certificate: 'client_id: "by:certificate", cert: gateway.crt, key_file: gateway.key',
};
const ROUTES = `
- name: dpop
  match: { path: /dpop/* }
  upstream: orders
  require: dpop
  forward: { authorization: exchange, token_exchange: { audience: [${UPSTREAM_AUDIENCE}], scope: ["orders:read"] } }
  weaker_than_defaults: [authorization]
- name: any
  match: { path: /any/* }
  upstream: orders
  require: token
  forward: { authorization: exchange, token_exchange: { audience: [${UPSTREAM_AUDIENCE}] } }
  weaker_than_defaults: [require, authorization]
- name: elsewhere
  match: { path: /elsewhere/* }
  upstream: orders
  require: token
  forward: { authorization: exchange, token_exchange: { audience: [somebody else] } }
  weaker_than_defaults: [require, authorization]
- { name: plain, match: { path: /plain/* }, upstream: orders, require: token, weaker_than_defaults: [require] }
`;

function wishesFor(server: OpaqueServer, credentials: string, endpoint?: string): GatewayWishes {
  const { secret, key, certificate } = server.gateway;
  const asked = `introspection: { ${credentials} }`;
  const exchange = `token_exchange: { ${credentials}${endpoint === undefined ? '' : `, endpoint: "${endpoint}"`} }`;
  return {
    routes: ROUTES,
    issuers: `login: { issuer: "${server.issuer}", audience: ["${AUDIENCE}"], ca_file: issuer-ca.pem, ${asked}, ${exchange} }`,
    files: {
      'issuer-ca.pem': server.ca,
      'issuer.secret': secret,
      'issuer.jwk': key,
      'gateway.crt': certificate.chain,
      'gateway.key': certificate.key,
    },
  };
}

async function start(t: TestContext, credentials = CREDENTIALS.secret, more: GatewayWishes = {}, endpoint?: string) {
  const server = await startOpaqueServer(t, CLIENT_CA);
  const gateway = await startTestGateway(t, { ...wishesFor(server, credentials, endpoint), ...more });
  return { server, gateway };
}

const exchanges = ({ seen }: OpaqueServer) => seen.filter((path) => path === '/token').length;
const bearerSeen = (gateway: TestGateway) => {
  const { fields } = gateway.upstream.seen.at(-1) ?? assert.fail();
  return /^Bearer (.+)$/.exec(fields.one('authorization') ?? '')?.[1] ?? assert.fail('no bearer token');
};
const reasonOf = async (answer: Promise<{ status: number; reason: string | undefined }>) => {
  const { status, reason } = await answer;
  return reason ?? status;
};

for (const [name, credentials] of Object.entries(CREDENTIALS)) {
  test(`the upstream gets a token of its audience, by a gateway that says who it is by its ${name}`, async (t) => {
    const { server, gateway } = await start(t, credentials);
    const token = await server.issue({ key: HOLDER });
    const before = exchanges(server);
    assert.equal(await reasonOf(dpop(gateway, 'GET', '/dpop/1', { token })), 200);
    const upstreams = bearerSeen(gateway);
    assert.notEqual(upstreams, token);
    assert.deepEqual(await server.look(upstreams), { aud: UPSTREAM_AUDIENCE, scope: 'orders:read' });
    assert.equal(gateway.upstream.seen.at(-1)?.fields.one('dpop'), undefined);
    assert.equal(await reasonOf(dpop(gateway, 'GET', '/dpop/2', { token })), 200);
    assert.equal(bearerSeen(gateway), upstreams);
    assert.equal(exchanges(server) - before, 1);
    assert.equal(await gateway.count('holdfast_token_exchanges_total', { issuer: 'login', result: 'issued' }), 1);
    assert.equal(await gateway.count('holdfast_token_exchange_cache_hits_total', { issuer: 'login' }), 1);
  });
}

describe('a token of a client', () => {
  test('is not exchanged for whom it is refused: a thief, a proof used twice, a revoked token', async (t) => {
    const { server, gateway } = await start(t);
    const token = await server.issue({ key: HOLDER });
    const before = exchanges(server);
    assert.equal(
      await reasonOf(dpop(gateway, 'GET', '/dpop/1', { token, proving: { key: THIEF } })),
      'proof_key_mismatch',
    );
    assert.equal(await reasonOf(gateway.request('GET', '/any/1', { token })), 'binding_downgraded');
    assert.equal(await reasonOf(gateway.request('GET', '/any/1', { token: 'invented' })), 'token_inactive');
    assert.equal(exchanges(server), before);
    assert.equal(gateway.upstream.seen.length, 0);
  });

  test('is exchanged for each audience; one that the issuer does not serve gets 503, and nothing goes on', async (t) => {
    const { server, gateway } = await start(t);
    const token = await server.issue();
    assert.equal(await reasonOf(gateway.request('GET', '/any/1', { token })), 200);
    const answer = await gateway.request('GET', '/elsewhere/1', { token });
    assert.deepEqual(
      [answer.status, answer.reason, answer.fields.one('retry-after')],
      [503, 'token_exchange_unavailable', '5'],
    );
    assert.equal(gateway.upstream.seen.length, 1);
    const msg = 'the issuer gave no token for an upstream';
    const { error, audience } = await gateway.logged({ msg });
    assert.match(String(error), /\/token: answered 400 \(invalid_target\)$/);
    assert.equal(audience, 'somebody else');
    // An audience that is served does not end the outage of another one, which would be a line for each request.
    for (const path of ['/any/2', '/elsewhere/2', '/any/3', '/elsewhere/3'])
      await gateway.request('GET', path, { token: await server.issue() });
    const said = gateway.log.filter(
      (line) => String(line['msg']).includes('for upstreams again') || line['msg'] === msg,
    );
    assert.equal(said.length, 1);
  });

  test('that the issuer does not exchange any more is refused with a challenge, and not asked about again at once', async (t) => {
    // Introspection still remembers it.
    const { server, gateway } = await start(t);
    const token = await server.issue();
    assert.equal(await reasonOf(gateway.request('GET', '/plain/1', { token })), 200);
    await server.revoke(token);
    const before = exchanges(server);
    for (const path of ['/any/1', '/any/2']) {
      const { status, reason, fields } = await gateway.request('GET', path, { token });
      assert.deepEqual([status, reason], [401, 'token_exchange_refused']);
      assert.match(fields.all('www-authenticate').join(), /^Bearer error="invalid_token"/);
    }
    assert.equal(exchanges(server) - before, 1);
    assert.equal(gateway.upstream.seen.length, 1);
    const line = await gateway.logged({ msg: 'request', reason: 'token_exchange_refused' });
    assert.deepEqual(line['facts'], { name: 'login', code: 'invalid_grant' });
  });

  test('stays in the gateway while the token endpoint is away, and other routes go on', async (t) => {
    const { server, gateway } = await start(t, CREDENTIALS.secret, {}, 'https://localhost:1/token');
    const token = await server.issue();
    assert.equal(await reasonOf(gateway.request('GET', '/any/1', { token })), 'token_exchange_unavailable');
    assert.equal(gateway.upstream.seen.length, 0);
    assert.equal(await reasonOf(gateway.request('GET', '/plain/1', { token })), 200);
    assert.equal(gateway.upstream.seen.at(-1)?.fields.one('authorization'), undefined);
  });
});

test('in mode decide the front is told the token of the upstream, and a failure is no permit', async (t) => {
  const server = await startOpaqueServer(t, CLIENT_CA);
  const wishes = wishesFor(server, CREDENTIALS.secret);
  const gateway = await startTestGateway(t, {
    ...wishes,
    listener: 'mode: decide\ndialect: forwarded\ntrusted_peers: [{ cidr: 127.0.0.0/8 }]',
    routes: (wishes.routes ?? '').replaceAll(/^ {2}upstream: orders\n|upstream: orders, /gm, ''),
  });
  const ask = (path: string, token: string) =>
    gateway.request('GET', '/auth', {
      host: 'holdfast.internal',
      token,
      fields: [
        ['X-Forwarded-Method', 'GET'],
        ['X-Forwarded-Proto', 'https'],
        ['X-Forwarded-Host', 'api.example.com'],
        ['X-Forwarded-Uri', path],
      ],
    });
  const token = await server.issue();
  const { status, fields } = await ask('/any/1', token);
  assert.equal(status, 200);
  const [scheme, exchanged = ''] = (fields.one('authorization') ?? '').split(' ');
  assert.equal(scheme, 'Bearer');
  assert.equal((await server.look(exchanged))?.aud, UPSTREAM_AUDIENCE);
  const refused = await ask('/elsewhere/1', token);
  assert.deepEqual([refused.status, refused.reason], [503, 'token_exchange_unavailable']);
  assert.equal(refused.fields.one('authorization'), undefined);
});

test('a reload forgets what was exchanged under the policy before', async (t) => {
  const { server, gateway } = await start(t);
  const token = await server.issue();
  assert.equal(await reasonOf(gateway.request('GET', '/any/1', { token })), 200);
  const first = bearerSeen(gateway);
  await gateway.reload(wishesFor(server, CREDENTIALS.key));
  assert.equal(await reasonOf(gateway.request('GET', '/any/1', { token })), 200);
  assert.notEqual(bearerSeen(gateway), first);
});
