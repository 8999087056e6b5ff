// Retries: GOAWAY, REFUSED_STREAM and closed connections, and all that is not repeated.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { type Forwarder, type ForwarderWishes, GET, openForwarder, script, send } from '../../support/forwarding.ts';
import { answer, ERROR, FLAG, FRAME, frame, type RawHttp2, reset, serveHttp2 } from '../../support/frames.ts';
import { openBalanced, openTargets } from '../../support/targets.ts';

const POST = 'POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nthe order';

function goaway(lastStream: number, code: number = ERROR.none): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(lastStream);
  payload.writeUInt32BE(code, 4);
  return frame(FRAME.goaway, 0, 0, payload);
}

/** Answers a stream with what its body was. */
async function echo(raw: RawHttp2, stream: number): Promise<void> {
  await raw.ending(stream);
  raw.write(answer(stream), frame(FRAME.data, FLAG.endStream, stream, Buffer.from(`got ${raw.data(stream)}.`)));
}

type Serve = (raw: RawHttp2, nth: number) => unknown;

/** A forwarder with an upstream over HTTP/2; `serve` is told the number of the connection, from 0. */
async function overHttp2(t: TestContext, serve: Serve, wishes: ForwarderWishes = {}): Promise<Forwarder> {
  let count = 0;
  const origin = await serveHttp2(t, (raw) => void serve(raw, count++));
  return openForwarder(t, origin, { ...wishes, upstream: { http2: true, ...wishes.upstream } });
}

/** Refuses on the first connection as told, and answers on the next ones. */
function refuseFirst(refuse: (raw: RawHttp2, stream: number) => void): Serve {
  return async (raw, nth) => {
    const stream = await raw.request();
    if (nth > 0) return echo(raw, stream);
    refuse(raw, stream);
    // A stream that is refused leaves the connection as it is.
    return raw.request(2).then(
      (next) => echo(raw, next),
      () => {},
    );
  };
}

