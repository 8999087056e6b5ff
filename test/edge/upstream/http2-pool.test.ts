// Requests to upstreams over HTTP/2: connections shared, opened and given up.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp2, type IncomingHttpHeaders } from 'node:http2';
import { createServer, type Server } from 'node:net';
import { describe, it, test, type TestContext } from 'node:test';
import { createServer as createTls } from 'node:tls';
import { answer, block, ERROR, FLAG, FRAME, frame, type RawHttp2, reset, serveHttp2 } from '../../support/frames.ts';
import {
  type Forwarder,
  type ForwarderWishes,
  GET,
  listen,
  openForwarder,
  script,
  send,
} from '../../support/forwarding.ts';
import { makeCa, makeCertificate } from '../../support/pki.ts';

interface Rig extends Forwarder {
  /** Connections to the upstream, in order. */
  readonly opened: RawHttp2[];
}

/** A forwarder with such an upstream; `serve` is called for each of its connections. */
async function rig(
  t: TestContext,
  serve: (raw: RawHttp2) => unknown,
  wishes: ForwarderWishes = {},
  pairs: readonly (readonly [number, number])[] = [],
): Promise<Rig> {
  const opened: RawHttp2[] = [];
  const take = (raw: RawHttp2) => {
    opened.push(raw);
    void serve(raw);
  };
  const origin = await serveHttp2(t, take, pairs);
  const forwarder = await openForwarder(t, origin, { ...wishes, upstream: { http2: true, ...wishes.upstream } });
  return { ...forwarder, opened };
}

