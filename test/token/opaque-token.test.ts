// Opaque tokens: which are asked about, and what their answers must say.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { LRUCache } from 'lru-cache';
import { Rejection } from '../../src/rejection/rejection.ts';
import { type TokenTerms, verifyAccessToken } from '../../src/token/access-token.ts';
import type { Issuer } from '../../src/token/issuer.ts';
import type { JsonObject } from '../../src/jose/jws.ts';
import { readKeySet, type VerificationKey } from '../../src/jose/key-set.ts';
import { type Introspection, isOpaque, readIntrospection } from '../../src/token/opaque-token.ts';
import { INTROSPECTION_RULES, makeIssuer } from '../support/enforcing.ts';
import { AUDIENCE, ISSUER, makeKey, makeToken, type TestKey } from '../support/tokens.ts';

const NOW = 1_800_000_000.5;
const login = makeIssuer({ introspection: INTROSPECTION_RULES });
const strict = makeIssuer({ introspection: { ...INTROSPECTION_RULES, always: true } });
const other = makeIssuer({ name: 'other', issuer: 'https://other.example.com' });
/** An answer that is good. */
const ACTIVE = { active: true, iss: ISSUER, aud: AUDIENCE, exp: NOW + 60, sub: 'alice', token_type: 'Bearer' };

let key: TestKey;
let keys: readonly VerificationKey[];
before(async () => {
  key = await makeKey('ES256', 'k1');
  const read = readKeySet({ keys: [key.jwk] });
  assert.ok(typeof read === 'object');
  keys = read.keys;
});

/** What comes of a token about which its issuer says this; which issuers were asked. */
async function judge(token: string, says: Introspection, over: Partial<TokenTerms> = {}) {
  const asked: string[] = [];
  const result = await verifyAccessToken(token, {
    issuers: [login],
    audience: undefined,
    now: NOW,
    keysOf: () => ({ current: () => keys, refreshFor: async () => {} }),
    cache: new LRUCache({ max: 10 }),
    introspect: ({ name }) => {
      asked.push(name);
      return says;
    },
    client: undefined,
    ...over,
  });
  return { asked, result, outcome: result instanceof Rejection ? result.reason : 'verified' };
}
const outcomeOf = async (changed: JsonObject, over: Partial<TokenTerms> = {}) => {
  const claims = Object.fromEntries(
    Object.entries({ ...ACTIVE, ...changed }).filter(([, value]) => value !== undefined),
  );
  return (await judge('opaque', claims, over)).outcome;
};

describe('a token is opaque', () => {
  test('unless it has the three or five parts of a JWT and begins like one', async () => {
    for (const token of [
      'a',
      'ya29.a0Af',
      'a.b.c',
      'a.b.c.d.e',
      'eyJhbGciOiJFUzI1NiJ9',
      'eyJhIjoxfQ.b',
      'eyJhIjoxfQ.b.c.d',
    ])
      assert.equal(isOpaque(token), true, token);
    const json = Buffer.from(' \n{"alg":"none"').toString('base64url');
    for (const token of [await makeToken(key, NOW), 'eyJhIjoxfQ.b.c', 'eyJhIjoxfQ.b.c.d.e', `${json}..`])
      assert.equal(isOpaque(token), false, token);
  });

  test('and is asked about at the one issuer of the route that can be asked', async () => {
    const { asked, result } = await judge('opaque', ACTIVE, { issuers: [other, login] });
    assert.deepEqual(asked, ['login']);
    assert.ok(!(result instanceof Rejection) && result.issuer === login && result.claims.sub === 'alice');
  });

  test('and is malformed where no issuer can be asked', async () => {
    const { asked, outcome } = await judge('opaque', ACTIVE, { issuers: [other] });
    assert.deepEqual([asked, outcome], [[], 'token_malformed']);
  });

  test('and a bad JWT is none: nobody is asked in place of its signature', async () => {
    const signed = await makeToken(key, NOW);
    const spoiled = [`${signed.slice(0, -4)}AAAA`, `${signed}=`, 'eyJhbGciOiJub25lIn0.e30.', 'eyJhIjoxfQ.a.b.c.d'];
    for (const token of spoiled) assert.deepEqual((await judge(token, ACTIVE)).asked, [], token);
    for (const token of spoiled) assert.deepEqual((await judge(token, ACTIVE, { issuers: [strict] })).asked, [], token);
  });
});

