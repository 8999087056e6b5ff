// Forwarding that goes well: what the upstream receives, and what the client gets back.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { type ForwarderWishes, GET, listen, openForwarder, Received, script, send } from '../../support/forwarding.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** An upstream that keeps what it receives and answers whenever that matches `end`. */
async function openWith(t: TestContext, answer: string, wishes: ForwarderWishes = {}, end = /\r\n\r\n$/) {
  const received: Received[] = [];
  const origin = await script(t, (socket) => {
    const all = new Received(socket);
    received.push(all);
    socket.on('data', () => {
      if (end.test(all.text)) socket.write(answer, 'latin1');
    });
  });
  return { ...(await openForwarder(t, origin, wishes)), received };
}

describe('the request', () => {
  it('keeps its method and its path byte for byte', async (t) => {
    const { port, received } = await openWith(t, OK);
    const target = '/a%7Eb;p=1/%c3%A9/~(x)?x=%zz&y=[]"\\|^`{}&&a+b';
    await send(t, port, `PROPFIND ${target} HTTP/1.1\r\nHost: x\r\n\r\n`).until(/ok$/);
    assert.match(received[0]?.text ?? '', /^PROPFIND /);
    assert.equal(received[0]?.text.split(' ')[1], target);
  });

  for (const [target, forwarded] of [
    ['/orders/1?x', '/1?x'],
    ['/orders', '/'],
    ['/orders?x=/orders/1', '/?x=/orders/1'],
    ['/orders/', '/'],
  ] as const) {
    it(`with strip_prefix /orders ${target} becomes ${forwarded}`, async (t) => {
      const { port, received } = await openWith(t, OK, { route: { path: { part: 'front', segments: 1, to: '' } } });
      await send(t, port, GET.replace('/orders/1', target)).until(/ok$/);
      assert.equal(received[0]?.text.split(' ')[1], forwarded);
    });
  }

  it('loses the prefix by segments when the client spells it otherwise', async (t) => {
    const { port, received } = await openWith(t, OK, {
      route: { path: { part: 'front', segments: 1, to: '' } },
      facts: { target: '/%6Frders;v=1/a%7Eb', matchPath: '/orders/a~b' },
    });
    await send(t, port, GET).until(/ok$/);
    assert.equal(received[0]?.text.split(' ')[1], '/a%7Eb');
  });

  it('reaches the upstream without a body as one header section, over a kept connection', async (t) => {
    const { port, received, outcomes } = await openWith(t, OK);
    for (let count = 0; count < 3; count += 1) {
      await send(t, port, GET).until(/ok$/);
      assert.deepEqual(await outcomes.next(), { kind: 'forwarded', status: 200, bytes: 2 });
    }
    assert.equal(received.length, 1);
    assert.doesNotMatch(received[0]?.text ?? '', /content-length|transfer-encoding/i);
  });

  it('keeps the length of its body, or stays chunked without its trailers', async (t) => {
    const { port, received } = await openWith(t, OK, {}, /\r\n\r\nabc$|\r\n0\r\n\r\n$/);
    const head = 'POST /orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\n';
    await send(t, port, `${head}Content-Length: 3\r\n\r\nabc`).until(/ok$/);
    assert.match(received[0]?.text ?? '', /\r\ncontent-length: 3\r\n\r\nabc$/i);
    const chunked = send(t, port, `${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`);
    await received[0]?.until(/\r\n3\r\nabc/);
    chunked.socket.write('0\r\nX-Auth-Subject: forged\r\n\r\n');
    await chunked.until(/ok$/);
    await received[0]?.until(/0\r\n\r\n$/);
    assert.doesNotMatch(received[0]?.text ?? '', /forged/);
  });
});

