// `holdfast serve` whose descriptors run out: logged, counted, probes still served.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { readPage, readSeries, writePolicy } from '../support/gateway.ts';
import { Command } from './command.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const ROUTES =
  '- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }';
const portIn = (text: unknown) => Number(/:(\d+)$/.exec(String(text))?.[1]);

/** The series of refused connections that count any. */
async function refusals(telemetry: number) {
  const series = readSeries((await readPage(telemetry, '/metrics')).body);
  return series.filter(({ name, value }) => name === 'holdfast_refused_connections_total' && value > 0);
}

test('connections beyond the descriptors are closed, logged and counted, and probes go on', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const by = ['bash', '-c', 'ulimit -n 256 && exec "$@"', 'holdfast', process.execPath, MAIN] as const;
  const file = writePolicy(t, { routes: ROUTES, more: 'workers: 1' });
  const command = new Command(t, ['serve', '-c', file], '', by);
  const line = await command.logged('serving');
  const [port, telemetry] = [portIn((line['listeners'] as string[])[0]), portIn(line['telemetry'])];
  const sockets: Socket[] = [];
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  for (let opened = 0; opened < 300; opened += 1) {
    const socket = connect(port, '127.0.0.1').on('error', () => 'it was closed');
    sockets.push(socket);
    await once(socket, 'connect');
  }
  const logged = await command.logged('connections are refused');
  assert.deepEqual([logged['level'], logged['listener'], logged['reason']], ['warn', 'public', 'descriptors']);
  for (const path of ['/livez', '/readyz']) assert.equal((await readPage(telemetry, path)).status, 200);
  // The kernel finishes handshakes before the gateway sees them: the last of them may still be on their way to it.
  let refused: ReturnType<typeof readSeries>;
  do refused = await refusals(telemetry);
  while (refused.reduce((sum, { value }) => sum + value, 0) < 300 - 192);
  assert.deepEqual(
    refused.map(({ labels }) => labels['reason']),
    ['descriptors'],
  );
});
