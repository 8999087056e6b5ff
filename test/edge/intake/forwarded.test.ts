// Statements of trusted peers about client and origin, and the fields that count.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Forwarding } from '../../../src/policy/policy.ts';
import { Rejection } from '../../../src/rejection/rejection.ts';
import { readStatedClient, readStatedOrigin } from '../../../src/edge/intake/forwarded.ts';

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

/** What is believed of fields, or why the request is refused. */
function stated(fields: Readonly<Record<string, string | readonly string[] | undefined>>, forwarding?: Forwarding) {
  const written = Object.entries(fields).filter(([, value]) => value !== undefined);
  const lines = new Map(written.map(([name, value]) => [name, [value].flat() as string[]]));
  const origin = readStatedOrigin(lines, forwarding);
  if (origin instanceof Rejection) return origin.reason;
  return `${readStatedClient(lines, forwarding)} ${origin.scheme} ${origin.host}`;
}

test('a peer that is known to write one kind of fields is believed in those alone, and the other kind is not even read', () => {
  const written = {
    'x-forwarded-for': '198.51.100.7',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'api.example.com',
  };
  const forged = ['for=203.0.113.66;host=www.example.com;proto=http', '"'];
  assert.equal(stated({ ...written, forwarded: forged }, 'x-forwarded'), '198.51.100.7 https api.example.com');
  assert.equal(stated({ forwarded: forged[0] }, 'x-forwarded'), 'undefined undefined undefined');

  const element = 'for=198.51.100.7;host=api.example.com;proto=https';
  const evil = { 'x-forwarded-for': '203.0.113.66', 'x-forwarded-proto': ['gopher', 'x'], 'x-forwarded-host': 'a, b' };
  assert.equal(stated({ ...evil, forwarded: element }, 'forwarded'), '198.51.100.7 https api.example.com');
  assert.equal(stated({ 'x-forwarded-host': 'www.example.com' }, 'forwarded'), 'undefined undefined undefined');
  assert.equal(stated({ ...evil, forwarded: element }, 'x-forwarded'), 'request_malformed');
});

test('where it is not said which kind the peer writes, both must say the same in everything that either says', () => {
  const same = {
    forwarded: 'for=198.51.100.7;host=www.example.com;proto=https',
    'x-forwarded-for': '203.0.113.1, 198.51.100.7',
    'x-forwarded-host': 'www.example.com',
    'x-forwarded-proto': 'https',
  };
  const believed = '198.51.100.7 https www.example.com';
  assert.equal(stated(same), believed);
  assert.equal(stated({ ...same, forwarded: undefined }), believed);
  assert.equal(stated({ forwarded: same.forwarded }), believed);
  assert.match(
    stated({ ...same, forwarded: 'For="198.51.100.7:99";Host=WWW.example.com;Proto=HTTPS' }),
    /^198\.51\.100\.7 https www/i,
  );
  for (const changes of [
    { forwarded: 'for=203.0.113.66;host=www.example.com;proto=https' },
    { forwarded: 'for=198.51.100.7;host=api.example.com;proto=https' },
    { forwarded: 'for=198.51.100.7;host=www.example.com;proto=http' },
    { forwarded: 'for=unknown;host=www.example.com;proto=https' },
    { forwarded: 'for=198.51.100.7, for=203.0.113.66;host=www.example.com;proto=https' },
    // What one kind leaves out would be the client's to say in the other.
    { 'x-forwarded-host': undefined },
    { 'x-forwarded-for': undefined },
    { 'x-forwarded-proto': undefined, 'x-forwarded-host': undefined },
    { forwarded: 'for=198.51.100.7;proto=https' },
    { forwarded: 'by=198.51.100.7' },
    { forwarded: '' },
  ]) {
    assert.equal(stated({ ...same, ...changes }), 'request_malformed', JSON.stringify(changes));
  }
});
