// The goals of performance, each with its figure and that of Node alone.

import type { Cores, Run } from './cores.ts';
import type { Curve } from './growth-sockets.ts';
import type { Results } from './results.ts';
import type { Budgeted, Cost, Miss } from './misses.ts';
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
  readonly floor?: 'floor' | 'floor-verify' | `floor-h2-${number}`;
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
  ratio('HTTP/2, 1 stream on a connection ÷ HTTP/1.1', 'h2-1', 'h1', 1, 'floor-h2-1'),
  ratio('HTTP/2, 8 streams ÷ HTTP/1.1', 'h2-8', 'h1', 1, 'floor-h2-8'),
  ratio('HTTP/2, 32 streams ÷ HTTP/1.1', 'h2-32', 'h1', 1, 'floor-h2-32'),
  ratio('DPoP ÷ DPoP of the other checkout', 'dpop', 'before-dpop', 1.1),
  ratio('bearer ÷ bearer of the other checkout', 'token', 'before-token', 1.1),
  ratio('public ÷ public of the other checkout', 'public', 'before-public', 1.1),
];

/** A row of the table of goals. */
interface Goal {
  readonly what: string;
  readonly found: Spread;
  readonly digits: number;
  readonly goal: string;
  readonly met: boolean;
  /** The same of Node alone. */
  readonly floor?: number | undefined;
  /** What explains it where it is missed. */
  readonly cost?: Cost;
  readonly because?: string;
}

const goalOf = (what: string, found: Spread, more: Omit<Goal, 'what' | 'found'>): Goal => ({ ...more, what, found });
const atMost = (
  what: string,
  found: Spread,
  limit: number,
  more: Pick<Partial<Goal>, 'floor' | 'cost' | 'because'> = {},
) => goalOf(what, found, { ...more, digits: 2, goal: `≤ ${limit.toFixed(2)}`, met: found.median <= limit });

const KINDS_OF_PARTS: Readonly<Record<string, Budgeted>> = {
  public: ['public', 'Holdfast'],
  token: ['bearer', 'Holdfast'],
  dpop: ['DPoP', 'Holdfast'],
  'h2-1': ['bearer over HTTP/2', 'Holdfast'],
  'h2-8': ['bearer over HTTP/2', 'Holdfast'],
  'h2-32': ['bearer over HTTP/2', 'Holdfast'],
  h1: ['bearer', 'Holdfast'],
  floor: ['public', 'Node and undici alone'],
  'floor-verify': ['DPoP', 'Node and undici alone'],
  'floor-h2-1': ['bearer over HTTP/2', 'Node and undici alone'],
  'floor-h2-8': ['bearer over HTTP/2', 'Node and undici alone'],
  'floor-h2-32': ['bearer over HTTP/2', 'Node and undici alone'],
  'before-public': ['public', 'before'],
  'before-token': ['bearer', 'before'],
  'before-dpop': ['DPoP', 'before'],
};

/** What two contenders are in the budgets. */
function budgetsOf(part: string, other: string): Cost['budgets'] {
  const [ours, theirs] = [KINDS_OF_PARTS[part], KINDS_OF_PARTS[other]];
  return ours && theirs && [ours, theirs];
}

function ratioGoals(rounds: readonly Round[]): Goal[] {
  const has = (id: string) => rounds[0]?.[id] !== undefined;
  const sum = (one: Round, ids: readonly string[]) => ids.reduce((all, id) => all + one[id]!, 0);
  const quotients = (part: string, whole: readonly string[]) =>
    spread(rounds.map((one) => one[part]! / sum(one, whole)));
  const goals = RATIOS.filter(({ part, whole }) => [part, ...whole].every(has)).map(
    ({ what, part, whole, atMost: limit, floor }) => {
      const found = quotients(part, whole);
      const alone = floor !== undefined && has(floor) ? quotients(floor, whole).median : undefined;
      // By the ratios, so that what is said of µs is what they say.
      const unit = spread(rounds.map((one) => sum(one, whole))).median;
      const cost: Cost = {
        ours: found.median * unit,
        allowed: limit * unit,
        floor: alone === undefined ? undefined : alone * unit,
        budgets: budgetsOf(part, floor ?? whole[0]!),
      };
      return atMost(what, found, limit, { floor: alone, cost });
    },
  );
  const added = (more: string, less: string) => spread(rounds.map((one) => (one[more]! - one[less]!) / one['verify']!));
  const [ours, least] = [added('dpop', 'token'), added('floor-verify', 'floor')];
  const unit = spread(rounds.map((one) => one['verify']!)).median;
  const adding = atMost('what DPoP adds to the bearer route ÷ one ES256 verification', ours, 1.25, {
    floor: least.median,
    cost: {
      ours: ours.median * unit,
      allowed: 1.25 * unit,
      floor: least.median * unit,
      budgets: budgetsOf('dpop', 'token'),
    },
  });
  return [...goals.slice(0, 3), adding, ...goals.slice(3)];
}

