// Excerpts of configuration files: the place that is meant, and no secret.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { excerptAt } from '../../../src/config/read/excerpt.ts';

const at = (text: string, word: string) => excerptAt(text, text.indexOf(word));
/** What the caret points at. */
const pointed = ({ line, column }: ReturnType<typeof excerptAt>) => line.slice(column - 1);

test('the line around the place, with its column, whatever the line ends', () => {
  assert.deepEqual(at('a: 1\n  b: two\nc: 3\n', 'two'), { line: '  b: two', column: 6 });
  assert.deepEqual(at('a: 1\r\nb: two\r\n', 'two'), { line: 'b: two', column: 4 });
  assert.deepEqual(excerptAt('', 0), { line: '', column: 1 });
  assert.deepEqual(excerptAt('a: 1', 4), { line: 'a: 1', column: 5 });
});

test('values of keys that sound like secrets are left out, quoted or not, and the caret still points at its place', () => {
  for (const key of [
    'client_secret',
    'password',
    'api-key',
    'private_key',
    'refresh_token',
    'passphrase',
    'credentials',
  ]) {
    for (const value of ['pa55word', '"pa55 word"', "'pa55'", 'pa55 word']) {
      const shown = at(`x: { ${key}: ${value}, where: here }`, 'here');
      assert.ok(!shown.line.includes('pa55'), shown.line);
      assert.match(pointed(shown), /^here/);
    }
  }
  assert.ok(!at('x: { "client_secret" : "pa55", y: 1 }', '1').line.includes('pa55'));
});

test('names of files, marks of access tokens, and keys of rate limits are shown', () => {
  for (const line of [
    'client_secret_file: a.txt',
    'access_token: any',
    'x: { key: client }',
    'keys: discovery',
    'key_file: tls.key',
  ]) {
    assert.equal(excerptAt(line, 0).line, line);
  }
});

test('user information of URLs, and the value of a key that should not be there, are left out', () => {
  assert.equal(at('origins: ["https://me:pa55@a.example"]', 'https').line, 'origins: ["https://…@a.example"]');
  for (const odd of ['pa/55', 'pa@55', "pa'55", 'pa"55', 'pa?55', 'pa#55']) {
    assert.equal(at(`url: redis://me:${odd}@a.example`, 'redis').line, 'url: redis://…@a.example', odd);
  }
  assert.equal(at('url: redis://a.example/0 # me@a', 'redis').line, 'url: redis://a.example/0 # me@a');
  const text = 'x: { scret: pa55, y: 1 }';
  const value = text.indexOf('pa55');
  const shown = excerptAt(text, text.indexOf('scret'), [value, value + 4]);
  assert.deepEqual([shown.line, pointed(shown).slice(0, 5)], ['x: { scret: …, y: 1 }', 'scret']);
  assert.equal(excerptAt('a:\n  b: pa55\n', 0, [3, 12]).line, 'a:');
});
