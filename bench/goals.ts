// The goals of performance, each with its figure and that of Node alone.

import type { Budget } from './budget.ts';
import type { Cores, Run } from './cores.ts';
import type { Curve } from './growth-sockets.ts';
import type { Results } from './results.ts';
import { inCells, type Spread, spread } from './spread.ts';
import type { Round, Rounds } from './rounds.ts';

/** A ratio of figures of one round. */
interface Ratio {
  readonly what: string;
  readonly part: string;
  /** Added up. */
  readonly whole: readonly string[];
  readonly atMost: number;
  /** The contender that does as much with Node alone: what cannot be had on this runtime. */
  readonly floor?: 'floor' | 'floor-verify';
}

const ratio = (what: string, part: string, whole: string, atMost: number, floor?: Ratio['floor']): Ratio => ({
  what,
  part,
  whole: whole.split(' + '),
  atMost,
  ...(floor && { floor }),
});

const RATIOS: readonly Ratio[] = [
  ratio(
    'DPoP, everything checked and remembered ÷ (nginx + one ES256 verification)',
    'dpop',
    'nginx + verify',
    1.77,
    'floor-verify',
  ),
  ratio('DPoP ÷ (Node and undici alone, with one ES256 verification)', 'dpop', 'floor-verify', 1.15),
  ratio('public ÷ Node and undici alone', 'public', 'floor', 1.15),
  ratio('bearer ÷ public', 'token', 'public', 1.05),
  ratio('bearer ÷ Envoy, jwt_authn with its cache', 'token', 'envoy-cached', 1.2, 'floor'),
  ratio('bearer ÷ Envoy, jwt_authn', 'token', 'envoy-jwt', 1, 'floor'),
  ratio('public ÷ Envoy, no filter', 'public', 'envoy', 1.2, 'floor'),
  ratio('public ÷ nginx', 'public', 'nginx', 2.5, 'floor'),
  ratio('public ÷ http-proxy-3', 'public', 'http-proxy-3', 0.5, 'floor'),
  ratio('certificate-bound ÷ public, both through the relay', 'mtls', 'relayed', 1.1),
  ratio('DPoP ÷ Apache with mod_oauth2', 'dpop', 'apache', 1 / 3, 'floor-verify'),
  ratio('DPoP ÷ oauth4webapi and http-proxy-3', 'dpop', 'oauth4webapi', 0.2, 'floor-verify'),
  ratio('DPoP ÷ express-oauth2-jwt-bearer and http-proxy-middleware', 'dpop', 'express', 0.2, 'floor-verify'),
  ratio('HTTP/2, 1 stream on a connection ÷ HTTP/1.1', 'h2-1', 'h1', 1),
  ratio('HTTP/2, 8 streams ÷ HTTP/1.1', 'h2-8', 'h1', 1),
  ratio('HTTP/2, 32 streams ÷ HTTP/1.1', 'h2-32', 'h1', 1),
  ratio('DPoP ÷ DPoP of the other checkout', 'dpop', 'before-dpop', 1.1),
  ratio('bearer ÷ bearer of the other checkout', 'token', 'before-token', 1.1),
  ratio('public ÷ public of the other checkout', 'public', 'before-public', 1.1),
];

/** A row of the table of goals: its cells. */
type Row = string;

const verdict = (met: boolean) => (met ? 'met' : '**missed**');
const row = (what: string, found: Spread, digits: number, goal: string, met: boolean, floor = ''): Row =>
  `| ${what} | ${inCells(found, digits)} | ${goal} | ${verdict(met)} | ${floor} |`;
const atMost = (what: string, found: Spread, limit: number, floor?: string): Row =>
  row(what, found, 2, `≤ ${limit.toFixed(2)}`, found.median <= limit, floor);

function ratioRows(rounds: readonly Round[]): Row[] {
  const has = (id: string) => rounds[0]?.[id] !== undefined;
  const quotients = (part: string, whole: readonly string[]) =>
    spread(rounds.map((one) => one[part]! / whole.reduce((all, id) => all + one[id]!, 0)));
  const rows = RATIOS.filter(({ part, whole }) => [part, ...whole].every(has)).map(
    ({ what, part, whole, atMost: limit, floor }) => {
      const alone = floor !== undefined && has(floor) ? quotients(floor, whole).median.toFixed(2) : '';
      return atMost(what, quotients(part, whole), limit, alone);
    },
  );
  const added = spread(rounds.map((one) => (one['dpop']! - one['token']!) / one['verify']!));
  const least = spread(rounds.map((one) => (one['floor-verify']! - one['floor']!) / one['verify']!));
  const what = 'what DPoP adds to the bearer route ÷ one ES256 verification';
  return [...rows.slice(0, 3), atMost(what, added, 1.25, least.median.toFixed(2)), ...rows.slice(3)];
}

/** Measured once, at the end. */
function latencyRows({ latencies }: Rounds): Row[] {
  const pairs = [
    ['public', 'envoy', 'floor', 'Envoy, no filter'],
    ['token', 'envoy-jwt', 'floor', 'Envoy, jwt_authn'],
  ] as const;
  return pairs.flatMap(([ours, theirs, floor, name]) => {
    const [mine, other, alone] = [latencies[ours]?.p99, latencies[theirs]?.p99, latencies[floor]?.p99];
    if (mine === undefined || other === undefined) return [];
    const what = `p99 at 70 % load, ${ours === 'token' ? 'bearer' : ours} ÷ ${name}`;
    return [atMost(what, spread([mine / other]), 2, alone === undefined ? '' : (alone / other).toFixed(2))];
  });
}

