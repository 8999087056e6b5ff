// The one order of the admin port: who may give it, and what it does not take for one.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request, type RequestOptions } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Announcement, openAdmin, refuseOrder } from '../../src/operator/admin.ts';
import type { Bind } from '../../src/policy/policy.ts';
import { STATUS } from '../support/status.ts';

const ORDER = { 'holdfast-order': 'drain' };

async function open(t: TestContext, bind: Bind = { host: '127.0.0.1', port: 0 }) {
  const announced: Announcement[] = [];
  const admin = await openAdmin(bind, {
    status: () => STATUS,
    config: () => '',
    announce: async (announcement) => announced.push(announcement),
    onFailure: () => assert.fail('nothing fails here'),
  });
  t.after(() => admin.close());
  const place = 'path' in admin.bind ? { socketPath: admin.bind.path } : admin.bind;
  const send = async (headers: Record<string, string>, path = '/drain', more: RequestOptions = {}) => {
    const asked = request({ ...place, path, headers, method: 'POST', agent: false, ...more }).end();
    const [response] = await once(asked, 'response');
    response.resume();
    return Number(response.statusCode);
  };
  return { announced, send };
}

test('the command is obeyed over loopback and over a unix socket', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const bind of [
    { host: '127.0.0.1', port: 0 },
    { host: '::1', port: 0 },
    { host: '0.0.0.0', port: 0 },
    { path: join(folder, 's') },
  ]) {
    const { announced, send } = await open(t, bind);
    assert.equal(await send({ Host: 'localhost', ...ORDER }), 200);
    assert.equal(await send({ Host: 'localhost', ...ORDER }, '/drain?ready=false'), 200);
    assert.deepEqual(announced, [{ ready: true }, { ready: false }]);
  }
});

test('what a page of a browser, a form, a rebound name or a fetching service can send is no order', async (t) => {
  const { announced, send } = await open(t);
  const refused: readonly (readonly [Record<string, string>, number])[] = [
    [{}, 403],
    [{ 'holdfast-order': 'reload' }, 403],
    [{ ...ORDER, Origin: 'https://page.example' }, 403],
    [{ ...ORDER, Origin: 'null' }, 403],
    [{ ...ORDER, 'Sec-Fetch-Site': 'same-origin' }, 403],
    [{ ...ORDER, Host: 'rebound.example' }, 421],
    [{ 'Content-Type': 'application/x-www-form-urlencoded' }, 403],
  ];
  for (const [headers, status] of refused) assert.equal(await send(headers), status, JSON.stringify(headers));
  for (const method of ['PUT', 'DELETE', 'OPTIONS', 'PATCH'])
    assert.equal(await send(ORDER, '/drain', { method }), 405);
  assert.equal(await send(ORDER, '/drain', { method: 'GET' }), 404);
  for (const path of ['/', '/status', '/drain/', '//drain', '/config'])
    assert.equal(await send(ORDER, path), 405, path);
  assert.deepEqual(announced, []);
});

test('another machine gives no orders, wherever the port is bound', () => {
  const ask = (remoteAddress: string | undefined, bind: Bind, host = 'localhost') =>
    refuseOrder({ headers: { ...ORDER, host }, socket: { remoteAddress } }, bind)?.status;
  const everywhere = { host: '0.0.0.0', port: 9901 };
  for (const address of ['10.0.0.7', '::ffff:10.0.0.7', '2001:db8::1', undefined, '', '128.0.0.1']) {
    assert.equal(ask(address, everywhere), 403, String(address));
  }
  for (const address of ['127.0.0.1', '127.8.8.8', '::ffff:127.0.0.1', '::1'])
    assert.equal(ask(address, everywhere), undefined);
  assert.equal(ask('127.0.0.1', everywhere, 'gateway.example'), 421);
  assert.equal(ask(undefined, { path: '/run/admin.sock' }), undefined);
});
