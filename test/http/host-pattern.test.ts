// Patterns of hosts against hosts and against each other, by brute force.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fitsPattern, narrownessOf, sharedPattern } from '../../src/http/host-pattern.ts';

const NAMES = ['com', 'example.com', 'xexample.com', 'a.example.com', 'b.a.example.com', 'c.b.a.example.com', 'a.org'];
const PATTERNS = ['*', ...NAMES.flatMap((name) => [name, `*.${name}`, `**.${name}`])];

/** The same by another way: label by label. */
function fitsByLabels(host: string, pattern: string): boolean {
  if (pattern === '*') return true;
  const [stars = '', ...name] = pattern.split('.');
  const labels = host.split('.');
  const open = labels.length - name.length;
  if (!stars.startsWith('*')) return host === pattern;
  const fits = stars === '*' ? open === 1 : open >= 1;
  return fits && labels.slice(open).join('.') === name.join('.');
}

test('one star is one label, two are at least one, and a star alone is any host', () => {
  for (const host of NAMES) {
    for (const pattern of PATTERNS) {
      assert.equal(fitsPattern(host, pattern), fitsByLabels(host, pattern), `${host} and ${pattern}`);
    }
  }
});

test('two patterns share exactly the hosts that fit both, whichever comes first', () => {
  const hosts = [...NAMES, ...NAMES.map((name) => `z.${name}`), ...NAMES.map((name) => `z.y.${name}`)];
  for (const one of PATTERNS) {
    for (const two of PATTERNS) {
      const shared = sharedPattern(one, two);
      assert.equal(shared, sharedPattern(two, one));
      for (const host of hosts) {
        const both = fitsByLabels(host, one) && fitsByLabels(host, two);
        assert.equal(shared !== undefined && fitsByLabels(host, shared), both, `${host}: ${one} and ${two}`);
      }
    }
  }
});

test('of the patterns that a host fits, the one with the longest name and the fewest labels left open is the narrowest', () => {
  const sorted = ['*.a.example.com', '**.a.example.com', '**.example.com', '*'];
  assert.deepEqual(
    sorted.toReversed().toSorted((one, two) => narrownessOf(two) - narrownessOf(one)),
    sorted,
  );
});

test('what is no name fits no pattern: stars, other characters, empty labels, and addresses below a name', () => {
  for (const host of [
    '*',
    '*.example.com',
    '**.example.com',
    'a..example.com',
    '.example.com',
    "a'.example.com",
    'a~.example.com',
    '',
  ]) {
    for (const pattern of ['*', '*.example.com', '**.example.com'])
      assert.equal(fitsPattern(host, pattern), false, host);
  }
  for (const pattern of ['*.2.3.4', '**.3.4', '**.4']) assert.equal(fitsPattern('1.2.3.4', pattern), false);
  for (const host of ['1.2.3.4', '[2001:db8::1]', 'localhost', 'example.com.']) assert.ok(fitsPattern(host, '*'), host);
  assert.equal(fitsPattern('a.example.com.', '**.example.com'), false, 'a trailing dot makes another host (C0.4)');
});

test('a host of three hundred characters costs no more than its length', () => {
  const host = `${'a.'.repeat(149)}a!`;
  const before = performance.now();
  for (let round = 0; round < 10_000; round += 1) fitsPattern(host, '**.example.com');
  assert.ok(performance.now() - before < 5000);
});
