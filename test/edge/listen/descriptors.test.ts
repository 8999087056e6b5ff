// Descriptors of clients' connections: a part of the limit is left for everything else.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { readDescriptorCeiling, takesReserve } from '../../../src/edge/listen/descriptors.ts';

const limits = (soft: string) =>
  `Limit                     Soft Limit           Hard Limit           Units\nMax open files            ${soft.padEnd(21)}1048576              files\n`;

test('a quarter of the limit is kept back, 4096 at most', () => {
  assert.equal(readDescriptorCeiling(limits('128')), 96);
  assert.equal(readDescriptorCeiling(limits('1024')), 768);
  assert.equal(readDescriptorCeiling(limits('262144')), 262_144 - 4096);
});

test('where no limit is told, or there is none, nothing is refused', () => {
  for (const text of ['', limits('unlimited')]) assert.equal(readDescriptorCeiling(text), Number.POSITIVE_INFINITY);
});

test('a connection has a descriptor that says how many are in use', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [accepted] = await once(server, 'connection');
  t.after(() => [socket, accepted].forEach((one) => one.destroy()));
  assert.equal(takesReserve(accepted, 1), true);
  assert.equal(takesReserve(accepted, 1_000_000), false);
  assert.equal(takesReserve(accepted, Number.POSITIVE_INFINITY), false);
});
