// Listeners that come, go and move under one worker and under several.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { request as requestPlain } from 'node:http';
import { Agent } from 'node:https';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CannotListen } from '../../src/supervisor/binds.ts';
import { readAll } from '../support/edge.ts';
import { ERROR, openHttp2, request } from '../support/frames.ts';
import { SERVER_CA, sendRequest, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { freePort } from '../support/programs.ts';

const TLS = 'tls: { certificates: [{ cert: tls.crt, key_file: tls.key }] }';
const listener = (name: string, port: number, more = TLS) =>
  `- { name: ${name}, bind: "127.0.0.1:${port}", origins: ["http${more === TLS ? 's' : ''}://api.example.com"], ${more} }`;
const route = (name: string, on: string) =>
  `- { name: ${name}, match: { path: /*, listeners: [${on}] }, upstream: orders, require: public, weaker_than_defaults: [require] }`;
const QUIET = 'drain: { delay: 0s, grace: 5s }\nlog: { level: fatal }';
/** In the thread of the test, and two real ones. */
const CREWS = { 'one worker': {}, 'two workers': { threads: true, more: `${QUIET}\nworkers: 2` } } as const;

async function isClosed(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const opened = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return !opened;
}

async function occupy(t: TestContext, port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return server;
}

for (const [crew, wishes] of Object.entries(CREWS)) {
  const start = (t: TestContext, listeners: string, routes: string) =>
    startTestGateway(t, { ...wishes, listeners, routes });
  const reload = (gateway: TestGateway, listeners: string, routes: string) =>
    gateway.reload({ ...wishes, listeners, routes });

  test(`a listener comes, serves, and goes with its connections and its routes: ${crew}`, async (t) => {
    const [stable, port] = [await freePort(), await freePort()];
    const [one, both] = [listener('stable', stable), `${listener('stable', stable)}\n${listener('guest', port)}`];
    const routes = `${route('home', 'stable')}\n${route('visit', 'guest')}`;
    const gateway = await start(t, one, route('home', 'stable'));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    const home = () => sendRequest(stable, 'GET', '/1', { agent });
    assert.equal((await home()).status, 200);
    assert.ok(await isClosed(port));

    await reload(gateway, both, routes);
    assert.deepEqual(
      gateway.running.listeners.map(({ name }) => name),
      ['stable', 'guest'],
    );
    for (let nth = 0; nth < 6; nth += 1) assert.equal((await sendRequest(port, 'GET', '/1')).status, 200);
    const streams = await openHttp2(t, port, { ca: SERVER_CA.cert });
    streams.write(request(1));
    assert.equal(await streams.ending(1), 'ended');
    const idle = connect(port, '127.0.0.1');
    await once(idle, 'connect');
    const held = Promise.withResolvers<() => void>();
    gateway.upstream.answer = (_request, response) => held.resolve(() => response.end('at last'));
    const busy = new Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => busy.destroy());
    const slow = sendRequest(port, 'GET', '/slow', { agent: busy });
    const release = await held.promise;

    await reload(gateway, one, route('home', 'stable'));
    assert.ok(await isClosed(port), 'no new connection is taken');
    assert.equal(await streams.goaway(), ERROR.none);
    streams.write(request(3));
    await streams.end();
    idle.destroy();
    release();
    const answer = await slow;
    assert.deepEqual([answer.body, answer.fields.one('connection')], ['at last', 'close']);
    await assert.rejects(sendRequest(port, 'GET', '/1', { agent: busy }), 'its routes answer no more');
    gateway.upstream.answer = (_request, response) => response.end('home');
    assert.equal((await home()).body, 'home');
    while ((await gateway.count('holdfast_connections', { listener: 'guest' })) > 0);
    const paths = gateway.upstream.seen.map(({ target }) => target);
    assert.deepEqual(
      paths.filter((path) => !['/1', '/slow'].includes(path)).length,
      1,
      'a stream after GOAWAY was served',
    );
  });

  test(`an address of another process refuses the whole reload, and nothing has changed: ${crew}`, async (t) => {
    const [stable, taken, free] = [await freePort(), await freePort(), await freePort()];
    const gateway = await start(t, listener('stable', stable), route('home', 'stable'));
    const other = await occupy(t, taken);
    const next = `${listener('stable', stable)}\n${listener('fine', free)}\n${listener('late', taken)}`;
    const routes = `${route('moved', 'stable')}\n${route('f', 'fine')}\n${route('l', 'late')}`;
    await assert.rejects(reload(gateway, next, routes), (error) => {
      assert.ok(error instanceof CannotListen);
      assert.deepEqual([error.listener, error.message], ['late', 'the address is in use by another process']);
      return true;
    });
    assert.ok(await isClosed(free), 'nor is the one open that could be had');
    assert.equal((await sendRequest(stable, 'GET', '/1')).status, 200);
    assert.deepEqual(
      gateway.running.listeners.map(({ name }) => name),
      ['stable'],
    );
    other.close();
    await once(other, 'close');
    await reload(gateway, next, routes);
    for (const port of [free, taken]) assert.equal((await sendRequest(port, 'GET', '/1')).status, 200);
  });

  test(`a listener of another name at the same address is another listener, without a gap: ${crew}`, async (t) => {
    const [port, second] = [await freePort(), await freePort()];
    const gateway = await start(t, `${listener('a', port)}\n${listener('b', second)}`, route('of-a', 'a'));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    assert.equal((await sendRequest(port, 'GET', '/1', { agent })).status, 200);
    const kept = await openHttp2(t, port, { ca: SERVER_CA.cert });
    kept.write(request(1));
    assert.equal(await kept.ending(1), 'ended');
    await reload(gateway, `${listener('b', port)}\n${listener('a', second)}`, route('of-a', 'a'));
    assert.equal(await kept.goaway(), ERROR.none);
    assert.equal((await sendRequest(port, 'GET', '/1')).reason, 'route_not_found');
    assert.equal((await sendRequest(second, 'GET', '/1')).status, 200);
    await reload(gateway, listener('c', port), route('of-c', 'c'));
    assert.equal((await sendRequest(port, 'GET', '/1')).status, 200);
    assert.ok(await isClosed(second));
  });

  test(`a listener moves to another address: ${crew}`, async (t) => {
    const [before, after] = [await freePort(), await freePort()];
    const gateway = await start(t, listener('a', before), route('r', 'a'));
    await reload(gateway, listener('a', after), route('r', 'a'));
    assert.equal((await sendRequest(after, 'GET', '/1')).status, 200);
    assert.ok(await isClosed(before));
    await reload(gateway, listener('a', before), route('r', 'a'));
    assert.equal((await sendRequest(before, 'GET', '/1')).status, 200);
  });

  test(`PROXY headers are required, and no more, from the next connection on: ${crew}`, async (t) => {
    const port = await freePort();
    const proxied = `proxy_protocol: required, trusted_peers: [{ cidr: 127.0.0.1/32 }], insecure_plain_http: true`;
    const plain = listener('a', port, 'trusted_peers: [{ cidr: 127.0.0.1/32 }]');
    const gateway = await start(t, plain, route('r', 'a'));
    const ask = async (header: string) => {
      const socket = connect(port, '127.0.0.1');
      socket.write(`${header}GET /1 HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n`);
      return (await readAll(socket).catch(() => '')).slice(9, 12);
    };
    const header = 'PROXY TCP4 192.0.2.7 192.0.2.1 1 443\r\n';
    assert.deepEqual([await ask(''), await ask(header)], ['200', '400']);
    await reload(gateway, listener('a', port, proxied), route('r', 'a'));
    assert.deepEqual([await ask(''), await ask(header)], ['', '200']);
    await reload(gateway, plain, route('r', 'a'));
    assert.deepEqual([await ask(''), await ask(header)], ['200', '400']);
  });

  test(`a unix socket comes, and is no file any more when it has gone: ${crew}`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const [port, path] = [await freePort(), join(folder, 's')];
    const gateway = await start(t, listener('a', port), route('r', 'a'));
    const socket = `- { name: s, bind: "unix:${path}", origins: ["http://any"] }`;
    await reload(gateway, `${listener('a', port)}\n${socket}`, `${route('r', 'a')}\n${route('of-s', 's')}`);
    for (let nth = 0; nth < 4; nth += 1) {
      const asked = requestPlain({ socketPath: path, path: '/1', headers: { Host: 'any' }, agent: false }).end();
      const [response] = await once(asked, 'response');
      response.resume();
      assert.equal(response.statusCode, 200);
    }
    await reload(gateway, listener('a', port), route('r', 'a'));
    assert.equal(existsSync(path), false);
  });
}

