// Bodies with a signed digest: the upstream never gets the end of another one.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { reject } from '../../../src/rejection/rejection.ts';
import { type ForwarderWishes, openForwarder, Received, script, send } from '../../support/forwarding.ts';
import { answer, ERROR, FLAG, FRAME, frame, type RawHttp2, reset, serveHttp2 } from '../../support/frames.ts';

const POST = 'POST /orders HTTP/1.1\r\nHost: x\r\n';
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`;
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const NOT_SIGNED = reject('content_digest_mismatch', { what: 'request body', differs: 'value' });
const MISMATCH = /^HTTP\/1\.1 400 [^]*\r\n\r\ncontent_digest_mismatch$/;

const digestsOf = (body: string) =>
  (['sha256', 'sha512'] as const).map((algorithm) => ({
    algorithm,
    digest: createHash(algorithm).update(body).digest(),
  }));
const announced = (body: string, length = body.length) => `${POST}Content-Length: ${length}\r\n\r\n${body}`;
const chunked = (...pieces: readonly string[]) =>
  CHUNKED + [...pieces, ''].map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('');

/** A forwarder whose permit says that the body is `signed`. */
async function open(t: TestContext, signed: string, wishes: ForwarderWishes = {}, respond = true) {
  let connected = (_upstream: Received) => {};
  const upstream = new Promise<Received>((resolve) => {
    connected = resolve;
  });
  let connections = 0;
  const origin = await script(t, (socket) => {
    connections += 1;
    const received = new Received(socket);
    connected(received);
    socket
      .on('error', () => {})
      .on('data', () => {
        const { text } = received;
        const whole = text.endsWith('\r\n0\r\n\r\n') || text.endsWith(`\r\n\r\n${signed}`);
        if (respond && whole) socket.write(OK);
      });
  });
  const forwarder = await openForwarder(t, origin, {
    ...wishes,
    permit: { digests: digestsOf(signed), ...wishes.permit },
  });
  return { ...forwarder, upstream, connections: () => connections };
}

/** More than is collected before a connection is taken. */
const LONG = 'long body, '.repeat(20_000);

describe('the body that was signed reaches the upstream', () => {
  for (const [what, request, body] of [
    ['whole and small', announced('pay 1'), 'pay 1'],
    ['in pieces', chunked('p', 'ay', ' 1'), 'pay 1'],
    ['larger than what is collected', announced(LONG), LONG],
    ['larger than what is collected, without a length', chunked(LONG.slice(0, 100_000), LONG.slice(100_000)), LONG],
    ['empty', announced(''), ''],
    ['empty and chunked', chunked(), ''],
  ] as const) {
    it(what, async (t) => {
      const { port, upstream, outcomes } = await open(t, body);
      const client = send(t, port, request);
      await client.until(/ok$/);
      const [head = '', ...rest] = (await upstream).text.split('\r\n\r\n');
      const sent = rest.join('\r\n\r\n');
      assert.equal(/chunked/i.test(head) ? unchunk(sent) : sent, body);
      assert.equal((await outcomes.next()).kind, 'forwarded');
    });
  }

  it('after 100 Continue', async (t) => {
    const { port } = await open(t, 'pay 1');
    const client = send(t, port, `${POST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`);
    await client.until(/100 Continue/);
    client.socket.write('pay 1');
    await client.until(/ok$/);
  });
});

/** The content of chunks. */
function unchunk(text: string): string {
  let [rest, content] = [text, ''];
  for (let size = Number.parseInt(rest, 16); size > 0; size = Number.parseInt(rest, 16)) {
    const from = rest.indexOf('\r\n') + 2;
    content += rest.slice(from, from + size);
    rest = rest.slice(from + size + 2);
  }
  return content;
}

describe('another body is refused before the upstream hears of it', () => {
  for (const [what, request] of [
    ['a byte changed', announced('pay 9')],
    ['a byte less', announced('pay ')],
    ['a byte more', announced('pay 10')],
    ['none', announced('')],
    ['none, without framing', `${POST}\r\n`],
    ['a chunk changed', chunked('pay ', '9')],
    ['no chunk', chunked()],
  ] as const) {
    it(what, async (t) => {
      const { port, connections, outcomes } = await open(t, 'pay 1');
      assert.match(await send(t, port, request).until(/\r\n\r\n\w+$/), MISMATCH);
      assert.deepEqual(await outcomes.next(), { kind: 'rejected', rejection: NOT_SIGNED });
      assert.equal(connections(), 0);
    });
  }

  it('and its connection serves the next request', async (t) => {
    const { port } = await open(t, 'pay 1');
    const client = send(t, port, announced('pay 9'));
    await client.until(/content_digest_mismatch$/);
    client.socket.write(announced('pay 1'));
    await client.until(/ok$/);
  });
});

describe('of a body too large to be collected the upstream never gets the end', () => {
  const CHANGED = `${LONG.slice(0, -1)}!`;
  for (const [what, request] of [
    ['announced, its last byte changed', announced(CHANGED)],
    ['announced, its first byte changed', announced(`!${LONG.slice(1)}`)],
    ['announced, a byte less', announced(LONG.slice(0, -1))],
    ['chunked, its last byte changed', chunked(CHANGED.slice(0, 100_000), CHANGED.slice(100_000))],
    ['chunked, a chunk less', chunked(LONG.slice(0, 100_000), LONG.slice(100_000, -1))],
    ['chunked, a chunk more', chunked(LONG, '!')],
  ] as const) {
    it(what, async (t) => {
      const { port, upstream, outcomes } = await open(t, LONG, {}, false);
      assert.match(await send(t, port, request).until(/\r\n\r\n\w+$/), MISMATCH);
      assert.deepEqual(await outcomes.next(), { kind: 'rejected', rejection: NOT_SIGNED });
      const got = await (await upstream).toEnd();
      const [head = '', ...rest] = got.split('\r\n\r\n');
      if (/chunked/i.test(head)) assert.doesNotMatch(got, /\r\n0\r\n/);
      else
        assert.ok(
          rest.join('\r\n\r\n').length < Number(/content-length: (\d+)/i.exec(head)?.[1]),
          'the whole length came',
        );
      assert.ok(got.length > 65_536, 'it was not streamed');
    });
  }

  it('one with an answer that has begun is broken off on both sides', async (t) => {
    const origin = await script(t, (socket) => {
      socket.on('error', () => {}).once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf'));
    });
    const { port, outcomes } = await openForwarder(t, origin, { permit: { digests: digestsOf(LONG) } });
    const client = send(t, port, `${POST}Content-Length: ${LONG.length}\r\n\r\n${CHANGED.slice(0, -1)}`);
    await client.until(/half$/);
    client.socket.write('!');
    assert.match(await client.toEnd(), /half$/);
    const rejection = NOT_SIGNED;
    assert.deepEqual(await outcomes.next(), { kind: 'cut_off', status: 200, bytes: 4, rejection });
  });

  it('one that its client does not send to the end is no mismatch', async (t) => {
    const { port, upstream, outcomes } = await open(t, LONG, {}, false);
    const client = send(t, port, `${POST}Content-Length: ${LONG.length}\r\n\r\n${LONG.slice(0, -1)}`);
    await (await upstream).until(/long body/);
    client.socket.destroy();
    assert.equal((await outcomes.next()).kind, 'client_gone');
    assert.doesNotMatch(await (await upstream).toEnd(), /, $/);
  });

  it('one over the limit is body_too_large', async (t) => {
    const { port } = await open(t, LONG, { route: { bodyLimit: 100_000 } }, false);
    await send(t, port, chunked(LONG)).until(/ 413 [^]*body_too_large$/);
  });
});

describe('over HTTP/2', () => {
  /** A forwarder to an upstream over HTTP/2. */
  async function overHttp2(t: TestContext, signed: string, serve: (raw: RawHttp2, nth: number) => unknown) {
    let count = 0;
    const origin = await serveHttp2(t, (raw) => void serve(raw, count++));
    return openForwarder(t, origin, { upstream: { http2: true }, permit: { digests: digestsOf(signed) } });
  }

  const echo = async (raw: RawHttp2, stream: number) => {
    await raw.ending(stream);
    raw.write(answer(stream), frame(FRAME.data, FLAG.endStream, stream, Buffer.from(`got ${raw.data(stream)}.`)));
  };

  for (const request of [announced('pay 1'), chunked('pay', ' 1')]) {
    it(`the body that was signed reaches the upstream, ${request.includes('chunked') ? 'chunked' : 'announced'}`, async (t) => {
      const { port } = await overHttp2(t, 'pay 1', async (raw) => echo(raw, await raw.request()));
      await send(t, port, request).until(/got pay 1\./);
    });
  }

  it('a stream whose body is another one is reset before its end', async (t) => {
    const began = Promise.withResolvers<RawHttp2>();
    const { port } = await overHttp2(t, LONG, async (raw) => {
      await raw.request();
      await raw.until(({ type }) => type === FRAME.data);
      began.resolve(raw);
    });
    const client = send(t, port, `${POST}Content-Length: ${LONG.length}\r\n\r\n${LONG.slice(0, 100_000)}`);
    const raw = await began.promise;
    // A server opens its windows as it reads.
    const more = Buffer.alloc(4);
    more.writeUInt32BE(2 ** 24);
    raw.write(frame(FRAME.windowUpdate, 0, 0, more), frame(FRAME.windowUpdate, 0, 1, more));
    client.socket.write(`${LONG.slice(100_000, -1)}!`);
    await raw.until(({ type }) => type === FRAME.rstStream);
    assert.match(await client.until(/\r\n\r\n\w+$/), MISMATCH);
    assert.ok(!raw.frames.some(({ type, flags }) => type === FRAME.data && (flags & FLAG.endStream) !== 0));
  });

  it('what is sent again is the body that was signed, held piece and all', async (t) => {
    const refused = Promise.withResolvers<void>();
    const { port, outcomes } = await overHttp2(t, 'kept, later.', async (raw, nth) => {
      const stream = await raw.request();
      if (nth > 0) return echo(raw, stream);
      await raw.ending(stream);
      raw.write(reset(stream, ERROR.refused));
      refused.resolve();
      return raw.request(2).then((next) => echo(raw, next));
    });
    const client = send(t, port, chunked('kept, ', 'later.'));
    await refused.promise;
    await client.until(/got kept, later\.\./);
    assert.deepEqual(outcomes.attempts, [{ count: 2, after: 'refused' }]);
  });
});
