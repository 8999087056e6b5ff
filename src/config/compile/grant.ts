// Grants: the hosts and paths that the main file gives to an included file.

import { ANY_HOST, narrownessOf, sharedPattern } from '../../http/host-pattern.ts';
import type { RouteMatch } from '../../policy/match.ts';
import type { Route } from '../../policy/policy.ts';
import type { ConfigPath } from '../problem.ts';
import type { Compilation } from './compilation.ts';
import { readHostPattern, readPathPattern } from './match.ts';

/** Where a route or a grant is. */
type Place = Required<Pick<RouteMatch, 'path'>> & {
  readonly host: string;
  /** With `fall_through` a host that has routes leaves nothing to wildcards, whatever the path. */
  readonly isFinal?: boolean;
};

/** One item of `routes` of an entry of `include`, or a route of the main file with a host, which gives that place to itself. */
export interface Grant extends Place {
  readonly written: string;
  readonly at: ConfigPath;
  /** Index of the entry in `include`; undefined: the main file. */
  readonly entry: number | undefined;
}

/** All grants. Problems: hosts and paths that no request can have, an inner `*`, and what is given to two entries. */
export function compileGrants(compilation: Compilation, routes: ReadonlyMap<Route, ConfigPath>): readonly Grant[] {
  const grants: Grant[] = [];
  for (const [entry, { routes: given }] of compilation.read.config.include.entries()) {
    for (const [index, written] of given.entries()) {
      const at = ['include', entry, 'routes', index];
      const place = readPlace(written);
      const twin = place && grants.find((one) => one.host === place.host && one.path === place.path);
      if (place === undefined) {
        compilation.problem(
          at,
          'is not a valid host and path, expected such as api.example.com/orders/*, with "*" at the end only',
        );
      } else if (twin !== undefined) {
        compilation.problem(
          at,
          `is given before (${compilation.placeOf(twin.at)}), expected one owner for each host and path`,
        );
      } else grants.push({ ...place, written, at, entry });
    }
  }
  const ofMain = [...routes].filter(([, at]) => compilation.read.includedBy(at) === undefined);
  const kept = ofMain.flatMap(
    ([
      {
        match: { host, path },
      },
      at,
    ]) =>
      host === undefined ? [] : [{ host, path, written: `${host}${path}`, at: [...at, 'match'], entry: undefined }],
  );
  return [...grants, ...kept];
}

function readPlace(written: string): Place | undefined {
  const slash = written.indexOf('/');
  const host = readHostPattern(written.slice(0, slash));
  const path = readPathPattern(written.slice(slash));
  return host === undefined || typeof path !== 'string' || segmentsOf(path).includes('*') ? undefined : { host, path };
}

/** The most specific grant of an entry that has the whole of a route in it; undefined: none has. */
export function grantFor(route: Place, grants: readonly Grant[], entry: number): Grant | undefined {
  return grants
    .filter((grant) => grant.entry === entry && isWithin(route, grant))
    .toSorted((one, two) => rankOf(two) - rankOf(one))[0];
}

/** What others have within the grant of a route, or instead of it, and the route would reach into. */
export function rivalOf(route: Place, own: Grant, grants: readonly Grant[]): Grant | undefined {
  const others = grants.filter(({ entry }) => entry !== own.entry);
  return others.find((one) => rankOf(one) >= rankOf(own) && hasHost(one, route.host) && takesFrom(route, one));
}

/** Whether some request fits both routes; listeners and methods are not looked at. */
export function meets(one: Pick<RouteMatch, 'host' | 'path'>, two: Pick<RouteMatch, 'host' | 'path'>): boolean {
  const [a, b] = [segmentsOf(one.path), segmentsOf(two.path)];
  const [shorter, longer, below] = a.length <= b.length ? [a, b, isBelow(one.path)] : [b, a, isBelow(two.path)];
  const alike = shorter.every(
    (segment, index) => segment === '*' || longer[index] === '*' || segment === longer[index],
  );
  return alike && (below || shorter.length === longer.length) && hostsMeet(one.host, two.host);
}

function hostsMeet(one = ANY_HOST, two = ANY_HOST): boolean {
  return sharedPattern(one, two) !== undefined;
}

/** More than the narrowness of any pattern. */
const EXACT_HOST = 1000;

const isBelow = (path: string) => path.endsWith('/*');

function segmentsOf(path: string): readonly string[] {
  return path.split('/').slice(1, isBelow(path) ? -1 : undefined);
}

/** An exact host comes before a wildcard, of these the narrower one, then the longer path, as routes are chosen (route-table.ts). */
function rankOf({ host, path }: Place): number {
  return (
    1e6 * (host.startsWith('*') ? narrownessOf(host) : EXACT_HOST) +
    2 * segmentsOf(path).length +
    (isBelow(path) ? 0 : 1)
  );
}

function hasHost(grant: Pick<Place, 'host'>, host: string): boolean {
  return sharedPattern(grant.host, host) === host;
}

function isWithin(route: Place, grant: Grant): boolean {
  if (!hasHost(grant, route.host)) return false;
  if (!isBelow(grant.path)) return route.path === grant.path;
  const segments = segmentsOf(route.path);
  return segmentsOf(grant.path).every((segment, index) => segment === segments[index]);
}

/** A route with a host comes before all routes of a wildcard that has this host, whatever their paths (route-table.ts). */
function takesFrom(route: Place, grant: Grant): boolean {
  return route.host === grant.host ? reachesInto(route, grant) : route.isFinal === true || meets(route, grant);
}

/** As `isWithin`, where an inner `*` of the route stands for any segment. A route above the grant only takes what is left over there. */
function reachesInto(route: Place, grant: Grant): boolean {
  const [mine, theirs] = [segmentsOf(route.path), segmentsOf(grant.path)];
  const deepEnough = isBelow(grant.path)
    ? mine.length >= theirs.length
    : mine.length === theirs.length && !isBelow(route.path);
  return (
    deepEnough && theirs.every((segment, index) => segment === '*' || mine[index] === '*' || mine[index] === segment)
  );
}
