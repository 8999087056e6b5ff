// RFC 8725 where one rule holds for access tokens and proofs alike: encodings, key identifiers and the kinds of JWT.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dpop, HOLDER, issue, prove, TO_KEY } from '../gateway/credentials.ts';
import { ISSUER_KEY, startTestGateway } from '../support/gateway.ts';
import { signParts } from '../support/tokens.ts';

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

test('an access token is no proof and a proof no access token, whoever signed them (§3.12)', async (t) => {
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
