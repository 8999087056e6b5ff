// Open tunnels and event streams through drains, reloads and dying upstreams.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request as requestTls } from 'node:https';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createGunzip, createGzip } from 'node:zlib';
import type { WebSocket } from 'ws';
import { CLIENT_CA, HOST, portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { makeCertificate } from '../support/pki.ts';
import { closed, openWebSocket, say, startWebSockets } from '../support/websockets.ts';

const routes = (more = '') =>
  `- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require]${more} }
- { name: chat, match: { path: /chat }, upstream: chat, require: public, weaker_than_defaults: [require]${more} }`;

async function startRig(t: TestContext, { drain = '{ delay: 0s, grace: 5s }', more = '', listener = '' } = {}) {
  const upstream = await startWebSockets(t);
  const wishes = {
    listener,
    routes: routes(more),
    upstreams: `chat: { targets: ["${upstream.target}"] }`,
    more: `drain: ${drain}`,
  };
  const gateway = await startTestGateway(t, wishes);
  return { gateway, upstream, wishes, connect: () => openWebSocket(t, gateway, '/chat') };
}

test('a drain lets a tunnel run, and ends when that has ended', async (t) => {
  const { gateway, connect } = await startRig(t, { drain: '{ delay: 0s, grace: 60s }' });
  const socket = connect();
  await once(socket, 'open');
  const drained = gateway.running.drain();
  assert.equal(await say(socket, 'still here'), 'still here');
  assert.equal(gateway.running.ready().ready, false);
  socket.close();
  await drained;
});

test('what is left of tunnels after the grace of a drain is cut', async (t) => {
  const { gateway, upstream, connect } = await startRig(t, { drain: '{ delay: 0s, grace: 200ms }' });
  const [server, socket] = [upstream.next(), connect()];
  const there = closed(await server);
  await once(socket, 'open');
  const here = closed(socket);
  await gateway.running.drain();
  assert.deepEqual([await here, await there], [1006, 1006]);
  await gateway.logged({ tunnel_end: 'stopped', status: 101 });
});

test('a WebSocket that is asked for in a drain, on a connection from before, is refused as draining', async (t) => {
  const { gateway, connect } = await startRig(t);
  const held = connect();
  await once(held, 'open');
  const late = await gateway.connect();
  const request = `GET /x HTTP/1.1\r\nHost: ${HOST}\r\n`;
  late.write(`${request}\r\n${request}`);
  await once(late, 'data');
  const drained = gateway.running.drain();
  await refusing(gateway);
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n';
  late.write(`Connection: upgrade\r\nUpgrade: websocket\r\n${key}\r\n`);
  let text = '';
  for await (const chunk of late) text += String(chunk);
  assert.match(text, /^HTTP\/1\.1 503 /);
  assert.match(text, /"reason":"draining"/);
  held.close();
  await drained;
});

/** Resolves when the gateway takes no more connections. */
async function refusing(gateway: TestGateway): Promise<void> {
  for (;;) {
    const socket = await gateway.connect().catch(() => undefined);
    if (socket === undefined) return;
    socket.destroy();
  }
}

test('a tunnel goes on under the policy it began with when that is replaced', async (t) => {
  const { gateway, wishes, connect } = await startRig(t);
  const socket = connect();
  await once(socket, 'open');
  await gateway.reload({ ...wishes, routes: routes().split('\n')[0] ?? '', upstreams: '' });
  assert.equal(await say(socket, 'still here'), 'still here');
  assert.equal(await gateway.count('holdfast_tunnels', { route: 'chat' }), 1);
  socket.close();
  await gateway.logged({ route: 'chat', status: 101 });
});

test('a reload that removes the CA of a client cuts its tunnel, also one that is just being opened; others go on', async (t) => {
  const { gateway, upstream, wishes } = await startRig(t, {
    listener: 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }',
  });
  const client = await makeCertificate({ names: ['client.example.net'], ca: CLIENT_CA });
  const [shown, without] = [openWebSocket(t, gateway, '/chat', { client }), openWebSocket(t, gateway, '/chat')];
  await Promise.all([once(shown, 'open'), once(without, 'open')]);
  upstream.server.removeAllListeners('upgrade'); // it does not answer the next one
  const asked = once(upstream.server, 'upgrade');
  const opening = openWebSocket(t, gateway, '/chat', { client });
  const [, held] = (await asked) as [unknown, Socket];
  const ended = Promise.all([shown, opening].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
  await gateway.reload({ ...wishes, files: { 'clients.pem': SERVER_CA.cert } });
  assert.deepEqual(await ended, [1006, 1006]);
  held.destroy();
  assert.equal(await say(without, 'still here'), 'still here');
  await gateway.logged({ tunnel_end: 'stopped', status: 101 });
});

test('an upstream that is killed ends the tunnel without a close frame', async (t) => {
  const { gateway, upstream, connect } = await startRig(t);
  for (const kill of ['destroy', 'resetAndDestroy'] as const) {
    const [connection, socket] = [once(upstream.server, 'upgrade'), connect()];
    const [, raw] = (await connection) as [unknown, Socket];
    await once(socket, 'open');
    const code = closed(socket);
    raw[kill]();
    assert.equal(await code, 1006);
  }
  await gateway.logged({ tunnel_end: 'upstream', outcome: 'forwarded' });
  await gateway.logged({ tunnel_end: 'upstream_broke', outcome: 'upstream_failed' });
});

test('a tunnel ends when idle, pings being movement, and by the total time of its route', async (t) => {
  const idle = await startRig(t, { more: ', timeouts: { idle: 2s }' });
  const quiet = idle.connect();
  await once(quiet, 'open');
  for (const end = performance.now() + 2600; performance.now() < end; ) {
    quiet.ping();
    await once(quiet, 'pong', { signal: AbortSignal.timeout(20_000) });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(await closed(quiet), 1006);
  await idle.gateway.logged({ tunnel_end: 'idle' });

  const total = await startRig(t, { more: ', timeouts: { total: 300ms }' });
  const busy = total.connect();
  busy.on('message', () => busy.send('and on'));
  await once(busy, 'open');
  busy.send('on');
  assert.equal(await closed(busy), 1006);
  await total.gateway.logged({ tunnel_end: 'total' });
});

test('of many tunnels, however each of them ends, nothing is left', async (t) => {
  const { gateway, upstream, connect } = await startRig(t);
  const endings: readonly ((socket: WebSocket) => void)[] = [
    (socket) => socket.close(1000),
    (socket) => socket.terminate(),
    (socket) => socket.send('close'),
    (socket) => socket.send('terminate'),
  ];
  upstream.sockets.on('connection', (there) => {
    there.on('message', (message: Buffer) => (message.toString() === 'close' ? there.close() : there.terminate()));
  });
  const all = Array.from({ length: 80 }, async (_, nth) => {
    const socket = connect();
    await once(socket, 'open');
    const ended = closed(socket);
    endings[nth % endings.length]?.(socket);
    await ended;
  });
  await Promise.all(all);
  while ((await gateway.count('holdfast_tunnels')) + (await gateway.count('holdfast_connections')) > 0);
  assert.equal(await gateway.count('holdfast_requests_total', { route: 'chat' }), 80);
  assert.equal(upstream.sockets.clients.size, 0);
});

/** Opens an event stream; nothing is awaited but its fields. */
async function subscribe(t: TestContext, gateway: TestGateway): Promise<IncomingMessage> {
  const port = portOf(gateway.running.listeners[0]?.bind);
  const headers = { Host: HOST, Accept: 'text/event-stream' };
  const where = { host: '127.0.0.1', servername: HOST, port, path: '/events' };
  const request = requestTls({ ...where, headers, agent: false, ca: SERVER_CA.cert });
  request.on('error', () => {}).end();
  t.after(() => request.destroy());
  return ((await once(request, 'response')) as [IncomingMessage])[0];
}

/** The upstream answers with an event stream. @returns its end of the next one */
function eventStream({ upstream }: TestGateway, fields = {}): Promise<ServerResponse> {
  return new Promise((resolve) => {
    upstream.answer = (_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-transform', ...fields });
      response.flushHeaders();
      resolve(response);
    };
  });
}

test('each event arrives before the next one is sent, and the fields before the first', async (t) => {
  const { gateway } = await startRig(t);
  const opened = eventStream(gateway);
  const events = await subscribe(t, gateway);
  const stream = await opened;
  assert.equal(events.headers['cache-control'], 'no-transform');
  assert.equal(events.headers['content-encoding'], undefined);
  for (let id = 0; id < 50; id += 1) {
    const event = `id: ${id}\ndata: x\n\n`;
    stream.write(event);
    assert.equal(String((await once(events, 'data'))[0]), event);
  }
  stream.end();
  await once(events, 'end');
});

test('events arrive one by one over HTTP/2 too', async (t) => {
  const { gateway } = await startRig(t);
  const opened = eventStream(gateway);
  const port = portOf(gateway.running.listeners[0]?.bind);
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: SERVER_CA.cert, servername: HOST });
  t.after(() => session.destroy());
  const events = session.request({ ':path': '/events', ':authority': HOST });
  const answered = once(events, 'response');
  const stream = await opened;
  assert.equal(((await answered)[0] as { ':status': number })[':status'], 200);
  for (let id = 0; id < 20; id += 1) {
    stream.write(`data: ${id}\n\n`);
    assert.equal(String((await once(events, 'data'))[0]), `data: ${id}\n\n`);
  }
  const gone = once(stream, 'close');
  events.close();
  await gone;
});

