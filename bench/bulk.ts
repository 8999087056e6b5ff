// Throughput of 1 GiB bodies against nginx, both ways, over HTTP/1.1 and HTTP/2.
//
// npm run bulk, or node bench/bulk.ts [--mib N] [--rounds N]

import { execFile } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { makeCredentials } from './credentials.ts';
import { startGateway } from './gateway.ts';
import { type Program, startBulkProxy, startBulkUpstream } from './peers.ts';
import { quantile } from './soak/report.ts';

const run = promisify(execFile);
const MIB = 1024 * 1024;
/** Holdfast moves at least that share of what nginx moves (performance.md). */
const AT_LEAST = 0.5;

const { values } = parseArgs({
  options: { mib: { type: 'string', default: '1024' }, rounds: { type: 'string', default: '3' } },
});
const bytes = Number(values.mib) * MIB;
const folder = mkdtempSync(join(tmpdir(), 'holdfast-bulk-'));
const started: Program[] = [];

/** Takes uploads to their end, which nginx does not where it answers by itself. */
const sink = createServer((request, response) => {
  request.resume().once('end', () => response.end());
});

/** Bytes per second, as curl counts them. */
async function transfer(program: Program, path: string, file: string, version: string, up: boolean): Promise<number> {
  const url = `https://localhost:${program.port}${path}`;
  const tls = ['-sS', '--fail', version, '--cacert', join(folder, 'ca.pem'), '-o', '/dev/null'];
  const format = up ? '%{speed_upload} %{size_upload}' : '%{speed_download} %{size_download}';
  const { stdout } = await run('curl', [...tls, '-w', format, ...(up ? ['-T', file] : []), url]);
  const [speed, size] = stdout.split(' ').map(Number);
  if (size !== bytes) throw new Error(`${url}: ${size} bytes in place of ${bytes}`);
  return speed ?? Number.NaN;
}

try {
  const made = makeCredentials(folder);
  const file = join(folder, 'large');
  const descriptor = openSync(file, 'w');
  ftruncateSync(descriptor, bytes);
  closeSync(descriptor);
  sink.listen(0, '127.0.0.1');
  await once(sink, 'listening');
  const upstream = await startBulkUpstream(folder, (sink.address() as AddressInfo).port);
  started.push(upstream);
  const gateway = await startGateway(folder, upstream, made, { unlimited: true });
  started.push(gateway);
  const nginx = await startBulkProxy(folder, upstream, made);
  started.push(nginx);
  let met = true;
  console.log('| | nginx, MiB/s | Holdfast, MiB/s | ratio | goal | |\n| --- | ---: | ---: | ---: | ---: | --- |');
  for (const version of ['HTTP/1.1', 'HTTP/2']) {
    for (const up of [false, true]) {
      const flag = version === 'HTTP/2' ? '--http2' : '--http1.1';
      const speeds: { nginx: number; holdfast: number }[] = [];
      for (let round = 0; round < Number(values.rounds); round++) {
        const path = up ? '/public/upload' : '/public/large';
        const of = (program: Program) => transfer(program, path, file, flag, up);
        speeds.push({ nginx: await of(nginx), holdfast: await of(gateway) });
      }
      const median = (pick: (one: (typeof speeds)[number]) => number) => quantile(speeds.map(pick), 0.5);
      const ratio = median((one) => one.holdfast / one.nginx);
      met &&= ratio >= AT_LEAST;
      const rate = (value: number) => (value / MIB).toFixed(0);
      const row = [rate(median((one) => one.nginx)), rate(median((one) => one.holdfast)), ratio.toFixed(2)];
      const verdict = ratio >= AT_LEAST ? 'met' : '**missed**';
      console.log(`| ${version}, ${up ? 'up' : 'down'} | ${row.join(' | ')} | ≥ ${AT_LEAST} | ${verdict} |`);
    }
  }
  process.exitCode = met ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  for (const program of started.toReversed()) await program.stop();
  sink.close();
  rmSync(folder, { recursive: true, force: true });
}
