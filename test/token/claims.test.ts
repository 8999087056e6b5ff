// Policy on verified claims: scope, equality, authentication, identity.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Rejection } from '../../src/rejection/rejection.ts';
import { type ClaimRule, checkAuthentication, checkClaims } from '../../src/token/claims.ts';
import { readConfirmation } from '../../src/token/confirmation.ts';
import { type Encoding, type IdentityRule, readIdentity } from '../../src/token/identity.ts';
import { type JsonObject, readJsonObject } from '../../src/jose/jws.ts';
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
  test('both methods are read, unknown members next to them are counted, no cnf means unbound', () => {
    assert.deepEqual(readConfirmation({ cnf: { jkt: 'a', 'x5t#S256': 'b', kid: 'c' } }), {
      jkt: 'a',
      x5tS256: 'b',
      unknownMembers: 1,
    });
    assert.deepEqual(readConfirmation({ cnf: { jkt: 'a' } }), { jkt: 'a', x5tS256: undefined, unknownMembers: 0 });
    assert.deepEqual(readConfirmation({ cnf: { 'x5t#S256': 'b', jwk: {}, kid: 'c' } }), {
      jkt: undefined,
      x5tS256: 'b',
      unknownMembers: 2,
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
  test('a token without any scope claim has no scope, and a route without a rule asks for none', () => {
    assert.deepEqual(readScopes({}, ['scope']), []);
    assert.equal(checkScope(undefined, []), undefined);
  });
  test('an empty scope claim grants nothing, and the next one does not fill in', () => {
    for (const scope of ['', ' ', [], ['']]) {
      assert.deepEqual(readScopes({ scope }, ['scope', 'scp']), []);
      assert.deepEqual(readScopes({ scope, scp: 'a' }, ['scope', 'scp']), []);
    }
    assert.deepEqual(readScopes({ scp: ' a  b ' }, ['scope', 'scp']), ['a', 'b']);
    assert.deepEqual(readScopes({ scope: 'c', scp: 'a' }, ['scope', 'scp']), ['c']);
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
  test('an integer beyond 2^53 equals the text of its digits and no other number', () => {
    const uid = readJsonObject('{"uid":9007199254740993,"ids":[1,-9007199254740995]}') ?? {};
    assert.ok(passes(uid, rule(['uid'], '9007199254740993')));
    assert.ok(passes(uid, rule(['ids'], '-9007199254740995')));
    for (const other of [
      '9007199254740992',
      '9007199254740994',
      '09007199254740993',
      9007199254740992,
      9007199254740994,
    ])
      assert.ok(!passes(uid, rule(['uid'], other)), String(other));
    assert.ok(!passes({ uid: 5 }, rule(['uid'], '5')));
    assert.ok(
      !passes(readJsonObject('{"uid":9007199254740993.0}') ?? {}, rule(['uid'], '9007199254740993', 9007199254740992)),
    );
  });
  test('members that every object inherits are no claims', () => {
    assert.ok(!passes({}, rule(['constructor', 'name'], 'Object')));
    assert.ok(!passes({ a: [] }, rule(['a', 'length'], 0)));
  });
  test('an item of an array is named by its index in decimal digits and nothing else (RFC 6901 §4)', () => {
    const list = { a: ['x', 'y', 'z', 3, 4, 5, 6, 7, 8, 9, 'k'] };
    assert.ok(passes(list, rule(['a', '0'], 'x')));
    assert.ok(passes(list, rule(['a', '9'], 9)));
    assert.ok(passes(list, rule(['a', '10'], 'k')));
    for (const index of ['00', '01', '-0', '+1', '1.0', '1e0', ' 1', '1 ', '0x1', '-', '']) {
      assert.ok(!passes(list, rule(['a', index], 'x', 'y')), index);
    }
    assert.ok(passes({ a: { '01': 'x' } }, rule(['a', '01'], 'x')));
  });
  test('a path that ends early, in text or in nothing, matches nothing', () => {
    for (const claims of [{}, { a: 'x' }, { a: null }, { a: ['x'] }, { a: 5 }])
      assert.ok(!passes(claims, rule(['a', 'b', 'length'], 'x', 1)));
    assert.ok(!passes({ a: 'x' }, rule(['a', '0'], 'x')));
  });
  test('every rule has to be met', () => {
    assert.ok(!passes({ a: 1, b: 1 }, rule(['a'], 1), rule(['b'], 2)));
    assert.ok(!passes({ a: 1, b: 1 }, rule(['a'], 2), rule(['b'], 1)));
    assert.ok(passes({ a: 1, b: 1 }, rule(['a'], 1), rule(['b'], 1)));
  });
  test('the refusal names the rule and not what was found', () => {
    const rejection = checkClaims([rule(['tenant'], 'acme')], { tenant: 'secret' });
    assert.deepEqual([rejection?.reason, rejection?.facts], ['claim_mismatch', { what: 'tenant', differs: 'value' }]);
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
  test('what is not demanded is not asked for', () => {
    const check = (acr: string[], maxAuthAge: number | undefined, claims: JsonObject) =>
      checkAuthentication({ acr, maxAuthAge }, claims, 15, 10_000)?.facts;
    assert.equal(check([], undefined, {}), undefined);
    assert.equal(check(['gold'], undefined, { acr: 'gold' }), undefined);
    assert.equal(check([], 600, { auth_time: 9999 }), undefined);
    assert.deepEqual(check(['gold'], 600, { auth_time: 9999 }), {
      what: 'acr',
      differs: 'missing',
      expected: ['gold'],
    });
    assert.deepEqual(check(['gold', 'silver'], 600, { acr: 'silver' }), {
      what: 'auth_time',
      differs: 'missing',
      expected: 'at most 600 seconds ago',
    });
  });
});

describe('identity', () => {
  const FACTS = {
    issuer: 'https://login.example.com',
    binding: 'dpop',
    thumbprint: 't',
    expires: '5',
    certificate_subject: undefined,
  };
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
      facts: FACTS,
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
    ' ',
    ' a',
    'a ',
    'a\tb',
    '🙂',
    { a: 1 },
    [['a']],
    'x,y',
    ['a,b'],
    ['a', null],
    Number.NaN,
  ]) {
    test(`${JSON.stringify(value)} rejects under strict`, () => {
      const read = identify({ roles: value });
      assert.ok(read instanceof Rejection && read.reason === 'identity_unforwardable');
      assert.deepEqual(read.facts, { what: 'roles', name: 'X-Auth-Roles' });
    });
  }
  test('a scope that contains a space in an array rejects', () =>
    assert.ok(identify({ scope: ['a b'] }) instanceof Rejection));
  for (const encoding of ['strict', 'base64url', 'rfc8187'] as const) {
    test(`empty claims are absent ones under ${encoding}`, () => {
      const none = identify({}, encoding);
      assert.ok(!(none instanceof Rejection) && none.length === 1);
      for (const empty of ['', [], [''], ['', ''], null]) {
        assert.deepEqual(identify({ client_id: empty, scope: empty, roles: empty }, encoding), none);
      }
      for (const spaces of [' ', '  ', [' '], ['', ' ']]) {
        const read = identify({ scope: spaces }, encoding);
        if (typeof spaces === 'string') assert.deepEqual(read, none);
        else assert.ok(read instanceof Rejection);
      }
      assert.deepEqual(identify({ client_id: '', azp: 'shop' }, encoding), identify({ azp: 'shop' }, encoding));
      assert.deepEqual(identify({ roles: ['', 'x', ''] }, encoding), identify({ roles: ['x'] }, encoding));
    });
  }
  test('a certificate without a subject makes no field, like a claim that is empty', () => {
    for (const encoding of ['strict', 'base64url', 'rfc8187'] as const) {
      const facts = { ...FACTS, certificate_subject: '' };
      const source = { fact: 'certificate_subject' } as const;
      const read = readIdentity([{ field: 'X-Auth-Certificate', source }], encoding, {
        claims: {},
        scopeClaims: [],
        facts,
      });
      assert.deepEqual(read, []);
    }
  });
  test('the scope that goes on is the one that was checked: an empty claim is not filled in by the next', () => {
    const both: IdentityRule[] = [{ field: 'X-Auth-Scope', source: { claims: ['scope', 'scp'] } }];
    const scopeOf = (claims: JsonObject) =>
      readIdentity(both, 'strict', { claims, scopeClaims: ['scope', 'scp'], facts: FACTS });
    assert.deepEqual(scopeOf({ scope: '', scp: 'admin' }), []);
    assert.deepEqual(scopeOf({ scp: 'a b' }), [['X-Auth-Scope', 'a b']]);
    assert.deepEqual(scopeOf({ scp: ['a', 'b'] }), [['X-Auth-Scope', 'a b']]);
  });
  test('scopes have one space between them, however they were spaced', () => {
    for (const scope of ['a b', 'a b ', ' a  b', ['a', '', 'b'], 'a b    '])
      assert.deepEqual(identify({ scope }), identify({ scope: 'a b' }));
  });
  for (const value of [
    'a',
    '~',
    'a b',
    'a  b',
    5,
    9007199254740993n,
    0,
    -1.5,
    true,
    false,
    ['a'],
    ['a b', 'c'],
    [0, false],
  ]) {
    test(`${typeof value === 'bigint' ? value : JSON.stringify(value)} goes as it is under strict`, () =>
      assert.deepEqual(identify({ roles: value }), [
        ['X-Auth-Issuer', 'https://login.example.com'],
        ['X-Auth-Roles', Array.isArray(value) ? value.join(',') : String(value)],
      ]));
  }
  describe('a string with a comma and an array', () => {
    const field = (claims: JsonObject, encoding: Encoding = 'strict') => {
      const read = readIdentity([{ field: 'X', source: { claims: Object.keys(claims) } }], encoding, {
        claims,
        scopeClaims: ['scope'],
        facts: { issuer: 'i', binding: 'b', thumbprint: 't', expires: '5', certificate_subject: undefined },
      });
      return read instanceof Rejection ? read.reason : read[0]?.[1];
    };
    test('are never the same field value, under any encoding', () => {
      const values = ['a,b', 'b,a', ['a', 'b'], ['b', 'a'], ['a,b', 'c'], ['a', 'b,c'], 'a,b,c', ['a', 'b', 'c']];
      for (const encoding of ['strict', 'base64url', 'rfc8187'] as const) {
        const sent = values
          .map((roles) => field({ roles }, encoding))
          .filter((value) => value !== 'identity_unforwardable');
        assert.equal(new Set(sent).size, sent.length, encoding);
        assert.equal(sent.length, encoding === 'strict' ? 3 : values.length);
      }
      assert.equal(field({ roles: ['a', 'b'] }, 'base64url'), 'YQ,Yg');
      assert.equal(field({ roles: 'a,b' }, 'base64url'), 'YSxi');
      assert.equal(field({ roles: ['a,b', 'c'] }, 'rfc8187'), "UTF-8''a%2Cb,UTF-8''c");
    });
    test('that has one item is that item, so that a list of one is a list too', () => {
      assert.equal(field({ roles: ['a'] }, 'base64url'), field({ roles: 'a' }, 'base64url'));
      assert.equal(field({ roles: ['a,b'] }), 'identity_unforwardable');
    });
    test('a comma passes in claims that are one string by their standard, and an array of several does not', () => {
      for (const name of ['sub', 'client_id', 'azp', 'name']) {
        assert.equal(field({ [name]: 'CN=a,O=b' }), 'CN=a,O=b');
        assert.equal(field({ [name]: ['a', 'b'] }), 'identity_unforwardable', name);
        assert.equal(field({ [name]: ['a'] }), 'a');
        assert.equal(field({ [name]: ['a,b'] }), 'identity_unforwardable');
      }
    });
    test('scopes are separated by spaces in both forms, which mean the same; a comma in one is no separator', () => {
      assert.equal(field({ scope: 'a,b c' }), 'a,b c');
      assert.equal(field({ scope: ['a,b', 'c'] }), 'a,b c');
      assert.equal(field({ scope: ['a', 'b'] }, 'base64url'), field({ scope: 'a b' }, 'base64url'));
    });
  });
  test('a number without end has no text form, alone or in an array, under any encoding', () => {
    for (const encoding of ['strict', 'base64url', 'rfc8187'] as const) {
      for (const value of [Number.POSITIVE_INFINITY, [Number.POSITIVE_INFINITY], { a: 1 }, [null]])
        assert.ok(identify({ roles: value }, encoding) instanceof Rejection);
    }
  });
  test('base64url and rfc8187 carry what strict refuses', () => {
    const last = (encoding: Encoding) => {
      const read = identify({ roles: "ä\r\n'*" }, encoding);
      return read instanceof Rejection ? read.reason : read.at(-1)?.[1];
    };
    assert.equal(last('base64url'), Buffer.from("ä\r\n'*").toString('base64url'));
    assert.equal(last('rfc8187'), "UTF-8''%C3%A4%0D%0A%27%2A");
    for (const encoding of ['base64url', 'rfc8187'] as const)
      assert.ok(identify({ roles: '\ud800' }, encoding) instanceof Rejection);
    const read = identify({ roles: "!'()*-._~ aZ9" }, 'rfc8187');
    assert.ok(!(read instanceof Rejection));
    assert.equal(read.at(-1)?.[1], "UTF-8''!%27%28%29%2A-._~%20aZ9");
  });
});
