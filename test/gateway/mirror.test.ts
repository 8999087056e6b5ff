// Copies of requests to mirrors: what they carry, and what no client hears of them.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { script } from '../support/forwarding.ts';
import {
  type Answered,
  startTestGateway,
  startUpstream,
  type TestGateway,
  type TestUpstream,
} from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { closed, openWebSocket, say, startWebSockets } from '../support/websockets.ts';
import { dpop } from './credentials.ts';
import { edit, sendSigned } from './signed-requests.ts';

const PUBLIC = 'require: public, weaker_than_defaults: [require]';
const KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });

interface Mirrored {
  readonly gateway: TestGateway;
  readonly mirror: TestUpstream;
  readonly copies: (result: string) => Promise<number>;
}

/** One route with a mirror. @param rest of the route @param upstream more keys of the mirror */
async function start(t: TestContext, rest: string, upstream = '', percent = '', origin?: string): Promise<Mirrored> {
  const mirror = await startUpstream(t);
  const gateway = await startTestGateway(t, {
    upstreams: `mirror: { targets: ["${origin ?? mirror.origin}"]${upstream} }`,
    routes: `- { name: copied, match: { path: /* }, upstream: orders, mirror: [{ upstream: mirror${percent} }], ${rest} }`,
    files: { 'assertion.pem': KEY },
  });
  const copies = (result: string) => gateway.count('holdfast_mirrored_requests_total', { upstream: 'mirror', result });
  return { gateway, mirror, copies };
}

const statuses = (answers: readonly Answered[]) => new Set(answers.map(({ status }) => status));

test('a copy says who calls what, and has nothing by which its reader could act as the sender', async (t) => {
  const assertion = 'assertion: { field: X-Assertion, key_files: [assertion.pem] }';
  const rest = `require: dpop, rewrite: { prefix: /v2 }, forward: { authorization: as-received, ${assertion} }, weaker_than_defaults: [authorization]`;
  const { gateway, mirror, copies } = await start(t, rest);
  mirror.answer = (_request, response) => response.writeHead(500, { 'Set-Cookie': 'evil=1' }).end('from the mirror');
  const fields = [['Cookie', 'session=1'] as const, ['X-Trace', '7'] as const];
  const answer = await dpop(gateway, 'POST', '/orders?x=1', { body: 'hello', fields });
  assert.deepEqual([answer.status, answer.body, answer.fields.all('Set-Cookie')], [200, 'from the upstream', []]);
  await until(() => mirror.seen[0]?.body === 'hello');
  const [original, copy] = [gateway.upstream.seen[0], mirror.seen[0]];
  assert.deepEqual([copy?.method, copy?.target], ['POST', '/v2/orders?x=1']);
  for (const name of ['X-Auth-Subject', 'X-Trace', 'Host', 'X-Request-Id', 'Content-Length', 'X-Forwarded-For'])
    assert.deepEqual(copy?.fields.all(name), original?.fields.all(name), name);
  for (const name of ['Authorization', 'DPoP', 'Cookie', 'X-Assertion']) {
    assert.equal(original?.fields.all(name).length, 1, name);
    assert.deepEqual(copy?.fields.all(name), [], name);
  }
  assert.equal(await copies('sent'), 1);
});

test('on a public route too credentials stay with the upstream; what is refused is not copied', async (t) => {
  const { gateway, mirror } = await start(t, PUBLIC);
  await gateway.request('GET', '/1', { token: 'secret', fields: [['Cookie', 'a=1']] });
  await until(() => mirror.seen.length === 1);
  assert.deepEqual(
    ['Authorization', 'Cookie'].map((name) => mirror.seen[0]?.fields.all(name)),
    [[], []],
  );
  const bound = await start(t, 'require: dpop');
  assert.equal((await bound.gateway.request('GET', '/1')).status, 401);
  assert.equal(await bound.copies('sent'), 0);
});

test('a part of the requests is copied', async (t) => {
  const { gateway, copies } = await start(t, PUBLIC, '', ', percent: 25');
  await Promise.all(Array.from({ length: 100 }, () => gateway.request('GET', '/1')));
  const sum = (await copies('sent')) + (await copies('busy'));
  // Nearly six standard deviations.
  assert.ok(Math.abs(sum - 25) < 25, `${sum}`);
  const none = await start(t, PUBLIC, '', ', percent: 0');
  assert.equal((await none.gateway.request('GET', '/1')).status, 200);
  assert.equal(await none.copies('sent'), 0);
});

test('a mirror that hangs holds nobody up, and half of its connections at most', async (t) => {
  // A copy that is given up makes room for another one.
  const patient = `${PUBLIC}, timeouts: { response_header: 10m, idle: 10m }`;
  const { gateway, mirror, copies } = await start(t, patient, ', connections: 8');
  mirror.answer = () => {};
  const answers = await Promise.all(Array.from({ length: 60 }, (_, nth) => gateway.request('GET', `/${nth}`)));
  assert.deepEqual(statuses(answers), new Set([200]));
  assert.deepEqual([await copies('sent'), await copies('busy')], [4, 56]);
});

