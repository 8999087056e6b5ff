// Whole requests as things become many: fields, open connections, streams of a connection.

import type { Contender, Plan, Setting } from './contenders.ts';
import { startGateway } from './gateway.ts';
import { anonymousOf, openWave } from './idle.ts';
import { failuresOf, fileOfLoad, measure, observe, sendRaw, writeRequests } from './loading.ts';
import { hasH2load, treeUsage } from './machine.ts';
import type { Program } from './peers.ts';
import { warmUp } from './warming.ts';

/** Costs by size. */
export interface Curve {
  readonly what: string;
  readonly unit: string;
  /** What is measured; the default is CPU µs. */
  readonly of?: 'KiB' | 'MiB' | 'bytes';
  readonly points: readonly (readonly [size: number, cost: number])[];
  /** Why it is not flat. */
  readonly note?: string;
}

const FIELD = 'x'.repeat(20);
const SECONDS = 1;
/** Least of so many runs. */
const RUNS = 2;
/** Half of what a connection may have open: Node resets some of those that come at the limit itself. */
const STREAMS = [1, 8, 32, 50];
const CONNECTIONS = [0, 500, 5000];

const least = async (measureOne: () => Promise<number>): Promise<number> => {
  let found = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run++) found = Math.min(found, await measureOne());
  return found;
};

/** CPU µs of a public request with these fields. */
async function withFields({ pid, port }: Program, { folder }: Setting, lines: readonly string[]): Promise<number> {
  const file = fileOfLoad(folder, 'fields.txt');
  writeRequests(file, [`${['GET /public/x HTTP/1.1', `Host: localhost:${port}`, ...lines].join('\r\n')}\r\n\r\n`]);
  const load = { url: `https://localhost:${port}/`, file, connections: 32, seconds: SECONDS };
  const usage = () => treeUsage(pid).cpu;
  return least(async () => {
    const sent = await observe(usage, (opened) => sendRaw(load, opened));
    if (sent.status > 0 || sent.broken > 0)
      throw new Error(`${lines.length} fields of ${lines[0]?.length} bytes: ${failuresOf(sent)}`);
    return (sent.to - sent.from) / sent.between;
  });
}

async function byFields(program: Program, setting: Setting): Promise<Curve[]> {
  const counts: [number, number][] = [];
  for (const count of [1, 10, 50, 100]) {
    const lines = Array.from({ length: count }, (_, at) => `X-Field-${at}: ${FIELD}`);
    counts.push([count, await withFields(program, setting, lines)]);
  }
  const bytes: [number, number][] = [];
  for (const size of [100, 1000, 8000, 24_000])
    bytes.push([size, await withFields(program, setting, [`X-Field: ${'x'.repeat(size)}`])]);
  return [
    { what: 'Public request', unit: 'fields of 30 bytes', points: counts },
    { what: 'Public request', unit: 'bytes in one field', points: bytes },
  ];
}

const publicOf = (program: Program, load: Contender['load'] = 'plain', path = '/public/x'): Contender => {
  const host = `localhost:${program.port}`;
  return { id: 'growth', title: 'growth', program, url: `https://${host}${path}`, host, load };
};

async function byConnections(program: Program, setting: Setting): Promise<Curve[]> {
  const cpu: [number, number][] = [];
  const kib: [number, number][] = [];
  const before = anonymousOf(program.pid);
  const open = [];
  for (const count of CONNECTIONS) {
    if (count > open.length) {
      open.push(...(await openWave(program.port, count - open.length, true)));
      kib.push([count, (anonymousOf(program.pid) - before) / count]);
    }
    // 0 has no place on a logarithmic axis.
    cpu.push([Math.max(1, count), await least(async () => (await measure(publicOf(program), setting, SECONDS)).cpu)]);
  }
  const closed = open.filter((socket) => socket.destroyed).length;
  for (const socket of open) socket.destroy();
  if (closed > open.length / 100) throw new Error(`${closed} of ${open.length} idle connections were ended`);
  return [
    { what: 'Public request', unit: 'idle connections next to it', points: cpu },
    { what: 'Memory of an idle connection', unit: 'idle connections', of: 'KiB', points: kib },
  ];
}

async function byStreams(program: Program, setting: Setting, plan: Plan): Promise<Curve[]> {
  if (!hasH2load()) return [];
  const points: [number, number][] = [];
  const by = (streams: number) => publicOf(program, { version: 2, connections: 4, streams }, '/token/x');
  await warmUp(by(8), setting, plan);
  for (const streams of STREAMS) {
    const one = by(streams);
    points.push([streams, await least(async () => (await measure(one, setting, SECONDS)).cpu)]);
  }
  return [{ what: 'Bearer request over HTTP/2', unit: 'streams of each of 4 connections', points }];
}

/** Of one gateway, which is warm before. */
export async function socketCurves(setting: Setting, plan: Plan): Promise<Curve[]> {
  const program = await startGateway(setting.folder, setting.upstream, setting.made);
  try {
    await warmUp(publicOf(program), setting, plan);
    const curves = [
      ...(await byFields(program, setting)),
      ...(await byStreams(program, setting, plan)),
      ...(await byConnections(program, setting)),
    ];
    for (const { what, unit, points } of curves) console.error(`growth  ${what}, by ${unit}: ${points.join('; ')}`);
    return curves;
  } finally {
    await program.stop();
  }
}
