// Protected resource metadata (RFC 9728): served, challenged, and true.

import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { calculateJwkThumbprint, exportJWK, jwtVerify } from 'jose';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { ISSUER } from '../support/tokens.ts';

const ROUTES = `
- name: read
  match: { path: /orders/*, methods: [GET] }
  upstream: orders
  require: dpop
  scope: [orders:read]
  resource: { identifier: "https://api.example.com/orders", name: Orders, documentation: "https://docs.example.com/orders" }
- name: write
  match: { path: /orders/*, methods: [POST] }
  upstream: orders
  require: sender-constrained
  scope: [orders:write]
  resource: { identifier: "https://api.example.com/orders" }
- name: base
  match: { path: /base/* }
  upstream: orders
  require: dpop
  dpop: { algorithms: [ES256] }
  resource: { identifier: "https://api.example.com/", scopes_supported: [a, b] }
- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }
`;
const WELL_KNOWN = '/.well-known/oauth-protected-resource';
const start = (t: Parameters<typeof startTestGateway>[0], more = '') =>
  startTestGateway(t, { routes: `${ROUTES}${more}` });
const documentAt = async (gateway: TestGateway, path: string) => {
  const { status, body, fields } = await gateway.request('GET', path);
  assert.equal(status, 200, path);
  assert.equal(fields.one('Content-Type'), 'application/json');
  return JSON.parse(body) as Record<string, unknown>;
};

describe('the document of a resource', () => {
  test('is at its path form, and says what its routes together demand', async (t) => {
    const gateway = await start(t);
    assert.deepEqual(await documentAt(gateway, `${WELL_KNOWN}/orders`), {
      resource: 'https://api.example.com/orders',
      authorization_servers: [ISSUER],
      scopes_supported: ['orders:read', 'orders:write'],
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: ['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256'],
      resource_name: 'Orders',
      resource_documentation: 'https://docs.example.com/orders',
    });
  });

  test('of an identifier without a path is at the bare well-known path; the demand of all its routes is stated', async (t) => {
    const gateway = await start(t);
    assert.deepEqual(await documentAt(gateway, WELL_KNOWN), {
      resource: 'https://api.example.com/',
      authorization_servers: [ISSUER],
      scopes_supported: ['a', 'b'],
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: ['ES256'],
      dpop_bound_access_tokens_required: true,
    });
  });

  test('is where clients ask for it, however the identifier is spelled', async (t) => {
    const more =
      '- { name: spelled, match: { path: /spelled/* }, upstream: orders, require: dpop, resource: { identifier: "https://API.example.com:443/%73pelled/%c3%a9?v=%7E" } }\n';
    const gateway = await start(t, more);
    for (const path of ['/spelled/%C3%A9?v=%7E', '/%73pelled/%c3%a9?v=%7E'])
      assert.equal(
        (await documentAt(gateway, `${WELL_KNOWN}${path}`))['resource'],
        'https://API.example.com:443/%73pelled/%c3%a9?v=%7E',
      );
    for (const path of ['/spelled/%C3%A9', '/spelled/%C3%A9?v=~', '/spelled/%C3%A8?v=%7E', '/Spelled/%C3%A9?v=%7E'])
      assert.equal((await gateway.request('GET', `${WELL_KNOWN}${path}`)).body, 'from the upstream', path);
  });

  test('is named in every challenge of its routes, behind the error', async (t) => {
    const gateway = await start(t);
    const { fields } = await gateway.request('GET', '/orders/1');
    assert.match(
      fields.one('WWW-Authenticate') ?? '',
      /, resource_metadata="https:\/\/api\.example\.com\/\.well-known\/oauth-protected-resource\/orders"$/,
    );
    const open = await gateway.request('GET', '/orders', { token: 'x' });
    assert.match(open.fields.all('WWW-Authenticate').join(), /^DPoP error="invalid_token"|^Bearer/);
  });

  test('is readable by pages of any origin, answers HEAD and preflights, and takes no other method', async (t) => {
    const gateway = await start(t);
    const origin = ['Origin', 'https://app.example.net'] as const;
    const { fields } = await gateway.request('GET', WELL_KNOWN, { fields: [origin] });
    assert.equal(fields.one('Access-Control-Allow-Origin'), '*');
    assert.equal((await gateway.request('HEAD', WELL_KNOWN)).body, '');
    const asked = ['Access-Control-Request-Method', 'GET'] as const;
    const preflight = await gateway.request('OPTIONS', WELL_KNOWN, {
      fields: [origin, asked, ['Access-Control-Request-Headers', 'mcp-protocol-version']],
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.fields.one('Access-Control-Allow-Headers'), '*');
    const post = await gateway.request('POST', WELL_KNOWN, { body: 'x' });
    assert.deepEqual([post.status, post.fields.one('Allow')], [405, 'GET, HEAD, OPTIONS']);
    assert.equal(gateway.upstream.seen.length, 0);
  });

  test('has a signed copy of everything in it, and of nothing else, where it is asked for', async (t) => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const signed = (path: string, more = '') =>
      `- { name: "${path}", match: { path: "/${path}" }, upstream: orders, require: dpop, resource: { identifier: "https://api.example.com/${path}", signed_metadata: { key_file: metadata.pem${more} } } }\n`;
    const gateway = await startTestGateway(t, {
      routes: `${ROUTES}${signed('own')}${signed('vouched', ', issuer: "https://trust.example.net"')}`,
      files: { 'metadata.pem': privateKey.export({ type: 'pkcs8', format: 'pem' }) },
    });
    for (const [path, issuer] of [
      ['own', 'https://api.example.com/own'],
      ['vouched', 'https://trust.example.net'],
    ] as const) {
      const { signed_metadata: jws, ...plain } = await documentAt(gateway, `${WELL_KNOWN}/${path}`);
      const { payload, protectedHeader } = await jwtVerify(String(jws), publicKey);
      const { iss, iat, ...claims } = payload;
      assert.equal(iss, issuer);
      assert.ok(Math.abs(gateway.now() - Number(iat)) < 60);
      assert.deepEqual(claims, plain);
      assert.equal(protectedHeader.kid, await calculateJwkThumbprint(await exportJWK(publicKey)));
      const { privateKey: other } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      await assert.rejects(jwtVerify(String(jws), createPublicKey(other)), /signature verification failed/);
    }
    assert.equal((await documentAt(gateway, `${WELL_KNOWN}/orders`)).signed_metadata, undefined);
  });

  test('exists for configured identifiers alone: other paths are the upstream’s', async (t) => {
    const gateway = await start(t);
    for (const path of [`${WELL_KNOWN}/other`, `${WELL_KNOWN}/orders/`, `${WELL_KNOWN}x`, '/.well-known/other']) {
      const { body } = await gateway.request('GET', path);
      assert.equal(body, 'from the upstream', path);
    }
  });
});

