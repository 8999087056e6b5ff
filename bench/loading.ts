// Load by wrk and h2load: full, at a pace, and a proof that is sent twice.

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Contender, H2load, Setting } from './contenders.ts';
import { makeProof, writeProofs } from './credentials.ts';
import { treeUsage } from './machine.ts';

/** More than one core can verify: the supply of proofs must outlast a run. Where it was seen what is answered, half as many more are enough. */
const PROOFS_PER_SECOND = 9000;
const LEAST_PROOFS = 2000;
const ratesSeen = new Map<string, number>();
const CONNECTIONS = 32;
/** A smoke test is over before a slow machine has many handshakes behind it. */
const SMOKE_CONNECTIONS = 4;
/** Milliseconds that h2load has to open its connections. */
const OPENING = 500;

/** One that hangs is an error, in place of a benchmark that never ends. */
const run = (program: string, args: readonly string[]) => promisify(execFile)(program, args, { timeout: 120_000 });

/** Is called when all connections are open. */
type Opened = () => void;

/** What one run gave. */
export interface Load {
  /** µs per request, of the whole process tree. */
  readonly cpu: number;
  /** Requests per second. */
  readonly rate: number;
  /** All, with those that were answered while connections were opened. */
  readonly requests: number;
}

/** What was seen of a program when all connections were open and at the end, and the requests answered between. */
export interface Observed<Look> {
  readonly from: Look;
  readonly to: Look;
  readonly between: number;
}

/** Milliseconds, and the part of the capacity at which they were measured. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly rate: number;
}

interface Result {
  readonly requests: number;
  /** Of them those that were answered before all connections were open. */
  readonly before: number;
  readonly duration: number;
  /** How many were refused, and how many with which status. */
  readonly status: number;
  readonly statuses: string;
  readonly broken: number;
  readonly p50: number;
  readonly p99: number;
  readonly mean: number;
}

/** A handshake costs as much as many requests, and a kept connection has none: it does not count. */
export async function observe<Look, Sent extends Pick<Result, 'requests' | 'before'>>(
  look: () => Look,
  send: (opened: Opened) => Promise<Sent>,
): Promise<Sent & Observed<Look>> {
  const start = look();
  let opened = start;
  const sent = await send(() => {
    opened = look();
  });
  const to = look();
  // The whole of a run that was hardly longer than its handshakes.
  if (sent.before > sent.requests / 2) return { ...sent, from: start, to, between: sent.requests };
  return { ...sent, from: opened, to, between: sent.requests - sent.before };
}

/** One run under full load, with what is seen of the program. Throws when answers were no 200s or connections broke. */
export async function measureWith<Look>(
  each: Contender,
  setting: Setting,
  seconds: number,
  look: () => Look,
): Promise<Omit<Load, 'cpu'> & Observed<Look>> {
  const { load } = each;
  if (typeof load === 'object')
    return observe(look, (opened) => sendByH2load(each, load, { ...setting, seconds }, opened));
  const seen = ratesSeen.get(each.url) ?? PROOFS_PER_SECOND;
  const proofs = Math.min(PROOFS_PER_SECOND, Math.max(LEAST_PROOFS, seen * 1.5));
  const ran = await observe(look, await prepareWrk(each, setting, seconds, { delay: 0, proofs }));
  const rate = (ran.requests / ran.duration) * 1e6;
  ratesSeen.set(each.url, Math.max(rate, ratesSeen.get(each.url) ?? 0));
  return { ...ran, rate };
}

/** The same by the CPU time of the whole process tree. */
export async function measure(each: Contender, setting: Setting, seconds: number): Promise<Load> {
  const usage = () => treeUsage(each.program.pid).cpu;
  const { from, to, between, requests, rate } = await measureWith(each, setting, seconds, usage);
  return { cpu: (to - from) / between, requests, rate };
}

interface Pace {
  /** Milliseconds between two requests of a connection, on average; 0: full load. */
  readonly delay: number;
  /** Proofs that are made for each second: signing them takes time, and they must not be old when they are sent. */
  readonly proofs: number;
}

/** A file in a folder that no gateway watches: each write to the one with their configurations wakes them all. */
export function fileOfLoad(folder: string, name: string): string {
  mkdirSync(join(folder, 'load'), { recursive: true });
  return join(folder, 'load', name);
}

/** Makes what is sent, and @returns what sends it, at a pace or as fast as it goes. */
export async function prepareWrk(each: Contender, setting: Setting, seconds: number, pace: Pace) {
  const { folder, made } = setting;
  if (typeof each.load === 'object') throw new Error('wrk speaks HTTP/1.1 alone');
  const tokens = each.load === 'plain' ? 'none' : join(folder, `${each.load}.txt`);
  const proofs = each.load === 'dpop' ? fileOfLoad(folder, `proofs-${each.program.port}-${each.id}.txt`) : 'none';
  if (proofs !== 'none') await writeProofs(proofs, made.clients, each.url, Math.ceil(seconds * pace.proofs));
  const script = join(import.meta.dirname, 'load.lua');
  const scheme = each.load === 'dpop' ? 'DPoP' : 'Bearer';
  const connections = setting.smoke ? SMOKE_CONNECTIONS : (each.connections ?? CONNECTIONS);
  const options = ['-t1', `-c${connections}`, `-d${seconds}s`, '-H', `Host: ${each.host}`, '-s', script];
  const given = [connections, scheme, tokens, proofs, pace.delay].map(String);
  return async (opened?: Opened): Promise<Result> => {
    const result = await runWrk([...options, each.url, '--', ...given], opened);
    if (!(result.requests > 0) || result.status > 0 || result.broken > result.requests / 100) {
      throw new Error(`${each.title}: not every request was answered with 200: ${failuresOf(result)}`);
    }
    return result;
  };
}