describe('over HTTP/2, of any method and with its body, a request is sent again', () => {
  const WAYS: readonly (readonly [string, (raw: RawHttp2, stream: number) => void])[] = [
    ['above the stream of GOAWAY', (raw) => raw.write(goaway(0))],
    ['above the stream of a GOAWAY with an error', (raw) => raw.write(goaway(0, ERROR.calm))],
    ['above the stream of the second GOAWAY', (raw) => raw.write(goaway(2 ** 31 - 1), goaway(0))],
    ['above the stream of GOAWAY, and the connection is closed at once', (raw) => raw.socket.end(goaway(0))],
    ['that was refused with REFUSED_STREAM', (raw, stream) => raw.write(reset(stream, ERROR.refused))],
  ];
  for (const [what, refuse] of WAYS) {
    it(what, async (t) => {
      const { port, outcomes } = await overHttp2(t, refuseFirst(refuse));
      const client = send(t, port, POST);
      await client.until(/got the order\./);
      assert.equal((await outcomes.next()).kind, 'forwarded');
      assert.deepEqual(outcomes.attempts, [{ count: 2, after: 'refused' }]);
    });
  }

  it('while the client still sends it: what comes later follows what was kept', async (t) => {
    const refused = Promise.withResolvers<RawHttp2>();
    const second = Promise.withResolvers<RawHttp2>();
    const { port } = await overHttp2(t, async (raw, nth) => {
      const stream = await raw.request();
      if (nth > 0) {
        second.resolve(raw);
        return echo(raw, stream);
      }
      await raw.until(({ type }) => type === FRAME.data);
      raw.write(goaway(0));
      refused.resolve(raw);
    });
    // Without a length it goes on as it comes.
    const client = send(t, port, 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nkept, \r\n');
    await refused.promise;
    await (await second.promise).until(({ type }) => type === FRAME.data);
    client.socket.write('6\r\nlater.\r\n0\r\n\r\n');
    await client.until(/got kept, later\.\./);
  });

  it('on a connection of the other target, where there is one', async (t) => {
    const refuses: Serve = async (raw) => raw.write(reset(await raw.request(), ERROR.refused));
    const answers: Serve = async (raw) => echo(raw, await raw.request());
    const origins = await Promise.all([refuses, answers].map((serve) => serveHttp2(t, (raw) => void serve(raw, 0))));
    const upstream = { http2: true, balance: 'round-robin' } as const;
    const balanced = await openBalanced(t, origins, upstream);
    assert.equal((await balanced.ask('/', 'body')).body, 'got body.');
    assert.equal(balanced.events.count('retried'), 1);
    assert.deepEqual(balanced.events.failures, []);
  });
});

/** Answers the first request of the first connection, and closes that when the second one comes; answers all later ones. */
const closesUsed: Serve = async (raw, nth) => {
  await echo(raw, await raw.request(1));
  const second = await raw.request(2).catch(() => 0);
  if (second === 0) return;
  if (nth === 0) raw.socket.destroy();
  else await echo(raw, second);
};

describe('over HTTP/2 a connection that was used before and is closed without a word', () => {
  for (const [method, text] of [
    ['GET', GET],
    ['PUT', POST.replace('POST', 'PUT')],
  ] as const) {
    it(`costs ${method} nothing`, async (t) => {
      const { port, outcomes } = await overHttp2(t, closesUsed);
      await send(t, port, GET).until(/got \./);
      await send(t, port, text).until(/got (?:the order)?\./);
      assert.deepEqual(outcomes.attempts, [undefined, { count: 2, after: 'closed' }]);
    });
  }

  it('ends POST, which may have been read', async (t) => {
    const { port, outcomes } = await overHttp2(t, closesUsed);
    await send(t, port, GET).until(/got \./);
    await send(t, port, POST).until(/upstream_unreachable$/);
    assert.deepEqual(outcomes.attempts, [undefined, undefined]);
  });
});

it('over HTTP/2 a GOAWAY is heard though the server resets the connection behind it, under a body on its way', async (t) => {
  const body = 'x'.repeat(60_000);
  for (let round = 0; round < 12; round += 1) {
    const { port } = await overHttp2(t, async (raw, nth) => {
      const stream = await raw.request();
      if (nth > 0) {
        await raw.ending(stream);
        const size = Buffer.from(`got ${raw.data(stream).length}.`);
        return raw.write(answer(stream), frame(FRAME.data, FLAG.endStream, stream, size));
      }
      raw.socket.pause();
      // What is unread then makes the system reset the connection.
      raw.socket.write(goaway(0), () => raw.socket.destroy());
    });
    const client = send(t, port, `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`);
    client.socket.write(body);
    await client.until(/got 60000\./);
  }
});

describe('over HTTP/2 a request is not sent again', () => {
  const WAYS: readonly (readonly [string, (raw: RawHttp2, stream: number) => void])[] = [
    ['that GOAWAY names as taken', (raw, stream) => raw.socket.end(goaway(stream))],
    ['that was reset with CANCEL', (raw, stream) => raw.write(reset(stream, ERROR.cancel))],
    ['that was reset with INTERNAL_ERROR', (raw, stream) => raw.write(reset(stream, ERROR.internal))],
    ['that was reset with ENHANCE_YOUR_CALM', (raw, stream) => raw.write(reset(stream, ERROR.calm))],
    [
      'that was refused after an interim answer: it was looked at',
      (raw, stream) => raw.write(interim(stream), reset(stream, ERROR.refused)),
    ],
    ['on the first use of a connection that was closed', (raw) => raw.socket.end()],
  ];
  for (const [what, refuse] of WAYS) {
    for (const [method, text] of [
      ['GET', GET],
      ['POST', POST],
    ] as const) {
      it(`${what}, ${method}`, async (t) => {
        let connections = 0;
        const { port, outcomes } = await overHttp2(t, (raw, nth) => {
          connections += 1;
          return refuseFirst(refuse)(raw, nth);
        });
        await send(t, port, text).until(/upstream_unreachable|upstream_invalid/);
        assert.equal((await outcomes.next()).kind, 'rejected');
        assert.deepEqual([connections, outcomes.attempts], [1, [undefined]]);
      });
    }
  }

  it('with retries: 0', async (t) => {
    const { port } = await overHttp2(
      t,
      refuseFirst((raw, stream) => raw.write(reset(stream, ERROR.refused))),
      {
        upstream: { retries: 0 },
      },
    );
    await send(t, port, POST).until(/upstream_unreachable$/);
  });

  it('for ever: an upstream that refuses everything is unreachable after four attempts', async (t) => {
    let got = 0;
    const { port, outcomes } = await overHttp2(t, async (raw) => {
      for (let nth = 1; !raw.closed; nth += 1) {
        const stream = await raw.request(nth).catch(() => 0);
        if (stream === 0) return;
        got += 1;
        raw.write(reset(stream, ERROR.refused));
      }
    });
    await send(t, port, POST).until(/upstream_unreachable$/);
    assert.equal(got, 4);
    assert.deepEqual(outcomes.attempts, [{ count: 4, after: 'refused' }]);
  });

  it('whose body is too large to be kept', async (t) => {
    const { port } = await overHttp2(t, async (raw, nth) => {
      const stream = await raw.request();
      if (nth > 0) return echo(raw, stream);
      const more = Buffer.alloc(4);
      more.writeUInt32BE(10_000_000);
      raw.write(frame(FRAME.windowUpdate, 0, stream, more), frame(FRAME.windowUpdate, 0, 0, more));
      await raw.ending(stream);
      raw.write(reset(stream, ERROR.refused));
    });
    const body = 'x'.repeat(300_000);
    const text = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    await send(t, port, text).until(/upstream_unreachable$/);
  });
});

function interim(stream: number): Buffer {
  return Buffer.concat([frame(FRAME.headers, FLAG.endHeaders, stream, Buffer.from([0x08, 0x03, 0x31, 0x30, 0x33]))]);
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/**
 * An upstream that answers the first request of its first connection, and closes that connection the moment that another one comes
 * on it: the worst timing of a keep-alive timeout. All other requests are answered.
 */
async function closesIdle(
  t: TestContext,
  wishes: ForwarderWishes = {},
  close: (socket: Socket) => unknown = (socket) => socket.destroy(),
) {
  const seen: string[] = [];
  let connections = 0;
  const origin = await script(t, (socket) => {
    const first = connections++ === 0;
    let requests = 0;
    socket
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        const line = /^([A-Z]+ \S+) HTTP/.exec(chunk.toString('latin1'))?.[1];
        if (line === undefined) return;
        seen.push(line);
        requests += 1;
        if (first && requests === 2) close(socket);
        else socket.write(OK);
      });
  });
  const forwarder = await openForwarder(t, origin, wishes);
  const warm = send(t, forwarder.port, GET.replace('Host', 'Connection: close\r\nHost'));
  await warm.toEnd();
  await forwarder.outcomes.next();
  return { ...forwarder, seen };
}

