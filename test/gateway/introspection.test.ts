// Opaque tokens end to end, with a real authorization server.

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { startOpaqueServer } from '../support/authorization-server.ts';
import {
  CLIENT_CA,
  type GatewayWishes,
  startTestGateway,
  startUpstream,
  type TestGateway,
} from '../support/gateway.ts';
import { AUDIENCE, ISSUER } from '../support/tokens.ts';
import { CLIENT, dpop, HOLDER, issue, OTHER_CLIENT, THIEF, TO_KEY } from './credentials.ts';
import { LISTENER, METHODS, questions, ROUTES, wishesFor } from './introspecting.ts';

async function start(t: TestContext, introspection: string, more: GatewayWishes = {}) {
  const server = await startOpaqueServer(t, CLIENT_CA);
  const gateway = await startTestGateway(t, { ...wishesFor(server, introspection), ...more });
  return { server, gateway };
}
/** Path and what came of it. */
const outcome = async (answer: Promise<{ status: number; reason: string | undefined }>) => {
  const { status, reason } = await answer;
  return reason ?? status;
};

for (const [name, method] of Object.entries(METHODS)) {
  describe(`a gateway that says who it is by its ${name}`, () => {
    test('takes a token bound to a key from its holder alone', async (t) => {
      const { server, gateway } = await start(t, method);
      const token = await server.issue({ key: HOLDER });
      assert.doesNotMatch(token, /\./);
      assert.equal(await outcome(dpop(gateway, 'GET', '/dpop/1', { token })), 200);
      const { fields } = gateway.upstream.seen.at(-1) ?? assert.fail();
      assert.deepEqual(
        ['x-auth-client', 'x-auth-scope', 'x-auth-binding', 'x-auth-thumbprint', 'x-auth-issuer'].map((field) =>
          fields.one(field),
        ),
        ['dpop', 'orders:read', 'dpop', HOLDER.jkt, server.issuer],
      );
      assert.equal(
        await outcome(dpop(gateway, 'GET', '/dpop/1', { token, proving: { key: THIEF } })),
        'proof_key_mismatch',
      );
      assert.equal(await outcome(gateway.request('GET', '/any/1', { token })), 'binding_downgraded');
      assert.equal(await outcome(gateway.request('GET', '/mtls/1', { token, client: CLIENT })), 'binding_required');
      assert.equal(questions(server), 1);
    });

    test('takes a token bound to a certificate with that certificate alone', async (t) => {
      const { server, gateway } = await start(t, method);
      const token = await server.issue({ certificate: CLIENT });
      assert.equal(await outcome(gateway.request('GET', '/mtls/1', { token, client: CLIENT })), 200);
      assert.equal(
        await outcome(gateway.request('GET', '/mtls/1', { token, client: OTHER_CLIENT })),
        'certificate_mismatch',
      );
      assert.equal(await outcome(gateway.request('GET', '/any/1', { token })), 'certificate_missing');
      assert.equal(questions(server), 1);
    });

    test('takes an unbound token where the route says so, and no invented one', async (t) => {
      const { server, gateway } = await start(t, method);
      const token = await server.issue();
      assert.equal(await outcome(gateway.request('GET', '/any/1', { token })), 200);
      assert.equal(await outcome(gateway.request('GET', '/narrow/1', { token })), 'token_audience_mismatch');
      assert.equal(await outcome(gateway.request('GET', '/any/1', { token: `${token}x` })), 'token_inactive');
      assert.equal(await outcome(gateway.request('GET', '/any/1', { token: `${token}x` })), 'token_inactive');
      assert.equal(questions(server), 2);
      assert.equal(await gateway.count('holdfast_introspections_total', { issuer: 'login', result: 'active' }), 1);
      assert.equal(await gateway.count('holdfast_introspections_total', { issuer: 'login', result: 'inactive' }), 1);
      assert.equal(await gateway.count('holdfast_introspection_cache_hits_total', { issuer: 'login' }), 2);
      assert.equal(await gateway.count('holdfast_introspection_duration_seconds_count', { issuer: 'login' }), 2);
    });
  });
}

test('a revoked token is refused once the time of the cache is over', async (t) => {
  let later = 0;
  const { server, gateway } = await start(t, `${METHODS.secret}, cache: 20s`, { now: () => Date.now() / 1000 + later });
  const token = await server.issue({ key: HOLDER });
  assert.equal(await outcome(dpop(gateway, 'GET', '/dpop/1', { token })), 200);
  await server.revoke(token);
  later = 15;
  assert.equal(await outcome(dpop(gateway, 'GET', '/dpop/1', { token })), 200);
  later = 21;
  assert.equal(await outcome(dpop(gateway, 'GET', '/dpop/1', { token })), 'token_inactive');
});

test('with cache: 0s a revoked token is refused at once', async (t) => {
  const { server, gateway } = await start(t, `${METHODS.secret}, cache: 0s`);
  const token = await server.issue();
  assert.equal(await outcome(gateway.request('GET', '/any/1', { token })), 200);
  await server.revoke(token);
  assert.equal(await outcome(gateway.request('GET', '/any/1', { token })), 'token_inactive');
});

