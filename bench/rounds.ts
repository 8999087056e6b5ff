// The contenders in interleaved rounds: full load, and latency at a part of it.

import { execFile } from 'node:child_process';
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Contender, type Plan, type Setting, startContenders } from './contenders.ts';
import { startGateway } from './gateway.ts';
import { assertReplayRefused, type Latency, measure, measureLatency } from './loading.ts';
import { machineFacts, treeUsage } from './machine.ts';
import type { Program } from './peers.ts';
import { spread } from './spread.ts';
import { warmUp } from './warming.ts';

const MIB = 2 ** 20;

const run = promisify(execFile);

/** CPU µs per request by contender, measured once; `verify` is one ES256 verification. */
export type Round = Readonly<Record<string, number>>;

/** Values by contender. */
type ByContender<Value> = Readonly<Record<string, Value>>;

export interface Rounds {
  readonly plan: Plan;
  readonly contenders: readonly { readonly id: string; readonly title: string }[];
  /** Seconds of load until each was warm, of what compiles while it serves. */
  readonly warm: ByContender<number>;
  readonly rounds: readonly Round[];
  /** Requests per second under full load, once for each round. */
  readonly rates: ByContender<readonly number[]>;
  /** At 70 % of its own capacity. */
  readonly latencies: ByContender<Latency>;
  /** Peers that could not be had, with the reason. */
  readonly absent: readonly string[];
  readonly facts: readonly string[];
  /** Seconds from start to the first answered request, one per start. */
  readonly starts: readonly number[];
  /** Resident MiB of the gateway after the start and after all rounds. */
  readonly memory: { readonly rest: number; readonly loaded: number };
}

/** Those whose latency is compared: it takes time. */
const TIMED = new Set(['nginx', 'public', 'token', 'dpop', 'floor', 'envoy', 'envoy-jwt']);

/**
 * CPU µs of one ES256 verification by an imported key, while wrk loads the upstream: a core whose neighbour rests is faster,
 * and the gateway's never does.
 */
async function measureVerification(count: number, upstream: Program): Promise<number> {
  const loaded = run('wrk', ['-t1', '-c32', '-d1s', `http://127.0.0.1:${upstream.port}/`]);
  await pause(200);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const data = Buffer.alloc(400, 'x');
  const key = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
  const signature = sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const before = process.cpuUsage();
  for (let done = 0; done < count; done++) {
    if (!verify('sha256', data, key, signature)) throw new Error('ES256 does not verify');
  }
  const { user, system } = process.cpuUsage(before);
  await loaded;
  return (user + system) / count;
}

async function opensslSpeed(): Promise<string> {
  const { stdout } = await run('openssl', ['speed', '-seconds', '1', 'ecdsap256']);
  const perSecond = Number(/nistp256\).*\s([\d.]+)\s*$/m.exec(stdout)?.[1]);
  return `openssl speed: ${(1e6 / perSecond).toFixed(0)} µs per ES256 verification`;
}

async function measureOnce(contenders: readonly Contender[], setting: Setting, plan: Plan, nth: number) {
  const first = nth % contenders.length;
  const rates: Record<string, number> = {};
  const round: Record<string, number> = {
    verify: await measureVerification(setting.smoke ? 200 : 5000, setting.upstream),
  };
  for (const each of [...contenders.slice(first), ...contenders.slice(0, first)]) {
    const { cpu, rate } = await measure(each, setting, plan.seconds);
    round[each.id] = cpu;
    rates[each.id] = rate;
    if (each.remembers) await assertReplayRefused(each, setting);
    console.error(`round ${nth + 1}/${plan.rounds}  ${each.title}: ${cpu.toFixed(0)} µs`);
  }
  return { round, rates };
}

/** At 70 % of what each answered when it was never waited for. */
async function measureLatencies(
  contenders: readonly Contender[],
  setting: Setting,
  rates: Rounds['rates'],
): Promise<Rounds['latencies']> {
  const latencies: Record<string, Latency> = {};
  for (const each of contenders) {
    if (TIMED.has(each.id)) {
      latencies[each.id] = await measureLatency(each, setting, spread(rates[each.id] ?? []).median * 0.7);
    }
  }
  return latencies;
}

/** Seconds for what was compiled before. */
const BRIEFLY = 1;

/** @returns seconds that each needed */
async function warmUpAll(contenders: readonly Contender[], setting: Setting, plan: Plan): Promise<Rounds['warm']> {
  const warm: Record<string, number> = {};
  for (const each of contenders) {
    if (/^(?:nginx|apache|envoy)/.test(each.id)) await measure(each, setting, BRIEFLY);
    else warm[each.id] = await warmUp(each, setting, plan);
    console.error(`warm-up  ${each.title}: ${warm[each.id] ?? BRIEFLY} s`);
  }
  return warm;
}

/** Starts all contenders, and stops them again. */
export async function measureRounds(setting: Setting, plan: Plan): Promise<Rounds> {
  const started: Program[] = [];
  try {
    const { contenders, absent } = await startContenders(setting, started);
    const gateway = contenders.find(({ id }) => id === 'public')!.program;
    const rest = treeUsage(gateway.pid).memory / MIB;
    const warm = setting.smoke ? {} : await warmUpAll(contenders, setting, plan);
    const measured: Awaited<ReturnType<typeof measureOnce>>[] = [];
    for (let nth = 0; nth < plan.rounds; nth++) measured.push(await measureOnce(contenders, setting, plan, nth));
    const rates = Object.fromEntries(contenders.map(({ id }) => [id, measured.map((one) => one.rates[id]!)]));
    return {
      plan,
      contenders: [
        ...contenders.map(({ id, title }) => ({ id, title })),
        { id: 'verify', title: 'one ES256 verification' },
      ],
      warm,
      rounds: measured.map(({ round }) => round),
      rates,
      latencies: setting.smoke ? {} : await measureLatencies(contenders, setting, rates),
      absent,
      facts: [...machineFacts(), ...(setting.smoke ? [] : [await opensslSpeed()])],
      starts: [gateway.readyAfter, ...(await startAgain(setting, plan.rounds - 1))],
      memory: { rest, loaded: treeUsage(gateway.pid).memory / MIB },
    };
  } finally {
    for (const program of started.toReversed()) await program.stop();
  }
}

/** Seconds until each answered. */
async function startAgain({ folder, upstream, made }: Setting, times: number): Promise<number[]> {
  const starts: number[] = [];
  for (let nth = 0; nth < times; nth++) {
    const one = await startGateway(folder, upstream, made);
    starts.push(one.readyAfter);
    await one.stop();
  }
  return starts;
}
