// The health service of gRPC, as a front asks for it: again and again over one connection.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type IncomingHttpHeaders } from 'node:http2';
import { test } from 'node:test';
import { ORIGIN, portOf, startTestGateway } from '../support/gateway.ts';

const LISTENER = `- name: decide
  bind: "127.0.0.1:0"
  origins: ["${ORIGIN}"]
  mode: decide
  dialect: envoy-grpc
  trusted_peers: [{ cidr: 127.0.0.1/32 }]`;

test('every question on a connection gets its status, although its message is not read', async (t) => {
  const routes = '- { name: dpop, match: { path: /dpop/* }, require: dpop }';
  const gateway = await startTestGateway(t, { listeners: LISTENER, routes });
  const session = connect(`http://127.0.0.1:${portOf(gateway.running.listeners[0]?.bind)}`);
  t.after(() => session.destroy());
  for (let nth = 0; nth < 3; nth += 1) {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      ':authority': 'holdfast',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let trailers: IncomingHttpHeaders | undefined;
    stream.once('trailers', (fields: IncomingHttpHeaders) => (trailers = fields));
    let length = 0;
    stream.on('data', (chunk: Buffer) => (length += chunk.length));
    stream.end(Buffer.alloc(5));
    await once(stream, 'close');
    assert.deepEqual([trailers?.['grpc-status'], length], ['0', 7], `question ${nth}`);
  }
});
