// Hostile bytes on a real socket: a reason for each, and nothing served behind them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { makeListener, readAll, reasonOf, sendRaw, serveListener, statusOf } from '../../support/edge.ts';

const HOST = 'Host: api.example.com\r\n';
const SMUGGLED = `GET /smuggled HTTP/1.1\r\n${HOST}\r\n`;

const MALFORMED: Readonly<Record<string, string>> = {
  'Content-Length with Transfer-Encoding': `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'Transfer-Encoding with Content-Length': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
  'Content-Length twice': `POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\nContent-Length: 5\r\n\r\n`,
  'a Content-Length that is a list': `POST / HTTP/1.1\r\n${HOST}Content-Length: 5, 5\r\n\r\n`,
  'a signed Content-Length': `POST / HTTP/1.1\r\n${HOST}Content-Length: +5\r\n\r\n`,
  'an empty Content-Length': `POST / HTTP/1.1\r\n${HOST}Content-Length:\r\n\r\n`,
  'a space before the colon': `POST / HTTP/1.1\r\n${HOST}Content-Length : 5\r\n\r\n`,
  'a coding after chunked': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
  'chunked twice': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`,
  'chunked on two lines': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'identity before chunked on two lines': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a coding that would be lost': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  'the coding identity': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: identity\r\n\r\n`,
  'the coding xchunked': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  'a quoted coding': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n`,
  'a coding with a parameter': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n`,
  'a coding with a control character': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
  'an empty Transfer-Encoding': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding:\r\n\r\n`,
  'Transfer-Encoding in HTTP/1.0': `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a folded field line': `GET / HTTP/1.1\r\n${HOST}X: a\r\n b\r\n\r\n`,
  'a folded Transfer-Encoding': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`,
  'a first field line with white space before it': `GET / HTTP/1.1\r\n ${HOST}\r\n`,
  'bare line feeds': 'GET / HTTP/1.1\nHost: api.example.com\n\n',
  'a bare line feed between field lines': 'GET / HTTP/1.1\r\nHost: api.example.com\nX: y\r\n\r\n',
  'a bare carriage return': 'GET / HTTP/1.1\r\nHost: api.example.com\rX: y\r\n\r\n',
  'a bare line feed at the end': `GET / HTTP/1.1\r\n${HOST}\n`,
  'NUL in a value': `GET / HTTP/1.1\r\n${HOST}X: a\0b\r\n\r\n`,
  'NUL in the target': `GET /\0 HTTP/1.1\r\n${HOST}\r\n`,
  'a space in a field name': `GET / HTTP/1.1\r\n${HOST}X Y: a\r\n\r\n`,
  'a chunk size that is no number': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
  'a chunk extension that ends in a bare line feed': `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n1;a\nx\r\n0\r\n\r\n`,
  'no Host': 'GET / HTTP/1.1\r\n\r\n',
  'two Hosts': `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`,
  'two different Hosts': `GET / HTTP/1.1\r\n${HOST}Host: other.example.com\r\n\r\n`,
  'HTTP/1.0 without Host': 'GET / HTTP/1.0\r\n\r\n',
  'HTTP/0.9': 'GET /\r\n\r\n',
  'HTTP/2.0 in a request line': `GET / HTTP/2.0\r\n${HOST}\r\n`,
  'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'an unknown version': `GET / HTTP/1.2\r\n${HOST}\r\n`,
  'a target without a slash': `GET orders HTTP/1.1\r\n${HOST}\r\n`,
  'an asterisk with GET': `GET * HTTP/1.1\r\n${HOST}\r\n`,
  'a byte beyond ASCII in the target': `GET /\xe9 HTTP/1.1\r\n${HOST}\r\n`,
  'a backslash in the target': `GET /a\\b HTTP/1.1\r\n${HOST}\r\n`,
  'a fragment in the target': `GET /a#b HTTP/1.1\r\n${HOST}\r\n`,
  'a fragment in the query': `GET /a?b#c HTTP/1.1\r\n${HOST}\r\n`,
  'a TLS ClientHello': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
};

