// Planned routes as routes of a configuration.

import type { Memory } from './memory.ts';
import { fixedAnswer, type Keys } from './rule-keys.ts';
import type { PlannedRoute } from './route-plan.ts';
import { joinDemands, type WrittenDemand } from './stricter.ts';

const WITHHELD = 'This route is not served. Its status in the cluster says why.\n';

/** A planned route as the configuration writes it. */
export function writtenOnce(planned: PlannedRoute, memory: Memory): Keys {
  return memory.keep(planned, 'written', [], () => writeRoute(planned));
}

function writeRoute({ name, match, ports, effective, keys }: PlannedRoute): Keys {
  const listeners = ports.map((port) => `p${port}`);
  if (effective.demand === undefined) return withheldRoute({ name, match: { listeners, ...match } });
  const { cors: _, ...rest } = keys;
  return { name, match: { listeners, ...match }, ...rest, ...boundedCors(effective.demand, keys) };
}

/** The origins of a filter are bounded by those of the policies, where these name some. */
function boundedCors(demand: WrittenDemand, { cors }: Keys): WrittenDemand {
  const joined = joinDemands(demand, cors === undefined ? {} : { cors });
  return 'demand' in joined ? joined.demand : demand;
}

/** In the place of a route that is not served. */
export function withheldRoute({ name, match }: { readonly name: unknown; readonly match: unknown }): Keys {
  return { name, match, require: 'public', weaker_than_defaults: ['require'], ...fixedAnswer(503, WITHHELD) };
}

export function escapedOnce(data: Keys, memory: Memory): object {
  return memory.keep(data, 'escaped', [], () => escaped(data) as object);
}

/** Texts in which a `${` stands for itself, as configuration files write it. */
export function escaped(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('${', () => '$${');
  if (Array.isArray(value)) return value.map(escaped);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, escaped(inner)]));
}