test('a worker that takes the place of a dead one has the listeners of now', async (t) => {
  const [port, guest] = [await freePort(), await freePort()];
  const wishes = { threads: true, more: `${QUIET}\nworkers: 1` };
  const gateway = await startTestGateway(t, { ...wishes, listeners: listener('a', port), routes: route('r', 'a') });
  await gateway.reload({ ...wishes, listeners: listener('b', guest), routes: route('r', 'b') });
  gateway.running.kill(0);
  while (gateway.running.workers[0]?.restarts === 0 || gateway.running.workers[0]?.state !== 'serving') {
    await gateway.page('/livez');
  }
  assert.equal((await sendRequest(guest, 'GET', '/1')).status, 200);
  assert.ok(await isClosed(port));
});

test('an address that overlaps one that is open is refused, with what to do', async (t) => {
  const port = await freePort();
  const gateway = await startTestGateway(t, { listeners: listener('a', port), routes: route('r', 'a') });
  const everywhere = listener('all', port).replace('127.0.0.1', '0.0.0.0');
  await assert.rejects(gateway.reload({ listeners: everywhere, routes: route('r', 'all') }), {
    message: `listener a is open at 127.0.0.1:${port} until then: let it go in one change, and open this one in the next`,
  });
  assert.equal((await sendRequest(port, 'GET', '/1')).status, 200);
});
