// Which client a trusted peer says it serves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readStatedClient } from '../../../src/edge/intake/forwarded.ts';

type Line = readonly [name: 'forwarded' | 'x-forwarded-for', value: string];

function client(...lines: readonly Line[]): string | undefined {
  const read = new Map<string, string[]>();
  for (const [name, value] of lines) read.set(name, [...(read.get(name) ?? []), value]);
  return readStatedClient(read);
}

test('is the last that it names, without port and brackets, IPv4-mapped addresses as IPv4', () => {
  for (const [name, value, expected] of [
    ['x-forwarded-for', '203.0.113.9', '203.0.113.9'],
    ['x-forwarded-for', '198.51.100.1, 203.0.113.9', '203.0.113.9'],
    ['x-forwarded-for', '203.0.113.9:4711', '203.0.113.9'],
    ['x-forwarded-for', '2001:db8::9', '2001:db8::9'],
    ['x-forwarded-for', '[2001:db8::9]:4711', '2001:db8::9'],
    ['x-forwarded-for', '::FFFF:203.0.113.9', '203.0.113.9'],
    ['forwarded', 'for=198.51.100.1, for=203.0.113.9;proto=https', '203.0.113.9'],
    ['forwarded', 'For="[2001:db8::9]:4711"', '2001:db8::9'],
    ['forwarded', 'for="203.0.113.9:4711"', '203.0.113.9'],
  ] as const) {
    assert.equal(client([name, value]), expected, value);
  }
  assert.equal(client(['x-forwarded-for', '1.1.1.1'], ['x-forwarded-for', '203.0.113.9']), '203.0.113.9');
});

test('is taken from Forwarded where that says it, even if it says that it does not tell', () => {
  assert.equal(client(['forwarded', 'for=203.0.113.9'], ['x-forwarded-for', '198.51.100.1']), '203.0.113.9');
  assert.equal(client(['forwarded', 'for=unknown'], ['x-forwarded-for', '198.51.100.1']), undefined);
  assert.equal(client(['forwarded', 'proto=https'], ['x-forwarded-for', '198.51.100.1']), '198.51.100.1');
});

test('is nobody where there is no address', () => {
  assert.equal(client(), undefined);
  for (const node of [
    'unknown',
    '_hidden',
    '',
    '203.0.113',
    '[203.0.113.9',
    '2001:db8::9::',
    'a.example',
    '203.0.113.9,',
  ]) {
    assert.equal(client(['x-forwarded-for', node]), undefined, node);
  }
});
