// The benchmark in one command: interleaved rounds, and docs/performance.md from them.
//
// npm run bench [-- --smoke | --rounds N --seconds S] [--against DIR]   DIR: another checkout of Holdfast, with its node_modules

import { execFile } from 'node:child_process';
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { type Credentials, makeCredentials, writeProofs, writeTokens } from './credentials.ts';
import { startGateway } from './gateway.ts';
import { hasApache, hasH2load, installPrograms, machineFacts, missingPrograms, treeUsage } from './machine.ts';
import { type Program, startApache, startHttpProxy, startNginxProxy, startRelay, startUpstream } from './peers.ts';
import { performanceChart, performancePage, type Round, type Run } from './report.ts';

const MIB = 2 ** 20;
/** More than one core can verify: the supply of proofs must outlast a run. */
const PROOFS_PER_SECOND = 9000;

/** What all measurements share. */
interface Setting {
  readonly folder: string;
  readonly made: Credentials;
  readonly upstream: Program;
  /** Another checkout of Holdfast. */
  readonly against: string | undefined;
}

/** Something that is measured: where wrk sends what, and whose CPU time counts. */
interface Contender {
  readonly id: string;
  readonly title: string;
  readonly program: Program;
  readonly url: string;
  readonly host: string;
  /** `h2load`: over HTTP/1.1 or HTTP/2, both by the same program. */
  readonly load: 'plain' | 'bearer' | 'mtls' | 'dpop' | 'h2load, HTTP/1.1' | 'h2load, HTTP/2';
}

function contender(
  id: string,
  title: string,
  program: Program,
  path: string,
  load: Contender['load'] = 'plain',
): Contender {
  const host = `localhost:${program.port}`;
  return { id, title, program, url: `https://${host}${path}`, host, load };
}

/** Starts everything; what was started is added to `started` at once, so that it can be stopped whatever happens. */
async function startContenders(setting: Setting, started: Program[]): Promise<Contender[]> {
  const { folder, made, upstream } = setting;
  const keep = async (starting: Promise<Program>) => {
    const program = await starting;
    started.push(program);
    return program;
  };
  const gateway = await keep(startGateway(folder, upstream, made));
  const nginx = await keep(startNginxProxy(folder, upstream, made));
  const relay = await keep(startRelay(folder, gateway.port, made));
  const proxy = await keep(startHttpProxy(upstream, made));
  const relayed = (id: string, title: string, path: string, load: Contender['load']) => ({
    ...contender(id, title, gateway, path, load),
    url: `http://localhost:${relay.port}${path}`,
  });
  const contenders = [
    contender('nginx', 'nginx, no checks', nginx, '/x'),
    contender('public', 'Holdfast, public route', gateway, '/public/x'),
    contender('token', 'Holdfast, bearer token', gateway, '/token/x', 'bearer'),
    relayed('relayed', 'Holdfast, public, through the relay', '/public/x', 'plain'),
    relayed('mtls', 'Holdfast, certificate-bound token', '/mtls/x', 'mtls'),
    contender('dpop', 'Holdfast, DPoP', gateway, '/dpop/x', 'dpop'),
    contender('http-proxy-3', 'http-proxy-3, no checks', proxy, '/x'),
  ];
  if (hasH2load()) {
    contenders.push(
      contender('h1', 'Holdfast, bearer token, HTTP/1.1, by h2load', gateway, '/token/x', 'h2load, HTTP/1.1'),
      contender('h2', 'Holdfast, bearer token, HTTP/2, by h2load', gateway, '/token/x', 'h2load, HTTP/2'),
    );
  }
  for (const workers of [2, 4]) {
    const several = await keep(startGateway(folder, upstream, made, { workers }));
    contenders.push(contender(`dpop-${workers}`, `Holdfast, DPoP, ${workers} workers`, several, '/dpop/x', 'dpop'));
  }
  if (setting.against !== undefined) {
    const before = await keep(startGateway(folder, upstream, made, { checkout: setting.against }));
    contenders.push(
      contender('before-public', 'Holdfast before, public route', before, '/public/x'),
      contender('before-token', 'Holdfast before, bearer token', before, '/token/x', 'bearer'),
      contender('before-dpop', 'Holdfast before, DPoP', before, '/dpop/x', 'dpop'),
    );
  }
  if (hasApache()) {
    const apache = await keep(startApache(folder, upstream, made));
    contenders.push(contender('apache', 'Apache with mod_oauth2, DPoP', apache, '/x', 'dpop'));
  }
  return contenders;
}

