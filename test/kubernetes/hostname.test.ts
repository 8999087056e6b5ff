// Tests of hostnames: intersections, and listeners that isolate theirs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostPattern, intersect, isHostname, mostSpecific } from '../../src/kubernetes/hostname.ts';

test('hosts that belong to a listener and to a route', () => {
  for (const [listener, route, shared] of [
    [undefined, undefined, undefined],
    [undefined, 'a.example.com', 'a.example.com'],
    ['a.example.com', undefined, 'a.example.com'],
    ['a.example.com', 'a.example.com', 'a.example.com'],
    ['a.example.com', 'b.example.com', false],
    ['*.example.com', 'a.example.com', 'a.example.com'],
    ['*.example.com', 'a.b.example.com', 'a.b.example.com'],
    ['*.example.com', 'example.com', false],
    ['*.example.com', 'aexample.com', false],
    ['*.example.com', '*.example.com', '*.example.com'],
    ['*.example.com', '*.b.example.com', '*.b.example.com'],
    ['*.b.example.com', '*.example.com', '*.b.example.com'],
    ['*.b.example.com', '*.a.example.com', false],
    ['a.example.com', '*.example.com', 'a.example.com'],
    ['example.com', '*.example.com', false],
  ] as const) {
    assert.equal(intersect(listener, route), shared, `${listener} and ${route}`);
  }
});

test('a host belongs to the listener with the most specific hostname', () => {
  const listeners = [undefined, '*.example.com', '*.b.example.com', 'c.b.example.com'];
  for (const [host, own] of [
    [undefined, undefined],
    ['example.com', undefined],
    ['a.example.com', '*.example.com'],
    ['a.b.example.com', '*.b.example.com'],
    ['c.b.example.com', 'c.b.example.com'],
    ['*.b.example.com', '*.b.example.com'],
    ['*.c.b.example.com', '*.b.example.com'],
    ['*.com', undefined],
  ] as const) {
    assert.equal(mostSpecific(listeners, host), own, `${host}`);
  }
});

test('a hostname has no port, no address and no star further in', () => {
  for (const good of ['a', 'a.example.com', '*.example.com', 'xn--bcher-kva.example', '1.example.com']) {
    assert.ok(isHostname(good), good);
  }
  for (const bad of [
    '',
    '*',
    '*.',
    'a.*.com',
    '**.a',
    'a..b',
    'a:80',
    '10.0.0.1',
    '[::1]',
    'A',
    'a_b',
    '-a',
    'a.',
    `${'a'.repeat(64)}.b`,
  ]) {
    assert.ok(!isHostname(bad), bad);
  }
});

test('one or more labels are written with two stars', () => {
  assert.deepEqual(
    [undefined, 'a.b', '*.b'].map((name) => hostPattern(name)),
    [undefined, 'a.b', '**.b'],
  );
});
