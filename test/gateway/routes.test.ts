// One host with several policies: issuers, paths, methods and a shadow.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRouteTable } from '../../src/policy/route-table.ts';
import { startTestGateway } from '../support/gateway.ts';
import { makeKey, makeToken } from '../support/tokens.ts';
import { dpop, issue, TO_KEY } from './credentials.ts';

test('of several issuers on one host, each route takes the tokens of its own', async (t) => {
  const partnerKey = await makeKey('ES256', 'k1'); // the kid of the other issuer's key
  const gateway = await startTestGateway(t, {
    files: { 'partner.json': JSON.stringify({ keys: [partnerKey.jwk] }) },
    issuers: `login: { issuer: https://login.example.com, audience: [https://api.example.com], keys: { jwks_file: keys.json } }
partner: { issuer: https://partner.example.net, audience: [https://api.example.com], keys: { jwks_file: partner.json } }`,
    routes: `
- { name: ours, match: { path: /ours/* }, upstream: orders, issuers: [login], require: token, weaker_than_defaults: [require] }
- { name: theirs, match: { path: /theirs/* }, upstream: orders, issuers: [partner], require: token, weaker_than_defaults: [require] }
- { name: both, match: { path: /both/* }, upstream: orders, issuers: [login, partner], require: token, weaker_than_defaults: [require] }`,
  });
  const ask = async (path: string, token: string) => {
    const { status, reason } = await gateway.request('GET', path, { token });
    return reason ?? status;
  };
  const theirs = (claims = {}) => makeToken(partnerKey, gateway.now(), { claims });
  const [login, partner] = [await issue(gateway), await theirs({ iss: 'https://partner.example.net' })];
  const seenIssuer = () => gateway.upstream.seen.at(-1)?.fields.one('x-auth-issuer');

  assert.deepEqual([await ask('/ours/1', login), seenIssuer()], [200, 'https://login.example.com']);
  assert.deepEqual([await ask('/theirs/1', partner), seenIssuer()], [200, 'https://partner.example.net']);
  assert.deepEqual([await ask('/both/1', login), await ask('/both/1', partner)], [200, 200]);
  // Also after both were verified and cached.
  assert.deepEqual(
    [await ask('/ours/1', partner), await ask('/theirs/1', login)],
    ['token_issuer_unknown', 'token_issuer_unknown'],
  );
  assert.equal(await ask('/both/1', await theirs()), 'token_signature_invalid', "one issuer's key in another's name");
});

test('path and method choose one policy, and nothing falls through to a weaker one', async (t) => {
  const gateway = await startTestGateway(t, {
    routes: `
- { name: read, match: { path: /orders/*, methods: [GET] }, upstream: orders, require: token, scope: [orders:read], weaker_than_defaults: [require] }
- { name: write, match: { path: /orders/*, methods: [POST] }, upstream: orders, require: dpop, scope: [orders:write] }
- { name: admin, match: { path: /orders/admin/*, methods: [GET] }, upstream: orders, require: dpop, audience: [https://api.example.com/admin] }
- { name: all, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }`,
  });
  const bearer = { token: await issue(gateway) };
  const outcome = async (method: string, path: string) => {
    const { status, reason } = await gateway.request(method, path, bearer);
    return reason ?? status;
  };
  assert.deepEqual(
    [
      await outcome('GET', '/orders/1'),
      await outcome('GET', '/%6Frders/1'),
      await outcome('POST', '/orders/1'),
      await outcome('GET', '/orders/admin/1'),
      await outcome('GET', '/orders/admin;x=1/1'),
      await outcome('DELETE', '/orders/1'),
      await outcome('POST', '/orders/admin/1'),
      await outcome('DELETE', '/else'),
    ],
    [
      200,
      200,
      'binding_required',
      'token_audience_mismatch',
      'token_audience_mismatch',
      'method_not_allowed',
      'method_not_allowed',
      200,
    ],
  );
  const claims = { scope: 'orders:write', aud: ['https://api.example.com', 'https://api.example.com/admin'] };
  assert.equal((await dpop(gateway, 'POST', '/orders/1', { claims })).status, 200);
  assert.equal((await dpop(gateway, 'GET', '/orders/admin/1', { claims })).status, 200);
});

