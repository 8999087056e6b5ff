// Matches by fields and query over HTTP/1 and HTTP/2: what a client cannot reach by them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import { connect } from 'node:tls';
import { describe, it, type TestContext } from 'node:test';
import { HOST, ORIGIN, portOf, SERVER_CA } from '../support/gateway.ts';
import { reasonOf, type Rig, startRig, statusOf } from './rig.ts';

const PUBLIC = 'upstream: raw, require: public, encoded: [slash], weaker_than_defaults: [require, encoded]';
const ROUTES = `- { name: open, match: { path: /* }, ${PUBLIC} }
- { name: canary, match: { path: /*, headers: { X-Env: canary } }, upstream: raw }
- { name: admin, match: { path: /admin/*, query: { as: root } }, upstream: raw }
- { name: users, match: { path: /admin/users/* }, upstream: raw }`;

/** `open` where the request reached the upstream, else the reason. */
async function over1(rig: Rig, target: string, lines: readonly string[] = [], method = 'GET'): Promise<string> {
  const client = await rig.open();
  const fields = [`Host: ${HOST}`, ...lines].map((line) => `${line}\r\n`).join('');
  client.send(`${method} ${target} HTTP/1.1\r\n${fields}\r\n`);
  const [answer] = await client.answers(1, [method]);
  client.socket.destroy();
  assert.ok(answer);
  return statusOf(answer) === 200 ? 'open' : (reasonOf(answer) ?? answer.start);
}

async function over2(t: TestContext, rig: Rig, path: string, fields: OutgoingHttpHeaders = {}): Promise<string> {
  const port = portOf(rig.gateway.running.listeners[0]?.bind);
  const socket = connect({ port, host: '127.0.0.1', ca: SERVER_CA.cert, servername: HOST, ALPNProtocols: ['h2'] });
  await once(socket, 'secureConnect');
  const session = connectHttp2(ORIGIN, { createConnection: () => socket });
  session.on('error', () => {}); // of the end of the gateway
  t.after(() => session.destroy());
  const stream = session.request({ ':path': path, ...fields }, { endStream: true });
  const [answer] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  let body = '';
  for await (const chunk of stream.setEncoding('latin1')) body += String(chunk);
  session.close();
  return Number(answer[':status']) === 200 ? 'open' : (/"reason":"(\w+)"/.exec(body)?.[1] ?? String(answer[':status']));
}

const STRICT = 'credentials_missing';

