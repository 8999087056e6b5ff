// Upstreams that die in the middle of an answer, which clients must not take for whole.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:http2';
import { test } from 'node:test';
import { FRAME, frame, openHttp2, request } from '../support/frames.ts';
import { HOST, portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';

const OPEN =
  '- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }';
const BEGINNING = 'the beginning of an answer';

const FRAMINGS: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'a Content-Length': (response) => response.setHeader('Content-Length', 1000),
  chunks: () => {},
  'the end of its connection': (response) => {
    response.useChunkedEncodingByDefault = false;
    response.shouldKeepAlive = false;
  },
};

/** Settles with the text when the client takes the answer for a whole one; rejects when it is seen to be broken. */
const CLIENTS: Readonly<Record<string, (gateway: TestGateway) => Promise<string>>> = {
  'HTTP/1.1': async (gateway) => (await gateway.request('GET', '/1')).body,
  async 'HTTP/2'(gateway) {
    const port = portOf(gateway.running.listeners[0]?.bind);
    const session = connect(`https://127.0.0.1:${port}`, { ca: SERVER_CA.cert, servername: HOST });
    try {
      const stream = session.request({ ':path': '/1', ':authority': HOST });
      await once(stream, 'response');
      let text = '';
      for await (const chunk of stream.setEncoding('latin1')) text += String(chunk);
      return text;
    } finally {
      session.destroy();
    }
  },
};

for (const [version, ask] of Object.entries(CLIENTS)) {
  for (const [framing, announce] of Object.entries(FRAMINGS)) {
    test(`an answer that would end by ${framing} and breaks off is broken for a client of ${version}`, async (t) => {
      const gateway = await startTestGateway(t, { routes: OPEN });
      gateway.upstream.answer = (_request, response) => {
        announce(response);
        response.write(BEGINNING, () => setTimeout(() => response.socket?.resetAndDestroy(), 50));
      };
      await assert.rejects(ask(gateway));
      const { status } = await gateway.logged({ msg: 'request', outcome: 'upstream_failed' });
      assert.equal(status, 200);
    });
  }
}

test('an upstream that closes its connection behind a whole answer breaks nothing for a client that still reads', async (t) => {
  const gateway = await startTestGateway(t, { routes: OPEN });
  const body = 'x'.repeat(100_000);
  const closed = Promise.withResolvers<void>();
  gateway.upstream.answer = ({ socket }, response) => {
    socket.once('close', () => closed.resolve());
    response.setHeader('Content-Length', body.length);
    response.end(body, () => socket.end());
  };
  const raw = await openHttp2(t, portOf(gateway.running.listeners[0]?.bind), { ca: SERVER_CA.cert });
  raw.write(request(1));
  // The window of a connection is 65,535 octets at first (RFC 9113 §6.9.2): the rest waits at the gateway.
  await raw.until(() => raw.data(1).length === 65_535);
  await closed.promise;
  const more = Buffer.alloc(4);
  more.writeUInt32BE(body.length);
  raw.write(frame(FRAME.windowUpdate, 0, 0, more), frame(FRAME.windowUpdate, 0, 1, more));
  assert.equal(await raw.ending(1), 'ended');
  assert.equal(raw.data(1), body);
});
