// Hostile upstreams: a reason before the answer begins, a broken stream after it.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import type { Socket } from 'node:net';
import { type ForwarderWishes, GET, listen, openForwarder, Received, script, send } from '../../support/forwarding.ts';

/** An upstream that answers the first bytes of each connection with `answer`, then does `then`. */
async function openWith(
  t: TestContext,
  answer: string | Buffer,
  then: (socket: Socket) => void = () => {},
  wishes: ForwarderWishes = {},
) {
  const origin = await script(t, (socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(answer, () => then(socket));
    });
  });
  return openForwarder(t, origin, wishes);
}

const end = (socket: Socket) => {
  socket.end();
};
const reset = (socket: Socket) => {
  socket.resetAndDestroy();
};

describe('before the answer has begun', () => {
  const INVALID: readonly (readonly [string, string])[] = [
    ['garbage', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['TLS where HTTP was expected', '\x15\x03\x01\x00\x02\x02\x46'],
    ['an unasked 101', 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
    [
      'a length and a transfer coding',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'a transfer coding for which nobody asked',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'two transfer codings',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a length that is no number', 'HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok'],
    ['a field name with a space', 'HTTP/1.1 200 OK\r\nX Y: 1\r\n\r\n'],
    ['a folded line', 'HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\nContent-Length: 0\r\n\r\n'],
    ['a control character in a value', 'HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 0\r\n\r\n'],
    ['a status without meaning', 'HTTP/1.1 000 x\r\nContent-Length: 0\r\n\r\n'],
    ['half a header section', 'HTTP/1.1 200 OK\r\nContent-Le'],
    ['fields over 64 KiB', `HTTP/1.1 200 OK\r\n${'X: '.padEnd(1000, 'x').concat('\r\n').repeat(70)}\r\n`],
  ];
  for (const [what, answer] of INVALID) {
    it(`${what} is upstream_invalid`, async (t) => {
      const { port, outcomes } = await openWith(t, Buffer.from(answer, 'latin1'), end);
      const text = await send(t, port, GET).until(/\r\n\r\n\w+$/);
      assert.match(text, /^HTTP\/1\.1 502 [^]*\r\n\r\nupstream_invalid$/);
      assert.equal((await outcomes.next()).kind, 'rejected');
    });
  }

  for (const [what, then] of [
    ['a close', end],
    ['a reset', reset],
  ] as const) {
    it(`${what} without a byte is upstream_unreachable`, async (t) => {
      const { port } = await openWith(t, '', then);
      assert.match(await send(t, port, GET).until(/\r\n\r\n\w+$/), /^HTTP\/1\.1 502 [^]*upstream_unreachable$/);
    });
  }

  it('nobody listening is upstream_unreachable, with the code for the log', async (t) => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    await new Promise((resolve) => server.close(resolve));
    assert.ok(address !== null && typeof address === 'object');
    const { port, outcomes } = await openForwarder(t, `http://127.0.0.1:${address.port}`);
    await send(t, port, GET).until(/upstream_unreachable$/);
    const outcome = await outcomes.next();
    assert.ok(outcome.kind === 'rejected');
    assert.deepEqual(outcome.rejection.facts, { code: 'ECONNREFUSED' });
  });

  it('an identity value that is no field value is internal_error, and nothing is sent', async (t) => {
    let connections = 0;
    const origin = await script(t, () => {
      connections += 1;
    });
    const { port } = await openForwarder(t, origin, { permit: { identity: [['X-Auth-Subject', 'a\r\nX-Evil: 1']] } });
    await send(t, port, GET).until(/ 500 [^]*internal_error$/);
    assert.equal(connections, 0);
  });
});

describe('after the answer has begun', () => {
  const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n';
  const LENGTH = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf';
  const CLOSING = 'HTTP/1.1 200 OK\r\nConnection: close\r\n';
  const BROKEN: readonly (readonly [string, string, (socket: Socket) => void])[] = [
    ['a body shorter than its length', LENGTH, end],
    [
      'a body shorter than its length on a connection that was to close',
      LENGTH.replace('\r\n', '\r\nConnection: close\r\n'),
      end,
    ],
    ['a reset in a body with a length', LENGTH, reset],
    ['a chunked body without its last chunk', CHUNKED, end],
    ['a reset in a chunked body', CHUNKED, reset],
    ['a cut chunk', CHUNKED.replace('4\r\nhalf\r\n', '8\r\nhalf'), end],
    ['a chunk size that is none', `${CHUNKED}zz\r\n`, end],
    ['a reset of an answer that ends with its connection', `${CLOSING}\r\nhalf`, reset],
  ];
  for (const [what, answer, then] of BROKEN) {
    it(`${what} breaks the client's stream`, async (t) => {
      const { port, outcomes } = await openForwarder(
        t,
        await script(t, (socket) => {
          socket.on('error', () => {});
          socket.once('data', () => socket.write(answer, 'latin1'));
          breakers.push(() => then(socket));
        }),
      );
      const breakers: (() => void)[] = [];
      const client = send(t, port, GET);
      await client.until(/half/);
      for (const breakIt of breakers) breakIt();
      const text = await client.toEnd();
      assert.doesNotMatch(text, /\r\n0\r\n\r\n$/);
      const outcome = await outcomes.next();
      assert.ok(outcome.kind === 'upstream_broke');
      assert.deepEqual([outcome.status, outcome.bytes], [200, 4]);
    });
  }

  it('an HTTP/1.0 client, for whom the end of the connection ends the answer, gets a reset', async (t) => {
    let upstream: Socket | undefined;
    const origin = await script(t, (socket) => {
      upstream = socket;
      socket.once('data', () => socket.write(CHUNKED));
    });
    const { port } = await openForwarder(t, origin);
    const client = send(t, port, 'GET / HTTP/1.0\r\nHost: x\r\n\r\n');
    await client.until(/half/);
    const failed = new Promise((resolve) => client.socket.once('error', resolve));
    upstream?.destroy();
    assert.equal(((await failed) as NodeJS.ErrnoException).code, 'ECONNRESET');
  });

  it('more body than its length is cut off, and the rest is no answer to anybody', async (t) => {
    const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
    const { port } = await openWith(t, `${answer}${answer.replace('ok', 'no')}`);
    const both = await Promise.all([
      send(t, port, GET).until(/(ok|no|\w_\w+)$/),
      send(t, port, GET).until(/(ok|no|\w_\w+)$/),
    ]);
    for (const text of both) assert.doesNotMatch(text, /no$/);
  });

  it('a second answer after the first does not reach the next request', async (t) => {
    let connections = 0;
    const origin = await script(t, (socket) => {
      connections += 1;
      const body = connections === 1 ? 'ok' : 'mine';
      socket
        .on('error', () => {})
        .once('data', () => {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
          setImmediate(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'));
        });
    });
    const { port } = await openForwarder(t, origin, { upstream: { connections: 1 } });
    await send(t, port, GET).until(/ok$/);
    const text = await send(t, port, GET).until(/\r\n\r\n\w+$/);
    assert.match(text, /(mine|upstream_unreachable|upstream_invalid)$/);
  });

  for (const answer of [
    'HTTP/1.1 204 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\npoison',
    'HTTP/1.1 304 x\r\nContent-Length: 6\r\n\r\npoison',
  ]) {
    it(`a body after ${answer.slice(9, 12)} reaches nobody`, async (t) => {
      const { port } = await openWith(t, answer);
      const client = send(t, port, GET);
      await client.until(/\r\n\r\n/);
      assert.doesNotMatch(await send(t, port, GET).until(/\r\n\r\n/), /poison/);
      assert.doesNotMatch(client.text, /poison/);
    });
  }
});

describe('timeouts', () => {
  it('response_header: an upstream that never answers is upstream_timed_out', async (t) => {
    let upstream: Received | undefined;
    const origin = await script(t, (socket) => {
      upstream = new Received(socket);
    });
    const { port } = await openForwarder(t, origin, { timeouts: { responseHeader: 0.05 } });
    const text = await send(t, port, GET).until(/\r\n\r\n\w+$/);
    assert.match(text, /^HTTP\/1\.1 504 [^]*upstream_timed_out$/);
    await upstream?.toEnd();
  });

  it('connect: a request that waits for a connection of others in vain is upstream_queue_full, and is never sent', async (t) => {
    const received: Received[] = [];
    const origin = await script(t, (socket) => {
      received.push(new Received(socket));
    });
    const { port } = await openForwarder(t, origin, { upstream: { connections: 1 }, timeouts: { connect: 0.5 } });
    const first = send(t, port, GET);
    while (received[0] === undefined) await new Promise(setImmediate);
    await received[0].until(/\r\n\r\n$/);
    await send(t, port, GET.replace('/orders/1', '/second')).until(/ 503 [^]*upstream_queue_full$/);
    received[0].socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    await first.until(/ok$/);
    assert.doesNotMatch(received[0].text, /second/);
  });

  it('connect: a server that accepts and never shakes hands is upstream_timed_out', async (t) => {
    const origin = (await script(t, () => {})).replace('http:', 'https:');
    const { port } = await openForwarder(t, origin, { timeouts: { connect: 0.05 } });
    await send(t, port, GET).until(/ 504 [^]*upstream_timed_out$/);
  });

  it('idle: an answer that stops breaks the stream', async (t) => {
    const { port, outcomes } = await openWith(t, 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf', undefined, {
      timeouts: { idle: 0.05 },
    });
    const client = send(t, port, GET);
    assert.match(await client.toEnd(), /half$/);
    assert.deepEqual(await outcomes.next(), { kind: 'upstream_broke', status: 200, bytes: 4, code: 'ETIMEDOUT' });
  });

  it('idle: an answer that moves slowly goes on', async (t) => {
    const origin = await script(t, (socket) => {
      let left = 90;
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n');
        const timer = setInterval(() => {
          socket.write('x');
          left -= 1;
          if (left === 0) clearInterval(timer);
        }, 20);
      });
    });
    const { port } = await openForwarder(t, origin, { timeouts: { idle: 1.5, responseHeader: 1.5, connect: 1.5 } });
    await send(t, port, GET).until(/x{90}$/);
  });

  it('idle: a client that does not read any more is gone', async (t) => {
    const upstream = createServer((_, response) => {
      response.write(Buffer.alloc(32 * 1024 * 1024));
    });
    const origin = `http://127.0.0.1:${await listen(t, upstream)}`;
    const { port, outcomes } = await openForwarder(t, origin, { timeouts: { idle: 1 } });
    const client = send(t, port, GET);
    await client.until(/\r\n\r\n/);
    client.socket.pause();
    assert.equal((await outcomes.next()).kind, 'client_gone');
  });

  it('total: ends an answer that would go on for ever', async (t) => {
    const origin = await script(t, (socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        const timer = setInterval(() => socket.write('x'), 10);
        socket.on('error', () => {}).on('close', () => clearInterval(timer));
        socket.on('end', () => socket.destroy());
      });
    });
    const { port, outcomes } = await openForwarder(t, origin, { timeouts: { total: 0.5 } });
    const client = send(t, port, GET);
    assert.doesNotMatch(await client.toEnd(), /\r\n0\r\n\r\n$/);
    assert.equal((await outcomes.next()).kind, 'upstream_broke');
  });
});
