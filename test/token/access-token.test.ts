// Access tokens: each rule of checks.md §2, with real keys and signatures.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { LRUCache } from 'lru-cache';
import { Rejection } from '../../src/rejection/rejection.ts';
import { type TokenCache, type TokenTerms, verifyAccessToken } from '../../src/token/access-token.ts';
import type { KeySource } from '../../src/token/issuer-signature.ts';
import type { Issuer } from '../../src/token/issuer.ts';
import { readKeySet, type VerificationKey } from '../../src/jose/key-set.ts';
import { AUDIENCE, ISSUER, makeKey, makeToken, signParts, type TestKey, type TokenOptions } from '../support/tokens.ts';

const NOW = 1_800_000_000.5;
const login: Issuer = {
  name: 'login',
  issuer: ISSUER,
  audience: [AUDIENCE, 'urn:other'],
  keys: { from: 'jwks_file', file: 'keys.json' },
  ca: undefined,
  insecureHttp: false,
  algorithms: ['ES256', 'ES384', 'PS256', 'EdDSA', 'RS256'],
  requireTyp: false,
  accessToken: undefined,
  audienceClaim: 'aud',
  scopeClaim: ['scope', 'scp'],
  clockTolerance: 15,
  requiredForReady: true,
  introspection: undefined,
  tokenExchange: undefined,
};

let key: TestKey;
let stranger: TestKey;
let set: readonly VerificationKey[];
before(async () => {
  key = await makeKey('ES256', 'k1');
  stranger = await makeKey('ES256', 'k1');
  const read = readKeySet({ keys: [key.jwk] });
  assert.ok(typeof read === 'object');
  set = read.keys;
});

const source = (over: Partial<KeySource> = {}): KeySource => ({
  current: () => set,
  refreshFor: async () => {},
  ...over,
});
function terms(over: Partial<TokenTerms> = {}, issuer: Partial<Issuer> = {}): TokenTerms {
  const cache: TokenCache = new LRUCache({ max: 100 });
  return {
    issuers: [{ ...login, ...issuer }],
    audience: undefined,
    now: NOW,
    keysOf: () => source(),
    cache,
    introspect: () => 'unavailable',
    client: undefined,
    ...over,
  };
}
const outcome = async (token: string, given = terms()) => {
  const result = await verifyAccessToken(token, given);
  return result instanceof Rejection ? result.reason : 'verified';
};
const outcomeOf = async (options: TokenOptions, given?: TokenTerms) =>
  outcome(await makeToken(key, NOW, options), given);