describe('the body of an answer', () => {
  test('says active with true and inactive with false, and nothing else says anything', () => {
    assert.deepEqual(readIntrospection('{"active":true,"sub":"alice"}'), { active: true, sub: 'alice' });
    assert.equal(readIntrospection('{"active":false,"sub":"alice"}'), 'inactive');
    const exact = readIntrospection('{"active":true,"uid":9007199254740993,"exp":9223372036854775807}');
    assert.deepEqual(exact, { active: true, uid: 9007199254740993n, exp: 2 ** 63 });
    const none = ['', 'null', 'true', '[]', '{}', '"active"', '<html>', '{"active":true', '\uFEFF{"active":true}'];
    const almost = ['"true"', '1', 'null', '[true]', '{}'].map((value) => `{"active":${value}}`);
    const twice = ['{"active":false,"active":true}', '{"active":true,"cnf":{"jkt":"a","jkt":"b"}}'];
    const escaped = ['{"\\u0061ctive":true,"active":false}', '{"active":true,"a\\\\b":1}'];
    for (const text of [...none, ...almost, ...twice, ...escaped])
      assert.equal(readIntrospection(text), 'malformed', text);
  });
});

describe('what opens', () => {
  test('an active token; inactive: token_inactive; no answer: issuer_unavailable, with Retry-After', async () => {
    assert.equal((await judge('opaque', ACTIVE)).outcome, 'verified');
    assert.equal((await judge('opaque', 'inactive')).outcome, 'token_inactive');
    const { result } = await judge('opaque', 'unavailable');
    assert.ok(result instanceof Rejection && result.reason === 'issuer_unavailable');
    assert.deepEqual(result.facts, { what: 'answer of the issuer', name: 'login', retryAfter: 5 });
    const { result: waits } = await judge('opaque', 'busy');
    assert.ok(waits instanceof Rejection && waits.reason === 'introspection_queue_full');
    assert.deepEqual(waits.facts, { name: 'login', retryAfter: 1 });
  });

  test('iss counts when it is there: token_issuer_unknown', async () => {
    assert.equal(await outcomeOf({ iss: undefined }), 'verified');
    for (const iss of [`${ISSUER}/`, 'https://other.example.com', null, 5, [ISSUER]])
      assert.equal(await outcomeOf({ iss }), 'token_issuer_unknown');
  });

  test('exp and nbf count when they are there, with the tolerance of the issuer', async () => {
    assert.equal(await outcomeOf({ exp: undefined }), 'verified');
    assert.equal(await outcomeOf({ exp: NOW - 14 }), 'verified');
    assert.equal(await outcomeOf({ exp: NOW - 15 }), 'token_expired');
    assert.equal(await outcomeOf({ nbf: NOW + 15 }), 'verified');
    assert.equal(await outcomeOf({ nbf: NOW + 16 }), 'token_not_yet_valid');
  });

  test('claims that are there are of their types: token_claim_invalid', async () => {
    const wrong = {
      exp: ['1', null, Number.POSITIVE_INFINITY],
      aud: [5, {}, [5]],
      sub: [5],
      scope: [{}],
      scp: [1],
      client_id: [[]],
    };
    for (const [claim, values] of Object.entries(wrong)) {
      for (const value of values) assert.equal(await outcomeOf({ [claim]: value }), 'token_claim_invalid', claim);
    }
  });

  test('aud counts when it is there, and a route with its own audience demands it', async () => {
    const audience = ['urn:orders'];
    assert.equal(await outcomeOf({ aud: undefined }), 'verified');
    assert.equal(await outcomeOf({ aud: 'urn:elsewhere' }), 'token_audience_mismatch');
    assert.equal(await outcomeOf({ aud: undefined }, { audience }), 'token_audience_mismatch');
    assert.equal(await outcomeOf({ aud: AUDIENCE }, { audience }), 'token_audience_mismatch');
    assert.equal(await outcomeOf({ aud: [AUDIENCE, 'urn:orders'] }, { audience }), 'verified');
  });

  test('an empty aud is an absent one, which is as good and as bad', async () => {
    for (const aud of [[], '', null]) {
      assert.equal(await outcomeOf({ aud }), 'verified');
      assert.equal(await outcomeOf({ aud, token_type: undefined }), 'token_type_refused');
      assert.equal(await outcomeOf({ aud }, { audience: ['urn:orders'] }), 'token_audience_mismatch');
    }
    for (const aud of [[''], ['urn:elsewhere'], {}]) assert.notEqual(await outcomeOf({ aud }), 'verified');
  });

  test('something has to say that it is an access token: refresh tokens are active too', async () => {
    for (const token_type of ['Bearer', 'bearer', 'BEARER']) assert.equal(await outcomeOf({ token_type }), 'verified');
    assert.equal(await outcomeOf({ token_type: undefined }), 'verified');
    assert.equal(await outcomeOf({ token_type: undefined, aud: undefined }), 'token_type_refused');
    for (const token_type of ['refresh_token', 'N_A', 'mac', '', null, 5, ['Bearer']])
      assert.equal(await outcomeOf({ token_type }), 'token_type_refused');
    for (const token_use of ['access_token', 'access']) assert.equal(await outcomeOf({ token_use }), 'verified');
    for (const token_use of ['refresh_token', 'id', null, ['access']])
      assert.equal(await outcomeOf({ token_use }), 'token_type_refused');
  });

  test('a token that is called DPoP has cnf.jkt: confirmation_unsupported', async () => {
    for (const token_type of ['DPoP', 'dpop']) {
      assert.equal(await outcomeOf({ token_type, cnf: { jkt: 'a' } }), 'verified');
      for (const cnf of [undefined, null, {}, 'jkt', ['jkt'], { 'x5t#S256': 'a' }])
        assert.equal(await outcomeOf({ token_type, cnf }), 'confirmation_unsupported');
    }
  });
});

