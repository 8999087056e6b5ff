// HTTP/2 in front of a whole gateway: decisions, streams, ends and breaks.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { test, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { ERROR, FLAG, FRAME, frame, GET, openHttp2, request as requestFrame, reset } from '../support/frames.ts';
import { HOST, ORIGIN, portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';
import type { TestCertificate } from '../support/pki.ts';
import { CLIENT, issue, prove, TO_CERTIFICATE, TO_KEY } from './credentials.ts';

const ROUTES = [
  '- { name: orders, match: { path: /orders/* }, upstream: orders }',
  '- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }',
].join('\n');

interface Http2Answer {
  readonly status: number;
  readonly fields: IncomingHttpHeaders;
  readonly body: string;
  readonly trailers: IncomingHttpHeaders | undefined;
}

async function open(t: TestContext, gateway: TestGateway, client?: TestCertificate): Promise<ClientHttp2Session> {
  const socket = connectTls({
    port: portOf(gateway.running.listeners[0]?.bind),
    host: '127.0.0.1',
    servername: HOST,
    ca: SERVER_CA.cert,
    ALPNProtocols: ['h2'],
    ...(client && { cert: client.chain, key: client.key }),
  });
  await once(socket, 'secureConnect');
  const session = connect(ORIGIN, { createConnection: () => socket });
  session.on('error', () => {});
  t.after(() => session.destroy());
  return session;
}

async function ask(session: ClientHttp2Session, fields: OutgoingHttpHeaders, body?: string): Promise<Http2Answer> {
  const stream = session.request({ ':authority': HOST, ...fields }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return await answerOf(stream);
}

async function answerOf(stream: ClientHttp2Stream): Promise<Http2Answer> {
  let fields: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders | undefined;
  let text = '';
  stream.on('response', (received) => (fields = received));
  stream.on('trailers', (received) => (trailers = received));
  stream.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
  await once(stream, 'end');
  return { status: Number(fields[':status']), fields, body: text, trailers };
}

test('requests of one connection are each decided by their own token and proof', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const session = await open(t, gateway);
  const token = await issue(gateway, TO_KEY);
  const dpop = await prove(gateway, token, 'GET', '/orders/1');
  const bound = { ':path': '/orders/1', authorization: `DPoP ${token}`, dpop };
  const answers = [await ask(session, bound), await ask(session, bound), await ask(session, { ':path': '/orders/1' })];
  assert.deepEqual(
    answers.map(({ status, body }) => [status, /"reason":"(\w+)"/.exec(body)?.[1]]),
    [
      [200, undefined],
      [401, 'proof_replayed'],
      [401, 'credentials_missing'],
    ],
  );
  assert.match(String(answers[2]?.fields['www-authenticate']), /DPoP/);
  assert.equal(await gateway.count('holdfast_connections', { listener: 'public' }), 1);
});

test('the certificate of the connection counts for its streams', async (t) => {
  const listener = 'client_certificate: { request: optional, ca_file: clients.pem }';
  const gateway = await startTestGateway(t, { routes: ROUTES, listener });
  const token = await issue(gateway, TO_CERTIFICATE);
  const bound = { ':path': '/orders/1', authorization: `Bearer ${token}` };
  const session = await open(t, gateway, CLIENT);
  assert.equal((await ask(session, bound)).status, 200);
  assert.equal((await ask(session, bound)).status, 200);
  assert.equal((await ask(await open(t, gateway), bound)).status, 401);
});

test('HEAD, 204 and 304 have no body, and fields of the connection do not pass', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const session = await open(t, gateway);
  gateway.upstream.answer = (request, response) => {
    const status = Number(request.url?.slice('/open/'.length));
    response.writeHead(status, [
      'Set-Cookie',
      'a=1',
      'Set-Cookie',
      'b=2',
      'Keep-Alive',
      'timeout=9',
      'X-A',
      '1',
      'X-A',
      '2',
    ]);
    response.end(status === 200 ? 'body' : undefined);
  };
  for (const [method, status] of [
    ['GET', 200],
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ] as const) {
    const { fields, body, ...answer } = await ask(session, { ':method': method, ':path': `/open/${status}` });
    assert.equal(answer.status, status);
    assert.equal(body, method === 'GET' && status === 200 ? 'body' : '');
    assert.deepEqual(fields['set-cookie'], ['a=1', 'b=2']);
    assert.equal(fields['x-a'], '1, 2');
    for (const name of ['connection', 'keep-alive', 'transfer-encoding']) assert.equal(fields[name], undefined);
    assert.ok(fields.date);
    await gateway.logged({ status, outcome: 'forwarded', method });
  }
});