test('a compressed event stream passes as the upstream flushed it', async (t) => {
  const { gateway } = await startRig(t);
  const opened = eventStream(gateway, { 'Content-Encoding': 'gzip' });
  const events = (await subscribe(t, gateway)).pipe(createGunzip());
  const stream = await opened;
  const gzip = createGzip();
  gzip.pipe(stream);
  for (let id = 0; id < 5; id += 1) {
    gzip.write(`data: ${id}\n\n`);
    gzip.flush();
    assert.equal(String((await once(events, 'data'))[0]), `data: ${id}\n\n`);
  }
});

test('an event stream lives as long as something comes within idle, and is broken off when nothing does', async (t) => {
  const { gateway } = await startRig(t, { more: ', timeouts: { idle: 2s, response_header: 2s }' });
  const opened = eventStream(gateway);
  const events = await subscribe(t, gateway);
  const [stream, started] = [await opened, performance.now()];
  while (performance.now() - started < 2600) {
    stream.write(':\n\n');
    await once(events, 'data', { signal: AbortSignal.timeout(20_000) });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const [error] = (await once(events, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
  await gateway.logged({ outcome: 'upstream_failed', status: 200 });
});

test('a subscriber that leaves is gone for the upstream too', async (t) => {
  const { gateway } = await startRig(t);
  const opened = eventStream(gateway);
  const events = await subscribe(t, gateway);
  const stream = await opened;
  stream.write('data: 1\n\n');
  await once(events, 'data');
  const gone = once(stream, 'close');
  events.on('error', () => {}).destroy();
  await gone;
  await gateway.logged({ outcome: 'client_gone' });
});