const withBody = (method: string) => `${method} /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody`;

describe('over HTTP/1.1 a request is sent again on a new connection when an idle one ended under it', () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE']) {
    it(method, async (t) => {
      const { port, outcomes, seen } = await closesIdle(t);
      await send(t, port, GET.replace('GET', method)).until(/ 200 OK/);
      assert.equal((await outcomes.next()).kind, 'forwarded');
      assert.deepEqual(outcomes.attempts.at(-1), { count: 2, after: 'closed' });
      assert.deepEqual(seen.slice(1), [`${method} /orders/1`, `${method} /orders/1`]);
    });
  }

  it('PUT with its body', async (t) => {
    const { port, seen } = await closesIdle(t);
    await send(t, port, withBody('PUT')).until(/ok$/);
    assert.deepEqual(seen.slice(1), ['PUT /1', 'PUT /1']);
  });

  it('when the connection was reset', async (t) => {
    const { port } = await closesIdle(t, {}, (socket) => socket.resetAndDestroy());
    await send(t, port, GET).until(/ok$/);
  });

  it('though every connection that waits in the pool ends the same way', async (t) => {
    let connections = 0;
    const held: Socket[] = [];
    const origin = await script(t, (socket) => {
      const mine = ++connections;
      let requests = 0;
      socket
        .on('error', () => {})
        .on('data', () => {
          requests += 1;
          if (mine <= 4 && requests === 1) return void held.push(socket);
          if (mine <= 4) return void socket.destroy();
          socket.write(OK);
        });
    });
    const { port } = await openForwarder(t, origin, { upstream: { connections: 4 } });
    const warm = [1, 2, 3, 4].map(() => send(t, port, GET));
    while (held.length < 4) await new Promise(setImmediate);
    for (const socket of held) socket.write(OK);
    await Promise.all(warm.map((client) => client.until(/ok$/)));
    await Promise.all([1, 2, 3, 4].map(() => send(t, port, GET).until(/ok$/)));
  });
});

