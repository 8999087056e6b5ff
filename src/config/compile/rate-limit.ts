// Compilation of rate limits, and whether their routes know whom they count.

import type { Requirement } from '../../binding/binding.ts';
import type { RateLimit } from '../../rate/limit.ts';
import { type Compilation, expectedName } from './compilation.ts';
import type { ConfigPath } from '../problem.ts';
import type { Route } from '../../policy/policy.ts';

const SECONDS = { s: 1, m: 60, h: 3600 } as const;

/** The limits of a configuration by name. Problems: one that replicas share without a store that they share. */
export function compileRateLimits(compilation: Compilation): ReadonlyMap<string, RateLimit> {
  const { config } = compilation.read;
  return new Map(
    Object.entries(config.rate_limits ?? {}).map(([name, { key, rate, burst, shared }]) => {
      if (shared && config.replay.store !== 'redis') {
        const message =
          'is true although replay.store is memory, expected store: redis with replay.redis, in which replicas count together';
        compilation.problem(['rate_limits', name, 'shared'], message);
      }
      const [, count, unit] = /^([0-9]+)\/([smh])$/.exec(rate) ?? [];
      const interval = SECONDS[unit as keyof typeof SECONDS] / Number(count);
      const window = Math.ceil(rounded(interval * burst));
      const quota = Math.floor(rounded(window / interval));
      const text = `${rate}, ${burst} at once, by ${key}${shared ? ', over all replicas' : ''}`;
      return [name, { name, key, interval, burst, quota, window, shared, text }];
    }),
  );
}

/** Without the errors of fractions such as 60/7, which would turn a whole number into the next one. */
function rounded(value: number): number {
  return Number(value.toPrecision(12));
}

/**
 * The limit that a route names. Problems: no limit of that name, and one that counts what the route does not know of every
 * sender: on public routes all but addresses, and thumbprints where unbound tokens pass.
 */
export function compileRouteLimit(
  compilation: Compilation,
  at: ConfigPath,
  { name, requirement }: { readonly name: string | undefined; readonly requirement: Requirement },
  limits: ReadonlyMap<string, RateLimit>,
): RateLimit | undefined {
  if (name === undefined) return undefined;
  const limit = limits.get(name);
  if (limit === undefined) {
    compilation.problem(at, `is not a declared rate limit, ${expectedName(name, [...limits.keys()])}`);
  } else if (requirement === 'public' && limit.key !== 'address') {
    compilation.problem(
      at,
      `counts by ${limit.key}, and clients of a public route do not say who they are, expected a limit by address`,
    );
  } else if (requirement === 'token' && limit.key === 'thumbprint') {
    compilation.problem(
      at,
      'counts by thumbprint, and require: token lets tokens pass that are bound to none, expected another key, or a route that demands a binding',
    );
  }
  return limit;
}

/** Warns of limits that no route names. */
export function warnOfUnusedLimits(
  compilation: Compilation,
  limits: ReadonlyMap<string, RateLimit>,
  routes: readonly Route[],
): void {
  for (const [name, limit] of limits) {
    if (!routes.some(({ rateLimit }) => rateLimit === limit)) {
      compilation.warning(['rate_limits', name], 'is used by no route');
    }
  }
}
