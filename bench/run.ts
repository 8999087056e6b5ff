// The benchmark in one command: interleaved rounds, and docs/performance.md from them.
//
// npm run bench [-- --smoke | --rounds N --seconds S --warm-up S] [--against DIR]   DIR: another checkout of Holdfast, with its node_modules

import { execFile } from 'node:child_process';
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { makeCredentials, writeTokens } from './credentials.ts';
import { type Contender, type Setting, startContenders } from './contenders.ts';
import { startGateway } from './gateway.ts';
import { assertReplayRefused, type Latency, measure, measureLatency } from './loading.ts';
import { installPrograms, machineFacts, missingPrograms, treeUsage } from './machine.ts';
import { type Program, startUpstream } from './peers.ts';
import { performanceChart, performancePage, type Round, type Run, spread } from './report.ts';

const MIB = 2 ** 20;

const run = promisify(execFile);

/**
 * CPU µs of one ES256 verification by an imported key, while wrk loads the upstream: a core whose neighbour rests is faster,
 * and the gateway's never does.
 */
async function measureVerification(count: number, upstream: Program): Promise<number> {
  const loaded = run('wrk', ['-t1', '-c32', '-d2s', `http://127.0.0.1:${upstream.port}/`]);
  await pause(500);
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
  const { stdout } = await run('openssl', ['speed', '-seconds', '2', 'ecdsap256']);
  const perSecond = Number(/nistp256\).*\s([\d.]+)\s*$/m.exec(stdout)?.[1]);
  return `openssl speed: ${(1e6 / perSecond).toFixed(0)} µs per ES256 verification`;
}

/** What was measured of all contenders; rates are requests per second. */
interface Measured {
  readonly rounds: Round[];
  readonly rates: ReadonlyMap<string, number[]>;
}

async function measureRounds(contenders: readonly Contender[], setting: Setting, plan: Plan): Promise<Measured> {
  const rounds: Round[] = [];
  const rates = new Map<string, number[]>(contenders.map(({ id }) => [id, []]));
  for (let at = 0; at < plan.rounds; at++) {
    const first = at % contenders.length;
    const round: Record<string, number> = {
      verify: await measureVerification(plan.smoke ? 200 : 5000, setting.upstream),
    };
    for (const each of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      const { cpu, rate } = await measure(each, setting, plan.seconds);
      round[each.id] = cpu;
      rates.get(each.id)!.push(rate);
      if (each.remembers) await assertReplayRefused(each, setting);
      console.error(`round ${at + 1}/${plan.rounds}  ${each.title}: ${cpu.toFixed(0)} µs`);
    }
    rounds.push(round);
  }
  return { rounds, rates };
}

/** At 70 % of what each answered when it was never waited for. */
async function measureLatencies(
  contenders: readonly Contender[],
  setting: Setting,
  { rates }: Measured,
): Promise<ReadonlyMap<string, Latency>> {
  const latencies = new Map<string, Latency>();
  for (const each of contenders) {
    if (each.load.startsWith('h2load')) continue;
    const { median } = spread(rates.get(each.id) ?? []);
    latencies.set(each.id, await measureLatency(each, setting, median * 0.7));
  }
  return latencies;
}

interface Plan {
  readonly against: string | undefined;
  readonly smoke: boolean;
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUp: number;
}

async function bench(plan: Plan, command: string): Promise<Run> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const started: Program[] = [];
  try {
    const made = makeCredentials(folder);
    for (const kind of ['bearer', 'mtls', 'dpop'] as const)
      writeTokens(join(folder, `${kind}.txt`), made.clients, kind);
    const upstream = await startUpstream(folder);
    started.push(upstream);
    const setting = { folder, made, upstream, against: plan.against, smoke: plan.smoke };
    const { contenders, absent } = await startContenders(setting, started);
    const gateway = contenders.find(({ id }) => id === 'public')!.program;
    const rest = treeUsage(gateway.pid).memory / MIB;
    const restOf = new Map(
      contenders
        .filter(({ id }) => id === 'dpop-2' || id === 'dpop-4')
        .map(({ id, program }) => [Number(id.slice(5)), treeUsage(program.pid).memory / MIB]),
    );
    // Node is at half of its speed after two seconds; what was compiled before is not.
    const warmUpOf = ({ id }: Contender) =>
      /^(?:nginx|apache|envoy)/.test(id) ? Math.min(1, plan.warmUp) : plan.warmUp;
    if (!plan.smoke) for (const each of contenders) await measure(each, setting, warmUpOf(each));
    const measured = await measureRounds(contenders, setting, plan);
    const latencies = plan.smoke ? new Map() : await measureLatencies(contenders, setting, measured);
    const loaded = treeUsage(gateway.pid).memory / MIB;
    const starts = [gateway.readyAfter];
    for (let again = 1; again < plan.rounds; again++) {
      const one = await startGateway(folder, upstream, made);
      starts.push(one.readyAfter);
      await one.stop();
    }
    const facts = [...machineFacts(), ...(plan.smoke ? [] : [await opensslSpeed()])];
    const listed = [...contenders, { id: 'verify', title: 'one ES256 verification' }];
    return {
      contenders: listed,
      ...measured,
      latencies,
      absent,
      facts,
      command,
      seconds: plan.seconds,
      starts,
      memory: { rest, loaded, restOf },
    };
  } finally {
    for (const program of started.toReversed()) await program.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      smoke: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '7' },
      seconds: { type: 'string', default: '5' },
      'warm-up': { type: 'string', default: '6' },
      against: { type: 'string' },
    },
  });
  const { smoke } = values;
  const missing = smoke ? missingPrograms() : installPrograms();
  if (missing.length > 0) {
    console.error(`${smoke ? 'skipped' : 'cannot run'}: these Debian packages are not installed: ${missing.join(' ')}`);
    process.exitCode = smoke ? 0 : 1;
    return;
  }
  const warmUp = Number(values['warm-up']);
  const plan = smoke
    ? { rounds: 1, seconds: 1, warmUp }
    : { rounds: Number(values.rounds), seconds: Number(values.seconds), warmUp };
  const { against } = values;
  const result = await bench({ smoke, against, ...plan }, 'npm run bench');
  if (smoke) {
    console.log('smoke test: gateway and peers answered every request; figures of one second mean nothing');
    return;
  }
  const page = performancePage(result);
  console.log(page);
  const docs = join(import.meta.dirname, '../docs');
  writeFileSync(join(docs, 'performance.md'), page);
  writeFileSync(join(docs, 'performance.svg'), performanceChart(result));
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
