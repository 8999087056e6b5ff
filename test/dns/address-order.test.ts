// Addresses that this host reaches first, in the resolver's order within a family.

import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import { byReach } from '../../src/dns/address-order.ts';

const order = (own: Parameters<typeof byReach>[1], ...addresses: string[]) =>
  byReach(
    addresses.map((address) => ({ address, family: isIP(address) })),
    own,
  ).map(({ address }) => address);

test('IPv6 comes first where the host has an address of that scope, else last', () => {
  const [four, other, global, local] = ['192.0.2.1', '192.0.2.2', '2001:db8::1', 'fd00::1'];
  assert.deepEqual(order(new Set(), global, four, local, other), [four, other, global, local]);
  assert.deepEqual(order(new Set(['global']), four, other, local, global), [global, four, other, local]);
  assert.deepEqual(order(new Set(['local']), four, global, local), [local, four, global]);
  assert.deepEqual(order(new Set(['loopback']), '127.0.0.1', '::1'), ['::1', '127.0.0.1']);
});