const UNKNOWN: Readonly<Record<string, string>> = {
  'an unknown method': `FOO / HTTP/1.1\r\n${HOST}\r\n`,
  'a method in lower case': `get / HTTP/1.1\r\n${HOST}\r\n`,
};

const REFUSED = [
  ...Object.entries(MALFORMED).map((entry) => [...entry, 400, 'request_malformed'] as const),
  ...Object.entries(UNKNOWN).map((entry) => [...entry, 501, 'method_unknown'] as const),
];

for (const [what, bytes, status, reason] of REFUSED) {
  test(`${what} is ${reason}, closes the connection, and what follows is no request`, async (t) => {
    const http2 = !bytes.startsWith('PRI '); // else it is one (prior-knowledge.test.ts)
    const { port, served, refused } = await serveListener(t, makeListener({ http2 }));
    const raw = await sendRaw(port, bytes + SMUGGLED);
    assert.equal(statusOf(raw), status);
    assert.equal(reasonOf(raw), reason);
    assert.match(raw, /\r\nCache-Control: no-store\r\n/);
    assert.match(raw, /\r\nContent-Type: application\/problem\+json\r\n/);
    assert.match(raw, /\r\nDate: /);
    assert.equal(raw.split('HTTP/1.1 ').length, 2, 'exactly one answer');
    assert.ok(!served.some(({ url }) => url === '/smuggled'));
    assert.ok(served.length + refused.length > 0);
  });
}

test('a request for which nothing is wrong is served, so that the refusals above mean something', async (t) => {
  const { port, served } = await serveListener(t, makeListener());
  const raw = await sendRaw(
    port,
    `POST /a HTTP/1.1\r\n${HOST}Transfer-Encoding: Chunked\r\nConnection: close\r\n\r\n0\r\n\r\n`,
  );
  assert.equal(statusOf(raw), 200);
  assert.equal(served[0]?.url, '/a');
});

test('HTTP/1.0 with a Host is served, and its connection is closed', async (t) => {
  const { port } = await serveListener(t, makeListener());
  assert.equal(statusOf(await sendRaw(port, `GET / HTTP/1.0\r\n${HOST}\r\n`)), 200);
});

test('a header section over the limit is header_too_large', async (t) => {
  const { port, refused } = await serveListener(
    t,
    makeListener({ limits: { ...makeListener().limits, headerSize: 1024 } }),
  );
  const raw = await sendRaw(port, `GET / HTTP/1.1\r\n${HOST}X: ${'a'.repeat(2000)}\r\n\r\n`);
  assert.equal(statusOf(raw), 431);
  assert.equal(reasonOf(raw), 'header_too_large');
  assert.deepEqual(refused, ['header_too_large']);
});

test('no field line is lost when there are thousands: the second Host behind them is seen', async (t) => {
  const { port } = await serveListener(t, makeListener());
  const raw = await sendRaw(port, `GET / HTTP/1.1\r\n${HOST}${'a:\r\n'.repeat(5000)}${HOST}Connection: close\r\n\r\n`);
  assert.equal(reasonOf(raw), 'request_malformed');
});

test('a client that is slow with its fields is answered request_timed_out', async (t) => {
  const limits = { ...makeListener().limits, headerTimeout: 0.2 };
  const { port } = await serveListener(t, makeListener({ limits }));
  const raw = await sendRaw(port, `GET / HTTP/1.1\r\n${HOST}`);
  assert.equal(statusOf(raw), 408);
  assert.equal(reasonOf(raw), 'request_timed_out');
});

test('CONNECT is method_not_allowed, and its connection is no tunnel', async (t) => {
  const { port, served } = await serveListener(t, makeListener());
  for (const body of ['', 'Content-Length: 3\r\n']) {
    const raw = await sendRaw(port, `CONNECT a.example.com:443 HTTP/1.1\r\n${HOST}${body}\r\n${SMUGGLED}`);
    assert.equal(statusOf(raw), 405);
    assert.equal(reasonOf(raw), 'method_not_allowed');
    assert.match(raw, /\r\nAllow: \r\n/);
  }
  assert.deepEqual(served, []);
});