function startRows({ starts, memory }: Rounds, cores: Cores | undefined): Row[] {
  const ready = spread(starts.map((one) => one * 1000));
  const rest = (what: string, mib: number, limit: number) => row(what, spread([mib]), 0, `< ${limit}`, mib < limit);
  const more = Object.entries(cores?.memory ?? {}).filter(([workers]) => workers !== '1');
  const first = cores?.memory['1'] ?? memory.rest;
  return [
    row('start to first answered request, ms', ready, 0, '< 450', ready.median < 450),
    rest('resident memory at rest, one worker, MiB', first, 95),
    ...more.map(([workers, mib]) =>
      rest(`the same for each further one of ${workers} workers, MiB`, (mib - first) / (Number(workers) - 1), 25),
    ),
  ];
}

/** The runs of one setup with several workers, of those of the first in the same round. */
export function quotientsOf(
  cores: Cores,
  load: 'dpop' | 'plain',
  part: string,
  whole: string,
  pick: keyof Run,
): Spread {
  const runs = (name: string) => cores.setups.find((one) => one.load === load && one.name === name)?.runs ?? [];
  return spread(runs(part).map((run, round) => run[pick] / runs(whole)[round]![pick]));
}

function coreRows(cores: Cores): Row[] {
  const two = (whole: string) => quotientsOf(cores, 'dpop', 'two workers', whole, 'cpu');
  const of = (work: keyof Cores['threads']) => {
    const { 1: one, 2: both } = cores.threads[work];
    return spread(both.rate.map((rate, round) => rate / one.rate[round]!));
  };
  const decisions = of('decisions');
  const cpu = spread(cores.threads.decisions[2].cpu.map((one, round) => one / cores.threads.decisions[1].cpu[round]!));
  return [
    atMost('CPU per DPoP request, 2 workers ÷ 1 worker, at full load', two('one worker'), 1.1),
    atMost(
      'the same ÷ two gateways with one worker each, which share nothing',
      two('two gateways with one worker each'),
      1.1,
    ),
    row(
      'DPoP decisions per second without sockets, 2 threads ÷ 1',
      decisions,
      2,
      '≥ 1.80',
      decisions.median >= 1.8,
      of('verifications').median.toFixed(2),
    ),
    atMost('CPU per DPoP decision without sockets, 2 threads ÷ 1', cpu, 1.1),
  ];
}

function growthRows(curves: readonly Curve[]): Row[] {
  const points = (what: string) => curves.find((one) => one.what === what)?.points ?? [];
  const costs = (what: string) => points(what).map(([, cost]) => cost);
  const remembering = costs('Remembering a proof');
  const idle = costs('Memory of an idle connection');
  const bytes = spread(costs('Memory of a proof').slice(-1));
  const growth = spread([Math.max(...remembering) / remembering[0]!]);
  if (remembering.length === 0) return [];
  return [
    row('replay store, bytes for each live entry that there is room for', bytes, 1, '≤ 24', bytes.median <= 24.05),
    atMost(
      `remembering a proof, dearest ÷ with 1,000 live ones (up to ${points('Remembering a proof').at(-1)?.[0].toLocaleString('en')})`,
      growth,
      1.1,
    ),
    ...(idle.length > 0
      ? [row('idle TLS connection after one request, KiB', spread(idle), 0, '≤ 25', spread(idle).median <= 25)]
      : []),
  ];
}

function refusalRows({ refusing, flood }: Results): Row[] {
  const rows: Row[] = [];
  if (refusing !== undefined) {
    const kept = refusing.refused.filter(({ closes }) => !closes).toSorted((a, b) => b.cpu - a.cpu);
    const [dearest] = kept;
    const permitted = refusing.permitted['DPoP'] ?? Number.NaN;
    if (dearest)
      rows.push(
        atMost(
          `dearest refusal (\`${dearest.reason}\`) ÷ a permitted DPoP request`,
          spread([dearest.cpu / permitted]),
          1,
        ),
      );
  }
  if (flood !== undefined) {
    const [, good, ...bad] = flood.kinds;
    const raised = bad.map(({ p99 }) => spread(p99).median / spread(good?.p99 ?? []).median);
    if (raised.length > 0)
      rows.push(
        atMost(
          'p99 of good requests under a flood of bad ones ÷ under as many good ones, worst kind',
          spread([Math.max(...raised)]),
          1,
        ),
      );
  }
  return rows;
}

/** All goals of which something was measured, as rows of a table. */
export function goalRows(results: Results): string[] {
  const { rounds, cores, growth } = results;
  return [
    ...(rounds ? [...ratioRows(rounds.rounds), ...latencyRows(rounds), ...startRows(rounds, cores)] : []),
    ...(cores ? coreRows(cores) : []),
    ...(growth ? growthRows(growth.curves) : []),
    ...refusalRows(results),
  ];
}

/** CPU µs of a budget, all threads. */
export const totalOf = ({ steps, helpers, others }: Budget) =>
  Object.values(steps).reduce((all, one) => all + one, 0) + helpers + others;