/** Measured once, at the end. */
function latencyGoals({ latencies }: Rounds): Goal[] {
  const pairs = [
    ['public', 'envoy', 'floor', 'Envoy, no filter'],
    ['token', 'envoy-jwt', 'floor', 'Envoy, jwt_authn'],
  ] as const;
  return pairs.flatMap(([ours, theirs, floor, name]) => {
    const [mine, other, alone] = [latencies[ours]?.p99, latencies[theirs]?.p99, latencies[floor]?.p99];
    if (mine === undefined || other === undefined) return [];
    const what = `p99 at 70 % load, ${ours === 'token' ? 'bearer' : ours} ÷ ${name}`;
    const node = alone === undefined ? '' : `; Node alone ${alone.toFixed(1)} ms, at 70 % of what it can answer`;
    const because = `${mine.toFixed(1)} ms, where ${name} has ${other.toFixed(1)} ms${node}. Measured once, each at its own rate.`;
    return [atMost(what, spread([mine / other]), 2, { floor: alone === undefined ? alone : alone / other, because })];
  });
}

function startGoals({ starts, memory }: Rounds, cores: Cores | undefined): Goal[] {
  const ready = spread(starts.map((one) => one * 1000));
  const rest = (what: string, mib: number, limit: number) =>
    goalOf(what, spread([mib]), {
      digits: 0,
      goal: `< ${limit}`,
      met: mib < limit,
      because: `${mib.toFixed(1)} MiB, ${(mib - limit).toFixed(1)} too many.`,
    });
  const more = Object.entries(cores?.memory ?? {}).filter(([workers]) => workers !== '1');
  const first = cores?.memory['1'] ?? memory.rest;
  return [
    goalOf('start to first answered request, ms', ready, {
      digits: 0,
      goal: '< 450',
      met: ready.median < 450,
      because: `${starts.length} starts, of ${ready.least.toFixed(0)} to ${ready.most.toFixed(0)} ms.`,
    }),
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

function coreGoals(cores: Cores): Goal[] {
  const TWO = 'two gateways with one worker each';
  const cpuOf = (part: string, whole: string) => quotientsOf(cores, 'dpop', part, whole, 'cpu');
  const rateOf = (work: keyof Cores['threads']) => {
    const { 1: one, 2: both } = cores.threads[work];
    return spread(both.rate.map((rate, round) => rate / one.rate[round]!));
  };
  const [decisions, verifications] = [rateOf('decisions'), rateOf('verifications').median];
  const cpu = spread(cores.threads.decisions[2].cpu.map((one, round) => one / cores.threads.decisions[1].cpu[round]!));
  const machine = cpuOf(TWO, 'one worker').median;
  const shared = `Two gateways that share nothing take ${machine.toFixed(2)} times what one takes: that is the machine's and the load's.`;
  const alone = `Threads that only verify signatures, and share nothing, reach ${verifications.toFixed(2)}.`;
  return [
    atMost('CPU per DPoP request, 2 workers ÷ 1 worker, at full load', cpuOf('two workers', 'one worker'), 1.1, {
      because: shared,
    }),
    atMost('the same ÷ two gateways with one worker each, which share nothing', cpuOf('two workers', TWO), 1.1, {
      because: `It is what sharing costs. ${shared}`,
    }),
    goalOf('DPoP decisions per second without sockets, 2 threads ÷ 1', decisions, {
      digits: 2,
      goal: '≥ 1.80',
      met: decisions.median >= 1.8,
      floor: verifications,
      because: alone,
    }),
    atMost('CPU per DPoP decision without sockets, 2 threads ÷ 1', cpu, 1.1, { because: alone }),
  ];
}

function growthGoals(curves: readonly Curve[]): Goal[] {
  const points = (what: string) => curves.find((one) => one.what === what)?.points ?? [];
  const costs = (what: string) => points(what).map(([, cost]) => cost);
  const told = (what: string, unit: string) =>
    `${points(what)
      .map(([size, cost]) => `${cost.toFixed(1)} ${unit} at ${size.toLocaleString('en')}`)
      .join(', ')}.`;
  const [REMEMBERING, TOUCHING] = ['Remembering a proof', 'The same reads and writes of memory alone'];
  const IDLE = 'Memory of an idle connection';
  const remembering = costs(REMEMBERING);
  const idle = spread(costs(IDLE));
  const bytes = spread(costs('Memory of a proof').slice(-1));
  if (remembering.length === 0) return [];
  const most = points(REMEMBERING).at(-1)?.[0].toLocaleString('en');
  const growth = spread([Math.max(...remembering) / remembering[0]!]);
  return [
    goalOf('replay store, bytes for each live entry that there is room for', bytes, {
      digits: 1,
      goal: '≤ 24',
      met: bytes.median <= 24.05,
      because: told('Memory of a proof', 'bytes'),
    }),
    atMost(`remembering a proof, dearest ÷ with 1,000 live ones (up to ${most})`, growth, 1.1, {
      because: `${told(REMEMBERING, 'µs')} The machine's memory alone takes ${told(TOUCHING, 'µs')} The table for 1,000 has smaller buckets, and so fewer tags to read.`,
    }),
    ...(costs(IDLE).length > 0
      ? [
          goalOf('idle TLS connection after one request, KiB', idle, {
            digits: 0,
            goal: '≤ 25',
            met: idle.median <= 25,
            because: told(IDLE, 'KiB'),
          }),
        ]
      : []),
  ];
}

function refusalGoals({ refusing, flood }: Results): Goal[] {
  const goals: Goal[] = [];
  const [dearest] = refusing?.refused.filter(({ closes }) => !closes).toSorted((a, b) => b.cpu - a.cpu) ?? [];
  if (refusing && dearest) {
    const permitted = refusing.permitted['DPoP'] ?? Number.NaN;
    const above = refusing.refused.filter(({ cpu, closes }) => !closes && cpu > permitted);
    const told = above.toSorted((a, b) => b.cpu - a.cpu).slice(0, 5);
    goals.push(
      atMost(
        `dearest refusal (\`${dearest.reason}\`) ÷ a permitted DPoP request`,
        spread([dearest.cpu / permitted]),
        1,
        {
          because: `A permitted one takes ${permitted.toFixed(0)} µs, and ${above.length} of ${refusing.refused.length} refusals take more: ${told.map(({ reason, cpu }) => `\`${reason}\` ${cpu.toFixed(0)}`).join(', ')}${above.length > told.length ? ' and less' : ''}.`,
        },
      ),
    );
  }
  const [, good, ...bad] = flood?.kinds ?? [];
  const worst = bad.toSorted((a, b) => spread(b.p99).median - spread(a.p99).median)[0];
  if (good && worst) {
    const busy = ({ busy: parts }: typeof worst) => `${(spread(parts).median * 100).toFixed(0)} %`;
    goals.push(
      atMost(
        'p99 of good requests under a flood of bad ones ÷ under as many good ones, worst kind',
        spread([spread(worst.p99).median / spread(good.p99).median]),
        1,
        {
          because: `It is \`${worst.kind}\`: the gateway is busy for ${busy(worst)} of a core, with as many good requests for ${busy(good)}; p99 of the rounds ${worst.p99.map((one) => one.toFixed(1)).join(', ')} ms and ${good.p99.map((one) => one.toFixed(1)).join(', ')} ms.`,
        },
      ),
    );
  }
  return goals;
}

function goalsOf(results: Results): Goal[] {
  const { rounds, cores, growth } = results;
  return [
    ...(rounds ? [...ratioGoals(rounds.rounds), ...latencyGoals(rounds), ...startGoals(rounds, cores)] : []),
    ...(cores ? coreGoals(cores) : []),
    ...(growth ? growthGoals(growth.curves) : []),
    ...refusalGoals(results),
  ];
}

/** All goals of which something was measured, as rows of a table. */
export const goalRows = (results: Results): string[] =>
  goalsOf(results).map(
    ({ what, found, digits, goal, met, floor }) =>
      `| ${what} | ${inCells(found, digits)} | ${goal} | ${met ? 'met' : '**missed**'} | ${floor?.toFixed(2) ?? ''} |`,
  );

/** Those of them that are not met. */
export const missedGoals = (results: Results): readonly Miss[] => goalsOf(results).filter(({ met }) => !met);
