// Answers of our own on real sockets: complete for the client, none for HEAD.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest, type RequestOptions } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { answer } from '../../../src/edge/transaction/answer.ts';
import { reject } from '../../../src/rejection/rejection.ts';
import type { Answer } from '../../../src/rejection/answer.ts';
import { makeListener, readAll, reasonOf, refusal, sendRaw, serveListener, statusOf } from '../../support/edge.ts';

const HOST = 'Host: api.example.com\r\n';
const NOT_FOUND = refusal(reject('route_not_found'));

async function refuser(t: Parameters<typeof serveListener>[0], given: Answer = NOT_FOUND) {
  return await serveListener(t, makeListener(), (_request, _response, { transaction }) => answer(transaction, given));
}

/** The answer of a client that sends its whole body before it looks at anything, as many do. */
async function send(
  port: number,
  options: RequestOptions,
  body: Buffer,
): Promise<{ status: number | undefined; body: string }> {
  const request = httpRequest({
    port,
    host: '127.0.0.1',
    headers: { Host: 'api.example.com' },
    agent: false,
    ...options,
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  return { status: response.statusCode, body: text };
}

test('an answer has status, fields, Date, a length and its body', async (t) => {
  const { port } = await refuser(t);
  const raw = await sendRaw(port, `GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
  assert.equal(statusOf(raw), 404);
  assert.equal(reasonOf(raw), 'route_not_found');
  assert.match(raw, /\r\nContent-Type: application\/problem\+json\r\n/);
  assert.match(raw, /\r\nCache-Control: no-store\r\n/);
  assert.match(raw, /\r\nDate: /);
  assert.equal(Number(/\r\nContent-Length: (\d+)\r\n/.exec(raw)?.[1]), raw.split('\r\n\r\n')[1]?.length);
});

test('HEAD gets the fields of the answer without the body, with and without a body of its own', async (t) => {
  const { port } = await refuser(t);
  for (const own of ['\r\n', 'Content-Length: 3\r\n\r\nabc']) {
    const raw = await sendRaw(port, `HEAD / HTTP/1.1\r\n${HOST}Connection: close\r\n${own}`);
    assert.match(raw, new RegExp(`\\r\\nContent-Length: ${NOT_FOUND.body.length}\\r\\n`));
    assert.match(raw, /\r\n\r\n$/);
  }
});

test('204 has neither body nor length', async (t) => {
  const { port } = await refuser(t, { status: 204, fields: [['Allow', 'GET']], body: '' });
  const raw = await sendRaw(port, `OPTIONS / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
  assert.doesNotMatch(raw, /Content-Length|Transfer-Encoding/);
  assert.match(raw, /\r\nAllow: GET\r\n/);
});

test('repeated fields stay repeated lines', async (t) => {
  const fields = [
    ['WWW-Authenticate', 'DPoP algs="ES256"'],
    ['WWW-Authenticate', 'Bearer realm="x"'],
  ] as const;
  const { port } = await refuser(t, { status: 401, fields, body: '' });
  const raw = await sendRaw(port, `GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
  assert.equal(raw.match(/\r\nWWW-Authenticate: /g)?.length, 2);
});

test('a short body is read to its end and the connection is kept: the next request starts behind it', async (t) => {
  const { port, served } = await refuser(t);
  const body = `GET /smuggled HTTP/1.1\r\n${HOST}\r\n`;
  const raw = await sendRaw(
    port,
    `POST /a HTTP/1.1\r\n${HOST}Content-Length: ${body.length}\r\n\r\n${body}GET /b HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`,
  );
  assert.equal(raw.match(/HTTP\/1\.1 404/g)?.length, 2);
  assert.deepEqual(
    served.map(({ url }) => url),
    ['/a', '/b'],
  );
});

test('a long body, and one of unknown length, cost the connection, and nothing behind them is served', async (t) => {
  const { port, served } = await refuser(t);
  const follower = `GET /follower HTTP/1.1\r\n${HOST}\r\n`;
  const long = `POST /a HTTP/1.1\r\n${HOST}Content-Length: 70000\r\n\r\n${'x'.repeat(70_000)}${follower}`;
  const chunked = `POST /a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n${follower}`;
  for (const bytes of [long, chunked]) {
    const raw = await sendRaw(port, bytes);
    assert.equal(raw.match(/HTTP\/1\.1 404/g)?.length, 1);
    assert.match(raw, /\r\nConnection: close\r\n/);
  }
  assert.ok(served.every(({ url }) => url === '/a'));
});

test('a client that sends before it reads gets the whole answer, and no reset instead', async (t) => {
  const { port } = await refuser(t);
  for (const size of [1000, 100_000, 1_000_000]) {
    const { status, body } = await send(port, { method: 'POST' }, Buffer.alloc(size));
    assert.equal(status, 404);
    assert.equal(body, NOT_FOUND.body);
  }
});

test('a body without end is not read without end: the answer arrives and the connection ends', async (t) => {
  const { port } = await refuser(t);
  const socket = connect(port, '127.0.0.1');
  let sent = 0;
  const chunk = Buffer.alloc(65_536, 'x');
  const more = () => {
    while (socket.writable && socket.write(chunk)) sent += chunk.length;
  };
  socket.on('drain', more);
  socket.write(`POST / HTTP/1.1\r\n${HOST}Content-Length: 100000000000\r\n\r\n`);
  more();
  const raw = await readAll(socket);
  assert.equal(statusOf(raw), 404);
  assert.ok(sent < 50_000_000);
});

test('a body that never comes does not hold the connection for long', async (t) => {
  const { port } = await refuser(t);
  const started = performance.now();
  const raw = await sendRaw(port, `POST / HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\nabc`);
  assert.equal(reasonOf(raw), 'route_not_found');
  assert.ok(performance.now() - started < 20_000);
});

test('a client that was never told to continue gets the final answer alone, and its connection ends', async (t) => {
  const { port } = await refuser(t);
  const raw = await sendRaw(port, `POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 10\r\n\r\n`);
  assert.match(raw, /^HTTP\/1\.1 404 /);
  assert.match(raw, /\r\nConnection: close\r\n/);
});

test('nothing is written into an answer that has begun', async (t) => {
  const { port } = await serveListener(t, makeListener(), (_request, response, { transaction }) => {
    response.write('begun');
    answer(transaction, NOT_FOUND);
    response.end();
  });
  const raw = await sendRaw(port, `GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
  assert.equal(statusOf(raw), 200);
  assert.doesNotMatch(raw, /route_not_found/);
});

test('a client that leaves in the middle of its body leaves nothing behind', async (t) => {
  const { port, open } = await refuser(t);
  const socket = connect(port, '127.0.0.1');
  socket.write(`POST / HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\nabc`);
  await once(socket, 'data');
  socket.resetAndDestroy();
  await open.stop();
});
