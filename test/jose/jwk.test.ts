// Keys of proofs: every algorithm, its hash and padding, and declared uses.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { CompactSign, exportJWK } from 'jose';
import { ALGORITHMS, PRIVATE_MEMBERS, verifySignature } from '../../src/jose/algorithms.ts';
import { importProofKey, readProofKey } from '../../src/jose/jwk.ts';
import type { JsonObject } from '../../src/jose/jws.ts';
import { makeKey, type TestKey } from '../support/tokens.ts';

const jwkOf = (key: TestKey): JsonObject => ({ ...key.jwk });
let key: TestKey;
let rsa: TestKey;
before(async () => {
  key = await makeKey();
  rsa = await makeKey('RS256');
});

for (const alg of ALGORITHMS.keys()) {
  test(`${alg}: what jose signs is verified, anything else is not`, async () => {
    const own = await makeKey(alg);
    const jws = await new CompactSign(Buffer.from('{}')).setProtectedHeader({ alg }).sign(own.privateKey);
    const input = jws.slice(0, jws.lastIndexOf('.'));
    const signature = Buffer.from(jws.slice(input.length + 1), 'base64url');
    const proofKey = importProofKey(jwkOf(own), alg, own.jkt);
    assert.ok(proofKey && verifySignature(proofKey, input, signature));
    assert.ok(!verifySignature(proofKey, `${input}A`, signature));
    assert.equal(readProofKey(own.jwk, alg), own.jkt);
  });
}

test('an algorithm that is not in the table has no keys and verifies nothing', () => {
  const proofKey = importProofKey(jwkOf(key), 'ES256', key.jkt);
  assert.ok(proofKey);
  for (const alg of ['none', 'HS256', 'es256', '']) {
    assert.equal(readProofKey(key.jwk, alg), undefined);
    assert.equal(verifySignature({ ...proofKey, alg }, 'a.b', Buffer.alloc(64)), false);
  }
});

describe('a key that carries a secret is refused, although its public half is good', () => {
  test('a whole private key', async () => {
    const secret = await exportJWK(key.privateKey);
    assert.equal(typeof secret.d, 'string');
    assert.equal(readProofKey(secret, 'ES256'), undefined);
  });
  for (const member of PRIVATE_MEMBERS) {
    test(`the member ${member} alone`, () => {
      assert.equal(readProofKey({ ...rsa.jwk, [member]: 'AQAB' }, 'RS256'), undefined);
      assert.equal(readProofKey({ ...key.jwk, [member]: null }, 'ES256'), undefined);
    });
  }
});

describe('what a key says of its use (RFC 7517 §4.2 to §4.4)', () => {
  for (const says of [{ use: 'sig' }, { key_ops: ['verify'] }, { key_ops: ['sign', 'verify'] }, { alg: 'ES256' }]) {
    test(`${JSON.stringify(says)} is for this`, () =>
      assert.equal(readProofKey({ ...key.jwk, ...says }, 'ES256'), key.jkt));
  }
  for (const says of [
    { use: '' },
    { use: null },
    { key_ops: [] },
    { key_ops: 'verify' },
    { key_ops: [''] },
    { alg: null },
    { alg: '' },
    { alg: ['ES256'] },
    { alg: 'none' },
  ]) {
    test(`${JSON.stringify(says)} is not`, () =>
      assert.equal(readProofKey({ ...key.jwk, ...says }, 'ES256'), undefined));
  }
  test('EdDSA and Ed25519 are one algorithm in a key as well', async () => {
    const okp = await makeKey('EdDSA');
    assert.equal(readProofKey({ ...okp.jwk, alg: 'EdDSA' }, 'Ed25519'), okp.jkt);
  });
});

describe('RSA keys', () => {
  const modulus = (bytes: number, first: number) => Buffer.alloc(bytes, 0xff).fill(first, 0, 1).toString('base64url');
  const uses = (n: unknown, e: unknown) => readProofKey({ kty: 'RSA', n, e }, 'RS256') !== undefined;
  test('of 2048 to 4096 bits are used, of one bit less or more not', () => {
    assert.ok(uses(modulus(256, 0x80), 'AQAB'));
    assert.ok(!uses(modulus(256, 0x7f), 'AQAB'));
    assert.ok(uses(modulus(512, 0xff), 'AQAB'));
    assert.ok(!uses(modulus(513, 0x01), 'AQAB'));
  });
  test('with an odd exponent from 3 to 32 bits are used', () => {
    const exponent = (...bytes: number[]) => Buffer.from(bytes).toString('base64url');
    for (const e of [[3], [1, 0, 1], [0xff, 0xff, 0xff, 0xff]]) assert.ok(uses(modulus(256, 0xff), exponent(...e)));
    for (const e of [[1], [2], [0, 3], [], [1, 0, 0, 0, 1]]) assert.ok(!uses(modulus(256, 0xff), exponent(...e)));
  });
  test('whose numbers are no base64url, or no strings at all, are not used', () => {
    for (const junk of [undefined, null, 5, ['AQAB'], '', '!', 'AQAB=']) {
      assert.ok(!uses(junk, 'AQAB'));
      assert.ok(!uses(modulus(256, 0xff), junk));
    }
  });
});
