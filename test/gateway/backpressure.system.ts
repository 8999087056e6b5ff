// Readers that stand still or are slow, and what waits where in a whole gateway.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { test, type TestContext } from 'node:test';
import { HOST, portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { openWebSocket, startWebSockets } from '../support/websockets.ts';

const ROUTES =
  '- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }';
const MIB = 1024 * 1024;

function open(t: TestContext, gateway: TestGateway): ClientHttp2Session {
  const port = portOf(gateway.running.listeners[0]?.bind);
  const session = connect(`https://127.0.0.1:${port}`, { ca: SERVER_CA.cert, servername: HOST });
  session.on('error', () => {});
  t.after(() => session.destroy());
  return session;
}

test('a slow reader of a long answer slows the upstream down, and memory does not grow', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const session = open(t, gateway);
  let written = 0;
  gateway.upstream.answer = (_request, response) => {
    const part = Buffer.alloc(256 * 1024, 'a');
    const more = () => {
      while (written < 256 * MIB) {
        written += part.length;
        if (!response.write(part)) return void response.once('drain', more);
      }
      response.end();
    };
    more();
  };
  globalThis.gc?.();
  const before = process.memoryUsage.rss();
  const stream = session.request({ ':authority': HOST, ':path': '/open/1' });
  let length = 0;
  let most = 0;
  await once(stream, 'response');
  // A pause in which everything that anybody buffers has been buffered.
  for (let last = -1; last !== written; ) {
    last = written;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.ok(written < 24 * MIB, `${written / MIB} MiB were taken from the upstream`);
  stream.on('data', (chunk: Buffer) => {
    length += chunk.length;
    most = Math.max(most, process.memoryUsage.rss());
  });
  await once(stream, 'end');
  assert.equal(length, 256 * MIB);
  assert.ok(most - before < 96 * MIB, `${(most - before) / MIB} MiB`);
  t.diagnostic(`${(most - before) / MIB} MiB grown, ${length / MIB} MiB read`);
});

test('a long upload passes whole, and a slow upstream slows the client down', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES, listener: 'limits: { request_body: 100MiB }' });
  const session = open(t, gateway);
  let sent = 0;
  let length = 0;
  const arrived = new Promise<IncomingMessage>((resolve) => (gateway.upstream.arrived = resolve));
  const stream = session.request({ ':authority': HOST, ':path': '/open/1', ':method': 'POST' });
  const part = Buffer.alloc(MIB, 'a');
  const more = () => {
    while (sent < 64) {
      sent += 1;
      if (!stream.write(part)) return void stream.once('drain', more);
    }
    stream.end();
  };
  more();
  const request = await arrived;
  request.removeAllListeners('data').pause();
  for (let last = -1; last !== sent; ) {
    last = sent;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.ok(sent < 32, `${sent} MiB were taken from the client`);
  request.on('data', (chunk: string) => (length += chunk.length)).resume();
  const [fields] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  assert.equal(fields[':status'], 200);
  await once(stream.resume(), 'end');
  assert.equal(length + (gateway.upstream.seen[0]?.body.length ?? 0), 64 * MIB);
});

test('who does not read holds the sender back through TLS and gateway, and gets every message in the end', async (t) => {
  const upstream = await startWebSockets(t, { echo: false });
  const gateway = await startTestGateway(t, {
    upstreams: `chat: { targets: ["${upstream.target}"], connections: 1 }`,
    routes: '- { name: chat, match: { path: /* }, upstream: chat, require: public, weaker_than_defaults: [require] }',
  });
  const [server, client] = [upstream.next(), openWebSocket(t, gateway, '/x', { perMessageDeflate: false })];
  const there = await server;
  if (client.readyState === client.CONNECTING) await once(client, 'open');
  const [message, count] = [Buffer.alloc(1024 * 1024, 'x'), 64];
  for (const [from, to] of [
    [there, client],
    [client, there],
  ] as const) {
    to.pause();
    for (let nth = 0; nth < count; nth += 1) from.send(message);
    await standing(() => from.bufferedAmount);
    // What kernels and both sockets of the gateway hold; the rest waits where it comes from.
    assert.ok(from.bufferedAmount > 40 * message.length, `only ${from.bufferedAmount} bytes wait`);
    let got = 0;
    const all = new Promise<void>((resolve) => {
      to.on('message', () => {
        got += 1;
        if (got === count) resolve();
      });
    });
    to.resume();
    await all;
  }
});

/** Resolves when a number has stopped changing: there is no event for nothing happening. */
async function standing(read: () => number): Promise<void> {
  for (let [before, same] = [read(), 0]; same < 5; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    same = read() === before ? same + 1 : 0;
    before = read();
  }
}