describe('over HTTP/1.1 a request is not sent again', () => {
  for (const method of ['POST', 'PATCH', 'LOCK']) {
    it(`when its method is ${method}`, async (t) => {
      const { port, seen } = await closesIdle(t);
      await send(t, port, withBody(method)).until(/upstream_unreachable$/);
      assert.equal(seen.length, 2);
    });
  }

  it('when a byte of an answer came', async (t) => {
    const { port, seen } = await closesIdle(t, {}, (socket) => socket.end('H'));
    await send(t, port, GET).until(/upstream_invalid$/);
    assert.equal(seen.length, 2);
  });

  it('when it carries a proof, which passes once', async (t) => {
    const wishes = { forward: { authorization: 'as-received' } } as const;
    const { port, seen } = await closesIdle(t, wishes);
    await send(t, port, GET.replace('Host', 'DPoP: a.b.c\r\nHost')).until(/upstream_unreachable$/);
    assert.equal(seen.length, 2);
  });

  it('with retries: 0', async (t) => {
    const { port, seen } = await closesIdle(t, { upstream: { retries: 0 } });
    await send(t, port, GET).until(/upstream_unreachable$/);
    assert.equal(seen.length, 2);
  });

  it('twice: a new connection that ends as well is unreachable', async (t) => {
    let requests = 0;
    const origin = await script(t, (socket) => {
      socket
        .on('error', () => {})
        .on('data', () => {
          requests += 1;
          if (requests === 1) socket.write(OK);
          else socket.destroy();
        });
    });
    const { port } = await openForwarder(t, origin);
    await send(t, port, GET).until(/ok$/);
    await send(t, port, GET).until(/upstream_unreachable$/);
    assert.equal(requests, 3);
  });

  it('on the first use of a connection, so that what kills one target does not kill the next', async (t) => {
    const targets = await openTargets(t, 2);
    for (const target of targets) target.answer = ({ socket }) => void socket.destroy();
    const balanced = await openBalanced(t, targets);
    assert.equal((await balanced.ask('/poison')).body, 'upstream_unreachable');
    assert.deepEqual(
      targets.flatMap(({ seen }) => seen),
      ['/poison'],
    );
  });

  it('for a client that has gone away', async (t) => {
    const gone = Promise.withResolvers<Socket>();
    const { port, seen, outcomes } = await closesIdle(t, {}, (socket) => gone.resolve(socket));
    const client = send(t, port, GET);
    const socket = await gone.promise;
    client.socket.destroy();
    assert.equal((await outcomes.next()).kind, 'client_gone');
    if (!socket.readableEnded) await once(socket, 'end');
    assert.equal(seen.length, 2);
  });
});