test('HEAD is refused without a body', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const { status, body, fields } = await ask(await open(t, gateway), { ':method': 'HEAD', ':path': '/orders/1' });
  assert.equal(status, 401);
  assert.equal(body, '');
  assert.notEqual(fields['content-length'], '0');
});

test('100 Continue is said after the decision, never before a refusal', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const session = await open(t, gateway);
  const expecting = (path: string) =>
    session.request({ ':authority': HOST, ':path': path, ':method': 'POST', expect: '100-continue' });
  const granted = expecting('/open/1');
  await once(granted, 'continue');
  granted.end('after');
  assert.equal((await answerOf(granted)).status, 200);
  assert.equal(gateway.upstream.seen[0]?.body, 'after');
  assert.equal(gateway.upstream.seen[0].fields.one('expect'), undefined);
  const refused = expecting('/orders/1');
  refused.on('continue', () => assert.fail('told to go on'));
  assert.equal((await answerOf(refused)).status, 401);
});

test('an upstream that breaks off in the middle of its answer: RST_STREAM with INTERNAL_ERROR, no END_STREAM, and the connection goes on', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const raw = await openHttp2(t, portOf(gateway.running.listeners[0]?.bind), { ca: SERVER_CA.cert });
  for (const [at, fields] of [{ 'content-length': 10_000 }, {}].entries()) {
    gateway.upstream.answer = (_request, response) => {
      response.writeHead(200, fields).write('half of it');
      void raw.until(({ stream, type }) => stream === 2 * at + 1 && type === FRAME.data).then(() => response.destroy());
    };
    raw.write(requestFrame(2 * at + 1));
    assert.equal(await raw.ending(2 * at + 1), ERROR.internal);
    assert.equal(raw.data(2 * at + 1), 'half of it');
    assert.ok(
      !raw.frames.some(({ stream, type, flags }) => stream === 2 * at + 1 && type < 2 && flags & FLAG.endStream),
    );
    await gateway.logged({ outcome: 'upstream_failed' });
  }
  gateway.upstream.answer = (_request, response) => response.end();
  raw.write(requestFrame(5));
  assert.equal(await raw.ending(5), 'ended');
});

test('a client that resets its stream ends the request to the upstream', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const session = await open(t, gateway);
  const gone = new Promise((resolve) => {
    gateway.upstream.answer = (_request, response) => {
      response.once('close', resolve);
      response.write('begun');
    };
  });
  const stream = session.request({ ':authority': HOST, ':path': '/open/1' });
  stream.on('error', () => {});
  await once(stream, 'data');
  stream.close(constants.NGHTTP2_CANCEL);
  await gone;
  await gateway.logged({ outcome: 'client_gone' });
  gateway.upstream.answer = (_request, response) => response.end();
  assert.equal((await ask(session, { ':path': '/open/1' })).status, 200);
});

for (const code of [ERROR.cancel, ERROR.none]) {
  test(`an upload that is reset in the middle with code ${code} is no whole request for the upstream`, async (t) => {
    const gateway = await startTestGateway(t, { routes: ROUTES });
    const raw = await openHttp2(t, portOf(gateway.running.listeners[0]?.bind), { ca: SERVER_CA.cert });
    const arrived = new Promise<IncomingMessage>((resolve) => (gateway.upstream.arrived = resolve));
    const post = GET.map((line) => (line[0] === ':method' ? ([':method', 'POST'] as const) : line));
    raw.write(requestFrame(1, post, 0), frame(FRAME.data, 0, 1, Buffer.from('half')));
    const request = await arrived;
    request.on('error', () => {});
    raw.write(reset(1, code));
    await new Promise((resolve) => request.once('close', resolve));
    assert.equal(request.complete, false);
    await gateway.logged({ outcome: 'client_gone' });
  });
}