for (const [what, behaviour] of [
  ['answers garbage', 'garbage\r\n\r\n'],
  ['answers without end', `HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n${'x'.repeat(200_000)}`],
  ['switches protocols', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n'],
  ['says nothing and hangs up', undefined],
] as const)
  test(`a mirror that ${what} is heard by nobody`, async (t) => {
    const origin = await script(t, (socket) => {
      socket
        .on('error', () => {})
        .on('data', () => (behaviour === undefined ? socket.destroy() : socket.write(behaviour)));
    });
    const { gateway } = await start(t, PUBLIC, '', '', origin);
    for (let nth = 0; nth < 10; nth += 1)
      assert.equal((await gateway.request('POST', `/${nth}`, { body: 'x' })).body, 'from the upstream');
  });

test('a mirror that is gone is noticed in its figures alone', async (t) => {
  const { gateway, copies } = await start(t, PUBLIC, ', circuit: { failures: 2, open: 60s }', '', 'http://127.0.0.1:1');
  for (let nth = 0; nth < 10; nth += 1) assert.equal((await gateway.request('GET', '/1')).status, 200);
  assert.ok((await copies('busy')) > 0);
  assert.ok((await gateway.count('holdfast_upstream_failures_total', { upstream: 'mirror' })) > 0);
  assert.equal(await gateway.count('holdfast_rejections_total', { route: 'copied', stage: 'upstream' }), 0);
});

test('bodies up to 256 KiB are copied whole, in pieces or not; larger ones not at all', async (t) => {
  const { gateway, mirror, copies } = await start(t, PUBLIC);
  const small = 'a'.repeat(200_000);
  assert.equal((await gateway.request('POST', '/small', { body: small })).status, 200);
  await until(() => mirror.seen[0]?.body === small);
  const large = 'b'.repeat(400_000);
  assert.equal((await gateway.request('POST', '/large', { body: large })).status, 200);
  assert.equal(gateway.upstream.seen[1]?.body, large);
  const socket = await gateway.connect();
  socket.write('POST /pieces HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n');
  socket.write('3\r\ntwo\r\n0\r\n\r\n');
  await once(socket, 'data');
  socket.destroy();
  await until(() => mirror.seen[1]?.body === 'onetwo');
  assert.deepEqual([await copies('sent'), await copies('too_large'), mirror.seen.length], [2, 1, 2]);
});

test('mirrors that hang hold a bounded share of memory, of which one client gets half at most', async (t) => {
  const { gateway, mirror, copies } = await start(t, PUBLIC, ', connections: 1000');
  mirror.answer = () => {};
  const body = 'a'.repeat(200_000);
  const answers = await Promise.all(Array.from({ length: 60 }, () => gateway.request('POST', '/1', { body })));
  assert.deepEqual(statuses(answers), new Set([200]));
  const sent = await copies('sent');
  assert.ok(sent > 20 && sent * body.length <= 8 * 1024 * 1024, `${sent}`);
  assert.equal(await copies('too_large'), 60 - sent);
});

test('a body that is another one than was signed, or whose client goes away, is not copied', async (t) => {
  const { gateway, copies } = await start(t, 'signature: {}, limits: { request_body: 10MiB }');
  const wrong = await sendSigned(gateway, { path: '/1', body: 'good' }, (request) => ({ ...request, body: 'evil' }));
  assert.equal(wrong.reason, 'content_digest_mismatch');
  assert.equal(
    (
      await sendSigned(
        gateway,
        { path: '/1' },
        edit('Signature', () => 'sig=:AAAA:'),
      )
    ).status,
    401,
  );
  const socket = await gateway.connect();
  socket.end('POST /1 HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 10\r\n\r\nhalf');
  await once(socket.resume(), 'close');
  assert.equal(await copies('sent'), 0);
  assert.equal((await sendSigned(gateway, { path: '/1', body: 'good' })).status, 200);
  assert.equal(await copies('sent'), 1);
});

test('a WebSocket is not copied', async (t) => {
  const servers = await startWebSockets(t);
  const mirror = await startUpstream(t);
  const gateway = await startTestGateway(t, {
    upstreams: `chat: { targets: ["${servers.target}"] }\nmirror: { targets: ["${mirror.origin}"] }`,
    routes: `- { name: chat, match: { path: /* }, upstream: chat, mirror: [{ upstream: mirror }], ${PUBLIC} }`,
  });
  const tunnel = openWebSocket(t, gateway, '/');
  await once(tunnel, 'open');
  assert.equal(await say(tunnel, 'hello'), 'hello');
  const end = closed(tunnel);
  tunnel.close();
  await end;
  assert.equal(mirror.seen.length, 0);
});
