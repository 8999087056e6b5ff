// Edits and rewrites end to end: what was decided about is what came, whatever goes on.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  connect as connectHttp2,
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import { HOST, ORIGIN, portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { dpop } from './credentials.ts';
import { sendSigned } from './signed-requests.ts';

const PUBLIC = 'require: public, weaker_than_defaults: [require]';
const ROUTES = `
- name: one
  match: { path: /one/* }
  upstream: orders
  require: dpop
  rewrite: { prefix: /two, host: orders.internal }
  request_fields: { set: { X-Tenant: acme }, add: { X-Seen: gateway }, remove: [Cookie] }
  response_fields: { set: { Strict-Transport-Security: max-age=600 }, add: { Set-Cookie: "edge=1" }, remove: [Server] }
- { name: open, match: { path: /open/* }, upstream: orders, ${PUBLIC}, request_fields: { set: { X-Tenant: public }, remove: [X-Seen] } }
- name: signed
  match: { path: /signed/* }
  upstream: orders
  signature: { components: [content-type] }
  rewrite: { path: /all }
  request_fields: { set: { Content-Type: text/plain, X-Tenant: signed }, remove: [X-Seen] }
`;

test('a proof is held against the path and host that were called, not against those that the upstream sees', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  assert.equal((await dpop(gateway, 'GET', '/one/x%7Ey?q=1')).status, 200);
  const [seen] = gateway.upstream.seen;
  assert.deepEqual([seen?.target, seen?.fields.one('Host')], ['/two/x%7Ey?q=1', 'orders.internal']);
  assert.equal(seen?.fields.one('X-Forwarded-Host'), HOST);
  for (const htu of [`${ORIGIN}/two/1`, 'https://orders.internal/one/1', 'https://orders.internal/two/1']) {
    const refused = await dpop(gateway, 'GET', '/one/1', { proving: { claims: { htu } } });
    assert.equal(refused.reason, 'proof_uri_mismatch', htu);
  }
  assert.equal(gateway.upstream.seen.length, 1);
});

test('no client undoes an edit: not by other spellings, not by Connection, not by repeating', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const fields = [
    ['X-Tenant', 'evil'],
    ['x_tenant', 'evil'],
    ['X-Seen', 'client'],
    ['Cookie', 'session=1'],
    ['Connection', 'close, x-tenant, x-seen'],
  ] as const;
  assert.equal((await dpop(gateway, 'GET', '/one/1', { fields })).status, 200);
  const seen = gateway.upstream.seen[0]?.fields;
  assert.deepEqual([seen?.all('X-Tenant'), seen?.all('x_tenant'), seen?.all('Cookie')], [['acme'], [], []]);
  assert.deepEqual(seen?.all('X-Seen'), ['gateway']);
  assert.ok(seen?.one('X-Auth-Subject'));
});

test('over HTTP/2, from the client and to the upstream, edits and rewrites are the same', async (t) => {
  const [origin, seen] = await startHttp2(t);
  const upstreams = `next: { targets: ["${origin}"], http2: true }`;
  const routes = `
- name: one
  match: { path: /one/* }
  upstream: next
  ${PUBLIC.replace(', ', '\n  ')}
  rewrite: { prefix: /two, host: "orders.internal:8080" }
  request_fields: { set: { X-Tenant: acme, User-Agent: edge }, remove: [Cookie] }
  response_fields: { set: { X-Frame-Options: DENY }, remove: [Server] }
`;
  const gateway = await startTestGateway(t, { upstreams, routes });
  const answer = await askHttp2(t, gateway, {
    ':path': '/one/1',
    'x-tenant': 'evil',
    x_tenant: 'evil',
    cookie: ['a=1', 'b=2'],
  });
  assert.deepEqual([answer[':status'], answer['x-frame-options'], answer['server']], [200, 'DENY', undefined]);
  const [fields] = seen;
  assert.deepEqual([fields?.[':path'], fields?.[':authority']], ['/two/1', 'orders.internal:8080']);
  assert.deepEqual([fields?.['x-tenant'], fields?.['x_tenant'], fields?.cookie], ['acme', undefined, undefined]);
  assert.equal(fields?.['user-agent'], 'edge');
});

async function startHttp2(t: TestContext): Promise<[string, IncomingHttpHeaders[]]> {
  const seen: IncomingHttpHeaders[] = [];
  const server = createHttp2Server().on('stream', (stream: ServerHttp2Stream, fields) => {
    seen.push(fields);
    stream.respond({ ':status': 200, server: 'orders/1.0' });
    stream.end('ok');
  });
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => sessions.add(session));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return [`http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen];
}

async function askHttp2(t: TestContext, gateway: TestGateway, fields: Record<string, string | string[]>) {
  const port = portOf(gateway.running.listeners[0]?.bind);
  const socket = connect({ port, host: '127.0.0.1', ca: SERVER_CA.cert, servername: HOST, ALPNProtocols: ['h2'] });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  const session = connectHttp2(ORIGIN, { createConnection: () => socket });
  session.on('error', () => {}); // of the end of the gateway
  t.after(() => session.destroy());
  const stream = session.request(fields, { endStream: true });
  const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  stream.resume();
  await once(stream, 'end');
  return answer;
}

test('a message signature covers what the client sent; the upstream gets what the route makes of it', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const fields = [['Content-Type', 'application/json']] as const;
  const body = '{}';
  assert.equal((await sendSigned(gateway, { path: '/signed/1', body, fields })).status, 200);
  const [seen] = gateway.upstream.seen;
  assert.deepEqual([seen?.target, seen?.fields.one('Content-Type')], ['/all', 'text/plain']);
  const changed = await sendSigned(gateway, { path: '/signed/1', body, fields }, (request) => ({
    ...request,
    fields: (request.fields ?? []).map(
      ([name, value]) => [name, name === 'Content-Type' ? 'text/plain' : value] as const,
    ),
  }));
  assert.equal(changed.reason, 'signature_invalid');
});

test('edits of answers leave refusals as they are, and what an upstream says of itself as the route wants it', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  gateway.upstream.answer = (_request, response) => {
    const lines = ['Server', 'orders/1.0', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'];
    response.writeHead(200, [
      ...lines,
      'Strict-Transport-Security',
      'max-age=0',
      'WWW-Authenticate',
      'Basic realm="x"',
      'Content-Length',
      '2',
    ]);
    response.end('ok');
  };
  const { fields, body } = await dpop(gateway, 'GET', '/one/1');
  assert.deepEqual(fields.all('Set-Cookie'), ['a=1', 'b=2', 'edge=1']);
  assert.deepEqual([fields.all('Strict-Transport-Security'), fields.all('Server')], [['max-age=600'], []]);
  assert.deepEqual(
    [fields.one('WWW-Authenticate'), fields.one('Content-Length'), body],
    ['Basic realm="x"', '2', 'ok'],
  );
  const refused = await gateway.request('GET', '/one/1');
  assert.deepEqual([refused.fields.all('Strict-Transport-Security'), refused.fields.all('Set-Cookie')], [[], []]);
  assert.ok(refused.fields.all('WWW-Authenticate').length > 0);
});
