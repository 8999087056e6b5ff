// Warnings of weak routes that a client reaches in place of stricter ones by what it writes.

import { hasConditions } from '../../policy/match.ts';
import type { Demand, Listener, Route, RouteGroup, RouteTable } from '../../policy/policy.ts';
import { upstreamsOf } from '../../policy/upstream.ts';
import { possibleGroups } from '../../policy/route-table.ts';
import type { ConfigPath } from '../problem.ts';
import { type Compilation, listed } from './compilation.ts';
import { sampleHosts, samplePaths } from './reach.ts';
import { REQUIREMENT_RANKS } from './weaker.ts';

/**
 * Warns of a route that demands less than another one and has the same upstream, where the words of a client alone decide which of the two
 * a request belongs to: fields and parameters in one group, and with `fall_through` whatever the more specific path leaves to the other one.
 */
export function warnOfChoices(
  compilation: Compilation,
  listeners: readonly Listener[],
  routes: ReadonlyMap<Route, ConfigPath>,
  table: RouteTable,
): void {
  const stricter = new Map<Route, Set<string>>();
  for (const route of routes.keys()) {
    for (const [weak, strict] of choices(route, listeners, table)) {
      const before = stricter.get(weak) ?? new Set();
      stricter.set(weak, before.add(strict.name));
    }
  }
  for (const [weak, names] of stricter) {
    compilation.warning(
      [...(routes.get(weak) ?? []), 'match'],
      `can be had in place of ${listed([...names])} by what a client writes as it likes (fields, parameters, a method that falls through), ` +
        'demands less and has the same upstream: what the other route demands protects nothing there',
    );
  }
}

type Pair = readonly [weak: Route, strict: Route];

/** Pairs with this route, between which a client chooses. */
function choices(route: Route, listeners: readonly Listener[], table: RouteTable): readonly Pair[] {
  return listeners
    .filter(({ name }) => route.match.listeners?.includes(name) ?? true)
    .flatMap((listener) => sampleHosts(route, listener).map((host) => [listener.name, host] as const))
    .flatMap(([listener, host]) =>
      samplePaths(route.match.path).flatMap((path) => choicesAmong(route, possibleGroups(table, listener, host, path))),
    );
}

function choicesAmong(route: Route, groups: readonly RouteGroup[]): readonly Pair[] {
  const own = groups.findIndex(({ routes }) => routes.includes(route));
  if (own === -1) return [];
  const isConditional = hasConditions(route.match);
  const [here, ...less] = groups.slice(own);
  const beside = (here === undefined ? [] : routesBy(here, (other) => demandsLess(other.demand, route.demand)))
    .filter((weak) => (isConditional || hasConditions(weak.match)) && isWayAround(weak, route))
    .map((weak) => [weak, route] as const);
  // A less specific group is come to only where this route, and all others of its path, do not fit.
  const after = less.flatMap((group, nth) => {
    const before = groups.slice(own, own + 1 + nth);
    const weak = routesBy(group, (other) => demandsLess(other.demand, route.demand));
    const strict = isConditional ? routesBy(group, (other) => demandsLess(route.demand, other.demand)) : [];
    return [
      ...weak
        .filter((other) => isWeaker(other, route) && leavesMethod(before, other))
        .map((other) => [other, route] as const),
      ...strict.filter((other) => isWayAround(route, other)).map((other) => [route, other] as const),
    ];
  });
  return [...beside, ...after];
}

/** Routes of each group by what `demandsLess` looks at: a group may have thousands, and they mostly demand the same. */
const kinds = new WeakMap<RouteGroup, readonly (readonly Route[])[]>();

/** The routes of a group for which something holds that depends on nothing but `demandsLess`. */
function routesBy(group: RouteGroup, holds: (route: Route) => boolean): readonly Route[] {
  const known = kinds.get(group) ?? [...Map.groupBy(group.routes, ({ demand }) => kindOf(demand)).values()];
  kinds.set(group, known);
  return known.filter(([first]) => first !== undefined && holds(first)).flat();
}

function kindOf({ requirement, scope, claims, acr }: Demand): string {
  return [requirement, scope !== undefined, claims.length > 0, acr.length > 0].join();
}

/** Routes of a group that lead, for some method, where this one leads, with less demanded. */
export function waysAround(group: RouteGroup, strict: Route): readonly Route[] {
  return routesBy(group, (weak) => demandsLess(weak.demand, strict.demand)).filter((weak) => isWayAround(weak, strict));
}

/** Whether some method of a route is taken by no route of these groups whatever the fields and the query. */
function leavesMethod(groups: readonly RouteGroup[], { match: { methods } }: Route): boolean {
  const certain = groups.flatMap(({ routes }) => routes).filter(({ match }) => !hasConditions(match));
  if (certain.some(({ match }) => match.methods === undefined)) return false;
  const taken = new Set(certain.flatMap(({ match }) => match.methods));
  return methods === undefined || methods.some((method) => !taken.has(method));
}

function isWayAround(weak: Route, strict: Route): boolean {
  return shareMethod(weak, strict) && isWeaker(weak, strict);
}

function isWeaker(weak: Route, strict: Route): boolean {
  if (weak === strict || strict.demand.requirement === 'public') return false;
  return leadToOne(weak, strict) && demandsLess(weak.demand, strict.demand);
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
