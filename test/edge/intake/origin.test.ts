// The origin that was asked for, out of those of a listener.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseOrigin } from '../../../src/edge/intake/origin.ts';
import { readAuthority, readOrigin } from '../../../src/http/uri.ts';

function prefixOf(host: string, origins: readonly string[]): string | undefined {
  const read = origins.flatMap((origin) => readOrigin(origin) ?? []);
  assert.equal(read.length, origins.length);
  const authority = readAuthority(host, 'https');
  const chosen = chooseOrigin(read, { scheme: 'https', authority });
  if (chosen !== undefined)
    assert.equal(chosen.authority, authority, 'what was asked for takes the place of the stars');
  return chosen?.pathPrefix;
}

test('of several origins that fit the narrowest counts', () => {
  const origins = [
    'https://*:*/any-port',
    'https://*/any',
    'https://**.example.com/deep',
    'https://*.example.com/one',
    'https://**.a.example.com/a',
    'https://**.example.com:8443/port',
    'https://b.example.com/exact',
    'http://**.example.com/http',
  ];
  const prefixes = {
    'b.example.com': '/exact',
    'x.example.com': '/one',
    'x.y.example.com': '/deep',
    'X.Y.Z.example.com:443': '/deep',
    'x.a.example.com': '/a',
    'x.y.a.example.com': '/a',
    'x.example.com:8443': '/port',
    'example.com': '/any',
    'x.example.com.': '/any',
    'example.com:8443': '/any-port',
    'x.a.example.com:444': '/any-port',
    '192.0.2.1': '/any',
    '[2001:db8:0::1]': '/any',
  };
  for (const [host, prefix] of Object.entries(prefixes)) assert.equal(prefixOf(host, origins), prefix, host);
});

test('what no name has, and the name below which labels are open, is not taken', () => {
  const hosts = [
    'example.com',
    '.example.com',
    'a..example.com',
    '**.example.com',
    "a'b.x.example.com",
    'a.example.com.',
  ];
  for (const host of hosts) assert.equal(prefixOf(host, ['https://**.example.com']), undefined, host);
  for (const host of ['*', '*.example.com', '**', "a'b.example.com"]) {
    assert.equal(prefixOf(host, ['https://*', 'https://*:*', 'https://**.example.com']), undefined, host);
  }
});
