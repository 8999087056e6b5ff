// Clients that spoil a connection to an HTTP/2 upstream, which it shares with others.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerHttp2Session, type ServerHttp2Stream, type ServerOptions } from 'node:http2';
import { get, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { portOf, startTestGateway, type TestGateway } from '../support/gateway.ts';

const LISTENER = '- { name: public, bind: "127.0.0.1:0", origins: ["http://api.example.com"] }';
const HOST = 'Host: api.example.com\r\n';
const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

interface Rig {
  readonly gateway: TestGateway;
  readonly targets: string[];
  /** Bytes of a client on a connection that stays open. */
  open(bytes: string): Promise<Socket>;
  /** Statuses of as many requests of another client. */
  others(count: number): Promise<number[]>;
}

/** A real HTTP/2 server that tells what it was asked for; `/large` has an answer of 4 MiB. */
async function start(t: TestContext, options: ServerOptions = {}): Promise<Rig> {
  const targets: string[] = [];
  const server = createServer(options);
  server.on('session', (session: ServerHttp2Session) => {
    session.on('error', () => {});
    t.after(() => session.destroy());
  });
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    const path = String(headers[':path']);
    targets.push(path);
    stream.respond({ ':status': 200 });
    stream.end(path.includes('large') ? Buffer.alloc(4 * 1024 * 1024) : 'served');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const gateway = await startTestGateway(t, {
    listeners: LISTENER,
    upstreams: `modern: { targets: ["${target}"], http2: true, circuit: { failures: 3, open: 60s } }`,
    routes:
      '- { name: open, match: { path: /open/* }, upstream: modern, require: public, weaker_than_defaults: [require] }',
  });
  const port = portOf(gateway.running.listeners[0]?.bind);
  const open = async (bytes: string) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' });
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    socket.write(bytes);
    return socket;
  };
  const others = async (count: number) => {
    const statuses: number[] = [];
    for (let nth = 0; nth < count; nth += 1) {
      const headers = { Host: 'api.example.com' };
      const asked = get({ port, host: '127.0.0.1', path: '/open/1', headers, localAddress: '127.0.0.3', agent: false });
      const [response] = (await once(asked, 'response')) as [IncomingMessage];
      response.resume();
      await once(response, 'end');
      statuses.push(response.statusCode ?? 0);
    }
    return statuses;
  };
  return { gateway, targets, open, others };
}

async function statusOf(socket: Socket): Promise<number> {
  const [head] = (await once(socket, 'data')) as [Buffer];
  return Number(String(head).slice(9, 12));
}

const served = (count: number) => Array.from({ length: count }, () => 200);

describe('an HTTP/2 upstream serves others', () => {
  test('next to clients that ask it for a WebSocket, which is an ordinary request there', async (t) => {
    const rig = await start(t);
    for (let nth = 0; nth < 10; nth += 1) {
      const socket = await rig.open(`GET /open/socket HTTP/1.1\r\n${HOST}${UPGRADE}\r\n`);
      assert.equal(await statusOf(socket), 200);
    }
    assert.equal(rig.targets.length, 10);
    assert.deepEqual(await rig.others(10), served(10));
    assert.equal(await rig.gateway.count('holdfast_upstream_failures_total'), 0);
  });

  test('next to clients that do not read, although its server refuses more on their connection (ENHANCE_YOUR_CALM)', async (t) => {
    const rig = await start(t, { maxSessionMemory: 1 });
    for (let nth = 1; nth <= 12; nth += 1) {
      const socket = await rig.open(`GET /open/large HTTP/1.1\r\n${HOST}\r\n`);
      await once(socket, 'readable');
      if (nth % 3 !== 0) continue;
      // The one that is refused tells that the connection is spoilt: nothing is sent again, and the next ones get another connection.
      const statuses = await rig.others(20);
      assert.ok(
        statuses.every((status, at) => status === 200 || (status === 502 && at === 0)),
        statuses.join(),
      );
    }
  });

  test('next to a client with more fields than the server takes (ENHANCE_YOUR_CALM)', async (t) => {
    const rig = await start(t);
    const fields = Array.from({ length: 200 }, (_, nth) => `x-${nth}: y\r\n`).join('');
    for (let nth = 1; nth <= 10; nth += 1) {
      const socket = await rig.open(`GET /open/many HTTP/1.1\r\n${HOST}${fields}\r\n`);
      assert.equal(await statusOf(socket), 502);
      assert.deepEqual(await rig.others(2), served(2));
    }
    assert.ok((await rig.gateway.count('holdfast_upstream_failures_total')) >= 10, 'counted, and nothing follows');
  });
});
