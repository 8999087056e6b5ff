// Growth: a decision, a memory and a whole request as things become many.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Route } from '../src/policy/policy.ts';
import { chooseRoute, compileRouteTable, groupOf } from '../src/policy/route-table.ts';
import type { RateLimit } from '../src/rate/limit.ts';
import { createRateMemory, SharedRateLimiter } from '../src/rate/limiter.ts';
import { CACHED_TOKENS } from '../src/worker/data-plane.ts';
import { makeFacts } from '../test/support/facts.ts';
import type { Plan, Setting } from './contenders.ts';
import { Decider, leastCpu, type Sender } from './deciding.ts';
import { type Curve, socketCurves } from './growth-sockets.ts';
import { measureAt } from './replay.ts';

const ROUNDS = 7;
const MIB = 2 ** 20;

export interface Growth {
  readonly curves: readonly Curve[];
}

const bearer = ({ bearer: token }: Pick<Sender, 'bearer'>) => ({ authorization: [`Bearer ${token}`] });

async function byRoutes(count: number): Promise<number> {
  const route = (at: number) =>
    ({
      name: `r${at}`,
      match: { listeners: undefined, host: undefined, methods: undefined, path: `/a${at % 100}/b${at}/*` },
    }) as Route;
  const compiled = compileRouteTable(
    Array.from({ length: count }, (_, at) => route(at)),
    [{ name: 'public' }],
  );
  if (!('table' in compiled)) throw new Error('ambiguous');
  const asked = Array.from({ length: 1000 }, (_, at) => {
    const nth = Math.floor((at / 1000) * count);
    const path = `/a${nth % 100}/b${nth}/x`;
    return makeFacts({ path, matchPath: path });
  });
  return await leastCpu(ROUNDS, () => (at) => {
    const facts = asked[at % 1000]!;
    return chooseRoute(compiled.table, facts, groupOf(compiled.table, facts));
  });
}

async function byClients(count: number): Promise<number> {
  const decider = await Decider.make();
  const senders = Array.from({ length: count }, () => decider.sender());
  for (const one of senders) await decider.decide('token', bearer(one));
  let at = 0;
  return await leastCpu(ROUNDS, () => () => decider.decide('token', bearer(senders[at++ % count]!)));
}

async function byTokenSize(bytes: number): Promise<number> {
  const decider = await Decider.make();
  const one = decider.sender({ groups: 'g'.repeat(Math.max(1, Math.ceil(bytes * 0.75) - 300)) });
  return await leastCpu(ROUNDS, () => () => decider.decide('token', bearer(one)));
}

async function byIssuers(issuers: number): Promise<number> {
  const decider = await Decider.make({ issuers });
  const one = decider.sender();
  return await leastCpu(ROUNDS, () => () => decider.decide('token', bearer(one)));
}

const LIMIT: RateLimit = {
  name: 'secondly',
  key: 'client',
  interval: 0.01,
  burst: 200,
  quota: 100,
  window: 1,
  shared: false,
  text: '100/s',
};

/** Counts the requests of so many senders by one limit. */
async function bySenders(count: number): Promise<number> {
  const limiter = new SharedRateLimiter(createRateMemory(1_800_000_000));
  let at = 0;
  const take = () => limiter.take(LIMIT, `client-${at++ % count}`, 1_800_000_001);
  for (let nth = 0; nth < count; nth++) take();
  return await leastCpu(ROUNDS, () => take);
}

/** MiB that what is remembered of distinct clients takes in one worker: tokens that were verified once, and keys of proofs. */
async function memoryOfClients(counts: readonly number[]): Promise<[number, number][]> {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const decider = await Decider.make();
  gc();
  const before = process.memoryUsage().heapUsed;
  const points: [number, number][] = [];
  let made = 0;
  for (const count of counts) {
    for (; made < count; made++) await decider.decide('token', { authorization: [`Bearer ${decider.token()}`] });
    gc();
    points.push([count, (process.memoryUsage().heapUsed - before) / MIB]);
  }
  return points;
}

async function curve(
  what: string,
  unit: string,
  sizes: readonly number[],
  measure: (size: number) => Promise<number>,
): Promise<Curve> {
  const points: [number, number][] = [];
  for (const size of sizes) points.push([size, await measure(size)]);
  if (points.some(([, cost]) => !(cost > 0)))
    throw new Error(`${what}, by ${unit}: nothing is free: ${points.join('; ')}`);
  console.error(`growth  ${what}, by ${unit}: ${points.join('; ')}`);
  return { what, unit, points };
}

/** Remembering, and what an entry takes. */
function byLiveProofs(most: number): Curve[] {
  measureAt(1000); // warms up
  const sizes = [1000, 10_000, 100_000, 1_000_000, 10_000_000].filter((live) => live <= most).map(measureAt);
  return [
    {
      what: 'Remembering a proof',
      unit: 'live proofs',
      points: sizes.map(({ live, ofStore }) => [live, ofStore / 1000] as const),
    },
    {
      what: 'The same reads and writes of memory alone',
      unit: 'live proofs',
      points: sizes.map(({ live, ofMemory }) => [live, ofMemory / 1000] as const),
      note: 'as many words, at random places of as much memory, and nothing else',
    },
    {
      what: 'Memory of a proof',
      unit: 'live proofs that there is room for',
      of: 'bytes',
      points: sizes.map(({ live, bytes }) => [live, bytes] as const),
    },
  ];
}

/** Curves of this process by the clock of its thread, and those of a gateway. */
export async function measureGrowth(setting: Setting, plan: Plan): Promise<Growth> {
  if (setting.smoke)
    return { curves: [await curve('Choice of a route', 'routes', [10], byRoutes), ...byLiveProofs(1000)] };
  const curves = [
    await curve('Choice of a route', 'routes', [10, 100, 1000, 10_000], byRoutes),
    ...byLiveProofs(10_000_000),
    {
      ...(await curve('Bearer decision', 'distinct clients', [50, 1000, 5000, 2 * CACHED_TOKENS], byClients)),
      note: `Clients that come in turn, more than the ${CACHED_TOKENS.toLocaleString('en')} tokens that a worker remembers: each is forgotten before it comes again, and verified again.`,
    },
    await curve('Bearer decision', 'bytes of token', [600, 2000, 8000, 16_000], byTokenSize),
    await curve('Bearer decision', 'issuers of the route', [1, 10, 100], byIssuers),
    await curve('Counting a request by a rate limit', 'distinct clients', [1000, 100_000, 1_000_000], bySenders),
    {
      what: 'Memory of verified tokens',
      unit: 'distinct clients',
      of: 'MiB',
      points: await memoryOfClients([1000, 10_000, 30_000]),
    } as const,
    ...(await socketCurves(setting, plan)),
  ];
  return { curves };
}