describe('the answer', () => {
  it('comes with its status, its fields and a Date, without its reason phrase', async (t) => {
    const answer =
      'HTTP/1.1 299 <script>\r\nContent-Length: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nX-L: caf\xe9\r\n\r\nok';
    const { port } = await openWith(t, answer);
    const text = await send(t, port, GET).until(/ok$/);
    assert.match(text, /^HTTP\/1\.1 299 unknown\r\n/);
    assert.match(text, /\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nX-L: caf\xe9\r\n/);
    assert.equal(text.match(/\r\nDate: /g)?.length, 1);
  });

  it('keeps the Date of the upstream', async (t) => {
    const { port } = await openWith(t, OK.replace('\r\n\r\n', '\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n'));
    const text = await send(t, port, GET).until(/ok$/);
    assert.deepEqual(text.match(/\r\ndate: [^\r]*/gi), ['\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT']);
  });

  for (const [method, status] of [
    ['HEAD', 200],
    ['GET', 304],
  ] as const) {
    it(`to ${method} with ${status} keeps Content-Length without a body`, async (t) => {
      const { port, outcomes } = await openWith(t, `HTTP/1.1 ${status} x\r\nContent-Length: 5\r\n\r\n`);
      const text = await send(t, port, GET.replace('GET', method)).until(/\r\n\r\n/);
      assert.match(text, /\r\nContent-Length: 5\r\n/);
      assert.deepEqual(await outcomes.next(), { kind: 'forwarded', status, bytes: 0 });
    });
  }

  it('that ends with its connection ends as a complete one', async (t) => {
    const origin = await script(t, (socket) => {
      socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\nall of it'));
    });
    const { port, outcomes } = await openForwarder(t, origin);
    const text = await send(t, port, GET).until(/\r\n0\r\n\r\n$/);
    assert.match(text, /\r\n9\r\nall of it\r\n/);
    assert.deepEqual(await outcomes.next(), { kind: 'forwarded', status: 200, bytes: 9 });
  });

  it('loses its trailers', async (t) => {
    const chunked =
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: DPoP-Nonce\r\n\r\n';
    const { port } = await openWith(t, chunked);
    const text = await send(t, port, GET).until(/\r\n0\r\n\r\n$/);
    assert.match(text, /^HTTP\/1\.1 200/);
    assert.doesNotMatch(text, /X-T/);
  });

  it('shows its fields before its body comes', async (t) => {
    let upstream: Socket | undefined;
    const origin = await script(t, (socket) => {
      upstream = socket;
      socket.once('data', () =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 4\r\n\r\n'),
      );
    });
    const { port } = await openForwarder(t, origin);
    const client = send(t, port, GET);
    await client.until(/text\/event-stream[^]*\r\n\r\n$/);
    upstream?.write('data');
    await client.until(/data$/);
  });

  it('carries a fresh nonce of the permit and is then no-store', async (t) => {
    const { port } = await openWith(t, OK, { permit: { freshNonce: 'n0nce' } });
    const text = await send(t, port, GET).until(/ok$/);
    assert.match(text, /\r\nDPoP-Nonce: n0nce\r\nCache-Control: no-store\r\n/);
  });
});

describe('back-pressure', () => {
  const SIZE = 64 * 1024 * 1024;

  it('an answer of 64 MiB waits in the upstream while the client does not read', async (t) => {
    let sent = 0;
    const upstream = createServer((_, response) => {
      response.writeHead(200, { 'content-length': SIZE });
      const block = Buffer.alloc(65_536);
      const more = () => {
        while (sent < SIZE) {
          sent += block.length;
          if (!response.write(block)) return response.once('drain', more);
        }
        return response.end();
      };
      more();
    });
    const { port, outcomes } = await openForwarder(t, `http://127.0.0.1:${await listen(t, upstream)}`);
    const client = send(t, port, GET);
    await client.until(/\r\n\r\n/);
    client.socket.pause();
    const stalledAt = await settles(() => sent);
    assert.ok(stalledAt < SIZE / 4, `${stalledAt} bytes left the upstream`);
    client.socket.removeAllListeners('data');
    client.socket.resume();
    assert.deepEqual(await outcomes.next(), { kind: 'forwarded', status: 200, bytes: SIZE });
  });

  it('an upload of 64 MiB waits in the client while the upstream does not read, then passes', async (t) => {
    let upstream: Socket | undefined;
    let read = 0;
    const origin = await script(t, (socket) => {
      upstream = socket.pause();
      socket.on('data', (chunk: Buffer) => {
        read += chunk.length;
        if (read > SIZE) socket.write(OK);
      });
      socket.pause();
    });
    const { port } = await openForwarder(t, origin);
    const client = send(t, port, `PUT /big HTTP/1.1\r\nHost: x\r\nContent-Length: ${SIZE}\r\n\r\n`);
    let sent = 0;
    const block = Buffer.alloc(65_536);
    const more = () => {
      while (sent < SIZE) {
        sent += block.length;
        if (!client.socket.write(block)) return client.socket.once('drain', more);
      }
      return client.socket;
    };
    more();
    const stalledAt = await settles(() => sent);
    assert.ok(stalledAt < SIZE / 4, `${stalledAt} bytes left the client`);
    upstream?.resume();
    await client.until(/ok$/);
  });
});

