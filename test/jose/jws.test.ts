// Reading a compact JWS: strict spelling, repeated members, cost.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseDocument } from 'yaml';
import { decodeBase64url, readCompactJws, readJsonObject } from '../../src/jose/jws.ts';

const part = (text: string) => Buffer.from(text).toString('base64url');

test('three parts are read, and what the signature covers is everything before the last dot', () => {
  const text = `${part('{"alg":"ES256"}')}.${part('{"a":{"b":[1,{"c":null}]}}')}.${part('sig')}`;
  assert.deepEqual(readCompactJws(text), {
    header: { alg: 'ES256' },
    payload: { a: { b: [1, { c: null }] } },
    signature: Buffer.from('sig'),
    signingInput: text.slice(0, text.lastIndexOf('.')),
  });
});

test('five parts (JWE), two parts, crit and b64 are refused', () => {
  const [header, payload] = [part('{"alg":"ES256"}'), part('{}')];
  for (const text of [
    `${header}.${payload}.A.A.A`,
    `${header}.${payload}`,
    `${part('{"crit":[]}')}.${payload}.AA`,
    `${part('{"b64":false}')}.${payload}.AA`,
    '..',
    '',
  ]) {
    assert.equal(readCompactJws(text), undefined, text);
  }
});

test('base64url has one spelling: no padding, white space, other alphabet or spare bits', () => {
  for (const text of ['AA==', 'A', 'AB', 'A A', 'AA\n', '+/8', 'é', 'AAA=', '\u0000']) {
    assert.equal(decodeBase64url(text), undefined, text);
  }
  assert.deepEqual(decodeBase64url('-_8'), Buffer.from([0xfb, 0xff]));
  assert.deepEqual(decodeBase64url(''), Buffer.alloc(0));
});

test('a repeated member is found at every depth, in every spelling, and colons in strings deceive nobody', () => {
  for (const text of [
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":1}',
    '{"x":[{"b":1,"b":2}]}',
    '{"__proto__":1,"__proto__":2}',
    '{"":1,"":2}',
    '{"a":"\\":","a":2}',
  ]) {
    assert.equal(readJsonObject(text), undefined, text);
  }
  for (const text of [
    '{"a:b":"c:d","\\"":":"}',
    '{"__proto__":{"x":1}}',
    '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}',
    '{}',
  ]) {
    assert.notEqual(readJsonObject(text), undefined, text);
  }
  for (const text of ['[]', 'null', '1', '"a"', '', '{', '\ufeff{}', '{"a":1}x', "{'a':1}", '{"a":1,}']) {
    assert.equal(readJsonObject(text), undefined, text);
  }
});

test('random objects with members repeated at random are judged as by a parser that demands unique keys', () => {
  const member = fc.tuple(fc.constantFrom('a', 'b', 'c:', '"', 'd'), fc.jsonValue({ maxDepth: 2 }));
  fc.assert(
    fc.property(fc.array(member, { maxLength: 6 }), (members) => {
      const text = `{${members.map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`).join(',')}}`;
      fc.pre(!text.includes('\\\\'));
      const unique = parseDocument(text, { uniqueKeys: true, schema: 'json' }).errors.length === 0;
      assert.equal(readJsonObject(text) !== undefined, unique, text);
    }),
    { numRuns: 500 },
  );
});

test('a claim spelled with an escape cannot be hidden by objects that were read before', () => {
  for (const primer of ['cn', 'cnf', 'c']) readJsonObject(`{"iss":1,"${primer}\\\\":2}`);
  const hidden = readJsonObject('{"iss":1,"cn\\u0066":{"jkt":"x"}}');
  assert.ok(hidden === undefined || Object.hasOwn(hidden, 'cnf'));
  assert.equal(readJsonObject('{"a\\\\b":1}'), undefined);
  const besideLongNumbers = readJsonObject('{"uid":9007199254740993,"cn\\u0066":{"jkt":"x"}}');
  assert.ok(besideLongNumbers === undefined || Object.hasOwn(besideLongNumbers, 'cnf'));
  assert.equal(readJsonObject('{"uid":9007199254740993,"a\\\\b":1}'), undefined);
  assert.equal(readJsonObject('{"uid":9007199254740993,"u\\u0069d":1}'), undefined);
});

test('a part that is no JSON object, no UTF-8 or not canonical spoils the whole, wherever it stands', () => {
  const [header, payload] = [part('{"alg":"ES256"}'), part('{}')];
  const notUtf8 = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url');
  for (const bad of ['', part('[]'), part('x'), notUtf8, `${payload}=`]) {
    assert.equal(readCompactJws(`${bad}.${payload}.AA`), undefined, bad);
    assert.equal(readCompactJws(`${header}.${bad}.AA`), undefined, bad);
  }
  assert.equal(readCompactJws(`${header}.${payload}.A`), undefined);
  assert.equal(readCompactJws(`${header}.${payload}.AA.`), undefined);
  assert.deepEqual(readCompactJws(`${header}.${payload}.`)?.signature, Buffer.alloc(0));
});

test('depth costs no stack', () => {
  const deep = `{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`;
  assert.notEqual(readJsonObject(deep), undefined);
});
