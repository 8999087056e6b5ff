// The life of a listener: binding, and stopping without breaking an answer.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { test, type TestContext } from 'node:test';
import { makeListener, readAll, sendRaw, serveListener, statusOf } from '../../support/edge.ts';

const GET = 'GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n';

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

test('a port in use is an Error with listener and address in it', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  t.after(() => other.close());
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const opening = serveListener(t, makeListener({ bind: { host: '127.0.0.1', port } }));
  const message = `listener "public" cannot bind 127.0.0.1:${port}: the address is in use by another process`;
  await assert.rejects(opening, { message });
});

test('an address of another machine is an Error with that address in it', async (t) => {
  const opening = serveListener(t, makeListener({ bind: { host: '2001:db8::1', port: 8443 } }));
  await assert.rejects(opening, { message: /^listener "public" cannot bind \[2001:db8::1\]:8443: / });
});

test('a unix socket serves, and its file goes with it', async (t) => {
  const path = join(directory(t), 'a.sock');
  const { open, served } = await serveListener(t, makeListener({ bind: { path } }));
  assert.deepEqual(open.bind, { path });
  const socket = connect(path);
  socket.write(GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  assert.equal(statusOf(await readAll(socket)), 200);
  assert.equal(served[0]?.connection.remoteAddress, undefined);
  await open.close();
  assert.equal(existsSync(path), false);
});

test('the socket file of a process that was killed is replaced', async (t) => {
  const path = join(directory(t), 'stale.sock');
  const script = `require('net').createServer().listen(process.argv[1], () => process.stdout.write('up'))`;
  const killed = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(killed.stdout, 'data');
  killed.kill('SIGKILL');
  await once(killed, 'close');
  assert.ok(existsSync(path));
  const { open } = await serveListener(t, makeListener({ bind: { path } }));
  assert.deepEqual(open.bind, { path });
});

test('a socket on which somebody listens, and a file that is none, are left alone', async (t) => {
  const path = join(directory(t), 'used.sock');
  const other = createServer((socket) => socket.destroy()).listen(path);
  t.after(() => other.close());
  await once(other, 'listening');
  const message = `listener "public" cannot bind unix:${path}: the address is in use by another process`;
  await assert.rejects(serveListener(t, makeListener({ bind: { path } })), { message });
  assert.ok(existsSync(path));
  const file = join(directory(t), 'file');
  writeFileSync(file, '');
  await assert.rejects(serveListener(t, makeListener({ bind: { path: file } })), /cannot bind unix:/);
  assert.ok(existsSync(file));
});

test('a connection is told when it comes, and again when a request may follow: one that says nothing is told once', async (t) => {
  const { port, came } = await serveListener(t, makeListener({ http2: true }));
  const silent = connect(port, '127.0.0.1');
  await once(silent, 'connect');
  // Taken after it, in the order in which they came.
  await sendRaw(port, GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  assert.deepEqual(came, ['accepted', 'accepted', 'connected']);
  silent.destroy();
});

test('connections beyond the limit are dropped', async (t) => {
  const { port } = await serveListener(t, makeListener({ limits: { ...makeListener().limits, connections: 1 } }));
  const first = connect(port, '127.0.0.1');
  t.after(() => first.destroy());
  first.write(GET);
  await once(first, 'data');
  assert.equal(await readAll(connect(port, '127.0.0.1')), '');
});

test('an idle connection ends by itself', async (t) => {
  const { port } = await serveListener(t, makeListener({ limits: { ...makeListener().limits, idleTimeout: 0.05 } }));
  const raw = await sendRaw(port, GET);
  assert.equal(statusOf(raw), 200);
});

interface Waiting {
  readonly response: ServerResponse;
  readonly socket: Socket;
  readonly answered: Promise<string>;
}

/** A listener with one request whose answer is still to come. */
async function waiting(t: TestContext) {
  const arrived = Promise.withResolvers<ServerResponse>();
  const listener = await serveListener(t, makeListener(), (_request, response, { url }) => {
    if (url === '/') arrived.resolve(response);
    else response.end('quick');
  });
  const socket = connect(listener.port, '127.0.0.1');
  const answered = readAll(socket);
  socket.write(GET);
  const first: Waiting = { response: await arrived.promise, socket, answered };
  return { listener, first };
}

test('stop lets the answer on its way out with Connection: close, takes no new connection, and ends idle ones', async (t) => {
  const { listener, first } = await waiting(t);
  const idle = connect(listener.port, '127.0.0.1');
  idle.write('GET /quick HTTP/1.1\r\nHost: api.example.com\r\n\r\n');
  await once(idle, 'data');
  const idleEnded = readAll(idle);
  let stopped = false;
  const stopping = listener.open.stop().then(() => (stopped = true));
  await idleEnded;
  await assert.rejects(once(connect(listener.port, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' });
  assert.equal(stopped, false);
  first.response.end('late');
  assert.match(await first.answered, /\r\nConnection: close\r\n[^]*late$/);
  await stopping;
});

test('stop ends a connection whose answer had already begun, once it is complete', async (t) => {
  const { listener, first } = await waiting(t);
  first.response.write('one');
  await once(first.socket, 'data');
  const stopping = listener.open.stop();
  first.response.end('two');
  assert.match(await first.answered, /one[^]*two[^]*0\r\n\r\n$/);
  await stopping;
});

test('a request that comes in while the process stops is served on a connection that then ends', async (t) => {
  const listener = await serveListener(t, makeListener());
  const socket = connect(listener.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(GET.slice(0, 5));
  await sendRaw(listener.port, GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')); // by now the five bytes are there
  const stopping = listener.open.stop();
  socket.write(GET.slice(5));
  assert.match(await readAll(socket), /^HTTP\/1\.1 200 [^]*\r\nConnection: close\r\n/);
  await stopping;
});

test('a connection that never asked for anything does not hold up the stop', async (t) => {
  const listener = await serveListener(t, makeListener());
  const socket = connect(listener.port, '127.0.0.1');
  await once(socket, 'connect');
  const ended = readAll(socket);
  await listener.open.stop();
  assert.equal(await ended, '');
});

test('half a request holds up the stop for a second, a whole one until it is answered', async (t) => {
  const listener = await serveListener(t, makeListener(), (_request, response, { url }) => {
    if (url === '/') setTimeout(() => response.end('late'), 1500);
    else response.end('quick');
  });
  const [half, whole] = [connect(listener.port, '127.0.0.1'), connect(listener.port, '127.0.0.1')];
  half.write(GET.slice(0, 5));
  whole.write(GET.slice(0, 5));
  await sendRaw(listener.port, 'GET /quick HTTP/1.0\r\nHost: api.example.com\r\n\r\n'); // by now the five bytes are there
  const ended = Promise.all([readAll(half), readAll(whole)]);
  const stopping = listener.open.stop();
  whole.write(GET.slice(5));
  const [ofHalf, ofWhole] = await ended;
  assert.equal(ofHalf, '');
  assert.match(ofWhole, /late$/);
  await stopping;
});

test('close breaks off what is left', async (t) => {
  const { listener, first } = await waiting(t);
  await listener.open.close();
  assert.equal(await first.answered, '');
  await listener.open.close();
});