test('signed answers are asked for, verified by the keys of the issuer, and bind as unsigned ones do (RFC 9701)', async (t) => {
  const { server, gateway } = await start(t, `${METHODS.secret}, signed: true, cache: 0s`);
  const token = await server.issue({ key: HOLDER });
  assert.equal(await outcome(dpop(gateway, 'GET', '/dpop/1', { token })), 200);
  assert.equal(gateway.upstream.seen.at(-1)?.fields.one('x-auth-thumbprint'), HOLDER.jkt);
  assert.equal(
    await outcome(dpop(gateway, 'GET', '/dpop/1', { token, proving: { key: THIEF } })),
    'proof_key_mismatch',
  );
  assert.equal(await outcome(gateway.request('GET', '/any/1', { token: 'unknown' })), 'token_inactive');
  const unbound = await server.issue();
  assert.equal(await outcome(gateway.request('GET', '/any/1', { token: unbound })), 200);
  await server.revoke(unbound);
  assert.equal(await outcome(gateway.request('GET', '/any/1', { token: unbound })), 'token_inactive');
});

test('a wrong secret opens nothing, and is said once in the log, without token and secret', async (t) => {
  const server = await startOpaqueServer(t, CLIENT_CA);
  const wishes = wishesFor(server, METHODS.secret);
  const gateway = await startTestGateway(t, { ...wishes, files: { ...wishes.files, 'issuer.secret': 'wr0ng' } });
  const token = await server.issue();
  for (const path of ['/any/1', '/any/2']) {
    const answer = await gateway.request('GET', path, { token });
    assert.deepEqual(
      [answer.status, answer.reason, answer.fields.one('retry-after')],
      [503, 'issuer_unavailable', '5'],
    );
  }
  assert.equal(gateway.upstream.seen.length, 0);
  const lines = gateway.log.filter(({ msg }) => msg === 'the issuer gave no answer about a token');
  assert.deepEqual(
    lines.map(({ issuer, error }) => [issuer, error]),
    [['login', `${server.issuer}/token/introspection: answered 401 (invalid_client)`]],
  );
  assert.ok(!JSON.stringify(gateway.log).includes(token) && !JSON.stringify(gateway.log).includes('wr0ng'));
  assert.equal(await gateway.count('holdfast_introspections_total', { result: 'failed' }), 2);
});

test('a reload forgets the answers, and asks with the new secret', async (t) => {
  const server = await startOpaqueServer(t, CLIENT_CA);
  const wishes = wishesFor(server, METHODS.secret);
  const gateway = await startTestGateway(t, wishes);
  const token = await server.issue();
  assert.equal(await outcome(gateway.request('GET', '/any/1', { token })), 200);
  await gateway.reload({ ...wishes, files: { ...wishes.files, 'issuer.secret': 'wr0ng' } });
  assert.equal(await outcome(gateway.request('GET', '/any/1', { token })), 'issuer_unavailable');
  await gateway.reload(wishes);
  assert.equal(await outcome(gateway.request('GET', '/any/1', { token })), 200);
  await gateway.logged({ msg: 'the issuer answers about tokens again', issuer: 'login' });
});

describe('with always', () => {
  /** An issuer of JWTs whose answers the test gives. */
  async function startAlways(t: TestContext): Promise<{ gateway: TestGateway; says: { body: object; seen: number } }> {
    const issuer = await startUpstream(t);
    const says = { body: { active: true } as object, seen: 0 };
    issuer.answer = (_request, response) => {
      says.seen += 1;
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(says.body));
    };
    const introspection = `endpoint: "${issuer.origin}/introspect", client_id: gateway, client_secret_file: issuer.secret, always: true, cache: 0s`;
    const gateway = await startTestGateway(t, {
      listener: LISTENER,
      routes: ROUTES,
      issuers: `login: { issuer: "${ISSUER}", audience: ["${AUDIENCE}"], keys: { jwks_file: keys.json }, introspection: { ${introspection} } }`,
      files: { 'issuer.secret': 'secret' },
    });
    return { gateway, says };
  }

  test('a JWT has to be signed and active', async (t) => {
    const { gateway, says } = await startAlways(t);
    assert.equal(await outcome(dpop(gateway, 'GET', '/dpop/1')), 200);
    says.body = { active: false };
    assert.equal(await outcome(dpop(gateway, 'GET', '/dpop/1')), 'token_inactive');
    says.body = { active: true, cnf: { jkt: THIEF.jkt } };
    assert.equal(await outcome(dpop(gateway, 'GET', '/dpop/1')), 'token_claim_invalid');
    assert.equal(says.seen, 3);
    const forged = (await issue(gateway, TO_KEY)).replace(/.{8}$/, 'AAAAAAAA');
    assert.equal(await outcome(dpop(gateway, 'GET', '/dpop/1', { token: forged })), 'token_signature_invalid');
    assert.equal(says.seen, 3, 'nobody is asked about a forged token');
  });
});

test('an opaque token whose issuer names no exp has no identity field for it and passes', async (t) => {
  const issuer = await startUpstream(t);
  issuer.answer = (_request, response) =>
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end('{"active":true,"token_type":"Bearer","sub":"alice"}');
  const gateway = await startTestGateway(t, {
    routes: `
- name: any
  match: { path: /any/* }
  upstream: orders
  require: token
  weaker_than_defaults: [require]
  forward: { identity: { X-Auth-Subject: sub, X-Auth-Expires: "@expires", X-Auth-Issuer: "@issuer" } }
`,
    issuers: `login: { issuer: "${ISSUER}", audience: ["${AUDIENCE}"], keys: { jwks_file: keys.json }, introspection: { endpoint: "${issuer.origin}", client_id: g, client_secret_file: s } }`,
    files: { s: 'secret' },
  });
  assert.equal(await outcome(gateway.request('GET', '/any/1', { token: 'opaque' })), 200);
  const { fields } = gateway.upstream.seen.at(-1) ?? assert.fail();
  assert.deepEqual([fields.one('x-auth-subject'), fields.one('x-auth-expires')], ['alice', undefined]);
});
