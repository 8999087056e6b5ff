// RFC 8725 for tokens and proofs alike: encodings, key identifiers, kinds of JWT.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LRUCache } from 'lru-cache';
import { Rejection } from '../../src/rejection/rejection.ts';
import { type TokenCache, verifyAccessToken } from '../../src/token/access-token.ts';
import type { KeySource } from '../../src/token/issuer-signature.ts';
import type { Issuer } from '../../src/token/issuer.ts';
import { readKeySet } from '../../src/jose/key-set.ts';
import { dpop, HOLDER, issue, prove, TO_KEY } from '../gateway/credentials.ts';
import { ISSUER_KEY, startTestGateway } from '../support/gateway.ts';
import { makeIssuer } from '../support/issuer-server.ts';
import { makeKey, makeToken, signParts, type TestKey } from '../support/tokens.ts';

const ROUTES =
  '- { name: any, match: { path: /* }, upstream: orders, require: token, weaker_than_defaults: [require] }';

/** The JSON text of a part. */
const textOf = (jws: string, part: 0 | 1) => Buffer.from(jws.split('.')[part] ?? '', 'base64url').toString();

/** Another Unicode encoding of a text, as the bytes that `signParts` would make of it; latin1 keeps them one to one. */
const encodings: Readonly<Record<string, (text: string) => Buffer>> = {
  'UTF-16 little-endian': (text) => Buffer.from(text, 'utf16le'),
  'UTF-16 with a byte order mark': (text) => Buffer.from(`\ufeff${text}`, 'utf16le'),
  'UTF-8 with a byte order mark': (text) => Buffer.from(`\ufeff${text}`),
  'UTF-7': (text) => Buffer.from(text.replaceAll('"', '+ACI-')),
  'Latin-1': (text) => Buffer.from(text.replace('alice', '\xe9').replace('jti":"', 'jti":"\xe9'), 'latin1'),
};

for (const [name, encode] of Object.entries(encodings)) {
  test(`neither a token nor a proof in ${name} is read (§3.7)`, async (t) => {
    const gateway = await startTestGateway(t, { routes: ROUTES });
    const sign = async (jws: string, key: typeof HOLDER) => {
      const input = `${jws.split('.')[0]}.${encode(textOf(jws, 1)).toString('base64url')}`;
      const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
      const signature = await crypto.subtle.sign(algorithm, key.privateKey, Buffer.from(input));
      return `${input}.${Buffer.from(signature).toString('base64url')}`;
    };
    const token = await issue(gateway, TO_KEY);
    const proof = await prove(gateway, token, 'GET', '/1');
    const encoded = await gateway.request('GET', '/1', { token: await sign(token, ISSUER_KEY) });
    assert.equal(encoded.reason, 'token_malformed');
    const proven = await gateway.request('GET', '/1', { token, proof: await sign(proof, HOLDER) });
    assert.equal(proven.reason, 'proof_malformed');
    assert.deepEqual(gateway.upstream.seen, []);
  });
}

test('a kid is compared and nothing else: no query, path or URL is made of it (§3.10)', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  for (const kid of ["k1' OR '1'='1", '../../etc/passwd', 'http://127.0.0.1:1/', '__proto__', 'k1\u0000', '*']) {
    const answer = await gateway.request('GET', '/1', { token: await issue(gateway, {}, { kid }) });
    assert.equal(answer.reason, 'token_key_unknown', kid);
  }
});

test('an access token is not a proof and a proof not an access token, whatever key signed them (§3.12)', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const token = await issue(gateway, TO_KEY);
  assert.equal((await dpop(gateway, 'GET', '/1', { proof: token })).status, 401);
  const claims = JSON.parse(textOf(await prove(gateway, token, 'GET', '/1'), 1));
  const header = { typ: 'dpop+jwt', alg: 'ES256', kid: ISSUER_KEY.jwk.kid };
  const everything = { ...claims, ...JSON.parse(textOf(token, 1)), cnf: undefined };
  const proof = await signParts(ISSUER_KEY, header, everything);
  assert.equal((await gateway.request('GET', '/1', { token: proof })).reason, 'token_type_refused');
  assert.deepEqual(gateway.upstream.seen, []);
});

test('the key of one issuer signs nothing for another, though both are issuers of the route (§3.8)', async () => {
  const now = 1_800_000_000;
  const keys = { login: await makeKey('ES256', 'k1'), partner: await makeKey('ES256', 'k1') };
  const sets = new Map<string, KeySource>();
  for (const [name, { jwk }] of Object.entries(keys)) {
    const set = readKeySet({ keys: [jwk] });
    const loaded = typeof set === 'string' ? assert.fail(set) : set.keys;
    sets.set(name, { current: () => loaded, refreshFor: async () => {} });
  }
  const issuers = Object.keys(keys).map((name) =>
    makeIssuer({ from: 'jwks_file', file: 'keys.json' }, { name, issuer: `https://${name}.example.com` }),
  );
  const reasonOf = async (iss: string, key: TestKey) => {
    const token = await makeToken(key, now, { claims: { iss: `https://${iss}.example.com` } });
    const cache: TokenCache = new LRUCache({ max: 10 });
    const keysOf = ({ name }: Issuer) => sets.get(name) ?? assert.fail(name);
    const result = await verifyAccessToken(token, {
      issuers,
      audience: undefined,
      now,
      keysOf,
      cache,
      introspect: () => 'unavailable',
      client: undefined,
    });
    return result instanceof Rejection ? result.reason : result.issuer.name;
  };
  assert.equal(await reasonOf('partner', keys.partner), 'partner');
  assert.equal(await reasonOf('login', keys.partner), 'token_signature_invalid');
  assert.equal(await reasonOf('partner', keys.login), 'token_signature_invalid');
});
