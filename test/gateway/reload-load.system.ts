// Reloads under load: no request fails.

import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { makeCertificate } from '../support/pki.ts';
import {
  HOST,
  portOf,
  readPage,
  readSeries,
  SERVER_CA,
  sendRequest,
  startTestGateway,
  startUpstream,
  writePolicy,
} from '../support/gateway.ts';
import { freePort } from '../support/programs.ts';
import { until } from '../support/until.ts';
import { Command } from './command.ts';
import { answerLoad, assertServed, startLoad } from './steady-load.ts';

const RELOADS = 8;
/** Milliseconds between two reloads, so that requests of each kind begin under one policy and end under another. */
const BETWEEN = 300;
const open = (name: string) =>
  `- { name: ${name}, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }`;

test('reloads in worker threads, of routes, limits and the certificate: no request fails', async (t) => {
  const more = 'workers: 2\nlog: { level: fatal }\ndrain: { delay: 0s, grace: 5s }';
  const gateway = await startTestGateway(t, { routes: open('first'), threads: true, more });
  answerLoad(gateway.upstream);
  const load = startLoad(t, portOf(gateway.running.listeners[0]?.bind));
  for (let nth = 1; nth <= RELOADS; nth++) {
    await pause(BETWEEN);
    const { chain, key } = await makeCertificate({ names: [HOST], ca: SERVER_CA });
    const files = nth % 2 === 0 ? {} : { 'tls.crt': chain, 'tls.key': key };
    await gateway.reload({
      routes: open(`after-${nth}`),
      listener: `limits: { idle_timeout: ${60 + nth}s }`,
      files,
      more,
    });
  }
  await pause(BETWEEN);
  await assertServed(t, load);
  assert.equal(await gateway.count('holdfast_reloads_total', { result: 'adopted' }), RELOADS);
});

test('two hundred changes of listeners beside the one under load: no request of it fails', {
  timeout: 300_000,
}, async (t) => {
  const CHANGES = 200;
  const more = 'workers: 2\nlog: { level: fatal }\ndrain: { delay: 0s, grace: 5s }';
  const tls = 'tls: { certificates: [{ cert: tls.crt, key_file: tls.key }] }';
  const listener = (name: string, port: number) =>
    `- { name: ${name}, bind: "127.0.0.1:${port}", origins: ["https://${HOST}"], ${tls} }`;
  const [stable, one, two] = await Promise.all([freePort(), freePort(), freePort()]);
  // Comes, goes, changes its name, and moves.
  const others = [
    [],
    [['guest', one]],
    [
      ['guest', one],
      ['other', two],
    ],
    [['renamed', one]],
    [['guest', two]],
  ] as const;
  const wishes = (nth: number) => ({
    listeners: [['stable', stable] as const, ...(others[nth % others.length] ?? [])]
      .map(([name, port]) => listener(name, port))
      .join('\n'),
    routes: open(`after-${nth}`),
    more,
  });
  const gateway = await startTestGateway(t, { ...wishes(0), threads: true });
  answerLoad(gateway.upstream);
  const load = startLoad(t, stable);
  const began = performance.now();
  for (let nth = 1; nth <= CHANGES; nth++) {
    await gateway.reload(wishes(nth));
    const expected = others[nth % others.length] ?? [];
    for (const [, port] of expected)
      assert.equal((await sendRequest(port, 'GET', `/quick/${nth}-${port}`)).status, 200);
    assert.equal(gateway.running.listeners.length, 1 + expected.length);
  }
  t.diagnostic(`${CHANGES} changes in ${Math.round(performance.now() - began)} ms`);
  await pause(BETWEEN);
  await assertServed(t, load);
  assert.equal(await gateway.count('holdfast_reloads_total', { result: 'adopted' }), CHANGES);
  assert.equal(await gateway.count('holdfast_worker_restarts_total'), 0);
});

test('reloads of the command, by SIGHUP and by files that change, good ones and bad ones: no request fails', async (t) => {
  const upstream = await startUpstream(t);
  answerLoad(upstream);
  const file = writePolicy(
    t,
    { routes: open('first'), more: 'workers: 2\ndrain: { delay: 0s, grace: 5s }' },
    upstream.origin,
  );
  const text = readFileSync(file, 'utf8');
  const command = new Command(t, ['serve', '--config', file]);
  const serving = await command.logged('serving');
  await command.logged('keys loaded');
  const telemetry = portIn(serving['telemetry']);
  const counted = async (result: string) => {
    const series = readSeries((await readPage(telemetry, '/metrics')).body);
    return (
      series.find(({ name, labels }) => name === 'holdfast_reloads_total' && labels['result'] === result)?.value ?? 0
    );
  };
  const load = startLoad(t, portIn((serving['listeners'] as string[])[0]));
  for (let nth = 1; nth <= 3; nth++) {
    // By renaming, as docs/reload.md has it.
    writeFileSync(`${file}.new`, text.replace('name: first', `name: changed-${nth}`));
    renameSync(`${file}.new`, file);
    await until(async () => (await counted('adopted')) >= 2 * nth - 1);
    command.signal('SIGHUP');
    await until(async () => (await counted('adopted')) >= 2 * nth);
    writeFileSync(`${file}.new`, `${text}\nnonsense: true\n`);
    renameSync(`${file}.new`, file);
    await until(async () => (await counted('refused')) >= nth);
  }
  await assertServed(t, load);
  command.signal('SIGTERM');
  const { exit, stderr } = await command.ended;
  assert.deepEqual([exit, stderr], [0, '']);
});

const portIn = (text: unknown) => Number(/:(\d+)$/.exec(String(text))?.[1]);
