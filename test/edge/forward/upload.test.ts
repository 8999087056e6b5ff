// Bodies of requests: limits, early answers, stalled and interrupted uploads, 100 Continue.

import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { reject } from '../../../src/rejection/rejection.ts';
import { type ForwarderWishes, openForwarder, Received, script, send } from '../../support/forwarding.ts';

const POST = 'POST /orders HTTP/1.1\r\nHost: x\r\n';
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`;
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** An upstream that does what the test says with its first connection. */
async function open(t: TestContext, wishes: ForwarderWishes = {}, onConnection: (socket: Socket) => void = () => {}) {
  let connected = (_upstream: Received) => {};
  const upstream = new Promise<Received>((resolve) => {
    connected = resolve;
  });
  const connections: Socket[] = [];
  const origin = await script(t, (socket) => {
    connections.push(socket);
    socket.on('error', () => {});
    connected(new Received(socket));
    onConnection(socket);
  });
  return { ...(await openForwarder(t, origin, wishes)), upstream, connections };
}

describe('body_too_large', () => {
  it('announced: nothing is sent to the upstream', async (t) => {
    const { port, connections } = await open(t, { route: { bodyLimit: 10 } });
    const text = await send(t, port, `${POST}Content-Length: 11\r\n\r\n`).until(/\r\n\r\n\w+$/);
    assert.match(text, /^HTTP\/1\.1 413 [^]*body_too_large$/);
    assert.equal(connections.length, 0);
  });

  it('a body of exactly the limit passes', async (t) => {
    const { port } = await open(t, { route: { bodyLimit: 10 } }, (socket) =>
      socket.once('data', () => socket.write(OK)),
    );
    await send(t, port, `${POST}Content-Length: 10\r\n\r\n0123456789`).until(/ok$/);
  });

  it('while streaming: the upstream is broken off, gets no byte over the limit, and the client an answer', async (t) => {
    const { port, upstream } = await open(t, { route: { bodyLimit: 10 } });
    const client = send(t, port, `${CHUNKED}6\r\nfirst6\r\n`);
    await (await upstream).until(/first6/);
    client.socket.write('6\r\nsecond\r\n');
    assert.match(await client.until(/\r\n\r\n\w+$/), /^HTTP\/1\.1 413 [^]*body_too_large$/);
    assert.doesNotMatch(await (await upstream).toEnd(), /second|\r\n0\r\n/);
  });

  it('after the answer has begun: both sides are broken off', async (t) => {
    const { port, upstream, outcomes } = await open(t, { route: { bodyLimit: 10 } }, (socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf'));
    });
    const client = send(t, port, `${CHUNKED}6\r\nfirst6\r\n`);
    await client.until(/half$/);
    client.socket.write('6\r\nsecond\r\n');
    assert.match(await client.toEnd(), /half$/);
    const rejection = reject('body_too_large', { what: 'request body', differs: 'size', expected: 'at most 10 bytes' });
    assert.deepEqual(await outcomes.next(), { kind: 'cut_off', status: 200, bytes: 4, rejection });
    await (await upstream).toEnd();
  });
});

describe('an answer before the body has ended', () => {
  const REFUSAL = 'HTTP/1.1 413 x\r\nContent-Length: 3\r\n\r\nbig';
  for (const closing of [false, true]) {
    it(`reaches the client ${closing ? 'though the upstream closes' : 'and the connection serves the next request'}`, async (t) => {
      const { port, outcomes } = await open(t, {}, (socket) => {
        socket.once('data', () => {
          socket.write(REFUSAL);
          if (closing) socket.end();
        });
      });
      const client = send(t, port, `${POST}Content-Length: 1000000\r\n\r\n${'x'.repeat(100_000)}`);
      assert.match(await client.until(/big$/), /^HTTP\/1\.1 413/);
      assert.deepEqual(await outcomes.next(), { kind: 'forwarded', status: 413, bytes: 3 });
      client.socket.write('x'.repeat(900_000));
      client.socket.write(`GET / HTTP/1.1\r\nHost: x\r\n\r\n`);
      await client.until(/big[^]*big$/);
    });
  }

  for (const [what, head] of [
    ['a body of known length', `${POST}Content-Length: 2000000\r\n\r\n`],
    ['a chunked body', CHUNKED],
  ] as const) {
    it(`reaches the client though the upstream resets its connection under ${what}`, async (t) => {
      const { port, outcomes } = await open(t, {}, (socket) => {
        socket.once('data', () => {
          socket.pause();
          // What is unread then makes the system reset the connection.
          socket.write(REFUSAL, () => socket.destroy());
        });
      });
      for (let round = 0; round < 24; round += 1) {
        const client = send(t, port, head);
        const piece = 'x'.repeat(100_000);
        const more = head === CHUNKED ? `${piece.length.toString(16)}\r\n${piece}\r\n` : piece;
        for (let count = 0; count < 20; count += 1) client.socket.write(more);
        assert.match(await client.until(/big$/), /^HTTP\/1\.1 413/);
        assert.deepEqual(await outcomes.next(), { kind: 'forwarded', status: 413, bytes: 3 });
        client.socket.destroy();
      }
    });
  }

  it('reaches a client that reads only after it has sent everything, though its connection is not kept', async (t) => {
    const { port } = await open(t, {}, (socket) => {
      socket.once('data', () => socket.write(REFUSAL));
    });
    const client = send(t, port, POST.replace('Host', 'Connection: close\r\nHost') + 'Content-Length: 600000\r\n\r\n');
    client.socket.pause();
    for (let count = 0; count < 6; count += 1) {
      const sent = Promise.withResolvers<unknown>();
      client.socket.write('x'.repeat(100_000), sent.resolve);
      assert.equal((await sent.promise) ?? undefined, undefined, 'the connection was closed under the body');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    client.socket.resume();
    assert.match(await client.toEnd(), /^HTTP\/1\.1 413 [^]*big$/);
  });

  it('is not waited for when there is none: a write that fails is upstream_unreachable soon', async (t) => {
    const { port } = await open(t, {}, (socket) => {
      socket.once('data', () => socket.pause().resetAndDestroy());
    });
    const client = send(t, port, `${POST}Content-Length: 2000000\r\n\r\n${'x'.repeat(1_000_000)}`);
    // And not upstream_timed_out, after timeouts.idle.
    await client.until(/ 502 [^]*upstream_unreachable$/);
  });

  it('that is followed by no end of the body costs the client its connection', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { port, outcomes } = await open(t, {}, (socket) => {
      socket.once('data', () => socket.write(REFUSAL));
    });
    const client = send(t, port, `${POST}Content-Length: 1000000\r\n\r\n${'x'.repeat(70_000)}`);
    await client.until(/big$/);
    await outcomes.next();
    t.mock.timers.tick(5000);
    await client.toEnd();
  });
});

describe('uploads that stop', () => {
  it('a client that sends no more of its body is request_timed_out', async (t) => {
    const { port, upstream } = await open(t, { timeouts: { idle: 0.5 } });
    const client = send(t, port, `${CHUNKED}11170\r\n${'x'.repeat(0x11170)}\r\n4\r\nhalf\r\n`);
    assert.match(await client.until(/\r\n\r\n\w+$/), /^HTTP\/1\.1 408 [^]*request_timed_out$/);
    assert.doesNotMatch(await (await upstream).toEnd(), /\r\n0\r\n/);
  });

  it('an upstream that reads no more of it is upstream_timed_out', async (t) => {
    const { port, upstream } = await open(t, { timeouts: { idle: 0.5 } });
    const client = send(t, port, `${POST}Content-Length: 100000000\r\n\r\n`);
    (await Promise.race([upstream, feed(client.socket)]))?.socket.pause();
    assert.match(await client.until(/\r\n\r\n\w+$/), /^HTTP\/1\.1 504 [^]*upstream_timed_out$/);
  });

  it('an upload that moves is held against neither idle nor response_header', async (t) => {
    const { port, upstream } = await open(t, { timeouts: { responseHeader: 1.5, idle: 1.5, connect: 1.5 } });
    const client = send(t, port, `${CHUNKED}11170\r\n${'x'.repeat(0x11170)}\r\n`);
    for (let count = 0; count < 90; count += 1) {
      client.socket.write('1\r\nx\r\n');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    client.socket.write('0\r\n\r\n');
    await (await upstream).until(/\r\n0\r\n\r\n$/);
    (await upstream).socket.write(OK);
    await client.until(/ok$/);
  });

  it('an upstream that closes in the middle of it is upstream_unreachable', async (t) => {
    const { port } = await open(t, {}, (socket) => socket.once('data', () => socket.destroy()));
    await send(t, port, `${CHUNKED}4\r\nhalf\r\n`).until(/ 502 [^]*upstream_unreachable$/);
  });
});

/** Writes until the other side takes no more; never resolves. */
function feed(socket: Socket): Promise<undefined> {
  const block = Buffer.alloc(65_536);
  let left = 100_000_000;
  const more = () => {
    while (left > 0 && !socket.destroyed) {
      left -= block.length;
      if (!socket.write(block)) return socket.once('drain', more);
    }
    return socket;
  };
  more();
  return new Promise(() => {});
}

describe('Expect: 100-continue', () => {
  const EXPECT = `${POST}Content-Length: 4\r\nExpect: 100-continue\r\n\r\n`;

  it('is answered with 100 before a connection is taken, and not forwarded', async (t) => {
    const { port, upstream } = await open(t, {}, (socket) =>
      socket.on('data', (data) => data.includes('body') && socket.write(OK)),
    );
    const client = send(t, port, EXPECT);
    await client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    client.socket.write('body');
    await client.until(/ok$/);
    assert.doesNotMatch((await upstream).text, /expect/i);
  });

  it('is not answered with 100 when the body is too large', async (t) => {
    const { port } = await open(t, { route: { bodyLimit: 3 } });
    assert.match(await send(t, port, EXPECT).toEnd(), /^HTTP\/1\.1 413/);
  });

  it('is answered with 100 although the upstream cannot be reached, which the body has to come for', async (t) => {
    const { port } = await openForwarder(t, 'http://127.0.0.1:1');
    const client = send(t, port, EXPECT);
    await client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    client.socket.write('body');
    await client.until(/\r\n\r\nHTTP\/1\.1 502 /);
  });
});

describe('a client that pauses before the first byte of its body', () => {
  it('holds no connection to the upstream meanwhile', async (t) => {
    const { port, connections } = await open(t, {}, (socket) => socket.on('data', () => socket.write(OK)));
    const slow = send(t, port, `${POST}Content-Length: 4\r\n\r\n`);
    await send(t, port, 'GET /orders HTTP/1.1\r\nHost: x\r\n\r\n').until(/ok$/);
    assert.equal(connections.length, 1);
    // What an upstream does with a connection on which nothing comes.
    connections[0]?.end();
    slow.socket.write('body');
    await slow.until(/ok$/);
    assert.equal(connections.length, 2);
  });

  it('an empty chunked body is sent when it has ended', async (t) => {
    const { port, upstream } = await open(t, {}, (socket) => socket.once('data', () => socket.write(OK)));
    const client = send(t, port, CHUNKED);
    client.socket.write('0\r\n\r\n');
    await client.until(/ok$/);
    assert.match(await (await upstream).until(/\r\n\r\n/), /^POST \/orders /);
  });

  it('gets request_timed_out after timeouts.idle, and the upstream hears nothing of it', async (t) => {
    const { port, connections } = await open(t, {
      timeouts: { idle: 0.1 },
    });
    const text = await send(t, port, CHUNKED).until(/\r\n\r\n\w+$/);
    assert.match(text, /^HTTP\/1\.1 408 [^]*request_timed_out$/);
    assert.equal(connections.length, 0);
  });
});
