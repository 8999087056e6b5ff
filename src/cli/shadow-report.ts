// `holdfast shadow-report`: the refusals of shadows, from logs, per route and client.

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import type { Readable } from 'node:stream';
import { type CommandLine, UsageError } from './arguments.ts';
import { EXIT } from './commands.ts';
import { harmless, textTable } from './layout.ts';
import type { Printed } from './printed.ts';

/** Routes and clients that are told apart; a log of an attack can name any number. */
const MOST = 1000;
/** Clients that are shown per route and reason. */
const SHOWN = 10;

/** What a shadow would refuse, of one client for one reason. */
interface Refused {
  readonly client: string;
  readonly reason: string;
  count: number;
  first: string;
  last: string;
}

interface RouteTally {
  requests: number;
  refused: number;
  since: string;
  until: string;
  /** By client and reason. */
  readonly by: Map<string, Refused>;
}

interface Tally {
  lines: number;
  /** Lines that are not of the log, or cut. */
  broken: number;
  /** Refusals whose client is not told apart any more. */
  uncounted: number;
  readonly routes: Map<string, RouteTally>;
}

/** Reads logs, rotated and compressed ones too, line by line in bounded memory. @throws UsageError where a file cannot be read */
export async function shadowReport({ operands, options }: CommandLine): Promise<Printed> {
  const since = readSince(options.since);
  const tally: Tally = { lines: 0, broken: 0, uncounted: 0, routes: new Map() };
  for (const file of operands.length === 0 ? ['-'] : operands) await readLog(file, since, tally);
  const routes = [...tally.routes].map(([route, one]) => ({
    route,
    ...one,
    by: [...one.by.values()].toSorted(byCount),
  }));
  const { lines, broken, uncounted } = tally;
  const stdout = options.json
    ? `${JSON.stringify({ lines, broken, uncounted, routes }, undefined, 2)}\n`
    : print(routes, tally);
  return { exit: EXIT.ok, stdout, stderr: '' };
}

const byCount = (one: Refused, other: Refused) => other.count - one.count;

function readSince(text: string | undefined): number {
  const since = text === undefined ? Number.NEGATIVE_INFINITY : Date.parse(text);
  if (!Number.isNaN(since)) return since;
  throw new UsageError('--since must be a time such as 2026-11-21T12:00:00Z', { command: 'shadow-report' });
}

async function readLog(file: string, since: number, tally: Tally): Promise<void> {
  try {
    const bytes = file === '-' ? process.stdin : createReadStream(file);
    const text: Readable = file.endsWith('.gz') ? bytes.pipe(createGunzip()) : bytes;
    if (text !== bytes) bytes.on('error', (error: Error) => text.destroy(error));
    for await (const line of createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line !== '') countLine(line, since, tally);
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'damaged';
    throw new UsageError(`${file} cannot be read (${code})`, { command: 'shadow-report', cause: error });
  }
}

interface LogLine {
  readonly time?: unknown;
  readonly msg?: unknown;
  readonly route?: unknown;
  readonly outcome?: unknown;
  readonly reason?: unknown;
  readonly client?: unknown;
  readonly shadow?: { readonly reason?: unknown } | null;
}

function readLine(line: string): LogLine | undefined {
  // A container runtime writes a time and a stream before the line.
  const start = line.indexOf('{');
  try {
    const read: unknown = JSON.parse(start === -1 ? line : line.slice(start));
    return typeof read === 'object' && read !== null ? read : undefined;
  } catch {
    return undefined; // counted by the caller
  }
}

function countLine(line: string, since: number, tally: Tally): void {
  tally.lines += 1;
  const read = readLine(line);
  if (read === undefined) {
    tally.broken += 1;
    return;
  }
  const { time, msg, route, reason, shadow, client } = read;
  // What the route refused anyway, its shadow was not asked about.
  if (msg !== 'request' || typeof route !== 'string' || typeof time !== 'string' || reason !== undefined) return;
  if (!(Date.parse(time) >= since)) return;
  const of = tallyOf(tally, route, time);
  if (of === undefined) return;
  of.requests += 1;
  if (time < of.since) of.since = time;
  if (time > of.until) of.until = time;
  if (typeof shadow?.reason !== 'string') return;
  of.refused += 1;
  const who = typeof client === 'string' ? client : client === undefined ? 'not in the log' : JSON.stringify(client);
  countRefused(tally, of, { client: who.slice(0, 200), reason: shadow.reason, count: 1, first: time, last: time });
}

function tallyOf({ routes }: Tally, route: string, time: string): RouteTally | undefined {
  const before = routes.get(route);
  if (before !== undefined || routes.size >= MOST) return before;
  const fresh: RouteTally = { requests: 0, refused: 0, since: time, until: time, by: new Map() };
  routes.set(route, fresh);
  return fresh;
}

function countRefused(tally: Tally, { by }: RouteTally, one: Refused): void {
  const key = JSON.stringify([one.client, one.reason]);
  const before = by.get(key);
  if (before !== undefined) {
    before.count += 1;
    if (one.first < before.first) before.first = one.first;
    if (one.last > before.last) before.last = one.last;
  } else if (by.size < MOST) by.set(key, one);
  else tally.uncounted += 1;
}

type Told = Omit<RouteTally, 'by'> & { readonly route: string; readonly by: readonly Refused[] };

function print(routes: readonly Told[], { lines, broken, uncounted }: Tally): string {
  const blocks = routes.map(({ route, requests, refused, since, until, by }) => {
    const share = requests === 0 ? 0 : (100 * refused) / requests;
    if (refused === 0)
      return `route ${route}: no request would have been refused, in ${requests} from ${since} to ${until}\n`;
    const rows = by
      .slice(0, SHOWN)
      .map((one) => [`  ${one.client}`, one.reason, String(one.count), one.first, one.last]);
    const more = by.length > SHOWN ? `  and ${by.length - SHOWN} more clients and reasons\n` : '';
    const head = `route ${route}: ${refused} of ${requests} requests would have been refused (${share.toFixed(1)} %), from ${since} to ${until}\n`;
    return `${head}${textTable(['  client', 'reason', 'requests', 'first', 'last'], rows)}${more}`;
  });
  const clean = routes.filter(({ refused }) => refused === 0).map(({ route }) => route);
  const next =
    routes.length === 0
      ? 'No permitted request was found: was this the log of the gateway?\n'
      : clean.length === 0
        ? 'Next: move the clients above, or ask them to; docs/rejections.md says for each reason what they change.\n'
        : `Next: where these routes have a shadow, and ${clean.length === 1 ? 'its' : 'their'} clients all call in such a time, it can be enforced: ${clean.join(', ')}.\n`;
  const lost = uncounted === 0 ? '' : `${uncounted} refusals are of clients beyond the first ${MOST} of a route.\n`;
  const read = `${lines} lines read, ${broken} of them not of the log. With log.sample_successes below 1 some requests are missing.\n`;
  return harmlessLines([...blocks, `${next}${lost}${read}`].join('\n'));
}

function harmlessLines(text: string): string {
  return text.split('\n').map(harmless).join('\n');
}
