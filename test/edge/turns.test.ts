// Turns of requests that came together.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as lookAtSockets } from 'node:timers/promises';
import { Turns } from '../../src/edge/turns.ts';

/** Takes turns for clients in this order; @returns their addresses in the order in which they went on, as it grows */
function queue(turns: Turns, addresses: readonly (string | undefined)[]): readonly string[] {
  const went: string[] = [];
  for (const address of addresses) void turns.take(address)?.then(() => went.push(String(address)));
  return went;
}

const times = (count: number, address: string) => Array.from({ length: count }, () => address);

describe('turns', () => {
  test('requests that came together go on together, in the order in which they came', async () => {
    const went = queue(new Turns(), ['192.0.2.1', '192.0.2.2', '192.0.2.3', undefined]);
    await Promise.resolve();
    assert.deepEqual(went, [], 'none goes on while others may be read');
    await lookAtSockets();
    assert.deepEqual(went, ['192.0.2.1', '192.0.2.2', '192.0.2.3', 'undefined']);
  });

  test('a client with many requests waits for itself: those of others go on between its own', async () => {
    const went = queue(new Turns(), [...times(200, '192.0.2.1'), '192.0.2.2', '192.0.2.3', '192.0.2.2']);
    await lookAtSockets();
    assert.deepEqual(went.slice(0, 6), ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.1', '192.0.2.2', '192.0.2.1']);
  });

  test('one host with all addresses of its network is one client', async () => {
    const many = Array.from({ length: 100 }, (_, nth) => `2001:db8::${nth.toString(16)}`);
    const went = queue(new Turns(), [...many, '2001:db8:0:1::1']);
    await lookAtSockets();
    assert.equal(went[1], '2001:db8:0:1::1');
  });

  test('after 32 the sockets are looked at, and the next begin where the row was left', async () => {
    const clients = Array.from({ length: 40 }, (_, nth) => `192.0.2.${nth}`);
    const went = queue(new Turns(), [...clients, ...clients]);
    await lookAtSockets();
    assert.equal(went.length, 32);
    await lookAtSockets();
    assert.deepEqual(went.slice(0, 64), [...clients, ...clients.slice(0, 24)]);
    await lookAtSockets();
    assert.equal(went.length, 80);
  });

  test('one that comes while others go on has a turn as well', async () => {
    const turns = new Turns();
    await turns.take('192.0.2.1')?.then(async () => await turns.take('192.0.2.1'));
    await turns.take('192.0.2.2');
  });

  test('one that finds too many of its client waiting, or of all, goes on at once: what waits takes memory', async () => {
    const turns = new Turns();
    const has = (address: string) => turns.take(address) !== undefined;
    assert.equal(times(300, '192.0.2.1').filter(has).length, 256);
    assert.equal(has('192.0.2.2'), true, 'others still have theirs');
    const strangers = Array.from({ length: 1000 }, (_, nth) => `198.51.100.${nth}`);
    assert.equal(strangers.filter(has).length, 1024 - 256 - 1);
    for (let look = 0; look < 1024 / 32; look += 1) await lookAtSockets();
    assert.equal(has('192.0.2.1'), true, 'and all were served in the end');
  });
});
