// A policy as the difference from the one before it, for a thread that has that one.

import type { Policy, Route } from '../policy/policy.ts';
import { compileRouteTable } from '../policy/route-table.ts';
import type { Issuer } from '../token/issuer.ts';
import type { Upstream } from '../policy/upstream.ts';

/** Lists of parts, in each of which a number stands for the part with that index in the policy before. */
type Parts<T> = readonly (T | number)[];

/** What a thread needs to make the next policy of the one that it has. */
export interface PolicyChange {
  readonly issuers: Parts<Issuer>;
  readonly upstreams: Parts<Upstream>;
  readonly routes: Parts<Route>;
  /** Indices of routes. */
  readonly withoutUpstreamNonce: readonly number[];
  /** What is sent whole. */
  readonly rest: Omit<Policy, 'issuers' | 'upstreams' | 'routes' | 'routeTable' | 'withoutUpstreamNonce'>;
}

/** Parts that are the same objects are not sent again; the table of routes is made of them where it is used. */
export function changeOf(before: Policy, after: Policy): PolicyChange {
  const { issuers, upstreams, routes, routeTable: _, withoutUpstreamNonce, ...rest } = after;
  const places = placesOf(routes);
  return {
    issuers: partsOf(before.issuers, issuers),
    upstreams: partsOf(before.upstreams, upstreams),
    routes: partsOf(before.routes, routes),
    withoutUpstreamNonce: [...withoutUpstreamNonce].flatMap((route) => places.get(route) ?? []),
    rest,
  };
}

/**
 * The next policy. Of one that came with the change, everything that has a name is the object of that name in the new policy.
 * @throws Error where the change is from another policy than `before`
 */
export function applyChange(before: Policy, change: PolicyChange): Policy {
  const issuers = change.issuers.map((one) => partAt(before.issuers, one));
  const upstreams = change.upstreams.map((one) => partAt(before.upstreams, one));
  const named = { issuers: byName(issuers), upstreams: byName(upstreams) };
  const routes = change.routes.map((one) =>
    typeof one === 'number' ? partAt(before.routes, one) : linked(one, named),
  );
  const compiled = compileRouteTable(routes, change.rest.listeners);
  if (!('table' in compiled)) throw new Error('the change of the policy does not fit the policy before');
  const withoutUpstreamNonce = new Set(change.withoutUpstreamNonce.map((index) => partAt(routes, index)));
  return { ...change.rest, issuers, upstreams, routes, routeTable: compiled.table, withoutUpstreamNonce };
}

function placesOf<T>(parts: readonly T[]): ReadonlyMap<T, number> {
  return new Map(parts.map((one, index) => [one, index]));
}

function partsOf<T>(before: readonly T[], after: readonly T[]): Parts<T> {
  const places = placesOf(before);
  return after.map((one) => places.get(one) ?? one);
}

function partAt<T>(before: readonly T[], part: T | number): T {
  if (typeof part !== 'number') return part;
  const found = before[part];
  if (found === undefined) throw new Error('the change of the policy does not fit the policy before');
  return found;
}

interface Linked {
  readonly issuers: ReadonlyMap<string, Issuer>;
  readonly upstreams: ReadonlyMap<string, Upstream>;
}

function byName<T extends { readonly name: string }>(parts: readonly T[]): ReadonlyMap<string, T> {
  return new Map(parts.map((one) => [one.name, one]));
}

/** Copies of the same object that came in several messages would not be known as one. */
function linked(route: Route, { issuers, upstreams }: Linked): Route {
  const { demand, shadow, upstream, split, mirrors } = route;
  const link = <T extends { readonly upstream: Upstream | undefined }>(one: T): T => ({
    ...one,
    upstream: one.upstream && (upstreams.get(one.upstream.name) ?? one.upstream),
  });
  const linkDemand = (one: Route['demand']) => ({
    ...one,
    issuers: one.issuers.map((issuer) => issuers.get(issuer.name) ?? issuer),
  });
  return {
    ...route,
    upstream: upstreams.get(upstream.name) ?? upstream,
    ...(split && { split: split.map(link) }),
    ...(mirrors && { mirrors: mirrors.map(link) }),
    demand: linkDemand(demand),
    shadow: shadow && linkDemand(shadow),
  };
}
