// Marks of access tokens: refused kinds, the guess without a mark, marks of issuers.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonObject } from '../../src/jose/jws.ts';
import { checkTokenType } from '../../src/token/access-claims.ts';
import { type AccessTokenMark, contraryClaim, namesAnotherKind } from '../../src/token/token-kind.ts';

const CLAIMS = { iss: 'https://login.example.com', sub: 'alice', exp: 1_800_000_060 };
const says = (claim: string, ...anyOf: (string | boolean)[]) => [
  { claim, anyOf: anyOf.length === 0 ? undefined : anyOf },
];
/** `passes`, or the claim for which it is refused. */
const kindOf = (claims: JsonObject, accessToken?: AccessTokenMark, typ = 'JWT') => {
  const refused = checkTokenType({ typ }, { ...CLAIMS, ...claims }, { requireTyp: false, accessToken });
  if (refused === undefined) return 'passes';
  assert.equal(refused.reason, 'token_type_refused');
  return refused.facts.what;
};

/** A token with the client as its only audience, as Entra ID issues it where client and API are one registration. */
const ONE_REGISTRATION = { aud: 'app-1', azp: 'app-1', scp: 'access_as_user' };
const WITH_NONCE = { aud: 'api', azp: 'spa', nonce: 'n-1', typ: 'Bearer' };

describe('what an issuer marks as another kind is refused whatever is configured, and whatever typ says', () => {
  const others: JsonObject[] = [
    { token_use: 'id' },
    { token_use: 'refresh_token' },
    { token_use: 'ID' },
    { token_use: '' },
    { token_use: null },
    { token_use: ['access'] },
    { typ: 'ID' },
    { typ: 'Refresh' },
    { typ: 'Offline' },
    { typ: 'Logout' },
    { typ: 'Serialized-ID' },
    { typ: 'RegistrationAccessToken' },
    { typ: 'a kind of tomorrow' },
    { token_type: 'refresh' },
    { token_type: 'N_A' },
    { token_type: 'urn:ietf:params:oauth:token-type:id_token' },
    { tokenName: 'id_token' },
    { purpose: 'id' },
    { purpose: 'refresh_token' },
    { tokenType: 'ID token' },
    { token_kind: 'logout_token' },
  ];
  const marks: (AccessTokenMark | undefined)[] = [undefined, 'any', says('aud', 'api'), says('token_use')];
  for (const claims of others) {
    test(JSON.stringify(claims), () => {
      for (const mark of marks) {
        for (const typ of ['JWT', 'at+jwt']) assert.notEqual(kindOf({ aud: 'api', ...claims }, mark, typ), 'passes');
      }
    });
  }
  for (const claims of [
    { purpose: 'access_token' },
    { purpose: 'identity' },
    { tokenType: 'JWTToken' },
    { token_use: 'access' },
    { token_use: 'access_token' },
    { typ: 'Bearer' },
    { typ: 'bearer' },
    { typ: 'DPoP' },
    { typ: 'JWT' },
    { token_type: 'Bearer' },
    { tokenName: 'access_token', token_type: 'Bearer' },
    { type: 'ID', use: 'id' },
  ]) {
    test(`${JSON.stringify(claims)} says nothing against it`, () =>
      assert.equal(kindOf({ aud: 'api', ...claims }), 'passes'));
  }
});

describe('without a mark, what looks like an ID token is refused', () => {
  test('an audience that is the client, and a nonce', () => {
    assert.equal(kindOf(ONE_REGISTRATION), 'aud');
    assert.equal(kindOf(WITH_NONCE), 'nonce');
  });
});