test('an Upgrade is a request like any other and the last of its connection, because Node loses what came with it', async (t) => {
  const { port, served } = await serveListener(t, makeListener());
  for (const value of ['websocket', 'h2c']) {
    const socket = connect(port, '127.0.0.1');
    const all = readAll(socket);
    socket.write(
      `GET /a HTTP/1.1\r\n${HOST}Upgrade: ${value}\r\nConnection: upgrade\r\n\r\n` +
        `POST /lost HTTP/1.1\r\n${HOST}Content-Length: ${SMUGGLED.length}\r\n\r\n`,
    );
    await once(socket, 'data');
    socket.write(SMUGGLED);
    assert.equal(statusOf(await all), 200);
  }
  assert.deepEqual(
    served.map(({ url }) => url),
    ['/a', '/a'],
  );
});

test('100 Continue is not sent by the listener, which says that the client waits for it', async (t) => {
  const { port, served } = await serveListener(t, makeListener(), (_request, response) => void response.end('no'));
  const raw = await sendRaw(port, `POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 3\r\n\r\n`);
  assert.equal(statusOf(raw), 200);
  assert.deepEqual(
    served.map(({ expectsContinue }) => expectsContinue),
    [true],
  );
});

test('an expectation other than 100-continue is expectation_failed', async (t) => {
  const { port } = await serveListener(t, makeListener());
  for (const value of ['the-impossible', '100-continue, the-impossible']) {
    const raw = await sendRaw(port, `GET / HTTP/1.1\r\n${HOST}Expect: ${value}\r\nConnection: close\r\n\r\n`);
    assert.equal(statusOf(raw), 417);
    assert.equal(reasonOf(raw), 'expectation_failed');
  }
});

test('a body that breaks off in the middle of a chunk is no complete one', async (t) => {
  const broken = Promise.withResolvers<boolean>();
  const { port } = await serveListener(t, makeListener(), (request) => {
    request.resume().on('error', () => broken.resolve(request.complete));
  });
  const raw = await sendRaw(port, `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nab\r\n0\r\n\r\n`);
  assert.equal(statusOf(raw), 400);
  assert.equal(await broken.promise, false);
});

test('a body that breaks after the answer has begun ends the connection, not the answer', async (t) => {
  const { port } = await serveListener(t, makeListener(), (_request, response) => void response.write('half'));
  const socket = connect(port, '127.0.0.1');
  const all = readAll(socket);
  socket.write(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`);
  await once(socket, 'data');
  socket.write('zz\r\n');
  assert.match(await all, /\r\n4\r\nhalf\r\n$/, 'without the last chunk');
});

test('garbage behind a request does not disturb the answer on its way, nor is it answered in its place', async (t) => {
  const waiting: (() => void)[] = [];
  const listener = await serveListener(t, makeListener(), (_request, response) => {
    waiting.push(() => response.end('late'));
  });
  const socket = connect(listener.port, '127.0.0.1');
  await once(socket, 'connect');
  const all = readAll(socket);
  socket.write(`GET / HTTP/1.1\r\n${HOST}\r\n\x00\x01\x02\r\n\r\n`);
  assert.equal(await all, '', 'the connection is closed: which request a 400 would be about could not be told');
  assert.deepEqual(listener.refused, ['request_malformed']);
  for (const finish of waiting) finish();
});

test('bytes behind Connection: close do not disturb the answer', async (t) => {
  const { port, served, refused } = await serveListener(t, makeListener(), (_request, response) => {
    setImmediate(() => response.end('late'));
  });
  const raw = await sendRaw(port, `GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n${SMUGGLED}`);
  assert.match(raw, /late$/);
  assert.equal(served.length, 1);
  assert.deepEqual(refused, []);
});

test('a request pipelined behind one whose answer closes the connection is not served', async (t) => {
  const { port, served } = await serveListener(t, makeListener(), (_request, response) => {
    response.shouldKeepAlive = false;
    response.end('last');
  });
  const raw = await sendRaw(port, `GET /a HTTP/1.1\r\n${HOST}\r\n${SMUGGLED}`);
  assert.match(raw, /last$/);
  assert.deepEqual(
    served.map(({ url }) => url),
    ['/a'],
  );
});