describe('a field chooses the route', () => {
  it('by its exact value alone, over HTTP/1', async (t) => {
    const rig = await startRig(t, { routes: ROUTES });
    for (const lines of [['X-Env: canary'], ['x-env:canary'], ['X-ENV: \t canary \t']])
      assert.equal(await over1(rig, '/a', lines), STRICT, lines.join());
    for (const lines of [
      [],
      ['X-Env: Canary'],
      ['X-Env: canary', 'X-Env: canary'],
      ['X-Env: canary,'],
      ['X-Env: can\xe4ry'],
      ['X-Env:'],
      ['X-Envy: canary'],
    ])
      assert.equal(await over1(rig, '/a', lines), 'open', lines.join());
    rig.upstream.assertClean();
  });

  it('over HTTP/2 as over HTTP/1', async (t) => {
    const rig = await startRig(t, { routes: ROUTES });
    assert.equal(await over2(t, rig, '/a', { 'x-env': 'canary' }), STRICT);
    assert.equal(await over2(t, rig, '/a', { 'x-env': ['canary', 'canary'] }), 'open');
    assert.equal(await over2(t, rig, '/a', { 'x-env': 'Canary' }), 'open');
    assert.equal(await over2(t, rig, '/a'), 'open');
    assert.equal(await over2(t, rig, '/admin/1?as=root'), STRICT);
    assert.equal(await over2(t, rig, '/admin/1?as=user'), 'route_not_found');
  });

  it('and neither imitations of it nor Connection hide it from one side', async (t) => {
    const rig = await startRig(t, { routes: ROUTES });
    for (const lines of [['X_Env: canary'], ['X.Env: canary'], ['X-Env: prod', 'x_env: canary'], ['XEnv: canary']])
      assert.equal(await over1(rig, '/a', lines), 'field_forbidden', lines.join());
    for (const option of ['X-Env', 'close, x-env', 'x_env', 'Content-Length'])
      assert.equal(await over1(rig, '/a', ['X-Env: canary', `Connection: ${option}`]), 'field_forbidden', option);
    assert.equal(await over2(t, rig, '/a', { x_env: 'canary' }), 'field_forbidden');
    assert.equal(rig.upstream.text, '');
  });

  it('on its own paths alone: a name that one route asks for takes nothing from others', async (t) => {
    const odd = `${ROUTES}\n- { name: odd, match: { path: /odd/*, headers: { User_Agent: a, UserAgent: b } }, upstream: raw }`;
    for (const listener of ['fall_through: false', 'fall_through: true']) {
      const rig = await startRig(t, { routes: odd, listener });
      const agent = ['User-Agent: browser', 'Connection: User-Agent'];
      assert.equal(await over1(rig, '/a', [agent[0] ?? '']), 'open');
      assert.equal(await over1(rig, '/admin/users/1', agent), STRICT);
      assert.equal(await over1(rig, '/odd/1', [agent[0] ?? '']), 'field_forbidden');
      assert.equal(await over1(rig, '/odd/1', ['User_Agent: a', 'UserAgent: b']), STRICT, 'both names are asked for');
    }
  });

  it('for HEAD as for GET, and for OPTIONS that is no preflight', async (t) => {
    const rig = await startRig(t, { routes: ROUTES });
    for (const method of ['HEAD', 'OPTIONS', 'POST']) {
      const client = await rig.open(
        `${method} /a HTTP/1.1\r\nHost: ${HOST}\r\nX-Env: canary\r\nContent-Length: 0\r\n\r\n`,
      );
      const [answer] = await client.answers(1, [method]);
      assert.ok(answer);
      assert.equal(statusOf(answer), 401, method);
      client.socket.destroy();
    }
  });
});

describe('a parameter chooses the route', () => {
  it('by its first decoded value, and what does not fit is not given to a less specific path', async (t) => {
    const rig = await startRig(t, { routes: ROUTES });
    for (const query of ['as=root', 'a%73=%72oot', 'x&as=root&as=user', '&as=root'])
      assert.equal(await over1(rig, `/admin/1?${query}`), STRICT, query);
    for (const query of ['', '?as=user&as=root', '?AS=root', '?as=root;x', '??as=root', '?as=root%20', '?as[]=root'])
      assert.equal(await over1(rig, `/admin/1${query}`), 'route_not_found', query);
    assert.equal(rig.upstream.text, '');
  });
});

describe('with fall_through', () => {
  const start = (t: TestContext) => startRig(t, { routes: ROUTES, listener: 'fall_through: true' });

  it('a request goes to the next less specific path, and to no strict one that it would not fit', async (t) => {
    const rig = await start(t);
    assert.equal(await over1(rig, '/admin/1'), 'open');
    assert.equal(await over1(rig, '/admin/1?as=root'), STRICT);
    assert.equal(await over1(rig, '/admin/users/1'), STRICT, 'a route without conditions takes all of its path');
    assert.equal(
      await over1(rig, '/admin/1', ['X-Env: canary']),
      STRICT,
      'the conditions of the other path count there',
    );
    assert.equal(await over2(t, rig, '/admin/1'), 'open');
  });

  it('no disguise of a strict path comes out below it', async (t) => {
    const rig = await start(t);
    for (const target of [
      '/admin%2Fusers/1',
      '/admin%2fusers%2f1',
      '/admin/users%3Bx/1',
      '/admin/users%3Fx',
      '/admin/users%23',
      '/admin%2F1?as=root',
      '/%2Fadmin/users/1',
    ])
      assert.equal(await over1(rig, target), 'request_malformed', target);
    for (const target of ['/admin;x/users/1', '/%61dmin/users/1', '/admin/users', '/admin/users/'])
      assert.equal(await over1(rig, target), STRICT, target);
    assert.equal(rig.upstream.text, '');
    assert.equal(await over1(rig, '/admin%2F1'), 'open', 'both readings come to the same route');
  });
});
