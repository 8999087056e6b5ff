// The FAPI example at work: tokens bound by DPoP and by certificate, and revoked ones.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { SERVER } from '../support/gateway.ts';
import { active, type Asked, answering, JSON_FIELDS } from '../support/introspector.ts';
import { json, serve, site } from '../support/issuer-server.ts';
import { makeCa, makeCertificate } from '../support/pki.ts';
import { makeKey } from '../support/tokens.ts';
import { makeIntrospectionKey } from './fapi-page.ts';
import { issue, prove, startExample, THIEF } from './example.ts';

const CA = await makeCa({ subject: 'CN=Clients' });
const CLIENT = await makeCertificate({ names: ['client.example.net'], ca: CA });
const OTHER_CLIENT = await makeCertificate({ names: ['other.example.net'], ca: CA });
const API = await makeCertificate({ names: ['api.example.com'], ca: SERVER.issuer!, key: 'RSA' });
const GATEWAY = makeIntrospectionKey();
/** As the page has it: PS256, ES256 or EdDSA, and nothing else. */
const BANK_KEY = await makeKey('PS256', 'bank');
const WEAK_KEY = await makeKey('RS256', 'weak');

export const FAPI_FILES: Readonly<Record<string, string>> = {
  'tls/tls.crt': API.chain,
  'tls/tls.key': API.key,
  'tls/clients.pem': CA.cert,
  'secrets/introspection.jwk': GATEWAY.privateJwk,
};

/** An authorization server that answers about its tokens; those in `revoked` are not active any more. */
async function startBank(t: TestContext) {
  const server = await serve(t);
  const [asked, revoked]: [Asked[], Set<string | null>] = [[], new Set()];
  const pages = site({
    '/.well-known/openid-configuration': {
      issuer: server.origin,
      jwks_uri: `${server.origin}/keys`,
      introspection_endpoint: `${server.origin}/introspection`,
    },
    '/keys': { keys: [BANK_KEY.jwk, WEAK_KEY.jwk] },
  });
  const introspection = answering(asked, (request, response) => {
    const is = revoked.has(asked.at(-1)?.body.get('token') ?? null) ? json({ active: false }, JSON_FIELDS) : active();
    is(request, response);
  });
  server.answer = (request, response) =>
    request.url === '/introspection' ? introspection(request, response) : pages(request, response);
  return { issuer: server.origin, asked, revoked };
}

export async function playFapi(t: TestContext, files: Readonly<Record<string, string>>): Promise<void> {
  const bank = await startBank(t);
  const env = { BANK_ISSUER: bank.issuer };
  const { call, upstream } = await startExample(t, 'fapi.yaml', files, ['ACCOUNTS_URL', 'WALLET_URL'], env);
  const send = async (token: string, method: string, path: string, wishes = {}) => {
    const { reason, status, fields } = await call(method, path, { ...(await prove(token, method, path, wishes)) });
    return { reason: reason ?? status, nonce: fields.one('DPoP-Nonce') };
  };
  const toKey = (scope: string, key = BANK_KEY) => issue(bank.issuer, { scope }, key);
  const toCertificate = (scope: string) =>
    issue(bank.issuer, { scope, cnf: { 'x5t#S256': CLIENT.thumbprint } }, BANK_KEY);

  // DPoP, with the nonce that the first answer brings.
  const token = await toKey('accounts');
  const { reason, nonce } = await send(token, 'GET', '/accounts/1');
  assert.equal(reason, 'nonce_required');
  assert.equal((await send(token, 'GET', '/accounts/1', { nonce })).reason, 200);
  assert.equal((await send(token, 'GET', '/accounts/1', { nonce, key: THIEF })).reason, 'proof_key_mismatch');
  assert.equal(
    (await send(await toKey('accounts', WEAK_KEY), 'GET', '/accounts/1', { nonce })).reason,
    'token_algorithm_refused',
  );
  assert.equal((await send(await toKey('other'), 'GET', '/accounts/1', { nonce })).reason, 'scope_insufficient');

  // A certificate, on both kinds of route; a route for certificates takes nothing else.
  const bound = await toCertificate('accounts payments');
  assert.equal((await call('GET', '/accounts/1', { token: bound, client: CLIENT })).status, 200);
  const id = [['x-fapi-interaction-id', '73cac523-d3ae-2289-b106-330a6218710d'] as const];
  upstream.answer = ({ headers }, response) =>
    response.writeHead(201, { 'x-fapi-interaction-id': String(headers['x-fapi-interaction-id']) }).end();
  const paid = await call('POST', '/payments/1', { token: bound, client: CLIENT, fields: id });
  assert.deepEqual([paid.status, paid.fields.one('x-fapi-interaction-id')], [201, id[0]?.[1]]);
  assert.equal(
    (await call('POST', '/payments/1', { token: bound, client: OTHER_CLIENT })).reason,
    'certificate_mismatch',
  );
  const unpaid = await call('POST', '/payments/1', { token: bound, fields: id });
  assert.deepEqual([unpaid.reason, unpaid.fields.one('x-fapi-interaction-id')], ['certificate_missing', id[0]?.[1]]);
  assert.equal((await send(await toKey('payments'), 'POST', '/payments/1', { nonce })).reason, 'binding_required');
  const unbound = await issue(bank.issuer, { scope: 'accounts', cnf: undefined }, BANK_KEY);
  assert.equal((await call('GET', '/accounts/1', { token: unbound })).reason, 'binding_required');

  // OpenID4VCI: a credential for a bound token, c_nonce for everybody.
  assert.equal((await send(await toKey('credential'), 'POST', '/credential', { nonce })).reason, 201);
  assert.equal((await call('POST', '/nonce')).status, 201);

  // Every token was asked about by a client whose assertion verifies under the published JWK; a revoked one is refused.
  const keys = createLocalJWKSet(JSON.parse(GATEWAY.publishedJwks));
  for (const { body } of bank.asked) {
    const { payload } = await jwtVerify(body.get('client_assertion') ?? '', keys, { audience: bank.issuer });
    assert.deepEqual([payload.iss, payload.sub, body.get('client_id')], ['api-gateway', 'api-gateway', 'api-gateway']);
  }
  const revoked = await toKey('accounts');
  bank.revoked.add(revoked);
  assert.equal((await send(revoked, 'GET', '/accounts/1', { nonce })).reason, 'token_inactive');
  assert.equal(upstream.seen.length, 5);
}
