// WebSockets through the whole gateway, with a real client and server.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  CLIENT_CA,
  type GatewayWishes,
  ORIGIN,
  SERVER_CA,
  startTestGateway,
  type TestGateway,
} from '../support/gateway.ts';
import { makeCertificate } from '../support/pki.ts';
import { ISSUER, makeProof } from '../support/tokens.ts';
import {
  type ClientWishes,
  closed,
  openWebSocket,
  refusal,
  say,
  startWebSockets,
  type UpstreamWishes,
  type WebSocketUpstream,
} from '../support/websockets.ts';
import { CLIENT, HOLDER, issue, OTHER_CLIENT, prove, SUBJECT, TO_CERTIFICATE, TO_KEY } from './credentials.ts';

const WEAKER = 'weaker_than_defaults: [require]';
const ROUTES = `
- { name: open, match: { path: /* }, upstream: chat, require: public, ${WEAKER} }
- name: token
  match: { path: /token/* }
  upstream: chat
  require: token
  ${WEAKER}
  forward: { identity: { X-User: sub, X-Issuer: "@issuer" } }
- { name: scoped, match: { path: /scoped/* }, upstream: chat, require: token, ${WEAKER}, scope: { any: [chat] } }
- { name: dpop, match: { path: /dpop/* }, upstream: chat, require: dpop, dpop: { nonce: required } }
- name: mtls
  match: { path: /mtls/* }
  upstream: chat
  require: mtls
  forward: { client_certificate: [{ format: rfc9440, field: Client-Cert }] }
- { name: post, match: { path: /post, methods: [POST] }, upstream: chat, require: public, ${WEAKER} }
- { name: plain, match: { path: /plain/* }, upstream: orders, require: public, ${WEAKER} }
`;
const WITH_CERTIFICATES = 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }';

interface Rig {
  readonly gateway: TestGateway;
  readonly upstream: WebSocketUpstream;
  readonly connect: (path: string, wishes?: ClientWishes) => ReturnType<typeof openWebSocket>;
}

async function startRig(t: TestContext, wishes: GatewayWishes = {}, kind: UpstreamWishes = {}): Promise<Rig> {
  const upstream = await startWebSockets(t, kind);
  const tls = kind.tls === undefined ? '' : ', tls: { ca_file: upstream.pem, server_name: chat.internal }';
  const gateway = await startTestGateway(t, {
    routes: ROUTES,
    listener: WITH_CERTIFICATES,
    upstreams: `chat: { targets: ["${upstream.target}"], connections: 1${tls} }`,
    files: { 'upstream.pem': SERVER_CA.cert },
    ...wishes,
  });
  return { gateway, upstream, connect: (path, what) => openWebSocket(t, gateway, path, what) };
}

const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });

test('a bearer token opens a WebSocket, and messages, subprotocol and compression are as without a gateway', async (t) => {
  const { gateway, upstream, connect } = await startRig(t);
  const headers = { ...bearer(await issue(gateway)).headers, 'X-User': 'mallory', 'X-Forwarded-For': '198.51.100.7' };
  const socket = connect('/token/1?room=2', { headers, protocols: ['chat', 'other'], perMessageDeflate: true });
  await once(socket, 'open');
  assert.equal(socket.protocol, 'chat');
  assert.match(socket.extensions, /permessage-deflate/);
  assert.equal(await say(socket, 'hello'), 'hello');
  const large = 'long '.repeat(200_000);
  assert.equal(await say(socket, large), large);
  const seen = upstream.seen[0] ?? assert.fail();
  assert.equal(seen.one('x-user'), SUBJECT);
  assert.equal(seen.one('x-issuer'), ISSUER);
  assert.equal(seen.one('authorization'), undefined);
  assert.equal(seen.one('x-forwarded-for'), '127.0.0.1');
  assert.equal(seen.one('connection'), 'upgrade');
  assert.equal(seen.one('upgrade'), 'websocket');
  assert.equal(seen.one('sec-websocket-version'), '13');
  assert.match(seen.one('via') ?? '', /^1\.1 holdfast-/);
});

test('a close frame goes through, code and reason with it, and both connections end', async (t) => {
  const { upstream, connect } = await startRig(t);
  const [server, socket] = [upstream.next(), connect('/x')];
  const other = await server;
  await once(socket, 'open');
  const [closing, closingThere] = [once(socket, 'close'), once(other, 'close')];
  socket.close(4001, 'enough');
  assert.deepEqual(await closing, [4001, Buffer.from('enough')]);
  assert.deepEqual(await closingThere, [4001, Buffer.from('enough')]);
});

