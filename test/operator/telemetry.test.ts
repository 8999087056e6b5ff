// The telemetry port over real sockets: probes, metrics, and nothing else.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { chooseFormat, openTelemetry } from '../../src/operator/telemetry.ts';
import { sendRaw, statusOf } from '../support/edge.ts';
import { openPort, SOURCES } from './telemetry-port.ts';

describe('the telemetry port', () => {
  test('answers /livez while the process lives, ready or not', async (t) => {
    const { get } = await openPort(t, { ready: () => ({ ready: false, details: {} }) });
    assert.equal((await get('/livez')).status, 200);
  });

  test('answers /readyz with what readiness was concluded from', async (t) => {
    let ready = true;
    const { get } = await openPort(t, { ready: () => ({ ready, details: { issuers: { login: 'never loaded' } } }) });
    const good = await get('/readyz');
    assert.equal(good.status, 200);
    assert.deepEqual(JSON.parse(good.body), { ready: true, issuers: { login: 'never loaded' } });
    ready = false;
    const bad = await get('/readyz?verbose');
    assert.equal(bad.status, 503);
    assert.equal(bad.headers['content-type'], 'application/json');
    assert.deepEqual(JSON.parse(bad.body), { ready: false, issuers: { login: 'never loaded' } });
  });

  test('answers /metrics in the text format of Prometheus', async (t) => {
    const { get } = await openPort(t);
    const { status, headers, body } = await get('/metrics');
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    assert.equal(headers['cache-control'], 'no-store');
    assert.match(body, /^holdfast_build_info/);
  });

  test('answers HEAD without a body, other methods with 405 and other paths with 404', async (t) => {
    const { get } = await openPort(t);
    const head = await get('/metrics', 'HEAD');
    assert.deepEqual([head.status, head.body], [200, '']);
    for (const method of ['POST', 'OPTIONS'] as const) {
      const refused = await get('/livez', method);
      assert.deepEqual([refused.status, refused.headers['allow']], [405, 'GET, HEAD']);
    }
    assert.equal((await get('/livez')).headers['allow'], undefined);
    for (const path of ['/', '/livez/', '/metrics/../config', '//livez', '/LIVEZ']) {
      assert.equal((await get(path)).status, 404, path);
    }
  });

  test('answers 500 without a word of what failed, and tells its owner', async (t) => {
    const failures: unknown[] = [];
    const secret = new Error('secret');
    const { get } = await openPort(t, {
      metrics: () => Promise.reject(secret),
      ready: () => {
        throw secret;
      },
      onFailure: (error) => failures.push(error),
    });
    for (const path of ['/metrics', '/readyz']) {
      const { status, body } = await get(path);
      assert.equal(status, 500);
      assert.doesNotMatch(body, /secret/);
    }
    assert.deepEqual(failures, [secret, secret]);
  });

  test('says at which address it cannot listen', async (t) => {
    const { port } = await openPort(t);
    await assert.rejects(openTelemetry({ host: '127.0.0.1', port }, SOURCES), {
      message: `telemetry cannot bind 127.0.0.1:${port}: the address is in use by another process`,
    });
  });

  test('listens on a unix socket, too', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-telemetry-'));
    t.after(() => rm(folder, { recursive: true }));
    const path = join(folder, 'socket');
    const telemetry = await openTelemetry({ path }, SOURCES);
    t.after(() => telemetry.close());
    const socket = connect(path).end('GET /livez HTTP/1.0\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 200 /);
    socket.destroy();
    await assert.rejects(openTelemetry({ path }, SOURCES), /unix:.*socket: the address is in use/);
  });

  test('closes though a connection is open', async () => {
    const telemetry = await openTelemetry({ host: '127.0.0.1', port: 0 }, SOURCES);
    const socket = connect('port' in telemetry.bind ? telemetry.bind.port : 0, '127.0.0.1');
    await once(socket, 'connect');
    const closed = once(socket, 'close');
    await telemetry.close();
    await closed;
  });

  test('answers by its addresses and the names it was given; a name that somebody else could make resolve here gets 421', async (t) => {
    const { head, port } = await openPort(t, { hosts: () => ['gateway.monitoring.svc'] });
    for (const path of ['/livez', '/readyz', '/metrics']) {
      for (const host of [
        '127.0.0.1',
        `localhost:${port}`,
        '[::1]',
        'gateway.monitoring.svc:9902',
        'GATEWAY.Monitoring.svc',
      ]) {
        assert.equal(await head(`GET ${path} HTTP/1.1\r\nHost: ${host}`), 200, `${host} ${path}`);
      }
      for (const host of [
        'rebound.example.com',
        'gateway.monitoring.svc.example.com',
        'monitoring.svc',
        '10.0.0.1',
        '',
      ]) {
        assert.equal(await head(`GET ${path} HTTP/1.1\r\nHost: ${host}`), 421, `${host} ${path}`);
      }
    }
  });

  test('answers a probe without Host, as HTTP/1.0 has it: no browser sends that', async (t) => {
    const { head } = await openPort(t);
    assert.equal(await head('GET /readyz HTTP/1.0'), 200);
    assert.equal(await head('GET /readyz HTTP/1.1'), 400);
  });

  test('bound to every address it answers to any address, as a kubelet calls it', async (t) => {
    const telemetry = await openTelemetry({ host: '0.0.0.0', port: 0 }, SOURCES);
    t.after(() => telemetry.close());
    const port = 'port' in telemetry.bind ? telemetry.bind.port : 0;
    const status = async (host: string) =>
      statusOf(await sendRaw(port, `GET /livez HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`));
    assert.equal(await status('10.244.1.7:9902'), 200);
    assert.equal(await status('[fd00::7]:9902'), 200);
    assert.equal(await status('rebound.example.com'), 421);
  });
});

