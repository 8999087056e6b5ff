// Signed answers to introspection (RFC 9701): what counts, and hostile answers.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readKeySet } from '../../src/jose/key-set.ts';
import type { JsonObject } from '../../src/jose/jws.ts';
import type { KeySource } from '../../src/token/issuer-signature.ts';
import { readSignedIntrospection } from '../../src/token/signed-introspection.ts';
import { makeIssuer } from '../support/enforcing.ts';
import { AUDIENCE, ISSUER, makeKey, signParts, type TestKey } from '../support/tokens.ts';

const NOW = 1_800_000_000.5;
const KEY = await makeKey('ES256', 'k1');
const STRANGER = await makeKey('ES256', 'k1');
const SAYS = { active: true, sub: 'alice', cnf: { jkt: 'thumbprint' } };
const HEADER = { typ: 'token-introspection+jwt', alg: 'ES256', kid: 'k1' };
const PAYLOAD = { iss: ISSUER, aud: 'gateway', iat: Math.floor(NOW), token_introspection: SAYS };

const keysOf = (...keys: TestKey[]): KeySource => {
  const set = readKeySet({ keys: keys.map(({ jwk }) => jwk) });
  assert.ok(typeof set === 'object');
  return { current: () => set.keys, refreshFor: async () => {} };
};
const answerOf = (payload: JsonObject = {}, header: JsonObject = {}, key = KEY) =>
  signParts(key, { ...HEADER, ...header }, { ...PAYLOAD, ...payload });
const read = async (text: string, keys = keysOf(KEY)) => {
  const answer = await readSignedIntrospection(text, { issuer: makeIssuer(), clientId: 'gateway', keys, now: NOW });
  return 'problem' in answer ? answer.problem : answer.says;
};

/** Why nothing is said. */
const problemOf = async (text: string, keys?: KeySource) => {
  const said = await read(text, keys);
  assert.ok(typeof said === 'string' && said !== 'inactive', JSON.stringify(said));
  return said;
};

describe('a signed answer says', () => {
  test('what stands in token_introspection, and nothing outside it', async () => {
    assert.deepEqual(await read(await answerOf({ cnf: { jkt: 'other' }, active: false, sub: 'mallory' })), SAYS);
    assert.equal(await read(await answerOf({ token_introspection: { active: false } })), 'inactive');
  });

  test('so to the gateway by its client identifier, or by an audience of the issuer', async () => {
    for (const aud of ['gateway', ['other', 'gateway'], AUDIENCE, [AUDIENCE]])
      assert.deepEqual(await read(await answerOf({ aud })), SAYS);
  });

  test('so under typ in any case, also as a whole media type', async () => {
    for (const typ of ['Token-Introspection+JWT', 'application/token-introspection+jwt'])
      assert.deepEqual(await read(await answerOf({}, { typ })), SAYS);
  });

  test('so within a minute, and the tolerance of the issuer', async () => {
    for (const iat of [NOW + 14, NOW, NOW - 74]) assert.deepEqual(await read(await answerOf({ iat })), SAYS);
  });
});

describe('nothing is said by', () => {
  const hostile: Readonly<Record<string, [JsonObject, JsonObject, RegExp]>> = {
    'an answer of another issuer': [{ iss: 'https://evil.example' }, {}, /iss is not/],
    'an answer without issuer': [{ iss: undefined }, {}, /iss is not/],
    'an answer for another server': [{ aud: 'other' }, {}, /aud is neither/],
    'an answer without audience': [{ aud: undefined }, {}, /aud is neither/],
    'an answer for a list in a list': [{ aud: [['gateway']] }, {}, /aud is neither/],
    'an old answer': [{ iat: NOW - 76 }, {}, /iat/],
    'an answer of the future': [{ iat: NOW + 16 }, {}, /iat/],
    'an answer without its time': [{ iat: undefined }, {}, /iat/],
    'an answer with a time that is text': [{ iat: String(NOW) }, {}, /iat/],
    'an answer that expired': [{ exp: NOW - 16 }, {}, /not valid now/],
    'an access token': [{}, { typ: 'at+jwt' }, /typ/],
    'a JWT of no type': [{}, { typ: undefined }, /typ/],
    'an answer that is text': [{ token_introspection: JSON.stringify(SAYS) }, {}, /whether the token is active/],
    'an answer outside the claim': [
      { token_introspection: undefined, active: true },
      {},
      /whether the token is active/,
    ],
    'active: 1': [{ token_introspection: { active: 1 } }, {}, /whether the token is active/],
    'a key that is not the issuer’s': [{}, { kid: 'k2' }, /token_key_unknown/],
    'an algorithm that is not in its list': [{}, { alg: 'ES384' }, /token_algorithm_refused/],
    'no signature': [{}, { alg: 'none' }, /token_algorithm_refused/],
    crit: [{}, { crit: ['x'] }, /not a signed JWT/],
  };
  for (const [name, [payload, header, problem]] of Object.entries(hostile)) {
    test(name, async () => {
      const said = await problemOf(await answerOf(payload, header));
      assert.match(said, problem);
      assert.doesNotMatch(said, /alice|thumbprint/);
    });
  }

  test('a signature by another key, an unsigned answer, an encrypted one', async () => {
    assert.match(await problemOf(await answerOf({}, {}, STRANGER)), /token_signature_invalid/);
    for (const text of ['', '{"active":true}', 'a.b.c', 'eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d'])
      assert.match(await problemOf(text), /not a signed JWT/);
    const twice = JSON.stringify(PAYLOAD).replace('"active":true', '"active":false,"active":true');
    assert.match(await problemOf(await signParts(KEY, HEADER, twice)), /not a signed JWT/);
  });

  test('an issuer whose keys never came', async () => {
    const away: KeySource = { current: () => undefined, refreshFor: async () => {} };
    assert.match(await problemOf(await answerOf(), away), /issuer_unavailable/);
  });
});
