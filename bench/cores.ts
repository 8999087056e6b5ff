// The gain and the cost of a second worker.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Contender, Plan, Setting } from './contenders.ts';
import { measureThreads, type Threads } from './deciding-threads.ts';
import { startGateway } from './gateway.ts';
import { fileOfLoad, measure, measureWith } from './loading.ts';
import { threadUsage, treeUsage, usedBetween } from './machine.ts';
import type { Program } from './peers.ts';
import { warmUp } from './warming.ts';

const MIB = 2 ** 20;
const ROUNDS = 3;
/** Milliseconds after the start: its garbage is gone then. */
const REST = 1500;

/** One run, per request: µs, and how often a thread gave up its core or lost it. */
export interface Run {
  readonly cpu: number;
  /** Requests per second. */
  readonly rate: number;
  readonly voluntary: number;
  readonly involuntary: number;
}

export interface Cores {
  /** MiB at rest by number of workers. */
  readonly memory: Readonly<Record<string, number>>;
  readonly setups: readonly { readonly name: Setup; readonly load: Load; readonly runs: readonly Run[] }[];
  /** Seconds of load until each gateway was warm, for each kind. */
  readonly warm: readonly number[];
  /** System calls per request by number of workers; absent where there is no strace. */
  readonly calls?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly threads: Threads;
}

type Load = 'dpop' | 'plain';
type Setup = 'one worker' | 'two workers' | 'two gateways with one worker each';

const PATHS: Readonly<Record<Load, string>> = { dpop: '/dpop/x', plain: '/public/x' };

const contender = (program: Program, load: Load, connections: number): Contender => {
  const host = `localhost:${program.port}`;
  const url = `https://${host}${PATHS[load]}`;
  return { id: `cores-${load}`, title: load, program, url, host, load, connections };
};

/** All at once: 32 requests in flight in all. */
async function load(programs: readonly Program[], kind: Load, setting: Setting, seconds: number): Promise<Run> {
  const ran = await Promise.all(
    programs.map((one) =>
      measureWith(contender(one, kind, 32 / programs.length), setting, seconds, () => threadUsage(one.pid)),
    ),
  );
  const used = ran.flatMap(({ from, to }) => usedBetween(from, to));
  const requests = ran.reduce((all, one) => all + one.between, 0);
  const sum = (pick: (one: (typeof used)[number]) => number) =>
    used.reduce((all, one) => all + pick(one), 0) / requests;
  return {
    cpu: sum(({ user, system }) => user + system),
    rate: ran.reduce((all, one) => all + one.rate, 0),
    voluntary: sum((one) => one.voluntary),
    involuntary: sum((one) => one.involuntary),
  };
}

/** How often it calls the system for one request; a program that is watched is slow, and calls as often. */
async function countCalls(program: Program, setting: Setting): Promise<Record<string, number> | undefined> {
  if (spawnSync('strace', ['-V']).status !== 0) return undefined;
  const file = fileOfLoad(setting.folder, 'calls.txt');
  const strace = spawn('strace', ['-f', '-c', '-o', file, '-p', String(program.pid)], { stdio: 'ignore' });
  await pause(500);
  const { requests } = await measure(contender(program, 'dpop', 32), setting, 1);
  strace.kill('SIGINT');
  await once(strace, 'exit');
  const rows = readFileSync(file, 'utf8').matchAll(/^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/gm);
  const counts = [...rows].map(([, calls, name]) => [name!, Number(calls) / requests] as const);
  return Object.fromEntries(counts.filter(([name, calls]) => name !== 'total' && calls >= 0.01));
}

async function measureMemory({ folder, upstream, made }: Setting, workers: number): Promise<number> {
  const program = await startGateway(folder, upstream, made, { workers });
  try {
    await pause(REST);
    return treeUsage(program.pid).memory / MIB;
  } finally {
    await program.stop();
  }
}

async function measureSetups(setting: Setting, plan: Plan): Promise<Pick<Cores, 'setups' | 'calls' | 'warm'>> {
  const started: Program[] = [];
  const start = async (workers: number) => {
    const program = await startGateway(setting.folder, setting.upstream, setting.made, { workers });
    started.push(program);
    return program;
  };
  try {
    const [one, other, two] = [await start(1), await start(1), await start(2)];
    const programs: Readonly<Record<Setup, readonly Program[]>> = {
      'one worker': [one],
      'two workers': [two],
      'two gateways with one worker each': [one, other],
    };
    const warm: number[] = [];
    for (const each of [one, other, two]) {
      for (const kind of ['dpop', 'plain'] as const) warm.push(await warmUp(contender(each, kind, 32), setting, plan));
    }
    const runs = new Map<string, Run[]>();
    for (let round = 0; round < (setting.smoke ? 1 : ROUNDS); round++) {
      for (const kind of ['dpop', 'plain'] as const) {
        for (const [name, each] of Object.entries(programs)) {
          const run = await load(each, kind, setting, plan.seconds);
          runs.set(`${kind} ${name}`, [...(runs.get(`${kind} ${name}`) ?? []), run]);
          console.error(`cores  ${kind}, ${name}: ${run.cpu.toFixed(0)} µs, ${run.rate.toFixed(0)} a second`);
        }
      }
    }
    const setups = [...runs].map(([key, all]) => {
      const [kind, ...name] = key.split(' ');
      return { name: name.join(' ') as Setup, load: kind as Load, runs: all };
    });
    const calls = setting.smoke ? undefined : { 1: await countCalls(one, setting), 2: await countCalls(two, setting) };
    return { setups, warm, ...(calls?.[1] && calls[2] && { calls: { 1: calls[1], 2: calls[2] } }) };
  } finally {
    for (const program of started.toReversed()) await program.stop();
  }
}

/** What workers share and do not, on as many cores as there are. */
export async function measureCores(setting: Setting, plan: Plan): Promise<Cores> {
  const memory: Record<string, number> = {};
  if (!setting.smoke) for (const workers of [1, 2, 4]) memory[workers] = await measureMemory(setting, workers);
  const threads = await (setting.smoke ? measureThreads(1, 200) : measureThreads(5, 2000));
  return { memory, ...(await measureSetups(setting, plan)), threads };
}