describe('access token', () => {
  test('a good token is verified, and its second use comes from the cache without a promise', async () => {
    const given = terms();
    const token = await makeToken(key, NOW);
    assert.equal(await outcome(token, given), 'verified');
    assert.ok(!(verifyAccessToken(token, given) instanceof Promise));
    assert.equal(given.cache.size, 1);
  });

  for (const text of ['', 'x', 'a.b', 'a.b.c', 'a.b.c.d.e', 'A.A.A', '....']) {
    test(`${JSON.stringify(text)}: token_malformed`, async () => assert.equal(await outcome(text), 'token_malformed'));
  }
  test('crit, repeated members and padding: token_malformed', async () => {
    const claims = { iss: ISSUER, aud: AUDIENCE, exp: NOW + 60 };
    assert.equal(await outcome(await signParts(key, { alg: 'ES256', crit: ['x'] }, claims)), 'token_malformed');
    const twice = JSON.stringify(claims).replace('{', '{"aud":"x",');
    assert.equal(await outcome(await signParts(key, { alg: 'ES256' }, twice)), 'token_malformed');
    assert.equal(await outcome(`${await makeToken(key, NOW)}=`), 'token_malformed');
  });

  test('an issuer that the route does not name: token_issuer_unknown, also for a token in the cache', async () => {
    assert.equal(await outcomeOf({ claims: { iss: 'https://evil.example' } }), 'token_issuer_unknown');
    assert.equal(await outcomeOf({ claims: { iss: `${ISSUER}/` } }), 'token_issuer_unknown');
    const given = terms();
    const token = await makeToken(key, NOW);
    assert.equal(await outcome(token, given), 'verified');
    const other = { ...login, name: 'other', issuer: 'https://other.example.com' };
    assert.equal(await outcome(token, { ...given, issuers: [other] }), 'token_issuer_unknown');
  });
  test('two entries for one issuer judge a token each by their own audience, whichever saw it first', async () => {
    const given = terms();
    const token = await makeToken(key, NOW);
    assert.equal(await outcome(token, given), 'verified');
    const elsewhere = [{ ...login, name: 'elsewhere', audience: ['urn:elsewhere'] }];
    assert.equal(await outcome(token, { ...given, issuers: elsewhere }), 'token_audience_mismatch');
    assert.equal(await outcome(token, given), 'verified');
  });

  for (const alg of ['none', 'HS256', 'RS512', 'es256', undefined, null]) {
    test(`alg ${alg}: token_algorithm_refused`, async () => {
      const token = await signParts(key, { alg, kid: 'k1' }, { iss: ISSUER, aud: AUDIENCE, exp: NOW + 60 });
      assert.equal(await outcome(token), 'token_algorithm_refused');
    });
  }
  test('Ed25519 and EdDSA name one algorithm, in lists and in tokens (RFC 9864 §2.2)', async () => {
    const own = await makeKey('EdDSA', 'okp');
    const read = readKeySet({ keys: [own.jwk] });
    assert.ok(typeof read === 'object');
    const keysOf = () => source({ current: () => read.keys });
    for (const algorithms of [['EdDSA'], ['Ed25519'], ['ES256', 'EdDSA']]) {
      for (const alg of ['EdDSA', 'Ed25519']) {
        const token = await signParts(own, { alg, kid: 'okp' }, { iss: ISSUER, aud: AUDIENCE, exp: NOW + 60 });
        assert.equal(await outcome(token, terms({ keysOf }, { algorithms })), 'verified');
        assert.equal(await outcome(token, terms({ keysOf }, { algorithms: ['ES256'] })), 'token_algorithm_refused');
      }
    }
  });
  test('an algorithm of the list that is not the key’s: token_algorithm_refused', async () => {
    const token = await signParts(key, { alg: 'ES384', kid: 'k1' }, { iss: ISSUER, aud: AUDIENCE, exp: NOW + 60 });
    assert.equal(await outcome(token), 'token_algorithm_refused');
  });

  test('a key whose JWK names no alg is for every algorithm of its type that the issuer has, one token as another', async () => {
    const own = await makeKey('RS256', 'rsa');
    const { alg: _alg, ...jwk } = own.jwk;
    const parts = { kid: 'rsa', typ: 'at+jwt' };
    const claims = { iss: ISSUER, aud: AUDIENCE, exp: NOW + 60 };
    const tokens = await Promise.all(
      ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map(async (alg) => ({
        alg,
        token: await signParts({ ...own, alg }, { ...parts, alg }, claims),
      })),
    );
    const keysOfSet = (...keys: unknown[]) => {
      const read = readKeySet({ keys });
      assert.ok(typeof read === 'object');
      return () => source({ current: () => read.keys });
    };
    const open = keysOfSet({ ...jwk, use: 'sig' });
    for (const { alg, token } of tokens) {
      assert.equal(await outcome(token, terms({ keysOf: open }, { algorithms: [alg] })), 'verified', alg);
      assert.equal(await outcome(token, terms({ keysOf: open }, { algorithms: ['ES256'] })), 'token_algorithm_refused');
    }
    const given = terms({ keysOf: open });
    const outcomes = await Promise.all(tokens.map(({ token }) => outcome(token, given)));
    const refused = 'token_algorithm_refused';
    assert.deepEqual(outcomes, ['verified', refused, refused, 'verified', refused, refused]);
    const bound = terms({ keysOf: keysOfSet({ ...jwk, alg: 'RS512' }) }, { algorithms: tokens.map(({ alg }) => alg) });
    const ofBound = await Promise.all(tokens.map(({ token }) => outcome(token, bound)));
    assert.deepEqual(ofBound, [refused, refused, 'verified', refused, refused, refused]);
    const another = tokens[1]?.token.replace(
      /^[^.]+/,
      Buffer.from(JSON.stringify({ ...parts, alg: 'RS256' })).toString('base64url'),
    );
    assert.equal(await outcome(another ?? '', given), 'token_signature_invalid');
  });

  test('an unknown kid asks for one refresh, finds the new key, or ends as token_key_unknown', async () => {
    const token = await makeToken(key, NOW);
    let loaded: readonly VerificationKey[] = [];
    let refreshes = 0;
    const rotating = source({
      current: () => loaded,
      refreshFor: async () => {
        refreshes++;
        loaded = set;
      },
    });
    assert.equal(await outcome(token, terms({ keysOf: () => rotating })), 'verified');
    assert.equal(refreshes, 1);
    assert.equal(await outcomeOf({ header: { kid: 'other' } }), 'token_key_unknown');
    assert.equal(await outcomeOf({ header: { kid: 5 } }), 'token_key_unknown');
  });
  test('a kid that is known, or that is no string, asks for no refresh', async () => {
    let refreshes = 0;
    const keysOf = () => source({ refreshFor: async () => void refreshes++ });
    assert.equal(await outcomeOf({}, terms({ keysOf })), 'verified');
    assert.equal(await outcomeOf({ header: { kid: 5 } }, terms({ keysOf })), 'token_key_unknown');
    const other = await signParts(key, { alg: 'ES384', kid: 'k1' }, { iss: ISSUER, aud: AUDIENCE, exp: NOW + 60 });
    assert.equal(await outcome(other, terms({ keysOf })), 'token_algorithm_refused');
    assert.equal(refreshes, 0);
  });
  test('keys that never came: issuer_unavailable with Retry-After', async () => {
    const away = source({ current: () => undefined });
    const result = await verifyAccessToken(await makeToken(key, NOW), terms({ keysOf: () => away }));
    assert.ok(result instanceof Rejection && result.reason === 'issuer_unavailable' && result.facts.retryAfter === 5);
  });
  test('without kid the only suitable key counts', async () => {
    assert.equal(await outcomeOf({ header: { kid: undefined } }), 'verified');
  });
  test('jwk, jku, x5u and x5c in the header are never used', async () => {
    const { kid: _kid, ...jwk } = stranger.jwk;
    const header = { jwk, jku: 'https://evil.example/', x5u: 'https://evil.example/', x5c: ['AAAA'] };
    assert.equal(await outcome(await makeToken(stranger, NOW, { header })), 'token_signature_invalid');
  });
  test('a signature by another key, cut, or empty: token_signature_invalid, and nothing is cached', async () => {
    const given = terms();
    const token = await makeToken(key, NOW);
    const input = token.slice(0, token.lastIndexOf('.') + 1);
    for (const text of [await makeToken(stranger, NOW), input, `${input}AAAA`]) {
      assert.equal(await outcome(text, given), 'token_signature_invalid');
    }
    assert.equal(given.cache.size, 0);
  });
  test('a cached verification ends with its key', async () => {
    const read = readKeySet({ keys: [key.jwk] });
    assert.ok(typeof read === 'object');
    let current = read.keys;
    const given = terms({ keysOf: () => source({ current: () => current }) });
    const token = await makeToken(key, NOW);
    assert.equal(await outcome(token, given), 'verified');
    for (const one of current) one.current = false;
    current = [];
    assert.equal(await outcome(token, given), 'token_key_unknown');
  });

  test('of those that wait for a new key with one token the first verifies it, and others verify their own', async () => {
    const { promise: refreshed, resolve: refresh } = Promise.withResolvers<void>();
    let current: readonly VerificationKey[] = [];
    const given = terms({ keysOf: () => source({ current: () => current, refreshFor: () => refreshed }) });
    const kept: string[] = [];
    const cache = new (class extends LRUCache<string, NonNullable<ReturnType<TokenCache['get']>>> {
      override set(...one: Parameters<TokenCache['set']>): this {
        kept.push(one[0]);
        return super.set(...one);
      }
    })({ max: 100 });
    const [token, other, forged] = [
      await makeToken(key, NOW),
      await makeToken(key, NOW),
      await makeToken(stranger, NOW),
    ];
    const outcomes = [token, token, other, forged, forged, token].map((one) => outcome(one, { ...given, cache }));
    current = set;
    refresh();
    const [good, bad] = ['verified', 'token_signature_invalid'];
    assert.deepEqual(await Promise.all(outcomes), [good, good, good, bad, bad, good]);
    assert.deepEqual(kept, [token, other]);
  });
  test('one that waited for a new key is judged by its own route, also where another verified it meanwhile', async () => {
    const { promise: refreshed, resolve: refresh } = Promise.withResolvers<void>();
    let current: readonly VerificationKey[] = [];
    const given = terms({ keysOf: () => source({ current: () => current, refreshFor: () => refreshed }) });
    const token = await makeToken(key, NOW);
    const outcomes = [outcome(token, given), outcome(token, { ...given, audience: ['urn:narrow'] })];
    current = set;
    refresh();
    assert.deepEqual(await Promise.all(outcomes), ['verified', 'token_audience_mismatch']);
  });

  for (const typ of [undefined, 'JWT', 'jwt', 'at+jwt', 'application/at+jwt', 'AT+JWT']) {
    test(`typ ${typ} passes`, async () => assert.equal(await outcomeOf({ header: { typ } }), 'verified'));
  }
  for (const typ of ['dpop+jwt', 'logout+jwt', 'secevent+jwt', 'x', '', 5, ['at+jwt']]) {
    test(`typ ${JSON.stringify(typ)}: token_type_refused`, async () =>
      assert.equal(await outcomeOf({ header: { typ } }), 'token_type_refused'));
  }
  test('require_typ admits only at+jwt', async () => {
    const strict = () => terms({}, { requireTyp: true });
    assert.equal(await outcomeOf({}, strict()), 'verified');
    for (const typ of [undefined, 'JWT'])
      assert.equal(await outcomeOf({ header: { typ } }, strict()), 'token_type_refused');
  });
  const idTokens: Record<string, unknown>[] = [
    { nonce: 'x' },
    { at_hash: 'x' },
    { c_hash: 'x' },
    { s_hash: 'x' },
    { events: {} },
    { aud: 'shop' },
    { aud: ['shop'] },
    { aud: ['app', 'shop'], azp: 'app' },
    { aud: 'app', azp: 'app', client_id: undefined },
  ];
  for (const claims of idTokens) {
    test(`an ID token or logout token with ${JSON.stringify(claims)}: token_type_refused, unless typ says at+jwt`, async () => {
      assert.equal(await outcomeOf({ header: { typ: 'JWT' }, claims }), 'token_type_refused');
      assert.notEqual(await outcomeOf({ claims }), 'token_type_refused');
    });
  }
  test('without iss and typ it is the claim that is missing', async () => {
    const result = await verifyAccessToken(await signParts(key, { alg: 'ES256' }, { aud: 'x', exp: NOW }), terms());
    assert.ok(result instanceof Rejection);
    assert.deepEqual([result.reason, result.facts], ['token_claim_invalid', { what: 'iss', differs: 'missing' }]);
  });
  test('a signed answer to introspection sent as access token: token_type_refused', async () => {
    const answer = { aud: AUDIENCE, iat: NOW, token_introspection: { active: true, aud: AUDIENCE, exp: NOW + 60 } };
    for (const claims of [answer, { ...answer, exp: NOW + 60, sub: 'alice' }]) {
      const header = { alg: 'ES256', kid: 'k1', typ: 'token-introspection+jwt' };
      const token = await signParts(key, header, { iss: ISSUER, ...claims });
      assert.equal(await outcome(token), 'token_type_refused');
    }
  });
  test('a DPoP proof sent as access token: token_type_refused', async () => {
    const proof = await signParts(
      key,
      { typ: 'dpop+jwt', alg: 'ES256', jwk: {} },
      { jti: 'a', htm: 'GET', htu: 'x', iat: 1 },
    );
    assert.equal(await outcome(proof), 'token_type_refused');
  });

  const wrong: Record<string, readonly unknown[]> = {
    iss: [undefined, null, 5, [ISSUER]],
    exp: [undefined, null, '1900000000', true],
    aud: [undefined, null, 5, {}, [5], [AUDIENCE, null]],
    sub: [null, 5, ['a']],
    iat: [null, 'x'],
    nbf: [null, 'x'],
    client_id: [null, 5],
    scope: [null, 5, [5], {}],
    scp: [5, {}],
  };
  for (const [claim, values] of Object.entries(wrong)) {
    for (const value of values) {
      test(`${claim} = ${JSON.stringify(value)}: token_claim_invalid, which names the claim`, async () => {
        const claims = { iss: ISSUER, aud: AUDIENCE, exp: NOW + 60, [claim]: value };
        const token = await signParts(key, { alg: 'ES256', typ: 'at+jwt' }, claims);
        const result = await verifyAccessToken(token, terms());
        assert.ok(result instanceof Rejection);
        assert.deepEqual(
          [result.reason, result.facts],
          ['token_claim_invalid', { what: claim, differs: value === undefined ? 'missing' : 'type' }],
        );
      });
    }
  }

  test('exp and nbf count with the tolerance of the issuer, at every use', async () => {
    const given = terms();
    assert.equal(await outcomeOf({ claims: { exp: NOW - 14.9 } }, given), 'verified');
    assert.equal(await outcomeOf({ claims: { exp: NOW - 15 } }, given), 'token_expired');
    assert.equal(await outcomeOf({ claims: { exp: -1e300 } }, given), 'token_expired');
    assert.equal(await outcomeOf({ claims: { nbf: NOW + 15 } }, given), 'verified');
    assert.equal(await outcomeOf({ claims: { nbf: NOW + 15.1 } }, given), 'token_not_yet_valid');
    const token = await makeToken(key, NOW);
    assert.equal(await outcome(token, given), 'verified');
    assert.equal(await outcome(token, { ...given, now: NOW + 700 }), 'token_expired');
  });

  test('aud names one of the issuer’s audiences and one of the route’s, exactly', async () => {
    assert.equal(await outcomeOf({ claims: { aud: ['x', AUDIENCE] } }), 'verified');
    for (const aud of ['x', `${AUDIENCE}/`, AUDIENCE.toUpperCase(), [], '']) {
      assert.equal(await outcomeOf({ claims: { aud } }), 'token_audience_mismatch');
    }
    const narrowed = () => terms({ audience: ['urn:other'] });
    assert.equal(await outcomeOf({}, narrowed()), 'token_audience_mismatch');
    assert.equal(await outcomeOf({ claims: { aud: ['urn:other'] } }, narrowed()), 'verified');
    const result = await verifyAccessToken(await makeToken(key, NOW, { claims: { aud: 'x' } }), narrowed());
    assert.ok(result instanceof Rejection);
    const facts = { what: 'aud', differs: 'value', received: 'x' };
    assert.deepEqual(result.facts, { ...facts, expected: ['urn:other'] });
    const ofRouteAlone = await verifyAccessToken(
      await makeToken(key, NOW, { claims: { aud: 'x' } }),
      terms({ audience: ['x'] }),
    );
    assert.ok(ofRouteAlone instanceof Rejection);
    assert.deepEqual(ofRouteAlone.facts, { ...facts, differs: 'form', expected: login.audience });
  });

  test('where two reasons apply, the earlier one of the table is reported', async () => {
    const claims = { iss: 'x', aud: 5, exp: 0 };
    assert.equal(await outcome(await signParts(stranger, { alg: 'none' }, claims)), 'token_issuer_unknown');
    const ours = { ...claims, iss: ISSUER };
    assert.equal(await outcome(await signParts(stranger, { alg: 'none', kid: 'z' }, ours)), 'token_algorithm_refused');
    assert.equal(await outcome(await signParts(stranger, { alg: 'ES256', kid: 'z' }, ours)), 'token_key_unknown');
    assert.equal(await outcome(await signParts(stranger, { alg: 'ES256', typ: 'x' }, ours)), 'token_signature_invalid');
    assert.equal(await outcome(await signParts(key, { alg: 'ES256', typ: 'x' }, ours)), 'token_type_refused');
    assert.equal(await outcome(await signParts(key, { alg: 'ES256' }, ours)), 'token_claim_invalid');
    const typed = { ...ours, aud: 'x' };
    assert.equal(await outcome(await signParts(key, { alg: 'ES256' }, { ...typed, nbf: NOW + 99 })), 'token_expired');
    const live = { ...typed, exp: NOW + 99, nbf: NOW + 99 };
    assert.equal(await outcome(await signParts(key, { alg: 'ES256' }, live)), 'token_not_yet_valid');
  });
});
