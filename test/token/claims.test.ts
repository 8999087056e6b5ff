// Policy on verified claims: confirmation, scope, equality rules, authentication strength, identity fields.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Rejection } from '../../src/rejection/rejection.ts';
import { type ClaimRule, checkAuthentication, checkClaims } from '../../src/token/claims.ts';
import { readConfirmation } from '../../src/token/confirmation.ts';
import { type Encoding, type IdentityRule, readIdentity } from '../../src/token/identity.ts';
import type { JsonObject } from '../../src/token/jws.ts';
import { checkScope, readScopes } from '../../src/token/scope.ts';

describe('confirmation', () => {
  for (const cnf of [
    null,
    'x',
    5,
    true,
    [],
    {},
    { tbh: 'x' },
    { jwk: {} },
    { jkt: 5 },
    { jkt: '' },
    { jkt: null, 'x5t#S256': 'x' },
    { 'x5t#S256': [] },
    { 'x5t#s256': 'x' },
    { JKT: 'x' },
  ]) {
    test(`cnf ${JSON.stringify(cnf)}: confirmation_unsupported`, () => {
      const read = readConfirmation({ cnf });
      assert.ok(read instanceof Rejection && read.reason === 'confirmation_unsupported');
    });
  }
  test('both methods are read, unknown members beside them are counted, no cnf means unbound', () => {
    assert.deepEqual(readConfirmation({ cnf: { jkt: 'a', 'x5t#S256': 'b', kid: 'c' } }), {
      jkt: 'a',
      x5tS256: 'b',
      unknownMembers: 1,
    });
    assert.deepEqual(readConfirmation({}), { jkt: undefined, x5tS256: undefined, unknownMembers: 0 });
  });
});

describe('scope', () => {
  const reasonOf = (match: 'all' | 'any', claims: JsonObject) =>
    checkScope({ match, scopes: ['a', 'b'] }, readScopes(claims, ['scope', 'scp']))?.reason;
  test('all of them, or any of them; string or array; the first claim that is present', () => {
    assert.equal(reasonOf('all', { scope: 'b c a' }), undefined);
    assert.equal(reasonOf('all', { scp: ['a', 'b'] }), undefined);
    assert.equal(reasonOf('any', { scope: 'b' }), undefined);
    assert.equal(reasonOf('all', { scope: 'a' }), 'scope_insufficient');
    assert.equal(reasonOf('any', { scope: 'ab A' }), 'scope_insufficient');
    assert.equal(reasonOf('all', { scope: '', scp: ['a', 'b'] }), 'scope_insufficient');
    assert.equal(reasonOf('any', {}), 'scope_insufficient');
    assert.equal(reasonOf('any', { scope: ['a b'] }), 'scope_insufficient');
  });
});

describe('claims', () => {
  const rule = (path: string[], ...anyOf: ClaimRule['anyOf']): ClaimRule => ({ name: path.join('/'), path, anyOf });
  const passes = (claims: JsonObject, ...rules: ClaimRule[]) => checkClaims(rules, claims) === undefined;
  test('a claim equals one of the values, of the same type; an array matches by any item', () => {
    assert.ok(passes({ tenant: 'acme' }, rule(['tenant'], 'acme', 'other')));
    assert.ok(passes({ realm: { roles: ['x', 'ops'] } }, rule(['realm', 'roles'], 'admin', 'ops')));
    assert.ok(passes({ a: [{ b: 1 }] }, rule(['a', '0', 'b'], 1)));
    assert.ok(!passes({ n: '1' }, rule(['n'], 1)));
    assert.ok(!passes({ n: true }, rule(['n'], 'true')));
    assert.ok(!passes({}, rule(['tenant'], 'acme')));
    assert.ok(!passes({ tenant: null }, rule(['tenant'], 'acme')));
    assert.ok(!passes({ tenant: { acme: 1 } }, rule(['tenant'], 'acme')));
  });
  test('members that every object inherits are no claims', () => {
    assert.ok(!passes({}, rule(['constructor', 'name'], 'Object')));
    assert.ok(!passes({ a: [] }, rule(['a', 'length'], 0)));
  });
  test('the refusal names the rule and not what was found', () => {
    assert.deepEqual(checkClaims([rule(['tenant'], 'acme')], { tenant: 'secret' })?.facts, { what: 'tenant' });
  });
});