/** More than is collected before it goes on, and not all of it. */
const HALF = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(70_000)}`;

const OK = async (raw: RawHttp2) => {
  for (let nth = 1; !raw.closed; nth += 1) {
    const stream = await raw.request(nth).catch(() => 0);
    if (stream > 0)
      raw.write(
        answer(stream, [['content-length', '2']]),
        frame(FRAME.data, FLAG.endStream, stream, Buffer.from('ok')),
      );
  }
};

test('requests share a connection, and are answered in any order', async (t) => {
  const { port, opened } = await rig(t, async (raw) => {
    const streams = [await raw.request(1), await raw.request(2), await raw.request(3)];
    for (const stream of streams.toReversed()) {
      raw.write(
        answer(stream, [['content-length', '1']]),
        frame(FRAME.data, FLAG.endStream, stream, Buffer.from(`${stream}`)),
      );
    }
  });
  const clients = [1, 2, 3].map(() => send(t, port, GET));
  const texts = await Promise.all(clients.map((client) => client.until(/\r\n\r\n\d$/)));
  assert.deepEqual(new Set(texts.map((text) => text.at(-1))), new Set(['1', '3', '5']));
  assert.match(texts[0] ?? '', /\r\nVia: 2.0 holdfast-p01\r\n/i);
  assert.equal(opened.length, 1);
});

test('another connection is opened where the server takes no more streams, as many as are allowed', async (t) => {
  const { port, opened } = await rig(t, () => {}, { upstream: { connections: 2 } }, [[3, 1]]);
  const clients = [1, 2, 3].map(() => send(t, port, GET));
  while (opened.length < 2) await new Promise((resolve) => setImmediate(resolve));
  await Promise.all(opened.map((raw) => raw.request()));
  const [first] = opened;
  first?.write(answer(1, [['content-length', '0']], FLAG.endStream));
  assert.equal(await first?.request(2), 3);
  assert.equal(opened.length, 2);
  assert.equal(clients.length, 3);
});

describe("an answer that is not ended by END_STREAM breaks the client's connection:", () => {
  for (const [what, code] of [
    ['INTERNAL_ERROR', ERROR.internal],
    ['NO_ERROR', ERROR.none],
    ['CANCEL', ERROR.cancel],
  ] as const) {
    it(`RST_STREAM with ${what} in the middle of the body`, async (t) => {
      const { port, outcomes } = await rig(t, async (raw) => {
        const stream = await raw.request();
        raw.write(answer(stream), frame(FRAME.data, 0, stream, Buffer.from('half')), reset(stream, code));
      });
      const text = await send(t, port, GET).toEnd();
      assert.doesNotMatch(text, /0\r\n\r\n$/);
      assert.equal((await outcomes.next()).kind, 'upstream_broke');
    });

    it(`RST_STREAM with ${what} before the answer is no answer`, async (t) => {
      const { port, outcomes } = await rig(t, async (raw) => raw.write(reset(await raw.request(), code)));
      assert.match(await send(t, port, GET).until(/\r\n\r\n./), /upstream_unreachable$/);
      assert.equal((await outcomes.next()).kind, 'rejected');
    });
  }

  it('the end of the connection', async (t) => {
    const { port, outcomes } = await rig(t, async (raw) => {
      const stream = await raw.request();
      raw.socket.end(Buffer.concat([answer(stream), frame(FRAME.data, 0, stream, Buffer.from('half'))]));
    });
    assert.doesNotMatch(await send(t, port, GET).toEnd(), /0\r\n\r\n$/);
    assert.equal((await outcomes.next()).kind, 'upstream_broke');
  });

  it('DATA that is less than its length', async (t) => {
    const { port, outcomes } = await rig(t, async (raw) => {
      const stream = await raw.request();
      raw.write(
        answer(stream, [['content-length', '9']]),
        frame(FRAME.data, FLAG.endStream, stream, Buffer.from('half')),
      );
    });
    await send(t, port, GET).toEnd();
    assert.equal((await outcomes.next()).kind, 'upstream_broke');
  });
});

describe('field lines of an answer that are malformed (RFC 9113 §8.1.1) are no answer:', () => {
  for (const [what, lines] of [
    ['Connection', [['connection', 'close']]],
    ['Transfer-Encoding', [['transfer-encoding', 'chunked']]],
    ['an uppercase name', [['X-A', 'a']]],
    [':path', [[':path', '/']]],
  ] as const) {
    it(what, async (t) => {
      const { port, outcomes } = await rig(t, async (raw) => {
        raw.write(answer(await raw.request(), lines, FLAG.endStream));
      });
      assert.match(await send(t, port, GET).until(/\r\n\r\n./), /upstream_/);
      assert.equal((await outcomes.next()).kind, 'rejected');
    });
  }
});

test('after GOAWAY requests that it names are answered, and the next one opens a connection', async (t) => {
  const { port, opened } = await rig(t, async (raw) => {
    const stream = await raw.request();
    const last = Buffer.alloc(8);
    last.writeUInt32BE(stream);
    raw.write(frame(FRAME.goaway, 0, 0, last));
    raw.write(answer(stream, [['content-length', '2']]), frame(FRAME.data, FLAG.endStream, stream, Buffer.from('ok')));
  });
  await send(t, port, GET).until(/ok$/);
  await send(t, port, GET).until(/ok$/);
  assert.equal(opened.length, 2);
});

test('a client that leaves ends the stream with CANCEL, never with END_STREAM; the connection is kept', async (t) => {
  const { port, opened, outcomes } = await rig(t, () => {});
  const client = send(t, port, HALF);
  while (opened.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const [raw] = opened;
  await raw?.until(({ type }) => type === FRAME.data);
  client.socket.destroy();
  assert.equal(await raw?.ending(1), ERROR.cancel);
  assert.ok(!raw?.frames.some(({ type, flags }) => type < 2 && flags & FLAG.endStream));
  assert.equal((await outcomes.next()).kind, 'client_gone');
  send(t, port, GET);
  assert.equal(await raw?.request(2), 3);
});

test('a body passes as it comes, within the window of the server, and ends with END_STREAM', async (t) => {
  const { port, opened } = await rig(t, () => {}, {}, [[4, 10]]);
  const client = send(
    t,
    port,
    'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n01234567890123456789\r\n',
  );
  while (opened.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const [raw] = opened;
  await raw?.until(({ type }) => type === FRAME.data);
  assert.equal(raw?.data(1), '0123456789');
  const more = Buffer.alloc(4);
  more.writeUInt32BE(100);
  raw.write(frame(FRAME.windowUpdate, 0, 1, more));
  client.socket.write('0\r\n\r\n');
  assert.equal(await raw.ending(1), 'ended');
  assert.equal(raw.data(1), '01234567890123456789');
});

test('an answer before the end of the body is passed on, and the rest is not sent', async (t) => {
  const { port, opened, outcomes } = await rig(t, async (raw) => {
    const stream = await raw.request();
    raw.write(
      answer(stream, [['content-length', '5']]),
      frame(FRAME.data, FLAG.endStream, stream, Buffer.from('early')),
    );
  });
  const client = send(t, port, HALF);
  await client.until(/early$/);
  assert.equal((await outcomes.next()).kind, 'forwarded');
  assert.equal(await opened[0]?.ending(1), ERROR.cancel);
});

test('a server that says nothing: the request times out, and the connection with it when PING gets no answer', {
  timeout: 50_000,
}, async (t) => {
  const { port, opened } = await rig(t, () => {}, { timeouts: { responseHeader: 0.1 } });
  assert.match(await send(t, port, GET).until(/\r\n\r\n./), /upstream_timed_out$/);
  const [raw] = opened;
  await raw?.until(({ type }) => type === FRAME.ping);
  await raw?.end();
});

test('trailers reach a client that asked for them after chunks, without those that may be no trailers', async (t) => {
  const trailers = [
    ['x-sum', 'abc'],
    ['set-cookie', 'a=b'],
    ['client-cert', ':AA==:'],
    ['x-sum', 'def'],
    ['content-type', 'a'],
  ] as const;
  const serve = async (raw: RawHttp2) => {
    for (let nth = 1; nth < 3; nth += 1) {
      const stream = await raw.request(nth);
      raw.write(answer(stream), frame(FRAME.data, 0, stream, Buffer.from('ok')));
      raw.write(frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, stream, block(trailers)));
    }
  };
  const { port } = await rig(t, serve);
  const asked = await send(t, port, GET.replace('\r\n\r\n', '\r\nTE: trailers\r\nConnection: TE\r\n\r\n')).until(
    /\r\n\r\n$/,
  );
  assert.match(asked, /\r\n2\r\nok\r\n0\r\nx-sum: abc\r\nx-sum: def\r\n\r\n$/);
  const unasked = await send(t, port, GET).until(/\r\n0\r\n.*\r\n$/s);
  assert.match(unasked, /\r\n2\r\nok\r\n0\r\n\r\n$/);
});

test('TLS: HTTP/2 is what is asked for, and a server that speaks only HTTP/1.1 is unreachable', async (t) => {
  const ca = await makeCa();
  const { chain, key } = await makeCertificate({ names: ['localhost'], ca });
  for (const [protocol, expected] of [
    ['http/1.1', /upstream_unreachable$/],
    ['h2', /hello$/],
  ] as const) {
    const server: Server = createTls({ cert: chain, key, ALPNProtocols: [protocol] });
    if (protocol === 'h2') {
      const http2 = createHttp2((_request, response) => response.end('hello'));
      server.on('secureConnection', (socket) => http2.emit('connection', socket));
    }
    const origin = `https://localhost:${await listen(t, server)}`;
    const tls = { ca: ca.cert, cert: undefined, key: undefined, serverName: undefined, subjectAltNames: undefined };
    const { port } = await openForwarder(t, origin, { upstream: { http2: true, tls } });
    assert.match(
      await send(t, port, GET.replace('Host', 'Connection: close\r\nHost')).toEnd(),
      protocol === 'h2' ? /hello/ : expected,
    );
  }
});

