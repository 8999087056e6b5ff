// The table of JWS algorithms: names, lists and keys.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import {
  admitsAlgorithm,
  ALGORITHMS,
  algorithmsOfKey,
  REQUIRED_MEMBERS,
  verifySignature,
} from '../../src/jose/algorithms.ts';

describe('a list', () => {
  test('admits what it names, and Ed25519 by both of its names', () => {
    for (const alg of ALGORITHMS.keys()) {
      assert.ok(admitsAlgorithm([alg], alg));
      const others = [...ALGORITHMS.keys()].filter((one) => ALGORITHMS.get(one) !== ALGORITHMS.get(alg));
      assert.ok(!admitsAlgorithm(others, alg), alg);
    }
    assert.ok(admitsAlgorithm(['ES256', 'EdDSA'], 'Ed25519'));
    assert.ok(admitsAlgorithm(['Ed25519'], 'EdDSA'));
  });

  test('admits nothing that is not in the table, even where it names it', () => {
    for (const alg of ['none', 'HS256', 'es256', '', 'constructor', 'Ed448'])
      assert.ok(!admitsAlgorithm([alg], alg), alg);
  });
});

test('a key can be used with every algorithm of its type and curve, and with no other', () => {
  assert.deepEqual(algorithmsOfKey('RSA', undefined), ['PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512']);
  assert.deepEqual(algorithmsOfKey('EC', 'P-384'), ['ES384']);
  assert.deepEqual(algorithmsOfKey('OKP', 'Ed25519'), ['EdDSA', 'Ed25519']);
  for (const [kty, crv] of [
    ['RSA', 'P-256'],
    ['EC', undefined],
    ['EC', 'secp256k1'],
    ['OKP', 'X25519'],
    ['oct', undefined],
    [undefined, undefined],
    [['RSA'], undefined],
  ]) {
    assert.deepEqual(algorithmsOfKey(kty, crv), []);
  }
  for (const { kty } of ALGORITHMS.values()) assert.deepEqual(REQUIRED_MEMBERS[kty].toSorted(), REQUIRED_MEMBERS[kty]);
});

test('nothing that is not in the table verifies, nor a signature of another length', () => {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
  for (const alg of ['none', 'HS256', '__proto__', ''])
    assert.ok(!verifySignature({ alg, key }, 'a.b', Buffer.alloc(64)));
  for (const length of [0, 63, 64, 65, 72])
    assert.ok(!verifySignature({ alg: 'ES256', key }, 'a.b', Buffer.alloc(length)));
});
