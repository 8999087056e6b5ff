// Starts: time to the first answer, processor time until then, and memory at rest.
//
// npm run bench:start [-- --starts N] [-- --against DIR]   DIR: another checkout, built; its starts alternate with ours

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { makeCredentials } from './credentials.ts';
import { startGateway } from './gateway.ts';
import { startUpstream, type Program } from './peers.ts';
import { spread } from './spread.ts';

/** Milliseconds after the first answer at which memory is at rest: each thread has collected the garbage of its start. */
const REST = 3000;

interface Start {
  /** Seconds. */
  readonly ready: number;
  /** Milliseconds of processor time until then, of all threads. */
  readonly cpu: number;
  /** MiB: resident, and of it what is no file. */
  readonly resident: number;
  readonly anonymous: number;
}

function readMemory(pid: number): Pick<Start, 'resident' | 'anonymous'> {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) / 1024;
  return { resident: mib('Rss'), anonymous: mib('Anonymous') };
}

/** One start; the gateway is stopped again. */
async function measureStart(start: () => Promise<Program>): Promise<Start> {
  const program = await start();
  try {
    await pause(REST);
    return { ready: program.readyAfter, cpu: program.cpuUntilReady, ...readMemory(program.pid) };
  } finally {
    await program.stop();
  }
}

const row = (what: string, starts: readonly Start[]) => {
  const of = (key: keyof Start, unit = 1) => {
    const { median, least, most } = spread(starts.map((one) => one[key] * unit));
    return `${median.toFixed(0)} (${least.toFixed(0)}–${most.toFixed(0)})`;
  };
  return `| ${what} | ${of('ready', 1000)} | ${of('cpu')} | ${of('resident')} | ${of('anonymous')} |`;
};

const { values } = parseArgs({ options: { starts: { type: 'string', default: '9' }, against: { type: 'string' } } });
const folder = mkdtempSync(join(tmpdir(), 'holdfast-start-'));
const upstream = await startUpstream(folder);
try {
  const made = makeCredentials(folder);
  const kinds = new Map<string, () => Promise<Program>>([
    ['one worker', () => startGateway(folder, upstream, made)],
    ['two workers', () => startGateway(folder, upstream, made, { workers: 2 })],
    ['four workers', () => startGateway(folder, upstream, made, { workers: 4 })],
  ]);
  const { against: checkout } = values;
  if (checkout !== undefined) {
    kinds.set('one worker, the other checkout', () => startGateway(folder, upstream, made, { checkout }));
  }
  const starts = new Map<string, Start[]>([...kinds.keys()].map((kind) => [kind, []]));
  for (let at = 0; at < Number(values.starts); at++) {
    for (const [kind, start] of kinds) starts.get(kind)!.push(await measureStart(start));
  }
  console.log('| start | first answer, ms | CPU until then, ms | resident MiB | of it anonymous |');
  console.log('| --- | ---: | ---: | ---: | ---: |');
  for (const [kind, all] of starts) console.log(row(kind, all));
} finally {
  await upstream.stop();
  rmSync(folder, { recursive: true });
}