describe('authentication', () => {
  const reasonOf = (claims: JsonObject) =>
    checkAuthentication({ acr: ['gold'], maxAuthAge: 600 }, claims, 15, 10_000)?.reason ?? 'passes';
  test('acr is one of the demanded, auth_time is recent enough, and both must be there', () => {
    assert.equal(reasonOf({ acr: 'gold', auth_time: 9385 }), 'passes');
    for (const claims of [
      { acr: 'gold', auth_time: 9384 },
      { acr: 'gold' },
      { acr: 'silver', auth_time: 9999 },
      { acr: ['gold'], auth_time: 9999 },
      { acr: 'gold', auth_time: '9999' },
      { acr: 'gold', auth_time: Infinity },
    ]) {
      assert.equal(reasonOf(claims), 'authentication_insufficient');
    }
  });
});

describe('identity', () => {
  const rules: IdentityRule[] = [
    { field: 'X-Auth-Issuer', source: { fact: 'issuer' } },
    { field: 'X-Auth-Client', source: { claims: ['client_id', 'azp'] } },
    { field: 'X-Auth-Scope', source: { claims: ['scope'] } },
    { field: 'X-Auth-Roles', source: { claims: ['roles'] } },
    { field: 'X-Auth-Certificate', source: { fact: 'certificate_subject' } },
  ];
  const identify = (claims: JsonObject, encoding: Encoding = 'strict') =>
    readIdentity(rules, encoding, {
      claims,
      scopeClaims: ['scope', 'scp'],
      facts: {
        issuer: 'https://login.example.com',
        binding: 'dpop',
        thumbprint: 't',
        expires: '5',
        certificate_subject: undefined,
      },
    });
  test('the first claim present counts, scopes are joined by a space, other arrays by a comma, absent ones make no field', () => {
    assert.deepEqual(identify({ azp: 'shop', scope: ['a', 'b'], roles: ['x', 'y', 5, true] }), [
      ['X-Auth-Issuer', 'https://login.example.com'],
      ['X-Auth-Client', 'shop'],
      ['X-Auth-Scope', 'a b'],
      ['X-Auth-Roles', 'x,y,5,true'],
    ]);
    assert.deepEqual(identify({ client_id: null }), [['X-Auth-Issuer', 'https://login.example.com']]);
  });
  for (const value of [
    'a\r\nX-Admin: 1',
    'a\u0000',
    'ä',
    '',
    ' a',
    'a ',
    'a\tb',
    '🙂',
    { a: 1 },
    [['a']],
    ['a,b'],
    ['a', null],
    [],
    Number.NaN,
  ]) {
    test(`${JSON.stringify(value)} rejects under strict`, () => {
      const read = identify({ roles: value });
      assert.ok(read instanceof Rejection && read.reason === 'identity_unforwardable');
      assert.deepEqual(read.facts, { what: 'X-Auth-Roles' });
    });
  }
  test('a scope that contains a space in an array rejects', () =>
    assert.ok(identify({ scope: ['a b'] }) instanceof Rejection));
  test('base64url and rfc8187 carry what strict refuses', () => {
    const last = (encoding: Encoding) => {
      const read = identify({ roles: "ä\r\n'*" }, encoding);
      return read instanceof Rejection ? read.reason : read.at(-1)?.[1];
    };
    assert.equal(last('base64url'), Buffer.from("ä\r\n'*").toString('base64url'));
    assert.equal(last('rfc8187'), "UTF-8''%C3%A4%0D%0A%27%2A");
    assert.ok(identify({ roles: '\ud800' }, 'base64url') instanceof Rejection);
  });
});