test('an answer that comes before the end of the request is passed on, then the client is told to stop', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const session = await open(t, gateway);
  const arrived = new Promise<IncomingMessage>((resolve) => (gateway.upstream.arrived = resolve));
  const stream = session.request({ ':authority': HOST, ':path': '/open/1', ':method': 'POST' });
  stream.write('part');
  (await arrived).socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly');
  const { status, body } = await answerOf(stream);
  assert.equal(status, 200);
  assert.equal(body, 'early');
  if (!stream.closed) await once(stream, 'close');
  assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
  await gateway.logged({ outcome: 'forwarded' });
});

test('trailers that an upstream over HTTP/1.1 announces reach clients over HTTP/2, after the body', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const session = await open(t, gateway);
  gateway.upstream.answer = (request, response) => {
    response.writeHead(200, request.url === '/open/1' ? { Trailer: 'X-Sum' } : {});
    response.write('body');
    response.addTrailers({ 'X-Sum': 'abc', 'Set-Cookie': 'a=b', 'Client-Cert': ':AA==:' });
    response.end();
  };
  const announced = await ask(session, { ':path': '/open/1' });
  assert.equal(announced.body, 'body');
  assert.equal(announced.fields.trailer, undefined);
  assert.equal(announced.trailers?.['x-sum'], 'abc');
  assert.equal(announced.trailers['set-cookie'], undefined);
  assert.equal(announced.trailers['client-cert'], undefined);
  const unannounced = await ask(session, { ':path': '/open/2' });
  assert.equal(unannounced.body, 'body');
  assert.equal(unannounced.trailers, undefined);
});

test('trailers may be named as members of every object are, and may be repeated', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const session = await open(t, gateway);
  gateway.upstream.answer = (_request, response) => {
    response.writeHead(200, { Trailer: 'X-Sum' });
    response.write('body');
    response.addTrailers([
      ['constructor', 'one'],
      ['__proto__', 'two'],
      ['ETag', '"a"'],
      ['ETag', '"b"'],
    ]);
    response.end();
  };
  const { body, trailers } = await ask(session, { ':path': '/open/1' });
  assert.equal(body, 'body');
  assert.deepEqual([trailers?.['constructor'], trailers?.['__proto__'], trailers?.etag], ['one', 'two', '"a"']);
});

test('a drain sends GOAWAY, lets streams in flight finish, and closes the connection', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const session = await open(t, gateway);
  const idle = await open(t, gateway);
  await ask(idle, { ':path': '/open/1' });
  const answer = new Promise<() => void>((resolve) => {
    gateway.upstream.answer = (_request, response) => resolve(() => response.end('late'));
  });
  const stream = session.request({ ':authority': HOST, ':path': '/open/1' });
  const answered = answerOf(stream);
  const finish = await answer;
  assert.equal(await gateway.count('holdfast_connections', { listener: 'public' }), 2);
  const goaway = Promise.all([once(session, 'goaway'), once(idle, 'close')]);
  const drained = gateway.running.drain();
  await goaway;
  finish();
  assert.equal((await answered).body, 'late');
  await drained;
  if (!session.closed) await once(session, 'close');
});

test('closing the gateway breaks streams off', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const session = await open(t, gateway);
  gateway.upstream.answer = (_request, response) => response.write('begun');
  const stream = session.request({ ':authority': HOST, ':path': '/open/1' });
  stream.on('error', () => {});
  let ended = false;
  stream.on('end', () => (ended = true));
  await once(stream, 'data');
  const closed = once(stream, 'close');
  await gateway.close();
  await closed;
  assert.equal(ended && stream.rstCode === constants.NGHTTP2_NO_ERROR, false);
});
