// Mode decide asked about gRPC calls: a refusal is never a 200.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type IncomingHttpHeaders } from 'node:http2';
import { describe, test } from 'node:test';
import { HOST, portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';

const ROUTES = '- { name: dpop, match: { path: /dpop/* }, require: dpop, dpop: { nonce: required } }';
const DIALECTS = {
  forwarded: {
    listener: 'dialect: forwarded',
    path: '/auth',
    fields: {
      'x-forwarded-method': 'POST',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': HOST,
      'x-forwarded-uri': '/dpop/1',
    },
  },
  'envoy-http': {
    listener: 'dialect: envoy-http\npath_prefix: /decide',
    path: '/decide/dpop/1',
    fields: { 'x-forwarded-proto': 'https' },
  },
} as const;
const LIMIT = 8 * 1024;

/** The status of the answer to a question over HTTP/2. */
async function ask(gateway: TestGateway, fields: Record<string, string>): Promise<number> {
  const session = connect(`https://127.0.0.1:${portOf(gateway.running.listeners[0]?.bind)}`, {
    ca: SERVER_CA.cert,
    servername: HOST,
  });
  session.on('error', () => {}); // the stream says it
  try {
    const stream = session.request({ ':authority': HOST, ':method': 'POST', ...fields });
    stream.end();
    const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    assert.equal(head['grpc-status'], undefined);
    return Number(head[':status']);
  } finally {
    session.destroy();
  }
}

for (const [dialect, { listener, path, fields }] of Object.entries(DIALECTS)) {
  describe(`dialect ${dialect}`, () => {
    for (const contentType of ['application/grpc', 'application/grpc-web+proto']) {
      test(`a question about ${contentType} that is refused, cannot be read, is too large or comes from a stranger`, async (t) => {
        const start = (cidr: string) =>
          startTestGateway(t, {
            listener: `mode: decide\n${listener}\ntrusted_peers: [{ cidr: ${cidr} }]\nlimits: { header_size: 8KiB }`,
            routes: ROUTES,
          });
        const gateway = await start('127.0.0.0/8');
        const call = { ':path': path, 'content-type': contentType };
        assert.equal(await ask(gateway, { ...call, ...fields }), 401);
        assert.equal(await ask(gateway, call), 400);
        assert.equal(await ask(gateway, { ...call, ...fields, 'x-large': 'x'.repeat(LIMIT) }), 431);
        const strangers = await start('192.0.2.0/24');
        assert.equal(await ask(strangers, { ...call, ...fields }), 403);
        for (const each of [gateway, strangers]) assert.equal(each.upstream.seen.length, 0);
      });
    }
  });
}
