// Interim answers of upstreams, valid and invalid, and an unasked 100.

import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { type ForwarderWishes, GET, openForwarder, script, send } from '../../support/forwarding.ts';
import { block, FLAG, FRAME, frame, type RawHttp2, serveHttp2 } from '../../support/frames.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
const HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>\r\nX-L: caf\xe9\r\n\r\n';

async function writeAll(socket: Socket, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    socket.write(piece, 'latin1');
    await new Promise(setImmediate);
  }
}

/** An upstream that writes these pieces for each request, one after the other in pieces of their own. */
async function answering(t: TestContext, pieces: readonly string[], wishes: ForwarderWishes = {}) {
  let connections = 0;
  const origin = await script(t, (socket) => {
    connections += 1;
    socket.setNoDelay();
    socket.on('error', () => {}).on('data', () => void writeAll(socket, pieces));
  });
  return { ...(await openForwarder(t, origin, wishes)), connections: () => connections };
}

describe('103', () => {
  it('is passed on with its fields, and the answer after it', async (t) => {
    const { port } = await answering(t, [HINTS, OK]);
    const text = await send(t, port, GET).until(/ok$/);
    assert.match(
      text,
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\nLink: <\/b\.js>\r\nX-L: caf\xe9\r\n/,
    );
    assert.match(text, /\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  });

  it('comes before the answer does', async (t) => {
    const { port } = await answering(t, [HINTS]);
    await send(t, port, GET).until(/^HTTP\/1\.1 103 [^]*\r\n\r\n$/);
  });

  it('loses what an answer loses: hop-by-hop fields, lengths, certificates, nonces', async (t) => {
    const fields = ['Connection: X-Hop', 'X-Hop: 1', 'Content-Length: 5', 'Client-Cert: :AA==:', 'DPoP-Nonce: n'];
    const { port } = await answering(t, [`HTTP/1.1 103 x\r\n${fields.join('\r\n')}\r\nLink: </a>\r\n\r\n`, OK]);
    const [hints = ''] = (await send(t, port, GET).until(/ok$/)).split('\r\n\r\n');
    assert.match(hints, /\r\nLink: <\/a>/);
    assert.doesNotMatch(hints, /X-Hop|Connection|Length|Client-Cert|DPoP-Nonce/i);
  });

  it('never goes to a client of HTTP/1.0', async (t) => {
    const { port } = await answering(t, [HINTS, OK]);
    assert.match(await send(t, port, GET.replace('HTTP/1.1', 'HTTP/1.0')).toEnd(), /^HTTP\/1\.1 200 /);
  });

  it('is passed on eight times and no more: a client that reads nothing costs little', async (t) => {
    const { port } = await answering(t, [HINTS.repeat(20), OK]);
    const text = await send(t, port, GET).until(/ok$/);
    assert.equal(text.match(/HTTP\/1\.1 103/g)?.length, 8);
  });

  it('keeps response_header running: it is no answer', async (t) => {
    const { port } = await answering(t, [HINTS], { timeouts: { responseHeader: 0.5 } });
    await send(t, port, GET).until(/^HTTP\/1\.1 103 [^]*HTTP\/1\.1 504 [^]*upstream_timed_out$/);
  });

  it('does not end the request: what closes behind it is an invalid answer, and is not asked again', async (t) => {
    const origin = await script(t, (socket) => socket.on('error', () => {}).once('data', () => socket.end(HINTS)));
    const { port, outcomes } = await openForwarder(t, origin);
    await send(t, port, GET).until(/HTTP\/1\.1 502 [^]*upstream_invalid$/);
    assert.deepEqual(await outcomes.next().then(() => outcomes.attempts), [undefined]);
  });
});

describe('100 that nobody asked for', () => {
  const WAYS: readonly (readonly [string, readonly string[]])[] = [
    ['before the answer', [CONTINUE, OK]],
    ['in one piece with it', [CONTINUE + OK]],
    ['octet by octet', (CONTINUE + OK).split('')],
    ['with fields', [`HTTP/1.1 100 Continue\r\nServer: x\r\nX: 100\r\n\r\n${OK}`]],
    ['more than once', [CONTINUE + CONTINUE + OK]],
  ];
  for (const [what, pieces] of WAYS) {
    it(`${what} is dropped, and the connection serves the next request`, async (t) => {
      const { port, connections } = await answering(t, pieces);
      for (let count = 0; count < 3; count += 1) {
        assert.match(await send(t, port, GET).until(/ok$/), /^HTTP\/1\.1 200 /);
      }
      assert.equal(connections(), 1);
    });
  }

  it('among others leaves them as they are', async (t) => {
    const { port } = await answering(t, [`HTTP/1.1 102 Processing\r\n\r\n${CONTINUE}${HINTS}${OK}`]);
    const text = await send(t, port, GET).until(/ok$/);
    assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 102', 'HTTP/1.1 103', 'HTTP/1.1 200']);
  });

  it('is not searched for in bodies, nor in fields', async (t) => {
    const body = `${CONTINUE}x`;
    const answer = `HTTP/1.1 200 OK\r\nX-Like: HTTP/1.1 100 Continue\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const { port } = await answering(t, [answer]);
    const text = await send(t, port, GET).until(/\r\n\r\nx$/);
    assert.match(text, /X-Like: HTTP\/1\.1 100 Continue\r\n/);
    assert.ok(text.endsWith(body));
  });

  it('for a client that expects it: it has it once, from here', async (t) => {
    const { port } = await answering(t, [CONTINUE + OK]);
    const text = await send(
      t,
      port,
      'PUT /1 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody',
    ).until(/ok$/);
    assert.equal(text.match(/100 Continue/g)?.length, 1);
  });
});

describe('what only looks like an interim answer is upstream_invalid:', () => {
  for (const [what, text] of [
    [
      '101 that nobody asked for',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    ],
    ['099', 'HTTP/1.1 099 x\r\n\r\n'],
    ['600', 'HTTP/1.1 600 x\r\nContent-Length: 0\r\n\r\n'],
    ['999', 'HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n'],
    ['1000', 'HTTP/1.1 1000 x\r\n\r\n'],
    ['100 with two spaces', 'HTTP/1.1  100 x\r\n\r\n'],
  ] as const) {
    it(what, async (t) => {
      const { port, outcomes } = await answering(t, [text]);
      assert.match(await send(t, port, GET).until(/\r\n\r\n\w+$/), /^HTTP\/1\.1 502 [^]*upstream_invalid$/);
      assert.equal((await outcomes.next()).kind, 'rejected');
    });
  }
});

describe('over HTTP/2 from the upstream', () => {
  const serve = (statuses: readonly string[]) => async (raw: RawHttp2) => {
    const stream = await raw.request();
    for (const status of statuses) {
      const last = status >= '200';
      const fields = block([[':status', status], ...(last ? [] : [['link', '</a>'] as const])]);
      raw.write(frame(FRAME.headers, FLAG.endHeaders | (last ? FLAG.endStream : 0), stream, fields));
    }
  };
  it('103 is passed on, 100 is dropped', async (t) => {
    const origin = await serveHttp2(t, (raw) => void serve(['100', '103', '204'])(raw));
    const { port } = await openForwarder(t, origin, { upstream: { http2: true } });
    const text = await send(t, port, GET).until(/ 204 [^]*\r\n\r\n$/);
    assert.match(text, /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a>\r\n/);
    assert.doesNotMatch(text, / 100 /);
  });

  for (const status of ['600', '999']) {
    it(`${status} is upstream_invalid`, async (t) => {
      const origin = await serveHttp2(t, (raw) => void serve([status])(raw));
      const { port } = await openForwarder(t, origin, { upstream: { http2: true } });
      await send(t, port, GET).until(/ 502 [^]*upstream_invalid$/);
    });
  }
});