const run = promisify(execFile);

/** One run of wrk; returns CPU µs per request. Throws when answers were no 200s or connections broke. */
async function measure(each: Contender, setting: Setting, seconds: number): Promise<number> {
  if (each.load === 'h2load, HTTP/1.1' || each.load === 'h2load, HTTP/2') {
    return measureByH2load(each, setting.made, seconds);
  }
  const { folder, made } = setting;
  const tokens = each.load === 'plain' ? 'none' : join(folder, `${each.load}.txt`);
  const proofs = each.load === 'dpop' ? join(folder, 'proofs.txt') : 'none';
  if (proofs !== 'none') await writeProofs(proofs, made.clients, each.url, Math.ceil(seconds * PROOFS_PER_SECOND));
  const script = join(import.meta.dirname, 'load.lua');
  const scheme = each.load === 'dpop' ? 'DPoP' : 'Bearer';
  const options = ['-t1', '-c32', `-d${seconds}s`, '-H', `Host: ${each.host}`, '-s', script];
  const before = treeUsage(each.program.pid).cpu;
  const { stdout } = await run('wrk', [...options, each.url, '--', scheme, tokens, proofs]);
  const used = treeUsage(each.program.pid).cpu - before;
  const result: { requests: number; status: number; broken: number } = JSON.parse(
    /^RESULT (.*)$/m.exec(stdout)?.[1] ?? '{}',
  );
  if (!(result.requests > 0) || result.status > 0 || result.broken > result.requests / 100) {
    throw new Error(`${each.title}: not every request was answered with 200:\n${stdout}`);
  }
  return used / result.requests;
}

/** One run of h2load, with 32 connections and one request at a time on each, as wrk has them; returns CPU µs per request. */
async function measureByH2load(each: Contender, made: Credentials, seconds: number): Promise<number> {
  const version = each.load === 'h2load, HTTP/1.1' ? ['--h1'] : [];
  const token = `authorization: Bearer ${made.clients[0]!.tokens.bearer}`;
  const before = treeUsage(each.program.pid).cpu;
  const { stdout } = await run('h2load', [...version, '-t1', '-c32', '-m1', `-D${seconds}`, '-H', token, each.url]);
  const used = treeUsage(each.program.pid).cpu - before;
  const [, done, failed, errored] = /requests: .* (\d+) done, .* (\d+) failed, (\d+) errored/.exec(stdout) ?? [];
  const [, good] = /status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx/.exec(stdout) ?? [];
  if (!(Number(done) > 0) || Number(failed) + Number(errored) > 0 || good === undefined) {
    throw new Error(`${each.title}: not every request was answered with 200:\n${stdout}`);
  }
  return used / Number(done);
}

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

async function measureRounds(contenders: readonly Contender[], setting: Setting, plan: Plan): Promise<Round[]> {
  const rounds: Round[] = [];
  for (let at = 0; at < plan.rounds; at++) {
    const first = at % contenders.length;
    const round: Record<string, number> = {
      verify: await measureVerification(plan.smoke ? 200 : 5000, setting.upstream),
    };
    for (const each of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      round[each.id] = await measure(each, setting, plan.seconds);
      console.error(`round ${at + 1}/${plan.rounds}  ${each.title}: ${round[each.id]!.toFixed(0)} µs`);
    }
    rounds.push(round);
  }
  return rounds;
}

interface Plan {
  readonly against: string | undefined;
  readonly smoke: boolean;
  readonly rounds: number;
  readonly seconds: number;
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
    const setting = { folder, made, upstream, against: plan.against };
    const contenders = await startContenders(setting, started);
    const gateway = contenders.find(({ id }) => id === 'public')!.program;
    const rest = treeUsage(gateway.pid).memory / MIB;
    const restOf = new Map(
      contenders
        .filter(({ id }) => id === 'dpop-2' || id === 'dpop-4')
        .map(({ id, program }) => [Number(id.slice(5)), treeUsage(program.pid).memory / MIB]),
    );
    if (!plan.smoke) for (const each of contenders) await measure(each, setting, 2); // warm up: compile, open connections
    const rounds = await measureRounds(contenders, setting, plan);
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
      rounds,
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
  const plan = smoke ? { rounds: 1, seconds: 1 } : { rounds: Number(values.rounds), seconds: Number(values.seconds) };
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
