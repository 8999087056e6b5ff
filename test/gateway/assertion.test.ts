// The signed assertion, verified by jose with the keys of the telemetry port.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, jwtVerify } from 'jose';
import { ISSUER_KEY, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { signParts } from '../support/tokens.ts';
import { CLIENT, dpop, HOLDER, issue, SUBJECT, TO_BOTH, TO_CERTIFICATE, TO_KEY } from './credentials.ts';

const ROUTES = `
- { name: dpop, match: { path: /dpop/* }, upstream: orders, require: sender-constrained }
- name: strip
  match: { path: /v1/* }
  upstream: orders
  require: dpop
  rewrite: { strip_prefix: /v1 }
  forward: { assertion: { field: X-Assertion, key_files: [second.jwk], audience: "urn:orders", claims: [sub, uid], lifetime: 5s } }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
`;
const MORE = `drain: { delay: 0s, grace: 5s }
defaults: { forward: { assertion: { field: X-Assertion, key_files: [first.pem, second.jwk], issuer: "https://gateway.internal" } } }`;

const pem = () =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });
const jwk = () =>
  JSON.stringify({ ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }), kid: 'second' });

const start = (t: Parameters<typeof startTestGateway>[0], more = MORE) =>
  startTestGateway(t, {
    listener: 'client_certificate: { request: optional, ca_file: clients.pem }',
    routes: ROUTES,
    more,
    files: { 'first.pem': pem(), 'second.jwk': jwk() },
  });

async function verified(gateway: TestGateway, audience = 'orders') {
  const text = gateway.upstream.seen.at(-1)?.fields.one('X-Assertion') ?? assert.fail('no assertion');
  const keys = JSON.parse((await gateway.page('/assertion-keys')).body) as JSONWebKeySet;
  assert.ok(keys.keys.every((key) => !('d' in key)));
  // As when it was made: it lasts for seconds, and a slow machine may take them.
  const currentDate = new Date((decodeJwt(text).iat ?? 0) * 1000);
  return await jwtVerify(text, createLocalJWKSet(keys), { audience, typ: 'holdfast-assertion+jwt', currentDate });
}

describe('an assertion', () => {
  test('states method, URI, sender and how its key was shown', async (t) => {
    const gateway = await start(t);
    assert.equal((await dpop(gateway, 'POST', '/dpop/a%20b?x=1', { body: 'x' })).status, 200);
    const { payload, protectedHeader } = await verified(gateway);
    assert.equal(protectedHeader.alg, 'ES256');
    const { iss, sub, htm, htu, cnf, shown, iat = 0, exp = 0, jti } = payload;
    assert.deepEqual(
      { iss, sub, htm, htu, cnf, shown },
      {
        iss: 'https://gateway.internal',
        sub: SUBJECT,
        htm: 'POST',
        htu: 'https://api.example.com/dpop/a%20b',
        cnf: { jkt: HOLDER.jkt },
        shown: 'dpop',
      },
    );
    assert.equal(exp - iat, 30);
    assert.match(jti ?? '', /^[0-9a-f-]{36}$/);
  });

  test('names both bindings where both were shown, and the certificate alone where that is it', async (t) => {
    const gateway = await start(t);
    await dpop(gateway, 'GET', '/dpop/1', { claims: TO_BOTH, client: CLIENT });
    assert.deepEqual((await verified(gateway)).payload['cnf'], TO_BOTH.cnf);
    await gateway.request('GET', '/dpop/1', { token: await issue(gateway, TO_CERTIFICATE), client: CLIENT });
    const { payload } = await verified(gateway);
    assert.deepEqual([payload['cnf'], payload['shown']], [TO_CERTIFICATE.cnf, 'mtls']);
  });

  test('of a route has its own key, audience and claims, the path as the upstream gets it, and integers digit by digit', async (t) => {
    const gateway = await start(t);
    const [head = '', claims = ''] = (await issue(gateway, { ...TO_KEY, uid: 'here' }))
      .split('.')
      .map((part) => Buffer.from(part, 'base64url').toString());
    const token = await signParts(ISSUER_KEY, head, claims.replace('"here"', '9007199254740993'));
    const { status } = await dpop(gateway, 'GET', '/v1/orders', { token });
    assert.equal(status, 200);
    const { payload, protectedHeader } = await verified(gateway, 'urn:orders');
    assert.deepEqual([protectedHeader.alg, protectedHeader.kid], ['EdDSA', 'second']);
    assert.equal(payload['htu'], 'https://api.example.com/orders');
    assert.equal(payload['client_id'], undefined);
    const text = gateway.upstream.seen.at(-1)?.fields.one('X-Assertion') ?? '';
    assert.match(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString(), /"uid":9007199254740993[,}]/);
  });

  test('names the URI that the upstream gets, however the prefix is spelled', async (t) => {
    const gateway = await start(t);
    for (const [path, stripped] of [
      ['/v1;a=b/orders', '/orders'],
      ['/%761;@evil.example/orders;x=1', '/orders;x=1'],
      ['/v1;.evil.example', '/'],
      ['/v1/', '/'],
    ] as const) {
      assert.equal((await dpop(gateway, 'GET', path)).status, 200, path);
      assert.equal(gateway.upstream.seen.at(-1)?.target, stripped);
      assert.equal((await verified(gateway, 'urn:orders')).payload['htu'], `https://api.example.com${stripped}`, path);
    }
  });

  test('about a public route claims nothing of anybody', async (t) => {
    const gateway = await start(t);
    await gateway.request('GET', '/open/1');
    const { payload } = await verified(gateway);
    assert.deepEqual([payload.sub, payload['cnf'], payload['shown']], [undefined, undefined, 'none']);
  });

  test('of a client is removed, on every route', async (t) => {
    const gateway = await start(t);
    for (const path of ['/open/1', '/v1/orders']) {
      const forged = { fields: [['X-Assertion', 'forged']] as const };
      await (path === '/open/1' ? gateway.request('GET', path, forged) : dpop(gateway, 'GET', path, forged));
      assert.notEqual(gateway.upstream.seen.at(-1)?.fields.one('X-Assertion'), 'forged');
    }
    const imitated = await gateway.request('GET', '/open/1', { fields: [['X_Assertion', 'forged']] });
    assert.equal(imitated.reason, 'field_forbidden');
  });

  test('is refused at the start without a key that can sign', async (t) => {
    const weak = MORE.replace('first.pem', 'tls.crt');
    await assert.rejects(
      start(t, weak),
      /defaults\.forward\.assertion\.key_files\[0\]: cannot sign assertions, expected a private key/,
    );
  });
});
