// The life of `holdfast serve`: its start, its stop, and failures that say why.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { check } from '../../src/cli/check.ts';
import { readPage, sendRequest, startTestGateway, startUpstream, writePolicy } from '../support/gateway.ts';
import { Command, run } from './command.ts';

const OPEN =
  '- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }';
const portIn = (text: unknown) => Number(/:(\d+)$/.exec(String(text))?.[1]);

/** The gateway as a process of its own, with an upstream that holds every answer until it is released. */
async function serve(t: TestContext, drain: string) {
  const upstream = await startUpstream(t);
  const held = new Promise<() => void>((resolve) => {
    upstream.answer = (_request, response) => resolve(() => response.end('at last'));
  });
  const file = writePolicy(t, { routes: OPEN, more: `drain: ${drain}` }, upstream.origin);
  const command = new Command(t, ['serve', '--config', file]);
  const line = await command.logged('serving');
  await command.logged('keys loaded');
  const [listener] = line['listeners'] as string[];
  return { command, upstream, held, port: portIn(listener), telemetry: portIn(line['telemetry']) };
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const opened = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return opened;
}

test('after SIGTERM it is not ready, takes nothing new, and ends with 0 when the last request is answered', async (t) => {
  const { command, upstream, held, port, telemetry } = await serve(t, '{ delay: 3s, grace: 30s }');
  assert.equal((await readPage(telemetry, '/readyz')).status, 200);
  const slow = sendRequest(port, 'GET', '/slow');
  const release = await held;

  command.signal('SIGTERM');
  assert.equal((await command.logged('draining'))['signal'], 'SIGTERM');
  const { status, body } = await readPage(telemetry, '/readyz');
  assert.deepEqual([status, JSON.parse(body).ready], [503, false]);
  upstream.answer = (_request, response) => response.end('during the delay');
  assert.equal((await sendRequest(port, 'GET', '/quick')).body, 'during the delay');

  // So seldom that it does not look as if somebody still sent here.
  while (await isOpen(port)) await pause(3500);
  release();
  const answer = await slow;
  assert.deepEqual([answer.status, answer.body, answer.fields.one('connection')], [200, 'at last', 'close']);
  const { exit, stdout, stderr } = await command.ended;
  assert.deepEqual([exit, stderr], [0, '']);
  assert.match(stdout, /"msg":"stopped"\}\n$/);
});

test('a request that outlives the grace is broken off, and the exit code is still 0', async (t) => {
  const { command, held, port } = await serve(t, '{ delay: 0s, grace: 100ms }');
  const slow = sendRequest(port, 'GET', '/slow');
  await held;
  command.signal('SIGINT');
  await assert.rejects(slow);
  assert.equal((await command.ended).exit, 0);
});

test('a second signal ends it at once', async (t) => {
  const { command, held, port } = await serve(t, '{ delay: 0s, grace: 1h }');
  const slow = sendRequest(port, 'GET', '/slow');
  await held;
  command.signal('SIGINT');
  await command.logged('draining');
  command.signal('SIGINT');
  await assert.rejects(slow);
  assert.equal((await command.ended).exit, 0);
});

test('a port that is in use is an error with the address in it, and nothing stays open', async (t) => {
  const { port } = new URL((await startUpstream(t)).origin);
  const taken = `127.0.0.1:${port}`;
  const listeners = `- { name: public, bind: "${taken}", origins: ["http://api.example.com"] }`;
  const ofListener = await run(t, ['serve', '-c', writePolicy(t, { routes: OPEN, listeners })]);
  assert.equal(ofListener.exit, 1);
  assert.match(ofListener.stderr, new RegExp(`^holdfast: .*"public".*${taken}.*in use.*\n$`));

  await assert.rejects(startTestGateway(t, { routes: OPEN, telemetry: taken }), (error: Error) =>
    new RegExp(`^telemetry.*${taken}.*in use`).test(error.message),
  );
});

test('a configuration with problems starts nothing: all of them with their places, and exit code 78', async (t) => {
  const file = writePolicy(t, {
    routes: '- { name: open, match: { path: orders }, upstream: nowhere, require: pubic }',
    more: 'drain: { dely: 5s }',
  });
  const { exit, stdout, stderr } = await run(t, ['serve', '-c', file]);
  assert.deepEqual([exit, stdout], [78, '']);
  const lines = stderr
    .trimEnd()
    .split('\n')
    .filter((line) => !/^ +\d* \| /.test(line));
  assert.ok(lines.length >= 4, stderr);
  for (const line of lines.slice(0, -2))
    assert.match(line, /^\/.*\/holdfast\.yaml:\d+:\d+ \S+: .* expected |did you mean/);
  for (const word of ['path', 'require', 'dely']) assert.ok(stderr.includes(word), `${word} is not reported`);

  const missing = check(`${file}.not`, undefined);
  assert.equal(missing.exit, 78);
  assert.match(missing.stderr, /holdfast\.yaml\.not:1:1 .*ENOENT/);
});
