// The example proofs of RFC 9449, read as printed, with the verdicts of both judges.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LRUCache } from 'lru-cache';
import { verifyProof } from '../../src/proof/dpop-proof.ts';
import { NonceKeys } from '../../src/proof/nonce.ts';
import { verifySignature } from '../../src/jose/algorithms.ts';
import { importProofKey, readProofKey } from '../../src/jose/jwk.ts';
import { Rejection } from '../../src/rejection/rejection.ts';
import { readCompactJws } from '../../src/jose/jws.ts';
import { sha256 } from '../../src/jose/thumbprint.ts';
import { DPOP_RULES } from '../support/enforcing.ts';
import vectors from '../vectors/rfc9449.json' with { type: 'json' };
import { judgeProof } from './rfc9449.ts';

for (const { name, proof, header, claims } of vectors.examples) {
  test(`${name} is read as printed and signed by the key to which the example token is bound`, () => {
    const jws = readCompactJws(proof);
    assert.ok(jws !== undefined);
    assert.deepEqual([jws.header, jws.payload], [header, claims]);
    const key = importProofKey(header.jwk, header.alg, readProofKey(header.jwk, header.alg) ?? '');
    assert.ok(key !== undefined && verifySignature(key, jws.signingInput, jws.signature));
    assert.equal(key.thumbprint, vectors.jkt);
  });

  const atResource = 'ath' in claims;
  test(`${name} is ${atResource ? 'verified' : 'refused at a resource, because it has no ath'}, by us and by the other judge`, async () => {
    const request = { method: claims.htm, jkt: vectors.jkt, now: claims.iat + 5 };
    const ours = verifyProof(proof, {
      ...request,
      ath: sha256(vectors.access_token),
      targetUri: claims.htu,
      rules: DPOP_RULES,
      rememberedSince: 0,
      rememberFor: 75,
      shorterMemories: [],
      nonces: new NonceKeys([], 120),
      keys: new LRUCache({ max: 1 }),
    });
    const theirs = await judgeProof(proof, {
      ...request,
      accessToken: vectors.access_token,
      ...DPOP_RULES,
      uri: claims.htu,
      nonces: new Set(),
      nonceRequired: false,
    });
    assert.equal(theirs, atResource ? 'accepted' : '3');
    if (atResource) assert.ok(!(ours instanceof Rejection) && ours.jti === claims.jti);
    else assert.ok(ours instanceof Rejection && ours.reason === 'proof_malformed' && ours.facts.what === 'ath');
  });
}
