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
  startTestGateway,
  startUpstream,
  writePolicy,
} from '../support/gateway.ts';
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
  const until = async (result: string, count: number) => {
    while ((await counted(result)) < count) await pause(50);
  };
  const load = startLoad(t, portIn((serving['listeners'] as string[])[0]));
  for (let nth = 1; nth <= 3; nth++) {
    // By renaming, as docs/reload.md has it.
    writeFileSync(`${file}.new`, text.replace('name: first', `name: changed-${nth}`));
    renameSync(`${file}.new`, file);
    await until('adopted', 2 * nth - 1);
    command.signal('SIGHUP');
    await until('adopted', 2 * nth);
    writeFileSync(`${file}.new`, `${text}\nnonsense: true\n`);
    renameSync(`${file}.new`, file);
    await until('refused', nth);
  }
  await assertServed(t, load);
  command.signal('SIGTERM');
  const { exit, stderr } = await command.ended;
  assert.deepEqual([exit, stderr], [0, '']);
});

const portIn = (text: unknown) => Number(/:(\d+)$/.exec(String(text))?.[1]);
