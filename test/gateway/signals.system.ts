// The signals of `holdfast serve`, also with an unread log.

import assert from 'node:assert/strict';
import { Agent, get } from 'node:http';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { HOST, readPage, startUpstream, writePolicy } from '../support/gateway.ts';
import { Command, NPM } from './command.ts';

const OPEN =
  '- { name: open, match: { path: /slow }, upstream: orders, require: public, weaker_than_defaults: [require] }';
const LISTENERS = `- { name: public, bind: "127.0.0.1:0", origins: ["http://${HOST}"] }`;
const portIn = (text: unknown) => Number(/:(\d+)$/.exec(String(text))?.[1]);

async function serve(t: TestContext, drain: string, workers = 1) {
  const upstream = await startUpstream(t);
  const held = new Promise<() => void>((resolve) => {
    upstream.answer = (_request, response) => resolve(() => response.end('at last'));
  });
  const file = writePolicy(
    t,
    { routes: OPEN, listeners: LISTENERS, more: `drain: ${drain}\nworkers: ${workers}` },
    upstream.origin,
  );
  const command = new Command(t, ['serve', '--config', file]);
  const line = await command.logged('serving');
  const [listener] = line['listeners'] as string[];
  return { command, upstream, held, port: portIn(listener), telemetry: portIn(line['telemetry']) };
}

function ask(port: number, path: string, agent?: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, agent, headers: { host: HOST } }, (response) => {
      text(response).then(resolve, reject);
    }).once('error', reject);
  });
}

/** More lines than a pipe or a socket takes without a reader: each of these requests is one. */
async function fillLog(port: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let sent = 0; sent < 1500; sent += 1) await ask(port, `/${'x'.repeat(256)}`, agent);
  agent.destroy();
}

for (const workers of [1, 5]) {
  test(`SIGTERM ends it although its log is not read, workers: ${workers}`, async (t) => {
    const { command, port, telemetry } = await serve(t, '{ delay: 0s, grace: 1s }', workers);
    command.stopReading();
    await fillLog(port);
    assert.equal((await readPage(telemetry, '/livez')).status, 200);
    command.signal('SIGTERM');
    assert.equal((await command.ended).exit, 0);
  });
}

test('a second signal ends it at once although its log is not read and a request is in flight', async (t) => {
  const { command, port, held } = await serve(t, '{ delay: 0s, grace: 1h }');
  command.stopReading();
  await fillLog(port);
  const slow = ask(port, '/slow');
  await held;
  command.signal('SIGTERM');
  command.signal('SIGINT');
  await assert.rejects(slow);
  assert.equal((await command.ended).exit, 0);
});

test('SIGQUIT drains like SIGTERM', async (t) => {
  const { command, port, held } = await serve(t, '{ delay: 0s, grace: 30s }');
  const slow = ask(port, '/slow');
  const release = await held;
  command.signal('SIGQUIT');
  assert.equal((await command.logged('draining'))['signal'], 'SIGQUIT');
  release();
  assert.equal(await slow, 'at last');
  assert.equal((await command.ended).exit, 0);
});

test('SIGUSR1 opens no inspector and SIGUSR2 ends nothing: both are logged and mean nothing', async (t) => {
  const { command, telemetry } = await serve(t, '{ delay: 0s, grace: 1s }');
  for (const [index, signal] of (['SIGUSR1', 'SIGUSR2', 'SIGUSR1'] as const).entries()) {
    command.signal(signal);
    assert.equal((await command.logged('signal ignored', index + 1))['signal'], signal);
  }
  assert.equal((await readPage(telemetry, '/livez')).status, 200);
  command.signal('SIGTERM');
  assert.deepEqual({ ...(await command.ended), stdout: '' }, { exit: 0, stdout: '', stderr: '' });
});

test('SIGHUP while it drains is logged and breaks nothing off', async (t) => {
  const { command, port, held } = await serve(t, '{ delay: 0s, grace: 30s }');
  const slow = ask(port, '/slow');
  const release = await held;
  command.signal('SIGTERM');
  await command.logged('draining');
  command.signal('SIGHUP');
  assert.equal((await command.logged('signal ignored'))['signal'], 'SIGHUP');
  release();
  assert.equal(await slow, 'at last');
  assert.equal((await command.ended).exit, 0);
});

test('started by npm, as README has it, SIGTERM to npm drains the gateway and leaves nothing running', async (t) => {
  const upstream = await startUpstream(t);
  const file = writePolicy(t, { routes: OPEN, more: 'drain: { delay: 0s, grace: 5s }' }, upstream.origin);
  const command = new Command(t, ['serve', '--config', file], '', NPM);
  const [listener] = (await command.logged('serving'))['listeners'] as string[];
  command.signal('SIGTERM');
  const { exit, stdout } = await command.ended;
  assert.equal(exit, 0);
  assert.match(stdout, /"msg":"stopped"\}\n$/);
  await assert.rejects(readPage(portIn(listener), '/'), { code: 'ECONNREFUSED' });
});
