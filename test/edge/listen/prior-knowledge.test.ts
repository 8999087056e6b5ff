// HTTP/2 without TLS, told from HTTP/1 however its first bytes are cut.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { answer } from '../../../src/edge/transaction/answer.ts';
import type { Transaction } from '../../../src/edge/transaction/transaction.ts';
import { makeListener, readAll, sendRaw, serveListener, statusOf, type TestListener } from '../../support/edge.ts';
import { FLAG, FRAME, frame, type Line, PREFACE, RawHttp2, request, settings } from '../../support/frames.ts';

const GET: readonly Line[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/orders/1'],
  [':authority', 'api.example.com'],
];
const NOTHING = { status: 200, fields: [], body: '' };
const HOST = 'Host: api.example.com\r\n';

/** A listener that answers over both versions. */
function serve(t: TestContext): Promise<TestListener> {
  const respond = (request: IncomingMessage, response: ServerResponse) =>
    void request.resume().once('end', () => response.end());
  return serveListener(t, makeListener(), respond, undefined, (transaction) => answer(transaction, NOTHING));
}

async function open(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

test('a client that begins with the preface is served over HTTP/2, one that does not over HTTP/1.1', async (t) => {
  const { port, served } = await serve(t);
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  const stream = session.request({ ':authority': 'api.example.com', ':path': '/orders/1' });
  const [fields] = (await once(stream, 'response')) as [Record<string, unknown>];
  assert.equal(fields[':status'], 200);
  session.destroy();
  assert.equal(statusOf(await sendRaw(port, `GET /orders/1 HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`)), 200);
  assert.deepEqual(
    served.map(({ transaction }) => transaction.httpVersion),
    ['2.0', '1.1'],
  );
});

test('the preface may come byte by byte, and with the first request at once', async (t) => {
  const { port } = await serve(t);
  const slow = await open(t, port);
  slow.setNoDelay();
  const raw = new RawHttp2(slow);
  for (const byte of PREFACE) {
    slow.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  slow.write(Buffer.concat([settings(), request(1, GET)]));
  assert.equal(await raw.ending(1), 'ended');
  const quick = await open(t, port);
  const other = new RawHttp2(quick);
  quick.write(Buffer.concat([PREFACE, settings(), request(1, GET), frame(FRAME.settings, FLAG.ack, 0)]));
  assert.equal(await other.ending(1), 'ended');
});

test('requests that begin like it are HTTP/1.1, cut anywhere, and pipelined ones are all answered', async (t) => {
  const { port } = await serveListener(t, makeListener());
  for (const method of ['P', 'PR', 'PUT', 'PROPFIND', 'PATCH']) {
    const socket = await open(t, port);
    const answers = readAll(socket);
    const text = `${method} / HTTP/1.1\r\n${HOST}\r\nGET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`;
    socket.write(text.slice(0, 2));
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.write(text.slice(2));
    const expected = method.length > 2 ? 2 : 1; // Node's parser knows no methods of that name
    assert.equal((await answers).split('HTTP/1.1 ').length - 1, expected, method);
  }
});

test('what is no preface after PRI is a malformed HTTP/1.1 request, and with http2: false the preface is', async (t) => {
  const { port } = await serveListener(t, makeListener());
  assert.equal(statusOf(await sendRaw(port, `PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n`)), 400);
  const off = await serveListener(t, makeListener({ http2: false }));
  assert.equal(statusOf(await sendRaw(off.port, PREFACE.toString())), 400);
});

test('silence, or half a preface, is request_timed_out after header_timeout', async (t) => {
  const limits = { ...makeListener().limits, headerTimeout: 0.2 };
  const { port, refused } = await serveListener(t, makeListener({ limits }));
  assert.equal(statusOf(await sendRaw(port, '')), 408);
  assert.equal(statusOf(await sendRaw(port, 'PRI * HT')), 408);
  assert.deepEqual(refused, ['request_timed_out', 'request_timed_out']);
});

test('a client that goes away is gone at once, with its request and its connection', async (t) => {
  const arrived = Promise.withResolvers<Transaction>();
  const listener = await serveListener(t, makeListener(), undefined, undefined, arrived.resolve);
  const socket = await open(t, listener.port);
  socket.resume().write(Buffer.concat([PREFACE, settings(), request(1, GET)]));
  const transaction = await arrived.promise;
  const closed = new Promise<void>((resolve) => transaction.onClose(resolve));
  assert.equal(listener.open.connections(), 1);
  socket.end();
  await closed;
  assert.ok(transaction.gone);
  await once(socket, 'close');
  assert.equal(listener.open.connections(), 0);
});

test('a connection that says nothing does not hold up the end of the listener', async (t) => {
  const listener = await serveListener(t, makeListener());
  const socket = await open(t, listener.port);
  const other = await open(t, listener.port);
  other.end();
  await once(other.resume(), 'close');
  const closed = once(socket.resume(), 'close');
  await listener.open.stop();
  await closed;
});