describe('with always, a JWT', () => {
  const cnf = { jkt: 'thumbprint' };
  const asked = async (says: Introspection, claims: JsonObject = {}, over: Partial<TokenTerms> = {}) =>
    judge(await makeToken(key, NOW, { claims: { jti: 'one', cnf, ...claims } }), says, { issuers: [strict], ...over });

  test('is asked about once it is verified, and its own claims count', async () => {
    const { asked: who, result } = await asked({ ...ACTIVE, client_id: 'mallory', cnf, jti: 'one' });
    assert.deepEqual(who, ['login']);
    assert.ok(!(result instanceof Rejection) && result.claims.client_id === 'shop');
    assert.equal((await asked({ active: true })).outcome, 'verified');
    assert.equal((await asked('inactive')).outcome, 'token_inactive');
    assert.equal((await asked('unavailable')).outcome, 'issuer_unavailable');
  });

  test('is not asked about where it is expired or for somebody else', async () => {
    for (const claims of [{ exp: NOW - 15 }, { aud: 'urn:elsewhere' }, { iss: other.issuer }])
      assert.deepEqual((await asked(ACTIVE, claims)).asked, []);
  });

  test('is asked about at every use, cached or not', async () => {
    const cache: TokenTerms['cache'] = new LRUCache({ max: 10 });
    const token = await makeToken(key, NOW);
    assert.equal((await judge(token, ACTIVE, { issuers: [strict], cache })).outcome, 'verified');
    assert.equal(cache.size, 1);
    assert.equal((await judge(token, 'inactive', { issuers: [strict], cache })).outcome, 'token_inactive');
  });

  test('is not asked about where another issuer signed it', async () => {
    const token = await makeToken(key, NOW, { claims: { iss: other.issuer } });
    assert.deepEqual((await judge(token, 'inactive', { issuers: [strict, other] })).asked, []);
  });

  test('needs an answer about this very token, with the same confirmation', async () => {
    const answers: JsonObject[] = [
      { jti: 'another' },
      { cnf: { jkt: 'another' } },
      { cnf: { jkt: 'thumbprint', 'x5t#S256': 'more' } },
      { iss: other.issuer },
      { aud: 'urn:elsewhere' },
      { exp: NOW - 15 },
    ];
    const reasons = await Promise.all(
      answers.map(async (answer) => (await asked({ active: true, ...answer })).outcome),
    );
    assert.deepEqual(reasons, [
      'token_claim_invalid',
      'token_claim_invalid',
      'token_claim_invalid',
      'token_issuer_unknown',
      'token_audience_mismatch',
      'token_expired',
    ]);
    for (const odd of [{}, null, { kid: 'a' }])
      assert.equal((await asked({ active: true, cnf: odd })).outcome, 'confirmation_unsupported');
    assert.equal((await asked({ active: true, cnf }, { cnf: undefined })).outcome, 'token_claim_invalid');
  });
});

test('the rules of one issuer do not count for another', async () => {
  const issuers: Issuer[] = [other, login];
  assert.equal((await judge('opaque', { ...ACTIVE, iss: other.issuer }, { issuers })).outcome, 'token_issuer_unknown');
});