test('a shadow is counted and logged, and nothing else is different', async (t) => {
  const plain = 'upstream: orders, require: token, weaker_than_defaults: [require]';
  const gateway = await startTestGateway(t, {
    listener: 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }',
    routes: `
- { name: plain, match: { path: /plain/* }, ${plain} }
- { name: nonce, match: { path: /nonce/* }, ${plain}, shadow: { require: dpop, dpop: { nonce: required } } }
- { name: mtls, match: { path: /mtls/* }, ${plain}, shadow: { require: mtls } }`,
  });
  const shadowed = (labels = {}) => gateway.count('holdfast_rejections_total', { mode: 'shadow', ...labels });
  const fieldNames = (lines: readonly (readonly [string, string])[]) => lines.map(([name]) => name);

  await t.test('a request that the shadow would refuse passes like on a route without one', async () => {
    const token = await issue(gateway);
    const without = await gateway.request('GET', '/plain/1', { token });
    const answer = await gateway.request('GET', '/mtls/1', { token });
    assert.deepEqual([answer.status, answer.body], [200, without.body]);
    assert.deepEqual(fieldNames(answer.fields.lines), fieldNames(without.fields.lines));
    const [one, other] = gateway.upstream.seen.slice(-2);
    const withoutId = (seen = one) => seen?.fields.lines.filter(([name]) => name !== 'X-Request-Id');
    assert.deepEqual(withoutId(one), withoutId(other));
    const ids = [without, answer].map(({ fields }) => fields.one('X-Request-Id'));
    assert.deepEqual(
      [one, other].map((seen) => seen?.fields.one('X-Request-Id')),
      ids,
    );
    const line = await gateway.logged({ msg: 'request', route: 'mtls' });
    assert.equal(line['outcome'], 'forwarded');
    assert.deepEqual(line['shadow'], { reason: 'binding_required', stage: 'binding', facts: { what: 'x5t#S256' } });
    assert.equal(await shadowed({ route: 'mtls', reason: 'binding_required', stage: 'binding' }), 1);
  });
  await t.test('it mints no challenge, and remembers no proof', async () => {
    const answer = await dpop(gateway, 'GET', '/nonce/1');
    assert.deepEqual(
      [answer.status, answer.fields.all('dpop-nonce'), answer.fields.all('www-authenticate')],
      [200, [], []],
    );
    assert.equal(await gateway.count('holdfast_replay_entries'), 1, 'the one of the real demand');
    await gateway.logged({ msg: 'request', route: 'nonce' });
    assert.equal(await shadowed({ route: 'nonce', reason: 'nonce_required', stage: 'proof' }), 1);
    assert.equal(await gateway.count('holdfast_nonce_challenges_total'), 0);
  });
  await t.test('a request that is refused anyway is not counted twice (docs/decisions/0010)', async () => {
    const before = await shadowed();
    const token = await issue(gateway, TO_KEY);
    assert.equal((await gateway.request('GET', '/mtls/1', { token })).reason, 'binding_downgraded');
    assert.equal(await shadowed(), before);
  });
});

test('a shadow that fails is logged and changes nothing for a request that was permitted', async (t) => {
  const gateway = await startTestGateway(t, {
    routes: `- { name: orders, match: { path: /orders/* }, upstream: orders, require: token, weaker_than_defaults: [require],
  shadow: { require: dpop } }`,
    adjust: (policy) => {
      const routes = policy.routes.map((route) => ({
        ...route,
        shadow: { ...route.demand, issuers: undefined as never },
      }));
      const compiled = compileRouteTable(routes, [{ name: 'public' }]);
      assert.ok('table' in compiled);
      return { ...policy, routes, routeTable: compiled.table };
    },
  });
  const answer = await gateway.request('GET', '/orders/1', { token: await issue(gateway) });
  assert.deepEqual([answer.status, answer.body], [200, 'from the upstream']);
  const line = await gateway.logged({ msg: 'a shadow demand could not be evaluated' });
  assert.equal((line['error'] as { name: string }).name, 'TypeError');
  assert.doesNotMatch(JSON.stringify(line), /Cannot read properties/, 'a message may quote a token');
});
