// Answers over TLS that end with their connection, with and without the key.

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { createServer, type TLSSocket } from 'node:tls';
import { type Forwarder, GET, listen, openForwarder, send } from '../../support/forwarding.ts';
import { makeCa, makeCertificate } from '../../support/pki.ts';

const ca = await makeCa();
const { chain, key } = await makeCertificate({ names: ['localhost'], ca });
const ANSWER = 'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it';

async function overTls(t: TestContext, closeDelimited: boolean, answer = ANSWER): Promise<Forwarder> {
  const server = createServer({ cert: chain, key }, (socket: TLSSocket) => {
    socket.on('error', () => {}).once('data', () => socket.end(answer));
  });
  const origin = `https://localhost:${await listen(t, server)}`;
  const tls = { ca: ca.cert, cert: undefined, key: undefined, serverName: undefined, subjectAltNames: undefined };
  return openForwarder(t, origin, { upstream: { tls, closeDelimited } });
}

describe('an answer over TLS that ends with its connection', () => {
  it('is upstream_invalid, and the log says by what', async (t) => {
    const { port, outcomes } = await overTls(t, false);
    await send(t, port, GET).until(/ 502 [^]*upstream_invalid$/);
    const outcome = await outcomes.next();
    assert.equal(outcome.kind, 'rejected');
    assert.deepEqual(outcome.rejection.facts, { code: 'close-delimited over TLS' });
  });

  it('is taken with insecure_close_delimited', async (t) => {
    const { port, outcomes } = await overTls(t, true);
    assert.match(await send(t, port, GET).until(/\r\n0\r\n\r\n$/), /\r\nall of it\r\n/);
    assert.deepEqual(await outcomes.next(), { kind: 'forwarded', status: 200, bytes: 9 });
  });

  for (const [what, text, answer] of [
    ['HEAD', GET.replace('GET', 'HEAD'), 'HTTP/1.0 200 OK\r\n\r\n'],
    ['204', GET, 'HTTP/1.0 204 No Content\r\n\r\n'],
    ['a length', GET, 'HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nall of it'],
  ] as const) {
    it(`needs nothing where it has no body to end, or says how long it is: ${what}`, async (t) => {
      const { port } = await overTls(t, false, answer);
      await send(t, port, text).until(/^HTTP\/1\.1 20[04] [^]*\r\n\r\n(?:all of it)?$/);
    });
  }

  it('is refused all the same with a transfer coding for which nobody asked', async (t) => {
    const { port } = await overTls(t, true, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx');
    await send(t, port, GET).until(/ 502 [^]*upstream_invalid$/);
  });
});