test('a proof for the https form of the URI opens a WebSocket once, and the 101 brings the next nonce', async (t) => {
  const { gateway, upstream, connect } = await startRig(t);
  const token = await issue(gateway, TO_KEY);
  const withProof = (proof: string) => ({ headers: { Authorization: `DPoP ${token}`, DPoP: proof } });
  const first = await refusal(connect('/dpop/1', withProof(await prove(gateway, token, 'GET', '/dpop/1'))));
  assert.equal(first.status, 401);
  assert.match(first.fields.one('www-authenticate') ?? '', /error="use_dpop_nonce"/);
  assert.equal(first.fields.one('connection'), 'close');
  const nonce = first.fields.one('dpop-nonce') ?? assert.fail();

  const wss = { url: `${ORIGIN.replace('https', 'wss')}/dpop/1`, token, claims: { nonce } };
  const asWss = await refusal(connect('/dpop/1', withProof(await makeProof(HOLDER, gateway.now(), wss))));
  assert.match(asWss.body, /proof_uri_mismatch|invalid_dpop_proof/);

  const good = await makeProof(HOLDER, gateway.now(), { ...wss, url: `${ORIGIN}/dpop/1` });
  const socket = connect('/dpop/1', withProof(good));
  await once(socket, 'open');
  assert.equal(await say(socket, 'bound'), 'bound');
  assert.equal((await refusal(connect('/dpop/1', withProof(good)))).status, 401);
  assert.equal(upstream.seen.length, 1);
  assert.equal(upstream.seen[0]?.one('dpop'), undefined);
});

test('a certificate-bound token opens a WebSocket for its certificate alone', async (t) => {
  const { gateway, upstream, connect } = await startRig(t);
  const token = bearer(await issue(gateway, TO_CERTIFICATE));
  assert.equal((await refusal(connect('/mtls/1', token))).status, 401);
  assert.equal((await refusal(connect('/mtls/1', { ...token, client: OTHER_CLIENT }))).status, 401);
  const socket = connect('/mtls/1', { ...token, client: CLIENT });
  await once(socket, 'open');
  assert.equal(await say(socket, 'bound'), 'bound');
  assert.equal(upstream.seen.length, 1);
  assert.equal(upstream.seen[0]?.one('client-cert'), `:${CLIENT.der.toString('base64')}:`);
});

test('a refused WebSocket is answered as any request: challenge, scope, route, method, origin', async (t) => {
  const { gateway, upstream, connect } = await startRig(t);
  const missing = await refusal(connect('/token/1'));
  assert.equal(missing.status, 401);
  assert.match(missing.fields.all('www-authenticate').join(), /DPoP algs=.*Bearer realm="api\.example\.com"/);
  const scope = await refusal(connect('/scoped/1', bearer(await issue(gateway))));
  assert.equal(scope.status, 403);
  assert.match(scope.fields.all('www-authenticate').join(), /insufficient_scope/);
  assert.equal((await refusal(connect('/post'))).status, 405);
  assert.equal((await refusal(connect('/x', { headers: { Host: 'else.example' } }))).status, 421);
  assert.equal((await refusal(connect('/x', { headers: { Via: `1.1 holdfast-${gateway.policy.id}` } }))).status, 400);
  assert.equal(upstream.seen.length, 0);
  assert.equal(await gateway.count('holdfast_rejections_total', { mode: 'enforced' }), 5);
});

test('an upstream that does not switch answers as to any request, body and all', async (t) => {
  const { gateway, connect } = await startRig(t);
  const body = 'x'.repeat(300_000);
  gateway.upstream.answer = (request, response) => {
    response.writeHead(426, { Upgrade: 'websocket', 'Sec-WebSocket-Version': '8', 'Client-Cert': 'x' }).end(body);
    request.destroy();
  };
  const answered = await refusal(connect('/plain/1'));
  assert.equal(answered.status, 426);
  assert.equal(answered.body, body);
  assert.equal(answered.fields.one('sec-websocket-version'), '8');
  assert.equal(answered.fields.one('client-cert'), undefined);
  assert.equal(answered.fields.one('connection'), 'close');
  await gateway.logged({ status: 426, outcome: 'forwarded' });
});

