// The edges of claim checks: kinds of tokens, ends of times, told facts.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkAudience, checkClaimTypes, checkTimes, checkTokenType } from '../../src/token/access-claims.ts';
import type { JsonObject } from '../../src/jose/jws.ts';

describe('typ', () => {
  const reasonOf = (typ: unknown, claims: JsonObject = {}, requireTyp = false) =>
    checkTokenType({ typ }, claims, { requireTyp, accessToken: undefined })?.reason ?? 'passes';

  for (const typ of ['JWT', 'application/jwt', 'Application/JWT', 'at+jwt', 'application/at+jwt']) {
    test(`${typ} may be an access token`, () => assert.equal(reasonOf(typ), 'passes'));
  }
  for (const typ of [
    'xat+jwt',
    'at+jwtx',
    'at+jwt; v=1',
    'text/at+jwt',
    'xjwt',
    'jwtx',
    'text/jwt',
    'atjwt',
    null,
    {},
  ]) {
    test(`${JSON.stringify(typ)} is none`, () => assert.equal(reasonOf(typ), 'token_type_refused'));
  }
  test('at+jwt vouches for itself, whatever else the token carries', () => {
    for (const typ of ['at+jwt', 'application/at+jwt']) {
      assert.equal(reasonOf(typ, { nonce: 'x', events: {}, aud: 'shop', azp: 'shop' }, true), 'passes');
    }
  });
  test('an audience that is the client alone marks an ID token, one beside it does not', () => {
    assert.equal(reasonOf('JWT', { aud: ['shop', 'api'], azp: 'shop' }), 'passes');
    assert.equal(reasonOf('JWT', { aud: ['api'], azp: 'shop', client_id: 'shop' }), 'passes');
    assert.equal(reasonOf('JWT', { aud: ['shop', 'app'], azp: 'shop', client_id: 'app' }), 'token_type_refused');
    assert.equal(reasonOf('JWT', { aud: 'shop', client_id: 'shop' }), 'token_type_refused');
  });
  test('an audience that is not there is not the client that is not there', () => {
    assert.equal(reasonOf('JWT', {}), 'passes');
    assert.equal(reasonOf('JWT', { aud: [] }), 'passes');
    assert.equal(reasonOf('JWT', { aud: null, azp: null }), 'passes');
  });
});

describe('types', () => {
  const wrong = (claims: JsonObject, scopeClaims: readonly string[] = ['scope', 'scp']) =>
    checkClaimTypes({ exp: 1, aud: 'api', ...claims }, { scopeClaim: scopeClaims, audienceClaim: 'aud' })?.facts.what;

  test('claims of their types pass, and so do all others of any type', () => {
    const known = { sub: 's', iat: 1.5, nbf: 0, client_id: 'c', scope: 'a b', scp: ['a', 'b'] };
    assert.equal(wrong({ ...known, roles: [5, null], aud: ['a', 'b'] }), undefined);
  });
  test('infinity is no number', () => {
    for (const claim of ['exp', 'iat', 'nbf']) assert.equal(wrong({ [claim]: Number.POSITIVE_INFINITY }), claim);
  });
  test('whatever claims hold the scopes of an issuer, they are a string or strings', () => {
    assert.equal(wrong({ permissions: 5 }), undefined);
    assert.equal(wrong({ permissions: 5 }, ['permissions']), 'permissions');
    assert.equal(wrong({ permissions: ['a', 5] }, ['permissions']), 'permissions');
    assert.equal(wrong({ permissions: ['a'] }, ['permissions']), undefined);
  });
  test('scope is checked also where the issuer keeps scopes elsewhere', () => {
    assert.equal(wrong({ scope: 5 }, ['permissions']), 'scope');
  });
});

test('exp ends at its moment and nbf begins at its moment, tolerance included', () => {
  const reasonAt = (now: number) => checkTimes({ exp: 1000, nbf: 500 }, 15, now)?.reason;
  assert.equal(reasonAt(484.999), 'token_not_yet_valid');
  assert.equal(reasonAt(485), undefined);
  assert.equal(reasonAt(1014.999), undefined);
  assert.equal(reasonAt(1015), 'token_expired');
  assert.equal(checkTimes({ exp: 1000 }, 15, 500), undefined);
});

describe('audience', () => {
  test('is one of the issuer and one of the route, which need not be the same', () => {
    const reasonOf = (aud: unknown, ofRoute?: string[]) =>
      checkAudience({ aud }, { audience: ['a', 'b'], audienceClaim: 'aud' }, ofRoute)?.reason;
    assert.equal(reasonOf(['b', 'x'], ['x']), undefined);
    assert.equal(reasonOf('x', ['x']), 'token_audience_mismatch');
    assert.equal(reasonOf('a', ['x']), 'token_audience_mismatch');
    assert.equal(reasonOf('a', []), 'token_audience_mismatch');
  });
  test('what was accepted is told, and at most eight of those found', () => {
    const many = ['x'.repeat(300), ...Array.from({ length: 9 }, (_, at) => `x${at}`)];
    const refused = checkAudience({ aud: many }, { audience: ['a'], audienceClaim: 'aud' }, undefined);
    assert.deepEqual(refused?.facts, {
      what: 'aud',
      differs: 'value',
      expected: ['a'],
      received: ['x'.repeat(300), 'x0', 'x1', 'x2', 'x3', 'x4', 'x5', 'x6'].join(', '),
    });
  });
});
