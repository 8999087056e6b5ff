// Outcomes of HTTP/2 requests in the log: whole answers and clients that left.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { test, type TestContext } from 'node:test';
import { HOST, portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';

const ROUTES =
  '- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }';
const LARGE = Buffer.alloc(1024 * 1024, 'a');

function open(t: TestContext, gateway: TestGateway): ClientHttp2Session {
  const session = connect(`https://127.0.0.1:${portOf(gateway.running.listeners[0]?.bind)}`, {
    ca: SERVER_CA.cert,
    servername: HOST,
  });
  session.on('error', () => {}); // streams say it
  t.after(() => session.destroy());
  return session;
}

function post(session: ClientHttp2Session, path: string): ClientHttp2Stream {
  const stream = session.request({ ':authority': HOST, ':method': 'POST', ':path': path });
  stream.on('error', () => {});
  return stream;
}

/** Answers of every shape, by path. */
const ANSWERS: Readonly<Record<string, (response: ServerResponse) => void>> = {
  '/small': (response) => response.end('small'),
  '/empty': (response) => response.writeHead(204).end(),
  '/none': (response) => response.writeHead(200, { 'Content-Length': '0' }).end(),
  '/large': (response) => response.end(LARGE),
  '/chunked': (response) => {
    response.write('one');
    setImmediate(() => response.end('two'));
  },
  '/trailers': (response) => {
    response.writeHead(200, { Trailer: 'X-Sum' });
    response.write('body');
    response.addTrailers({ 'X-Sum': '1' });
    response.end();
  },
};

for (const [path, answer] of Object.entries(ANSWERS)) {
  for (const early of [false, true]) {
    const when = early ? 'before the request has ended' : 'after it';
    test(`${path}, answered ${when}, is forwarded with its status and its bytes`, async (t) => {
      const gateway = await startTestGateway(t, { routes: ROUTES });
      if (early) {
        gateway.upstream.arrived = (_request, response) => answer(response);
        gateway.upstream.answer = () => {};
      } else gateway.upstream.answer = (_request, response) => answer(response);
      const stream = post(open(t, gateway), path);
      stream.write('part');
      if (early) await once(stream, 'response');
      let bytes = 0;
      stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
      const ended = once(stream, 'end');
      stream.end('rest');
      await ended;
      const line = await gateway.logged({ msg: 'request', path });
      const status = path === '/empty' ? 204 : 200;
      assert.deepEqual([line['outcome'], line['status'], line['sent_bytes']], ['forwarded', status, bytes]);
      assert.equal(await gateway.count('holdfast_requests_total', { outcome: 'forwarded' }), 1);
      assert.equal(await gateway.count('holdfast_requests_total', { outcome: 'client_gone' }), 0);
    });
  }
}

const LEAVING: readonly (readonly [string, (session: ClientHttp2Session, stream: ClientHttp2Stream) => void])[] = [
  ['resets its stream', (_session, stream) => stream.close(constants.NGHTTP2_CANCEL)],
  ['closes its connection', (session) => session.destroy()],
];
for (const [what, leave] of LEAVING) {
  test(`a client that ${what} in the middle of an answer is gone, although its request had ended`, async (t) => {
    const gateway = await startTestGateway(t, { routes: ROUTES });
    gateway.upstream.answer = (_request, response) => void response.write(LARGE);
    const session = open(t, gateway);
    const stream = post(session, '/x');
    stream.end('all');
    await once(stream, 'data');
    leave(session, stream);
    const line = await gateway.logged({ msg: 'request', path: '/x' });
    assert.deepEqual([line['outcome'], line['status']], ['client_gone', undefined]);
  });

  test(`a client that ${what} before it has taken an answer that is ready is gone`, async (t) => {
    const gateway = await startTestGateway(t, { routes: ROUTES });
    gateway.upstream.answer = (_request, response) => void response.end(LARGE);
    const session = open(t, gateway);
    const stream = post(session, '/x');
    stream.end('all');
    await once(stream, 'response');
    leave(session, stream);
    const line = await gateway.logged({ msg: 'request', path: '/x' });
    assert.deepEqual([line['outcome'], line['status']], ['client_gone', undefined]);
  });
}

test('an upstream that breaks its answer off has failed, although the request had ended', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  gateway.upstream.answer = (request, response) => {
    response.writeHead(200, { 'Content-Length': '10' }).write('half');
    setImmediate(() => request.socket.destroy());
  };
  const stream = post(open(t, gateway), '/x');
  stream.end('all');
  stream.resume();
  await new Promise((resolve) => stream.once('close', resolve));
  await gateway.logged({ msg: 'request', path: '/x', outcome: 'upstream_failed', status: 200 });
});