describe('a mark of the issuer', () => {
  test('takes the place of the guess: one registration, a nonce, an audience that is the client', () => {
    assert.equal(kindOf(ONE_REGISTRATION, says('scp')), 'passes');
    assert.equal(kindOf(ONE_REGISTRATION, 'any'), 'passes');
    assert.equal(kindOf(WITH_NONCE, says('typ', 'Bearer', 'DPoP')), 'passes');
    assert.equal(kindOf({ ...WITH_NONCE, typ: 'DPoP' }, says('typ', 'Bearer', 'DPoP')), 'passes');
    assert.equal(kindOf({ client_id: 'app', aud: 'app', nonce: 'n' }, says('client_id')), 'passes');
  });

  test('has to be there, in typ at+jwt too: what lacks it is refused by its name', () => {
    const idToken = { aud: 'app-1', nonce: 'n', email: 'a@example.com' };
    assert.equal(kindOf(idToken, says('scp')), 'scp');
    assert.equal(kindOf(idToken, says('scp'), 'at+jwt'), 'scp');
    assert.equal(kindOf({ ...ONE_REGISTRATION, scp: '' }, says('scp')), 'scp');
    assert.equal(kindOf({ ...ONE_REGISTRATION, scp: [] }, says('scp')), 'scp');
    assert.equal(kindOf({ ...ONE_REGISTRATION, scp: null }, says('scp')), 'scp');
    assert.equal(kindOf({ aud: 'api' }, says('typ', 'Bearer')), 'typ');
    assert.equal(kindOf({ aud: 'api', typ: 'bearer' }, says('typ', 'Bearer')), 'typ');
    assert.equal(kindOf({ aud: 'api', typ: 'ID' }, says('typ', 'Bearer')), 'typ');
    assert.equal(kindOf({ aud: 'api' }, [...says('scp'), ...says('azp')]), 'scp');
    assert.equal(kindOf({ aud: 'api', scp: 'a' }, [...says('scp'), ...says('azp')]), 'azp');
  });

  test('is a value, or any of several, or an item of a list; true is not the text "true"', () => {
    assert.equal(kindOf({ kinds: ['x', 'at'] }, says('kinds', 'at')), 'passes');
    assert.equal(kindOf({ api: true }, says('api', true)), 'passes');
    assert.equal(kindOf({ api: 'true' }, says('api', true)), 'api');
    assert.equal(kindOf({ toString: undefined }, says('constructor')), 'constructor');
  });

  test('may be a kind that only this issuer knows', () => {
    assert.equal(kindOf({ aud: 'api', typ: 'machine' }), 'typ');
    assert.equal(kindOf({ aud: 'api', typ: 'machine' }, says('typ', 'machine')), 'passes');
    assert.equal(kindOf({ aud: 'api', typ: 'machine', token_use: 'id' }, says('typ', 'machine')), 'token_use');
  });

  test('does not excuse what only ID tokens and security events have', () => {
    const foreign = ['at_hash', 'c_hash', 's_hash', 'ds_hash', 'urn:openid:params:jwt:claim:rt_hash', 'events'];
    for (const claim of foreign) {
      assert.equal(kindOf({ ...ONE_REGISTRATION, [claim]: 'x' }, 'any'), claim);
      assert.equal(kindOf({ ...ONE_REGISTRATION, [claim]: 'x' }, says('scp')), claim);
    }
  });

  test('cannot name ID tokens, refresh tokens and the like', () => {
    for (const value of ['id', 'ID', 'id_token', 'Refresh', 'refresh_token', 'offline', 'Logout', 'Serialized-ID']) {
      for (const claim of ['token_use', 'typ', 'token_type', 'tokenName'])
        assert.ok(namesAnotherKind({ claim, anyOf: ['access', value] }), `${claim} ${value}`);
      assert.ok(!namesAnotherKind({ claim: 'kind', anyOf: [value] }));
    }
    for (const value of ['access', 'Bearer', 'identities', 'machine', true])
      assert.ok(!namesAnotherKind({ claim: 'typ', anyOf: [value] }));
    assert.ok(!namesAnotherKind({ claim: 'typ', anyOf: undefined }));
  });

  test('with any says nothing but what claims deny', () => {
    assert.equal(contraryClaim({}, 'any'), undefined);
    assert.equal(contraryClaim({ typ: 'ID' }, 'any'), 'typ');
  });
});
