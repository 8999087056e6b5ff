// Streams that a stopping gateway cuts off, and those that break while it drains.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { test, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import { listen, Received } from '../support/forwarding.ts';
import { HOST, ORIGIN, portOf, SERVER_CA, startTestGateway } from '../support/gateway.ts';

/** A gateway with an event stream under way. */
async function streaming(t: TestContext, protocol: 'http/1.1' | 'h2') {
  const begun = Promise.withResolvers<ServerResponse>();
  const upstream = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
    begun.resolve(response);
  });
  const gateway = await startTestGateway(t, {
    upstreams: `one: { targets: ["http://127.0.0.1:${await listen(t, upstream)}"], circuit: { failures: 1 } }`,
    routes:
      '- { name: one, match: { path: /open/* }, upstream: one, require: public, weaker_than_defaults: [require] }',
  });
  const port = portOf(gateway.running.listeners[0]?.bind);
  const tls = { port, host: '127.0.0.1', ca: SERVER_CA.cert, servername: HOST, ALPNProtocols: [protocol] };
  const socket = connect(tls).on('error', () => {});
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  if (protocol === 'h2') {
    const session = connectHttp2(ORIGIN, { createConnection: () => socket }).on('error', () => {});
    await once(
      session.request({ ':path': '/open/1' }).on('error', () => {}),
      'data',
    );
  } else {
    socket.write(`GET /open/1 HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    await new Received(socket).until(/data: 1/);
  }
  return { gateway, socket, response: await begun.promise };
}

for (const protocol of ['http/1.1', 'h2'] as const) {
  test(`${protocol}: a stream that is cut off with the gateway is stopped`, async (t) => {
    const { gateway } = await streaming(t, protocol);
    await gateway.close();
    const { outcome, status } = await gateway.logged({ msg: 'request' });
    assert.deepEqual([outcome, status], ['stopped', 200]);
    assert.equal(gateway.log.filter(({ msg }) => msg === 'circuit open').length, 0);
  });

  test(`${protocol}: an upstream that breaks while the gateway drains has failed`, async (t) => {
    const { gateway, response } = await streaming(t, protocol);
    const drained = gateway.running.drain();
    response.destroy();
    assert.equal((await gateway.logged({ msg: 'request' }))['outcome'], 'upstream_failed');
    await drained;
  });

  test(`${protocol}: a client that leaves while the gateway drains is gone`, async (t) => {
    const { gateway, socket, response } = await streaming(t, protocol);
    const drained = gateway.running.drain();
    socket.destroy();
    // The first write after the client has gone is what makes its system say so, the next one hears it.
    const writing = setInterval(() => response.write('data: 2\n\n'), 10);
    response.once('close', () => clearInterval(writing));
    assert.equal((await gateway.logged({ msg: 'request' }))['outcome'], 'client_gone');
    await drained;
  });
}
