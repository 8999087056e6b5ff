// Search rules as the C library reads them, and the full names that follow from them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fullNames, readSearchRules } from '../../src/dns/resolv-conf.ts';

const rules = (text: string, env: Record<string, string> = {}, host = 'gateway') => readSearchRules(text, env, host);

test('the last of search and domain counts, comments and dots at the ends do not', () => {
  const text =
    'search a.test b.test\n; search c.test\n# domain d.test\ndomain e.test\nsearch f.test. .g.test # h.test\n';
  assert.deepEqual(rules(text).search, ['f.test', 'g.test']);
  assert.deepEqual(rules('search .').search, []);
});

test('without any, the domain of the host is searched; LOCALDOMAIN and RES_OPTIONS override the file', () => {
  assert.deepEqual(rules('nameserver 192.0.2.1', {}, 'gateway.shop.test').search, ['shop.test']);
  assert.deepEqual(rules('', {}, 'gateway').search, []);
  const overridden = rules('search a.test\noptions ndots:2', { LOCALDOMAIN: 'b.test c.test', RES_OPTIONS: 'ndots:3' });
  assert.deepEqual(overridden, { search: ['b.test', 'c.test'], ndots: 3 });
});

test('ndots is 1 unless an option says otherwise, and at most 15', () => {
  for (const [text, ndots] of [
    ['', 1],
    ['options timeout:1 ndots:5 rotate', 5],
    ['options ndots:5\noptions edns0', 5],
    ['options ndots:0', 0],
    ['options ndots:99', 15],
    ['options ndots:x xndots:7', 1],
  ] as const) {
    assert.equal(rules(text).ndots, ndots, text);
  }
});

test('a name with fewer dots is tried under the domains first, one with more as it is, a full one alone', () => {
  const search = ['a.test', 'b.test'];
  assert.deepEqual(fullNames('orders', { search, ndots: 1 }), ['orders.a.test', 'orders.b.test', 'orders']);
  assert.deepEqual(fullNames('orders.shop', { search, ndots: 1 }), [
    'orders.shop',
    'orders.shop.a.test',
    'orders.shop.b.test',
  ]);
  assert.deepEqual(fullNames('orders.shop', { search, ndots: 5 }).at(-1), 'orders.shop');
  assert.deepEqual(fullNames('orders.shop.', { search, ndots: 5 }), ['orders.shop']);
});
