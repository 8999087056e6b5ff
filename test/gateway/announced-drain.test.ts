// `holdfast drain`: clients are sent elsewhere while everything is still served.

import assert from 'node:assert/strict';
import { Agent } from 'node:https';
import { type TestContext, test } from 'node:test';
import { ERROR, openHttp2, request } from '../support/frames.ts';
import {
  portOf,
  readPage,
  SERVER_CA,
  sendRequest,
  startTestGateway,
  startUpstream,
  writePolicy,
} from '../support/gateway.ts';
import { Command, run } from './command.ts';

const OPEN =
  '- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }';
const portIn = (text: unknown) => Number(/:(\d+)$/.exec(String(text))?.[1]);

/** The gateway as a process, and its ports. */
async function serve(t: TestContext, more = '') {
  const upstream = await startUpstream(t);
  const command = new Command(t, [
    'serve',
    writePolicy(t, { routes: OPEN, more: `drain: { delay: 0s, grace: 5s }\n${more}` }, upstream.origin),
  ]);
  const line = await command.logged('serving');
  const [listener] = line['listeners'] as string[];
  const admin = `http://127.0.0.1:${portIn(line['admin'])}`;
  return { command, upstream, port: portIn(listener), telemetry: portIn(line['telemetry']), admin };
}

const openStreams = (t: TestContext, port: number) => openHttp2(t, port, { ca: SERVER_CA.cert });

test('the command ends when the last client is gone, each of which was told behind an answer', async (t) => {
  const { command, upstream, port, telemetry, admin } = await serve(t, 'workers: 2');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const ask = (path: string) => sendRequest(port, 'GET', path, { agent });
  assert.equal((await ask('/1')).fields.one('connection'), 'keep-alive');
  const kept = await openStreams(t, port);
  kept.write(request(1));
  assert.equal(await kept.ending(1), 'ended');
  const held = Promise.withResolvers<() => void>();
  upstream.answer = (_request, response) => held.resolve(() => response.end('at last'));
  kept.write(request(3));
  const release = await held.promise;

  const drain = run(t, ['drain', '--admin', admin, '--wait', '60s', '--json']);
  assert.equal((await command.logged('drain announced'))['ready'], true);
  assert.equal(await kept.goaway(), ERROR.none, 'a busy connection of HTTP/2 is told at once');
  upstream.answer = (_request, response) => response.end('served');
  // The other worker may hear of it a moment later; who has told its numbers has heard.
  await readPage(telemetry, '/metrics');
  assert.equal((await ask('/2')).fields.one('connection'), 'close');
  const { status, body } = await readPage(telemetry, '/readyz');
  assert.deepEqual([status, JSON.parse(body).state], [200, 'draining']);

  const late = await openStreams(t, port);
  late.write(request(1));
  assert.equal(await late.ending(1), 'ended', 'one that connects now is served');
  assert.equal(await late.goaway(), ERROR.none, 'and told behind its first answer');
  await late.end();
  release();
  assert.equal(await kept.ending(3), 'ended');
  assert.equal(kept.data(3), 'at last');
  await kept.end();
  const { exit, stdout } = await drain;
  assert.deepEqual([exit, JSON.parse(stdout).connections], [0, 0]);

  assert.equal((await ask('/3')).status, 200, 'it serves until a signal ends it');
  command.signal('SIGTERM');
  assert.equal((await command.ended).exit, 0);
});

test('what stays is waited for as long as was said, and with --not-ready balancers are told as well', async (t) => {
  const { telemetry, port, admin } = await serve(t);
  const idle = await openStreams(t, port);
  const { exit, stdout } = await run(t, ['drain', '--admin', admin, '--wait', '300ms', '--not-ready']);
  assert.deepEqual([exit, /^1 connection is left after \d+(?:\.\d)? s\n$/.test(stdout)], [0, true], stdout);
  assert.equal((await readPage(telemetry, '/readyz')).status, 503);
  await run(t, ['drain', '--admin', admin, '--wait', '0s']);
  assert.equal((await readPage(telemetry, '/readyz')).status, 503, 'a second order takes nothing back');
  idle.write(request(1));
  assert.equal(await idle.ending(1), 'ended');
});

test('the end of the gateway ends the waiting, and is no failure', async (t) => {
  const { command, port, admin } = await serve(t);
  await openStreams(t, port);
  const drain = run(t, ['drain', '--admin', admin, '--wait', '60s']);
  await command.logged('drain announced');
  command.signal('SIGTERM');
  command.signal('SIGTERM');
  assert.equal((await drain).exit, 0);
});

test('where there is no gateway, or something else, the command says so', async (t) => {
  const other = await startUpstream(t);
  const gone = await run(t, ['drain', '--admin', 'http://127.0.0.1:1']);
  assert.deepEqual(
    [gone.exit, gone.stderr],
    [1, 'holdfast: http://127.0.0.1:1 does not answer; --admin says where admin.bind is\n'],
  );
  const wrong = await run(t, ['drain', '--admin', other.origin]);
  assert.deepEqual([wrong.exit, wrong.stderr], [1, `holdfast: ${other.origin} is not the admin port of a gateway\n`]);
  for (const args of [
    ['--wait', 'long'],
    ['--admin', 'https://127.0.0.1:1'],
    ['--admin', '127.0.0.1:9901'],
  ]) {
    assert.equal((await run(t, ['drain', ...args])).exit, 64, args.join());
  }
});

test('a reload and a new worker keep the announcement', async (t) => {
  const more = 'drain: { delay: 1h, grace: 5s }\nlog: { level: fatal }\nworkers: 1';
  const gateway = await startTestGateway(t, { routes: OPEN, more, threads: true });
  const admin = `http://127.0.0.1:${portOf(gateway.running.admin)}`;
  await run(t, ['drain', '--admin', admin, '--wait', '0s']);
  await gateway.reload({ routes: OPEN, more, listener: 'limits: { idle_timeout: 30s }' });
  const told = async () => {
    const raw = await openStreams(t, portOf(gateway.running.listeners[0]?.bind));
    raw.write(request(1));
    assert.equal(await raw.ending(1), 'ended');
    return await raw.goaway();
  };
  assert.equal(await told(), ERROR.none);
  gateway.running.kill(0);
  while (gateway.running.workers[0]?.restarts === 0 || gateway.running.workers[0]?.state !== 'serving') {
    await gateway.page('/livez');
  }
  assert.equal(await told(), ERROR.none);
});