/** The value once it has not changed for a while: the one thing here that no event announces. */
async function settles(value: () => number): Promise<number> {
  let before = -1;
  for (let quiet = 0; quiet < 5; quiet += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (value() !== before) quiet = 0;
    before = value();
  }
  return before;
}

describe('a client that goes away', () => {
  it('while the answer comes: the upstream sees its connection closed', async (t) => {
    let closed: Promise<unknown> | undefined;
    const origin = await script(t, (socket) => {
      closed = once(socket, 'close');
      socket
        .on('error', () => {})
        .once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
        });
      socket.on('end', () => socket.destroy());
    });
    const { port, outcomes } = await openForwarder(t, origin);
    const client = send(t, port, GET);
    await client.until(/half/);
    client.socket.destroy();
    assert.deepEqual(await outcomes.next(), { kind: 'client_gone', bytes: 4 });
    await closed;
  });

  it('before its request was decided: nothing is sent', async (t) => {
    const decided = (response: ServerResponse) => once(response, 'close');
    const { port, outcomes, received } = await openWith(t, OK, { decided });
    send(t, port, GET).socket.end();
    assert.deepEqual(await outcomes.next(), { kind: 'client_gone', bytes: 0 });
    assert.equal(received.length, 0);
  });

  it('in the middle of its upload: the upstream sees no end of the body but the end of the connection', async (t) => {
    const received: Received[] = [];
    const origin = await script(t, (socket) => {
      received.push(new Received(socket));
      socket.on('end', () => socket.destroy());
    });
    const { port, outcomes } = await openForwarder(t, origin);
    const client = send(t, port, 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n');
    while (received[0] === undefined) await new Promise(setImmediate);
    await received[0].until(/half/);
    client.socket.destroy();
    assert.deepEqual(await outcomes.next(), { kind: 'client_gone', bytes: 0 });
    assert.doesNotMatch(await received[0].toEnd(), /\r\n0\r\n/);
  });

  it('while its request waits for a connection: nothing of it is sent, and the connection serves the next one', async (t) => {
    const received: Received[] = [];
    const origin = await script(t, (socket) => {
      received.push(new Received(socket));
    });
    const { port, outcomes } = await openForwarder(t, origin, { upstream: { connections: 1 } });
    const first = send(t, port, GET.replace('/orders/1', '/first'));
    while (received[0] === undefined) await new Promise(setImmediate);
    await received[0].until(/first/);
    const second = send(t, port, GET.replace('/orders/1', '/second'));
    const third = send(t, port, GET.replace('/orders/1', '/third'));
    await once(second.socket, 'connect');
    second.socket.end();
    assert.deepEqual(await outcomes.next(), { kind: 'client_gone', bytes: 0 });
    received[0].socket.write(OK);
    await first.until(/ok$/);
    await received[0].until(/third/);
    received[0].socket.write(OK);
    await third.until(/ok$/);
    assert.doesNotMatch(received[0].text, /second/);
    assert.equal(received.length, 1);
  });
});
