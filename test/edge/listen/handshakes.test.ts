// Turns of handshakes: those under way, those that wait, and those that end for them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, Socket } from 'node:net';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Seat } from '../../../src/edge/listen/admission.ts';
import { Handshakes } from '../../../src/edge/listen/handshakes.ts';

function line(timeout = 10_000) {
  const told: string[] = [];
  const started: Seat[] = [];
  const handshakes = new Handshakes({
    timeout,
    refused: (refusal) => told.push(refusal),
    displaced: (client) => told.push(`displaced ${client}`),
  });
  const begin = (client: string | undefined, count = 1): Seat[] =>
    Array.from({ length: count }, () => {
      const socket = new Socket();
      const seat: Seat = { socket, client, top: socket, work: undefined };
      handshakes.begin(seat, () => started.push(seat));
      return seat;
    });
  return { handshakes, told, started, begin };
}

test('sixteen of one client begin at once, the next when one is over, in their order', async () => {
  const { handshakes, started, begin } = line();
  const seats = begin('a', 20);
  assert.deepEqual(started, seats.slice(0, 16));
  handshakes.end(seats[3]!);
  seats[5]!.socket.destroy();
  seats[17]!.socket.destroy(); // it was to be the next but one
  await once(seats[17]!.socket, 'close');
  await turn();
  await turn();
  assert.deepEqual(started.slice(16), [seats[16], seats[18]]);
});

test('those of another client, and of peers that speak for many, do not wait for them', () => {
  const { started, begin } = line();
  begin('a', 100);
  const [other] = begin('b');
  const many = begin(undefined, 100);
  assert.deepEqual(started.slice(16), [other, ...many]);
});

test('a handshake that waits for its client for a second ends when another of the same client waits, no more of them than wait', async () => {
  const { told, started, begin } = line();
  const seats = begin('a', 16);
  const [waiting] = begin('a');
  const [oldest] = seats;
  await once(oldest!.socket, 'close');
  while (started.length < 17) await turn();
  assert.deepEqual([started.at(-1), told], [waiting, ['displaced a']]);
  assert.equal(seats.filter(({ socket }) => socket.destroyed).length, 1);
});

test('a client that has answered is not late because this thread was: what has arrived is read first', async (t) => {
  const { handshakes, told, begin } = line();
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  t.after(() => client.destroy());
  const [[accepted]] = await Promise.all([once(server, 'connection') as Promise<[Socket]>, once(client, 'connect')]);
  t.after(() => accepted.destroy());
  const seats = begin('a', 16);
  begin('a');
  accepted.once('data', () => seats.forEach((seat) => handshakes.end(seat)));
  await new Promise((resolve) => client.write('answered', resolve));
  for (const end = performance.now() + 1500; performance.now() < end; );
  await once(accepted, 'data');
  await turn();
  assert.deepEqual(told, []);
});

test('one that waits longer than the timeout is closed and told', async () => {
  const { told, started, begin } = line(300);
  const seats = begin('a', 16);
  const [waiting] = begin('a');
  await once(waiting!.socket, 'close');
  assert.deepEqual(told, ['timed_out']);
  assert.deepEqual(started, seats);
});