test('a server that speaks HTTP/1.1 in the clear gets no request', async (t) => {
  const seen: string[] = [];
  const origin = await script(t, (socket) => {
    socket.on('error', () => {}).on('data', (chunk: Buffer) => seen.push(chunk.toString('latin1')));
    socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
  });
  const { port } = await openForwarder(t, origin, { upstream: { http2: true } });
  assert.match(await send(t, port, GET).until(/\r\n\r\n./), /upstream_unreachable$/);
  assert.doesNotMatch(seen.join(''), /orders/);
});

test('nobody listens: unreachable', async (t) => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: closed } = server.address() as { port: number };
  server.close();
  const { port } = await openForwarder(t, `http://127.0.0.1:${closed}`, { upstream: { http2: true } });
  assert.match(await send(t, port, GET).until(/\r\n\r\n./), /upstream_unreachable$/);
});

test('a request that is given up while it waits for a connection is never sent', async (t) => {
  const { port, opened } = await rig(t, () => {}, { upstream: { connections: 1 }, timeouts: { connect: 0.5 } }, [
    [3, 1],
  ]);
  send(t, port, GET);
  while (opened.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await opened[0]?.request();
  assert.match(await send(t, port, GET).until(/\r\n\r\n./), /upstream_queue_full$/);
  opened[0]?.write(answer(1, [], FLAG.endStream));
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(opened[0]?.frames.filter(({ type }) => type === FRAME.headers).length, 1);
});

for (const [host, authority] of [
  ['preserve', /api\.example\.com/],
  ['upstream', /127\.0\.0\.1:\d+/],
] as const) {
  test(`with host: ${host} :authority is that of the ${host === 'preserve' ? 'client' : 'target'}, and there is no Host`, async (t) => {
    const seen = new Promise<IncomingHttpHeaders>((resolve) => {
      const server = createHttp2((request, response) => {
        resolve(request.headers);
        response.end('ok');
      });
      void listen(t, server as unknown as Server).then(async (port) => {
        const forwarder = await openForwarder(t, `http://127.0.0.1:${port}`, {
          upstream: { http2: true },
          forward: { host },
        });
        send(t, forwarder.port, GET);
      });
    });
    assert.match((await seen)[':authority'] ?? '', authority);
    assert.equal((await seen).host, undefined);
  });
}

test('a connection that is too old takes no more requests', async (t) => {
  const { port, opened } = await rig(t, OK, { open: { connectionAge: 0.1 }, upstream: { connections: 1 } });
  await send(t, port, GET).until(/ok$/);
  await new Promise((resolve) => setTimeout(resolve, 150));
  await send(t, port, GET).until(/ok$/);
  assert.equal(opened.length, 2);
  await opened[0]?.end();
});

test('health checks are asked over HTTP/2 as well', async (t) => {
  const asked = new Promise<string>((resolve) => {
    const server = createHttp2((request, response) => {
      resolve(`${request.httpVersion} ${request.url}`);
      response.end();
    });
    const health = { path: '/healthz', interval: 0.5, unhealthyAfter: 1, healthyAfter: 1 };
    void listen(t, server as unknown as Server).then((port) =>
      openForwarder(t, `http://127.0.0.1:${port}`, { upstream: { http2: true, health } }),
    );
  });
  assert.equal(await asked, '2.0 /healthz');
});

test('a connection is kept for the next request', async (t) => {
  const { port, opened } = await rig(t, OK);
  for (let count = 0; count < 5; count += 1) await send(t, port, GET).until(/ok$/);
  assert.equal(opened.length, 1);
});