describe('a configuration', () => {
  const problem = async (t: Parameters<typeof startTestGateway>[0], more: string) =>
    await start(t, more).then(
      () => 'none',
      (error: unknown) => String(error),
    );
  const route = (resource: string) =>
    `- { name: x, match: { path: /x/* }, upstream: orders, require: dpop, resource: ${resource} }\n`;

  test('whose identifier is at another origin than its listeners is refused', async (t) => {
    assert.match(
      await problem(t, route('{ identifier: "https://other.example.com/x" }')),
      /routes\[4\]\.resource\.identifier: is at no origin of a listener of this route, expected one at https:\/\/api\.example\.com/,
    );
  });

  test('that spells another one differently is refused: their documents would be at one place', async (t) => {
    for (const identifier of [
      'https://api.example.com:443/orders',
      'https://API.example.com/orders',
      'https://api.example.com/%6Frders',
    ]) {
      assert.match(
        await problem(t, route(`{ identifier: "${identifier}" }`)),
        /resource\.identifier: has its document where that of https:\/\/api\.example\.com\/orders is \(.*holdfast\.yaml:\d+:\d+\)/,
        identifier,
      );
    }
    assert.match(
      await problem(t, route('{ identifier: "https://api.example.com" }')),
      /that of https:\/\/api\.example\.com\/ is/,
    );
  });

  test('that names one resource in two ways is refused, with both places', async (t) => {
    assert.match(
      await problem(t, route('{ identifier: "https://api.example.com/orders", name: Others }')),
      /resource\.name: differs from what another route says of the same resource \(.*holdfast\.yaml:\d+:\d+\)/,
    );
  });

  test('whose key cannot sign metadata is refused, and so are two signers of one resource', async (t) => {
    const key = (namedCurve: string) =>
      generateKeyPairSync('ec', { namedCurve }).privateKey.export({ type: 'pkcs8', format: 'pem' });
    const files = { 'a.pem': key('P-256'), 'b.pem': key('P-256'), 'odd.pem': key('secp256k1'), 'none.pem': '' };
    const start = async (...signed: string[]) =>
      await startTestGateway(t, {
        routes: signed
          .map(
            (one, at) =>
              `- { name: x${at}, match: { path: /x/${at} }, upstream: orders, require: dpop, resource: { identifier: "https://api.example.com/x", signed_metadata: ${one} } }\n`,
          )
          .join(''),
        files,
      }).then(
        () => 'none',
        (error: unknown) => String(error),
      );
    for (const name of ['odd.pem', 'none.pem', 'tls.crt']) {
      const said = await start(`{ key_file: ${name} }`);
      assert.match(
        said,
        /signed_metadata\.key_file: cannot sign metadata \(RFC 9728 §2\.2\), expected a private key/,
        name,
      );
    }
    const differs =
      /routes\[1\]\.resource\.signed_metadata: differs from what another route says of the same resource \(/;
    assert.match(await start('{ key_file: a.pem }', '{ key_file: b.pem }'), differs);
    assert.match(await start('{ key_file: a.pem }', '{ key_file: a.pem, issuer: other }'), differs);
    assert.equal(await start('{ key_file: a.pem }', '{ key_file: a.pem }'), 'none');
  });

  test('whose identifier has a fragment or is not https is refused', async (t) => {
    for (const identifier of ['http://api.example.com/x', 'https://api.example.com/x#y', 'https://u@api.example.com/'])
      assert.match(await problem(t, route(`{ identifier: "${identifier}" }`)), /resource\.identifier: is/, identifier);
  });
});
