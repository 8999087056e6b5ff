// The CPU time of a request, step by step, next to another checkout and to Node alone.

import type { Contender, Plan, Setting } from './contenders.ts';
import { startGateway } from './gateway.ts';
import { measure, measureWith } from './loading.ts';
import { hasH2load, type ThreadUsage, threadUsage, usedBetween } from './machine.ts';
import { freePort } from '../test/support/programs.ts';
import { type Program, startNodePeer } from './peers.ts';
import { Profiler } from './profiling.ts';
import { sharesOf, type Step, STEPS } from './steps.ts';
import { warmUp } from './warming.ts';

/** Seconds of a profile, at most: it has two thousand samples of each. */
const PROFILED = 2;

/** CPU µs per request of one kind. */
export interface Budget {
  readonly kind: 'DPoP' | 'bearer' | 'public' | 'bearer over HTTP/2';
  readonly program: 'before' | 'Holdfast' | 'Node and undici alone';
  /** In the thread that serves: all of its time, in the shares of its profile. */
  readonly steps: Readonly<Partial<Record<Step, number>>>;
  /** Threads of V8: garbage, compilation. */
  readonly helpers: number;
  /** Every other thread, such as the one that supervises. */
  readonly others: number;
  /** All threads. */
  readonly user: number;
  readonly system: number;
  /** Seconds of load until it was warm. */
  readonly warm: number;
}

interface Profiled {
  readonly name: Budget['program'];
  readonly start: (inspect: number) => Promise<Program>;
  /** What serves each kind. */
  readonly kinds: readonly (readonly [kind: Budget['kind'], path: string, load: Contender['load']])[];
}

const OVER_HTTP2 = { version: 2, connections: 4, streams: 8 } as const;

function profiled({ folder, made, upstream, against }: Setting): readonly Profiled[] {
  const kinds: Profiled['kinds'] = [
    ['DPoP', '/dpop/x', 'dpop'],
    ['bearer', '/token/x', 'bearer'],
    ['public', '/public/x', 'plain'],
    ...(hasH2load() ? [['bearer over HTTP/2', '/token/x', OVER_HTTP2] as const] : []),
  ];
  const floor = (peer: string, ...kind: Profiled['kinds'][number]): Profiled => ({
    name: 'Node and undici alone',
    start: (inspect) => startNodePeer(peer, { folder, made, upstream }, '', inspect),
    kinds: [kind],
  });
  const before: Profiled[] =
    against === undefined
      ? []
      : [
          {
            name: 'before',
            start: (inspect) => startGateway(folder, upstream, made, { inspect, checkout: against }),
            kinds,
          },
        ];
  return [
    ...before,
    { name: 'Holdfast', start: (inspect) => startGateway(folder, upstream, made, { inspect }), kinds },
    floor('floor-verify', 'DPoP', '/x', 'dpop'),
    floor('floor', 'public', '/x', 'plain'),
    ...(hasH2load() ? [floor('floor-h2', 'bearer over HTTP/2', '/x', OVER_HTTP2)] : []),
  ];
}

/** Two runs of each kind: one by the clocks of the threads, one for the profile. */
export async function measureBudgets(setting: Setting, plan: Plan): Promise<Budget[]> {
  const budgets: Budget[] = [];
  for (const { name, start, kinds } of profiled(setting)) {
    const inspect = await freePort();
    const program = await start(inspect);
    try {
      for (const [kind, path, load] of kinds) {
        const host = `localhost:${program.port}`;
        const contender = { id: kind, title: `${name}, ${kind}`, program, url: `https://${host}${path}`, host, load };
        const warm = await warmUp(contender, setting, plan);
        const { seconds } = plan;
        budgets.push({ kind, program: name, warm, ...(await measureBudget(contender, setting, { seconds, inspect })) });
        console.error(`budget  ${contender.title}, warm after ${warm} s`);
      }
    } finally {
      await program.stop();
    }
  }
  return budgets;
}

async function measureBudget(
  contender: Contender,
  setting: Setting,
  { seconds, inspect }: { readonly seconds: number; readonly inspect: number },
): Promise<Omit<Budget, 'kind' | 'program' | 'warm'>> {
  const { pid } = contender.program;
  // Twice: a profile has threads of its own, and costs the one that it looks at.
  const ran = await measureWith(contender, setting, seconds, () => threadUsage(pid));
  const { between: requests } = ran;
  const used = usedBetween(ran.from, ran.to);
  const profiler = await Profiler.attach(inspect);
  await profiler.start();
  await measure(contender, setting, Math.min(seconds, PROFILED));
  const profile = await profiler.stop();
  profiler.close();
  const cpu = ({ user, system }: ThreadUsage) => (user + system) / requests;
  const sum = (threads: readonly ThreadUsage[]) => threads.reduce((all, one) => all + cpu(one), 0);
  const [serving, ...rest] = used.toSorted((a, b) => cpu(b) - cpu(a));
  const shares = sharesOf(profile);
  const steps = STEPS.flatMap((step) => {
    const share = shares.get(step);
    return share === undefined ? [] : [[step, share * cpu(serving!)] as const];
  });
  const isHelper = ({ name }: ThreadUsage) => /V8|DelayedTask/.test(name);
  return {
    steps: Object.fromEntries(steps),
    helpers: sum(rest.filter(isHelper)),
    others: sum(rest.filter((one) => !isHelper(one))),
    user: used.reduce((all, one) => all + one.user, 0) / requests,
    system: used.reduce((all, one) => all + one.system, 0) / requests,
  };
}
