// Numbers in JSON: exact, or NaN, never another number.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isExact, parseJson } from '../../src/jose/exact-numbers.ts';

const valueOf = (source: string) => (parseJson(`{"uid":${source}}`) as { uid: unknown }).uid;

test('an integer beyond 2^53 keeps every digit', () => {
  assert.equal(valueOf('9007199254740991'), 9007199254740991);
  for (const source of [
    '9007199254740992',
    '9007199254740993',
    '-9007199254740993',
    '18446744073709551615',
    `${2n ** 256n - 1n}`,
  ]) {
    assert.equal(valueOf(source), BigInt(source));
  }
});

test('every other number that a double would change becomes NaN', () => {
  for (const source of [
    '9007199254740993.0',
    '9007199254740993e0',
    '9.007199254740993e15',
    '900719925474099300e-2',
    '9007199254740991.4',
    '4503599627370497.25',
    '0.12345678901234567891',
    '1e400',
    '1e-400',
    '1'.repeat(101),
  ]) {
    assert.ok(Number.isNaN(valueOf(source)), source);
  }
});

test('what a double holds stays a number, however it is written', () => {
  const good = { '0': 0, '1E2': 100, '1.50e1': 15, '0.10000000000000000': 0.1, '0e0': 0, '-12.5': -12.5, '1e16': 1e16 };
  for (const [source, value] of Object.entries(good)) assert.equal(valueOf(source), value, source);
  assert.equal(valueOf('0.0000000000000000'), 0);
});

test('it does so at every depth, under every name, and not in strings', () => {
  const text =
    '{"s":",:9007199254740993","a":[ 9007199254740993,{"\\"":-9007199254740993 }],"__proto__":9007199254740995,"7":1e5}';
  const value = parseJson(text) as Record<string, unknown>;
  assert.deepEqual(Object.keys(value), ['7', 's', 'a', '__proto__']);
  assert.equal(value.s, ',:9007199254740993');
  assert.deepEqual(value.a, [9007199254740993n, { '"': -9007199254740993n }]);
  assert.equal(Object.getOwnPropertyDescriptor(value, '__proto__')?.value, 9007199254740995n);
  assert.equal(value['7'], 1e5);
});

test('times stay numbers at the top level, where they are compared with a clock, and nowhere else', () => {
  assert.deepEqual(parseJson('{"exp":9223372036854775807,"iat":1790000000.123456789,"nbf":1e9,"auth_time":1e400}'), {
    exp: 2 ** 63,
    iat: 1790000000.1234567,
    nbf: 1e9,
    auth_time: Number.POSITIVE_INFINITY,
  });
  assert.deepEqual(parseJson('{"of":{"exp":9223372036854775807},"exp":"9223372036854775807"}'), {
    of: { exp: 9223372036854775807n },
    exp: '9223372036854775807',
  });
});

test('random JSON is read as JSON.parse reads it, but for integers beyond 2^53', () => {
  const json = fc.jsonValue({ maxDepth: 3 });
  fc.assert(
    fc.property(json, fc.bigInt(), fc.string(), (value, integer, text) => {
      const written = JSON.stringify({ value, text, integer: 0 }).replace(/0}$/, `${integer}}`);
      const read = parseJson(written) as { value: unknown; text: string; integer: number | bigint };
      assert.equal(String(read.integer), String(integer));
      assert.equal(read.text, text);
      assert.deepEqual(
        JSON.parse(written, (name, one: unknown) => (name === 'integer' ? undefined : one)),
        {
          value: JSON.parse(JSON.stringify(value)),
          text,
        },
      );
      assert.deepEqual(JSON.stringify(read.value, digits), JSON.stringify(JSON.parse(JSON.stringify(value)), digits));
    }),
    { numRuns: 300 },
  );
});

const digits = (_name: string, value: unknown) => (typeof value === 'bigint' ? Number(value) : value);

test('cost grows with the length of the text alone: depth, many numbers and a huge one are read', () => {
  const deep = `{"a":${'['.repeat(20_000)}9007199254740993${']'.repeat(20_000)}}`;
  assert.notEqual(parseJson(deep), undefined);
  const many = parseJson(`[${Array.from({ length: 20_000 }, () => '9007199254740993').join(',')}]`) as unknown[];
  assert.deepEqual([many.length, many.at(-1)], [20_000, 9007199254740993n]);
  assert.ok(Number.isNaN(valueOf('7'.repeat(1_000_000))));
});

test('a text is exact if a double holds it', () => {
  for (const source of ['1', '0.5', '9007199254740992', '1e22', '0.1']) assert.ok(isExact(source), source);
  for (const source of ['9007199254740993', '0.12345678901234567891', '1e400']) assert.ok(!isExact(source), source);
});
