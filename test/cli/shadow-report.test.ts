// Reports of shadows from logs: rotated, compressed, broken, of any number of clients.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { readCommandLine } from '../../src/cli/arguments.ts';
import { shadowReport } from '../../src/cli/shadow-report.ts';

const at = (minute: number) => new Date(Date.UTC(2026, 10, 21, 12, minute)).toISOString();
const line = (minute: number, route: string, client: string, more: object = {}) =>
  JSON.stringify({ level: 'info', time: at(minute), route, client, outcome: 'forwarded', ...more, msg: 'request' });
const SHADOW = { shadow: { reason: 'binding_required', stage: 'binding' } };

function logs(t: TestContext, files: Readonly<Record<string, readonly string[]>>): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-logs-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return Object.entries(files).map(([name, lines]) => {
    const text = lines.map((one) => `${one}\n`).join('');
    writeFileSync(join(folder, name), name.endsWith('.gz') ? gzipSync(text) : text);
    return join(folder, name);
  });
}
const report = (...args: string[]) => shadowReport(readCommandLine(['shadow-report', ...args]));

test('counts per route, client and reason, over rotated and compressed logs, and when the last one was', async (t) => {
  const files = logs(t, {
    'a.log': [line(5, 'orders', '10.0.0.1', SHADOW), line(6, 'orders', '10.0.0.2'), line(7, 'billing', '10.0.0.2')],
    'a.log.1.gz': [line(1, 'orders', '10.0.0.1', SHADOW), line(2, 'orders', '10.0.0.1', { reason: 'token_expired' })],
  });
  const { exit, stdout } = await report(...files);
  assert.equal(exit, 0);
  assert.match(
    stdout,
    new RegExp(`^route orders: 2 of 3 requests would have been refused \\(66\\.7 %\\), from ${at(1)} to ${at(6)}\n`),
  );
  assert.match(stdout, new RegExp(`^ {2}10\\.0\\.0\\.1 +binding_required +2 +${at(1)} +${at(5)}$`, 'm'));
  assert.match(stdout, /^route billing: no request would have been refused, in 1 from /m);
  assert.match(stdout, /it can be enforced: billing\.\n/);
  const { routes } = JSON.parse((await report(...files, '--since', at(4), '--json')).stdout);
  assert.deepEqual(
    routes.map(({ route, requests, refused }: { route: string; requests: number; refused: number }) => [
      route,
      requests,
      refused,
    ]),
    [
      ['orders', 2, 1],
      ['billing', 1, 0],
    ],
  );
});

test('broken lines are counted, lines of a container runtime are read, and nothing steers the terminal', async (t) => {
  const [file = ''] = logs(t, {
    'a.log': ['{"cut', 'text', '[]', `2026-11-21T12:00:00Z stdout F ${line(1, 'orders', '\u001b[2J', SHADOW)}`],
  });
  const { stdout } = await report(file);
  assert.match(stdout, /^4 lines read, 2 of them not of the log\./m);
  assert.match(stdout, /^route orders: 1 of 1 requests/m);
  assert.ok(!stdout.includes('\u001b'));
});

test('any number of clients takes bounded memory, and what is not told apart is counted', async (t) => {
  const many = Array.from({ length: 1500 }, (_, index) => line(1, 'orders', `client ${index}`, SHADOW));
  const [file = ''] = logs(t, { 'a.log': many });
  const { routes, uncounted } = JSON.parse((await report(file, '--json')).stdout);
  assert.deepEqual([routes[0].refused, routes[0].by.length, uncounted], [1500, 1000, 500]);
  assert.match((await report(file)).stdout, /and 990 more clients and reasons\n/);
});

test('a file that is not there, or damaged, ends with its name', async (t) => {
  await assert.rejects(report('not-there.log'), /not-there\.log cannot be read \(ENOENT\)/);
  const [file = ''] = logs(t, { 'a.log': ['x'] });
  writeFileSync(`${file}.gz`, 'not gzip');
  await assert.rejects(report(`${file}.gz`), /a\.log\.gz cannot be read \(Z_/);
  await assert.rejects(report(file, '--since', 'yesterday'), /--since must be a time/);
});
