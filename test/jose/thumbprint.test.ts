// Thumbprints: equal to the examples of the RFCs and to what jose computes.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { calculateJwkThumbprint } from 'jose';
import { jwkThumbprint, sha256 } from '../../src/jose/thumbprint.ts';
import { makeKey } from '../support/tokens.ts';

const vector = (name: string) => JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'));

test('the example of RFC 7638 §3.1, whose optional members do not count', () => {
  const { jwk, thumbprint } = vector('rfc7638');
  assert.equal(jwkThumbprint(jwk), thumbprint);
});

test('ath and jkt of the examples of RFC 9449', () => {
  const { access_token: token, ath, jkt, examples } = vector('rfc9449');
  assert.equal(sha256(token), ath);
  assert.ok(
    examples.some((one: { header: { jwk: Record<string, unknown> } }) => jwkThumbprint(one.header.jwk) === jkt),
  );
});

test('equal to jose for every key type', async () => {
  for (const alg of ['ES256', 'ES384', 'ES512', 'EdDSA', 'RS256']) {
    const { jwk } = await makeKey(alg);
    assert.equal(jwkThumbprint({ ...jwk, kid: 'x', use: 'sig' }), await calculateJwkThumbprint(jwk));
  }
});
