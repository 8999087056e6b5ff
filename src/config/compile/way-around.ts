// Warnings of weak routes that a client reaches in place of stricter ones by what it writes.

import { hasConditions } from '../../policy/match.ts';
import type { Demand, Listener, Route, RouteTable } from '../../policy/policy.ts';
import { upstreamsOf } from '../../policy/upstream.ts';
import { possibleGroups } from '../../policy/route-table.ts';
import type { ConfigPath } from '../problem.ts';
import { type Compilation, listed } from './compilation.ts';
import { sampleHosts, samplePaths } from './reach.ts';
import { REQUIREMENT_RANKS } from './weaker.ts';

/**
 * Warns of a route that demands less than another one and has the same upstream, where fields or parameters alone decide which of the
 * two a request belongs to: in one group, or with `fall_through` in a less specific one. Whoever leaves them out, or writes them, chooses.
 */
export function warnOfChoices(
  compilation: Compilation,
  listeners: readonly Listener[],
  routes: ReadonlyMap<Route, ConfigPath>,
  table: RouteTable,
): void {
  const stricter = new Map<Route, Set<string>>();
  const note = (weak: Route, strict: Route) => {
    const before = stricter.get(weak) ?? new Set();
    stricter.set(weak, before.add(strict.name));
  };
  for (const route of routes.keys()) {
    for (const other of alternatives(route, listeners, table)) {
      if (isWayAround(other, route)) note(other, route);
      else if (isWayAround(route, other)) note(route, other);
    }
  }
  for (const [weak, names] of stricter) {
    compilation.warning(
      [...(routes.get(weak) ?? []), 'match'],
      `can be had in place of ${listed([...names])} by fields or parameters that a client writes as it likes, demands less and has the ` +
        'same upstream: what the other route demands protects nothing there',
    );
  }
}

/** Routes to which requests of this one go that lack its fields or parameters, or have those of the other. */
function alternatives(route: Route, listeners: readonly Listener[], table: RouteTable): readonly Route[] {
  return listeners
    .filter(({ name }) => route.match.listeners?.includes(name) ?? true)
    .flatMap((listener) => sampleHosts(route, listener).map((host) => [listener.name, host] as const))
    .flatMap(([listener, host]) =>
      samplePaths(route.match.path).flatMap((path) => {
        const groups = possibleGroups(table, listener, host, path);
        const own = groups.findIndex(({ routes }) => routes.includes(route));
        if (own === -1) return [];
        // A less specific group is come to only where this route does not fit.
        if (hasConditions(route.match)) return groups.slice(own).flatMap(({ routes }) => routes);
        return groups[own]?.routes.filter(({ match }) => hasConditions(match)) ?? [];
      }),
    );
}

/** Whether one route leads, for some method, where another one leads, with less demanded. */
export function isWayAround(weak: Route, strict: Route): boolean {
  if (weak === strict || strict.demand.requirement === 'public') return false;
  if (!leadToOne(weak, strict)) return false;
  return shareMethod(weak, strict) && demandsLess(weak.demand, strict.demand);
}

/** Where a proxy in front forwards, its upstreams are not known here, and may be the same. */
function leadToOne(weak: Route, strict: Route): boolean {
  if (weak.own !== undefined || strict.own !== undefined) return false;
  const [reached, others] = [upstreamsOf(strict), upstreamsOf(weak)];
  return (reached.length === 0 && others.length === 0) || others.some((one) => reached.includes(one));
}

function shareMethod({ match: one }: Route, { match: other }: Route): boolean {
  if (one.methods === undefined || other.methods === undefined) return true;
  return one.methods.some((method) => other.methods?.includes(method));
}

function demandsLess(weak: Demand, strict: Demand): boolean {
  if (REQUIREMENT_RANKS[weak.requirement] < REQUIREMENT_RANKS[strict.requirement]) return true;
  const drops = (key: 'claims' | 'acr') => strict[key].length > 0 && weak[key].length === 0;
  return (strict.scope !== undefined && weak.scope === undefined) || drops('claims') || drops('acr');
}