async function runWrk(args: readonly string[], opened: Opened = () => {}): Promise<Result> {
  const running = run('wrk', args);
  let before = 0;
  running.child.stderr!.on('data', (text) => {
    const [, answered] = /^OPEN (\d+)$/m.exec(String(text)) ?? [];
    if (answered === undefined) return;
    before = Number(answered);
    opened();
  });
  const { stdout } = await running;
  const result = /^RESULT (.*)$/m.exec(stdout)?.[1];
  if (result === undefined) throw new Error(`wrk had no result:\n${stdout}`);
  return { ...(JSON.parse(result) as Omit<Result, 'before'>), before };
}

/** In words, with the statuses that came. */
export const failuresOf = ({ requests, status, statuses, broken }: Result): string =>
  `of ${requests} answers ${status} were refusals (${statuses || 'none'}), and ${broken} connections broke`;

/** Requests as they stand in a file, by wrk. */
export interface RawLoad {
  readonly url: string;
  readonly file: string;
  readonly connections: number;
  readonly seconds: number;
  /** Milliseconds between two requests of a connection, on average; the default is none. */
  readonly delay?: number;
}

/** @param requests whole ones, with their bodies */
export function writeRequests(file: string, requests: readonly string[]): void {
  writeFileSync(file, requests.join('\u001e'), 'latin1');
}

/** Sends them in turn; whether the answers are what they should be is looked at by who calls. */
export async function sendRaw(
  { url, file, connections, seconds, delay = 0 }: RawLoad,
  opened?: Opened,
): Promise<Result> {
  const script = join(import.meta.dirname, 'raw.lua');
  const options = ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', script];
  return runWrk([...options, url, '--', String(connections), file, String(delay)], opened);
}

/** Latency at a pace: each connection rests between its requests, for as long as two short runs show that it has to. */
export async function measureLatency(each: Contender, setting: Setting, rate: number): Promise<Latency> {
  const period = ((each.connections ?? CONNECTIONS) / rate) * 1000;
  // One connection alone could take them all.
  const proofs = rate * 2;
  let delay = period / 2;
  for (let trial = 0; trial < 2; trial++) {
    const { mean } = await (await prepareWrk(each, setting, 1, { delay, proofs }))();
    delay = Math.max(0, period - mean / 1000);
  }
  const { requests, duration, p50, p99 } = await (await prepareWrk(each, setting, 4, { delay, proofs }))();
  return { p50: p50 / 1000, p99: p99 / 1000, rate: (requests / duration) * 1e6 };
}

/** A proof passes once: a peer that lets it through twice is faster because it does less. */
export async function assertReplayRefused(each: Contender, { made }: Setting): Promise<void> {
  const client = made.clients[0]!;
  const { port, pathname } = new URL(each.url);
  const headers = {
    host: each.host,
    authorization: `DPoP ${client.tokens.dpop}`,
    dpop: makeProof(client, 'GET', each.url),
  };
  const statuses: (number | undefined)[] = [];
  for (let time = 0; time < 2; time++) {
    const asked = get({ host: '127.0.0.1', port, path: pathname, rejectUnauthorized: false, headers, agent: false });
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    answer.resume();
    statuses.push(answer.statusCode);
  }
  const [first, second = 0] = statuses;
  if (first !== 200 || second < 400)
    throw new Error(`${each.title}: a proof that was sent twice got ${statuses.join()}`);
}

/** One run of h2load, which tells when its connections are open and counts from then on. */
async function sendByH2load(
  each: Contender,
  { version, connections, streams }: H2load,
  { made, seconds }: Pick<Setting, 'made'> & { readonly seconds: number },
  opened: Opened,
): Promise<{ readonly requests: number; readonly before: number; readonly rate: number }> {
  const token = `authorization: Bearer ${made.clients[0]!.tokens.bearer}`;
  const running = run('h2load', [
    ...(version === 1 ? ['--h1'] : []),
    '-t1',
    `-c${connections}`,
    `-m${streams}`,
    `-D${seconds}`,
    `--warm-up-time=${OPENING}ms`,
    '-H',
    token,
    each.url,
  ]);
  running.child.stdout!.on('data', (text) => {
    if (String(text).includes('Main benchmark duration is started')) opened();
  });
  const { stdout } = await running;
  const [, done, failed, errored] = /requests: .* (\d+) done, .* (\d+) failed, (\d+) errored/.exec(stdout) ?? [];
  const [, good] = /status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx/.exec(stdout) ?? [];
  const requests = Number(done);
  if (!(requests > 0) || Number(failed) + Number(errored) > 0 || good === undefined) {
    throw new Error(`${each.title}: not every request was answered with 200:\n${stdout}`);
  }
  return { requests, before: 0, rate: requests / seconds };
}
