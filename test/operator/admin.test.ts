// The admin port over real sockets: who is answered, in which form.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as ask } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type AdminSources, openAdmin } from '../../src/operator/admin.ts';
import { sendRaw, statusOf } from '../support/edge.ts';
import { STATUS } from '../support/status.ts';

const SOURCES: AdminSources = {
  status: () => STATUS,
  config: () => 'version: 1\n',
  announce: () => assert.fail('nobody ordered a drain'),
  onFailure: () => assert.fail('nothing fails here'),
};

interface Got {
  readonly status: number;
  readonly fields: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

async function open(t: TestContext, sources: Partial<AdminSources> = {}, host = '127.0.0.1') {
  const admin = await openAdmin({ host, port: 0 }, { ...SOURCES, ...sources });
  t.after(() => admin.close());
  const port = 'port' in admin.bind ? admin.bind.port : 0;
  const get = async (path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Got> => {
    const request = ask({ host: '127.0.0.1', port, path, method, headers, agent: false }).end();
    const [response] = await once(request, 'response');
    let body = '';
    response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    await once(response, 'end');
    return { status: response.statusCode, fields: response.headers, body };
  };
  return { port, get };
}

test('people get a page, programs that ask for JSON get JSON', async (t) => {
  const { get } = await open(t);
  const type = async (path: string, accept?: string) =>
    (await get(path, accept === undefined ? {} : { accept })).fields['content-type'];
  const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
  assert.equal(await type('/status', browser), 'text/html; charset=utf-8');
  assert.equal(await type('/', browser), 'text/html; charset=utf-8');
  assert.equal(await type('/status'), 'text/html; charset=utf-8');
  assert.equal(await type('/status', 'application/json'), 'application/json');
  assert.equal(await type('/status', 'text/html, application/json'), 'text/html; charset=utf-8');
  assert.equal(await type('/status.json', browser), 'application/json');
  assert.equal(await type('/config', browser), 'text/plain; charset=utf-8');
  assert.equal((await get('/config')).body, 'version: 1\n');
});

test('the JSON is the whole status, its names as in /readyz', async (t) => {
  const { get } = await open(t);
  const status = JSON.parse((await get('/status.json')).body);
  assert.deepEqual(status.policy, STATUS.policy);
  assert.equal(status.started_at, STATUS.startedAt);
  assert.deepEqual(status.last_reload.problems, STATUS.lastReload?.problems);
  assert.deepEqual(status.workers, STATUS.workers);
  assert.deepEqual(status.routes[0].not_enforced, ['revocation']);
  assert.deepEqual(Object.keys(status.issuers[1]), ['name', 'issuer', 'keys', 'last_error']);
});

test('a name that somebody else could make resolve here is refused; addresses of this port and loopback are not', async (t) => {
  const { get, port } = await open(t);
  for (const host of ['127.0.0.1', 'localhost', `localhost:${port}`, '[::1]:8000', '127.9.9.9', 'LOCALHOST']) {
    assert.equal((await get('/status', { host })).status, 200, host);
  }
  for (const host of [
    'rebound.example.com',
    `rebound.example.com:${port}`,
    '127.0.0.1.example.com',
    'localhost.example.com',
    'localhost.',
    '10.0.0.1',
    '2130706433',
    'localhost@rebound.example.com',
  ]) {
    for (const path of ['/status', '/status.json', '/config', '/nothing']) {
      const { status, body } = await get(path, { host });
      assert.equal(status, 421, `${host} ${path}`);
      assert.doesNotMatch(body, /abcd1234|version/);
    }
  }
  assert.equal(statusOf(await sendRaw(port, 'GET /config HTTP/1.1\r\n\r\n')), 400);
  for (const head of ['HTTP/1.0', 'HTTP/1.1\r\nHost:']) {
    assert.equal(statusOf(await sendRaw(port, `GET /config ${head}\r\nConnection: close\r\n\r\n`)), 421);
  }
});

test('bound to every address it answers to any address, and still to no name', async (t) => {
  const { get } = await open(t, {}, '0.0.0.0');
  assert.equal((await get('/status', { host: '10.1.2.3:9901' })).status, 200);
  assert.equal((await get('/status', { host: '[fd00::1]:9901' })).status, 200);
  assert.equal((await get('/status', { host: 'rebound.example.com' })).status, 421);
});

test('bound to a name it answers to that name', async (t) => {
  const { get } = await open(t, {}, 'localhost');
  assert.equal((await get('/status', { host: 'localhost' })).status, 200);
});

test('no answer may be stored, framed, read by another site or run anything', async (t) => {
  const { get } = await open(t);
  for (const path of ['/status', '/status.json', '/config', '/nothing']) {
    const { fields } = await get(path, { origin: 'https://evil.example' });
    assert.equal(fields['cache-control'], 'no-store');
    assert.equal(fields['x-frame-options'], 'DENY');
    assert.equal(fields['x-content-type-options'], 'nosniff');
    assert.equal(fields['cross-origin-resource-policy'], 'same-origin');
    assert.match(
      String(fields['content-security-policy']),
      /^default-src 'none'; style-src 'sha256-[^']+'; .*frame-ancestors 'none'$/,
    );
    assert.equal(
      Object.keys(fields).some((name) => name.startsWith('access-control-')),
      false,
    );
  }
});

test('nothing but GET and HEAD, and nothing but its pages', async (t) => {
  const { get } = await open(t);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const { status, fields } = await get('/config', {}, method);
    assert.deepEqual([status, fields['allow']], [405, 'GET, HEAD']);
  }
  const head = await get('/status', {}, 'HEAD');
  assert.deepEqual([head.status, head.body], [200, '']);
  for (const path of ['/metrics', '/status/', '//status', '/CONFIG', '/config.json', '/../config']) {
    assert.equal((await get(path)).status, 404, path);
  }
});

test('a status that cannot be had is 500 without a word of why, and its owner is told', async (t) => {
  const failures: unknown[] = [];
  const secret = new Error('secret');
  const { get } = await open(t, { status: () => Promise.reject(secret), onFailure: (error) => failures.push(error) });
  const { status, body } = await get('/status');
  assert.equal(status, 500);
  assert.doesNotMatch(body, /secret/);
  assert.deepEqual(failures, [secret]);
});

test('on a unix socket any name is good: no browser reaches it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-admin-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'admin.sock');
  const admin = await openAdmin({ path }, SOURCES);
  t.after(() => admin.close());
  const socket = connect(path).end('GET /config HTTP/1.1\r\nHost: holdfast\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.equal(statusOf(answer.toString()), 200);
  socket.destroy();
});

test('a port in use is an Error with its address in it', async (t) => {
  const { port } = await open(t);
  const message = `admin cannot bind 127.0.0.1:${port}: the address is in use by another process`;
  await assert.rejects(openAdmin({ host: '127.0.0.1', port }, SOURCES), { message });
});