describe('a probe of the telemetry port gets through', () => {
  test('while metrics are still being collected', async (t) => {
    const { get } = await openPort(t, { metrics: () => new Promise(() => {}) });
    void get('/metrics').catch(() => 'the port closes first');
    assert.equal((await get('/readyz')).status, 200);
  });
});

test('a connection that sends a second request before the first is answered ends', async (t) => {
  const { port } = await openPort(t, { metrics: () => new Promise(() => {}) });
  const one = 'GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
  assert.equal(await sendRaw(port, one.repeat(1000)), '');
});

test('metrics are never older than the question', async (t) => {
  let collections = 0;
  const metrics = async () => {
    collections += 1;
    const text = `collections ${collections}\n`;
    return async () => text;
  };
  const { get } = await openPort(t, { metrics });
  await Promise.all(Array.from({ length: 50 }, () => get('/metrics')));
  const before = collections;
  assert.equal((await get('/metrics')).body, `collections ${before + 1}\n`);
});

for (const [accept, format] of [
  ['', 'prometheus'],
  ['*/*', 'prometheus'],
  ['text/html,application/xhtml+xml', 'prometheus'],
  ['application/openmetrics-text', 'openmetrics'],
  ['APPLICATION/OpenMetrics-Text;Version=1.0.0', 'openmetrics'],
  ['application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3', 'openmetrics'],
  ['text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.3', 'prometheus'],
  ['application/openmetrics-text;q=0', 'prometheus'],
  ['application/openmetrics-text;q=abc', 'openmetrics'],
  ['application/openmetrics-text-like', 'prometheus'],
  ['application/vnd.google.protobuf;q=0.6,application/openmetrics-text;q=0.5,text/plain;q=0.4', 'openmetrics'],
  [`${'text/html,'.repeat(5000)}application/openmetrics-text`, 'prometheus'],
] as const) {
  test(`Accept: ${accept.slice(0, 60)} gets the format ${format}`, () => {
    assert.equal(chooseFormat(accept), format);
  });
}
