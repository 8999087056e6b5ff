// Probes of the telemetry port next to crowds of connections from another address.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { statusOf } from '../support/edge.ts';
import { openPort } from './telemetry-port.ts';

/** Connections from 127.0.0.2, as they are after their opening bytes; each is told of its end. */
async function crowd(t: TestContext, port: number, size: number, bytes: string): Promise<Socket[]> {
  const sockets = Array.from({ length: size }, () =>
    connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' }).on('error', () => 'it was shut out'),
  );
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  for (const socket of sockets) socket.write(bytes);
  return sockets;
}

describe('a probe of the telemetry port gets through', () => {
  const CROWDS: Readonly<Record<string, string>> = {
    'connections that say nothing': '',
    'connections that send a request a byte at a time': 'GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ',
    'connections that were served and stay': 'GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
    'connections that do not read their metrics': 'GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n',
  };

  for (const [what, bytes] of Object.entries(CROWDS)) {
    test(`in spite of ${what}`, async (t) => {
      const { port, get } = await openPort(t, { metrics: async () => async () => 'x'.repeat(4_000_000) });
      const sockets = await crowd(t, port, 300, bytes);
      for (const socket of sockets) socket.pause();
      for (let probe = 0; probe < 5; probe += 1) {
        assert.equal((await get('/livez')).status, 200);
        assert.equal((await get('/readyz')).status, 200);
      }
    });
  }

  test('and the connection that it keeps is not the one that ends when others come', async (t) => {
    const { port } = await openPort(t);
    const probe = connect(port, '127.0.0.1');
    t.after(() => probe.destroy());
    await once(probe, 'connect');
    await crowd(t, port, 300, '');
    probe.write('GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    const [answer] = (await once(probe, 'data')) as [Buffer];
    assert.equal(statusOf(answer.toString()), 200);
  });
});