test('upstreams on TLS and on unix sockets take WebSockets too', async (t) => {
  const { chain: cert, key } = await makeCertificate({ names: ['chat.internal'], ca: SERVER_CA });
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const kind of [{ tls: { cert, key } }, { path: join(folder, 'chat.sock') }]) {
    const { connect } = await startRig(t, {}, kind);
    const socket = connect('/x');
    await once(socket, 'open');
    assert.equal(await say(socket, 'hello'), 'hello');
  }
});

test('an upstream whose certificate is not the one named gets no WebSocket', async (t) => {
  const { chain: cert, key } = await makeCertificate({ names: ['else.internal'], ca: SERVER_CA });
  const { upstream, connect } = await startRig(t, {}, { tls: { cert, key } });
  assert.equal((await refusal(connect('/x'))).status, 502);
  assert.equal(upstream.seen.length, 0);
});

test('open tunnels are counted by route, and each is one line in the log when it has ended', async (t) => {
  const { gateway, connect } = await startRig(t);
  const socket = connect('/token/1', { ...bearer(await issue(gateway)), perMessageDeflate: false });
  await once(socket, 'open');
  assert.equal(await say(socket, 'hello'), 'hello');
  assert.equal(await gateway.count('holdfast_tunnels', { route: 'token' }), 1);
  assert.equal(await gateway.count('holdfast_requests_total'), 0);
  socket.close(1000);
  const line = await gateway.logged({ status: 101 });
  const { outcome, route, scheme, tunnel_end: end, sent_bytes: sent, received_bytes: received } = line;
  assert.deepEqual({ outcome, route, scheme }, { outcome: 'forwarded', route: 'token', scheme: 'Bearer' });
  assert.match(String(end), /^(?:client|upstream)$/);
  // A frame of five bytes and a close frame; masked ones of the client have four bytes more (RFC 6455 §5.2).
  assert.deepEqual({ sent, received }, { sent: 2 + 5 + 2 + 2, received: 2 + 4 + 5 + 2 + 4 + 2 });
  assert.equal(await gateway.count('holdfast_tunnels', { route: 'token' }), 0);
  assert.equal(await gateway.count('holdfast_requests_total', { route: 'token', outcome: 'forwarded' }), 1);
});

test('a tunnel holds no connection of the pool: requests and other tunnels go beside it', async (t) => {
  const { upstream, connect, gateway } = await startRig(t);
  upstream.server.on('request', (_request, response) => response.end('beside'));
  const sockets = [];
  for (let nth = 0; nth < 3; nth += 1) {
    const socket = connect('/x');
    await once(socket, 'open');
    sockets.push(socket);
    assert.equal((await gateway.request('GET', '/x')).body, 'beside');
  }
  for (const socket of sockets) assert.equal(await say(socket, 'still'), 'still');
  assert.equal(await gateway.count('holdfast_tunnels'), 3);
});

test('a tunnel ends with its access token', async (t) => {
  let now = Date.now() / 1000;
  const { gateway, upstream, connect } = await startRig(t, { now: () => now });
  const token = await issue(gateway, { exp: Math.floor(now) + 100 });
  now = Math.floor(now) + 99.7;
  const [server, socket] = [upstream.next(), connect('/token/1', bearer(token))];
  const there = closed(await server);
  await once(socket, 'open');
  assert.equal(await closed(socket), 1006);
  assert.equal(await there, 1006);
  await gateway.logged({ tunnel_end: 'expired', outcome: 'forwarded', status: 101 });
});

test('a tunnel ends with the certificate that was shown, when that expires before the token', async (t) => {
  let now = Date.now() / 1000;
  const notAfter = Math.floor(now) + 3600;
  const brief = await makeCertificate({ names: ['brief.example.net'], ca: CLIENT_CA, notAfter });
  const { gateway, connect } = await startRig(t, { now: () => now });
  const token = await issue(gateway, { exp: now + 7200, cnf: { 'x5t#S256': brief.thumbprint } });
  now = notAfter - 0.3;
  const socket = connect('/mtls/1', { ...bearer(token), client: brief });
  await once(socket, 'open');
  assert.equal(await closed(socket), 1006);
  await gateway.logged({ tunnel_end: 'expired' });
});
