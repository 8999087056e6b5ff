// The route table: which route a request belongs to, by host, path and method.

import { hostOf, readDecodedPaths } from '../http/uri.ts';
import type { RejectionFacts } from '../rejection/facts.ts';
import { reject, type Rejection } from '../rejection/rejection.ts';
import type { RequestFacts } from '../request-facts.ts';
import type { HostTables, PathNode, Route, RouteGroup, RouteTable } from './policy.ts';

/** Two routes between which a request could not be decided. */
export interface Ambiguity {
  readonly route: Route;
  readonly other: Route;
  /** Why neither comes first, for people: `both take GET`. */
  readonly why: string;
}

interface MutableNode {
  literals: Map<string, MutableNode>;
  anySegment: MutableNode | undefined;
  exact: RouteGroup | undefined;
  below: RouteGroup | undefined;
}

interface PathGroup extends RouteGroup {
  readonly segments: readonly string[];
  readonly below: boolean;
}

const EVERY_HOST = '';
/** `Allow` of a group that takes every method: the registered ones that clients use (RFC 9110 §9, RFC 5789). */
const USUAL_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
const NEVER_ALLOWED: ReadonlySet<string> = new Set(['TRACE', 'CONNECT']);

/**
 * Builds one table per listener. Naming listeners limits a route to them and gives it no precedence: on each listener all its
 * routes compete. There the most specific (host, path) that fits a request picks the group:
 * 1. an exact host before `*.` before no host, whatever the paths;
 * 2. the longer path: the one with more segments, a final `/*` not counted (`/a/*` has one, `/*` none);
 * 3. of equal length, exact before `/*`;
 * 4. of these, the one that has a literal wherever they differ. Where two paths fit a common request and each has a literal
 *    where the other has an inner `*`, neither is first: an ambiguity, whatever their methods.
 * An inner `*` stands for one segment that is not empty.
 * Routes with the same host and path form a group; two of them that take the same method are an ambiguity.
 * @param routes with hosts lower-cased, paths normalised and methods including the HEAD that GET implies
 * @param listeners names of all listeners
 * Checks neither that a route is reachable nor that paths and hosts are well formed (config/compile).
 */
export function compileRouteTable(
  routes: readonly Route[],
  listeners: readonly string[],
): { table: RouteTable } | { ambiguities: readonly Ambiguity[] } {
  const ambiguities = new Map<string, Ambiguity>();
  const table = new Map<string, HostTables>();
  for (const listener of listeners) {
    const here = routes.filter(({ match }) => match.listeners?.includes(listener) ?? true);
    table.set(listener, compileHosts(here, ambiguities));
  }
  return ambiguities.size > 0 ? { ambiguities: [...ambiguities.values()] } : { table };
}

/**
 * The group a request belongs to, whatever its method; undefined where no route has its host and path. The choice is final:
 * a group that lacks the method is not left for a less specific one.
 * @param hostname authority without port, lower-cased, IPv6 in brackets
 * @param matchPath the request's path as `RequestFacts.matchPath`
 */
export function chooseGroup(
  table: RouteTable,
  listener: string,
  hostname: string,
  matchPath: string,
): RouteGroup | undefined {
  const hosts = table.get(listener);
  if (hosts === undefined) return undefined;
  const segments = matchPath.slice(1).split('/');
  return (
    search(hosts.exact.get(hostname), segments, 0) ??
    search(hosts.wildcard.get(parentDomain(hostname)), segments, 0) ??
    search(hosts.every, segments, 0)
  );
}

/**
 * Whether a path belongs to a more specific group for servers that decode delimiters before they split it: `/admin%2Fusers` under a
 * route for `/*` beside one for `/admin/*`. Such a path means two things, and is refused (docs/decisions/0013).
 * A group of equal or lower rank does not count: who writes `encoded: [slash]` on a route means such paths to be there.
 */
export function isDisguised(
  table: RouteTable,
  listener: string,
  hostname: string,
  { path, matchPath }: { readonly path: string; readonly matchPath: string },
): boolean {
  const decoded = readDecodedPaths(path);
  if (decoded.length === 0) return false;
  const rankOf = (of: string) => chooseGroup(table, listener, hostname, of)?.rank ?? -1;
  const rank = rankOf(matchPath);
  return rank >= 0 && decoded.some((each) => rankOf(each) > rank);
}

/** The route of a group that takes a method; undefined where none does, and always for TRACE and CONNECT (RFC 9110 §9.3). */
export function routeForMethod(group: RouteGroup, method: string): Route | undefined {
  return group.byMethod.get(method) ?? (NEVER_ALLOWED.has(method) ? undefined : group.anyMethod);
}

/** What a route is chosen by: facts of a request. */
export type RouteQuestion = Pick<
  RequestFacts,
  'listener' | 'origin' | 'method' | 'path' | 'matchPath' | 'encodedSlash'
>;

/** The group of a request (`chooseGroup`). */
export function groupOf(table: RouteTable, { listener, origin, matchPath }: RouteQuestion): RouteGroup | undefined {
  return chooseGroup(table, listener, hostOf(origin.authority), matchPath);
}

/**
 * The one route that takes a request. Rejections: `request_malformed` for an encoded slash that the route does not admit and for a
 * disguised path; `route_not_found`; `method_not_allowed` with the group's `Allow` (RFC 9110 §15.5.6).
 * Does not look at credentials or CORS preflights (those use the group first).
 */
export function chooseRoute(
  table: RouteTable,
  question: RouteQuestion,
  group: RouteGroup | undefined = groupOf(table, question),
): Route | Rejection {
  const { listener, origin, method, encodedSlash } = question;
  const route = group && routeForMethod(group, method);
  // The path decides that this is malformed; only a route can say that it is meant so (C0.13).
  if (encodedSlash && !route?.encodedSlash) return reject('request_malformed', { what: '%2F' });
  if (isDisguised(table, listener, hostOf(origin.authority), question)) {
    return reject('request_malformed', { what: 'encoded delimiter' });
  }
  if (group === undefined) return reject('route_not_found', { what: 'path', ...nearby(table, question) });
  const { allow } = group;
  return route ?? reject('method_not_allowed', { what: 'method', expected: allow, received: method, allow });
}

/** Whether a path that people take for the same one has a route: what could be found out by asking for it. */
function nearby(table: RouteTable, question: RouteQuestion): RejectionFacts {
  const { matchPath } = question;
  const other = matchPath.endsWith('/') ? matchPath.slice(0, -1) : `${matchPath}/`;
  if (groupOf(table, { ...question, matchPath: other }) !== undefined) return { differs: 'trailing slash' };
  const lower = matchPath.toLowerCase();
  return lower !== matchPath && groupOf(table, { ...question, matchPath: lower }) !== undefined
    ? { differs: 'case' }
    : {};
}

/** `example.com` of `api.example.com`; '' (which no wildcard has) of a name with one label. */
function parentDomain(hostname: string): string {
  const dot = hostname.indexOf('.');
  return dot === -1 ? '' : hostname.slice(dot + 1);
}

/**
 * The best group in a subtree: every node is visited at most once, so the cost is bounded by the configuration. Literals are
 * tried first; a group found through `*` only wins by rank, because of equal ranks the literal one is the more specific.
 */
function search(node: PathNode | undefined, segments: readonly string[], depth: number): RouteGroup | undefined {
  if (node === undefined) return undefined;
  const segment = segments[depth];
  if (segment === undefined) return node.exact ?? node.below;
  const literal = search(node.literals.get(segment), segments, depth + 1);
  const starred = segment === '' ? undefined : search(node.anySegment, segments, depth + 1);
  if (literal === undefined) return starred ?? node.below;
  return starred !== undefined && starred.rank > literal.rank ? starred : literal;
}

function compileHosts(routes: readonly Route[], ambiguities: Map<string, Ambiguity>): HostTables {
  const exact = new Map<string, PathNode>();
  const wildcard = new Map<string, PathNode>();
  let every: PathNode | undefined;
  for (const [host, ofHost] of Map.groupBy(routes, ({ match }) => match.host ?? EVERY_HOST)) {
    const paths = compilePaths(ofHost, ambiguities);
    if (host === EVERY_HOST) every = paths;
    else if (host.startsWith('*.')) wildcard.set(host.slice(2), paths);
    else exact.set(host, paths);
  }
  return { exact, wildcard, every };
}

function compilePaths(routes: readonly Route[], ambiguities: Map<string, Ambiguity>): PathNode {
  const groups = [...Map.groupBy(routes, ({ match }) => match.path).values()].map((same) => group(same, ambiguities));
  findRivals(groups, ambiguities);
  const root = emptyNode();
  for (const each of groups) {
    let node = root;
    for (const segment of each.segments) {
      if (segment === '*') node = node.anySegment ??= emptyNode();
      else node = node.literals.get(segment) ?? addLiteral(node, segment);
    }
    node[each.below ? 'below' : 'exact'] = each;
  }
  return root;
}

function group(routes: readonly Route[], ambiguities: Map<string, Ambiguity>): PathGroup {
  for (const [one, two] of pairs(routes)) {
    const method = sharedMethod(one, two);
    if (method !== undefined) note(ambiguities, two, one, `both take ${method}`);
  }
  const path = routes[0]?.match.path ?? '';
  const below = path.endsWith('/*');
  const segments = path.split('/').slice(1, below ? -1 : undefined);
  const byMethod = new Map(routes.flatMap((route) => (route.match.methods ?? []).map((method) => [method, route])));
  const anyMethod = routes.find(({ match }) => match.methods === undefined);
  const allow = anyMethod === undefined ? [...byMethod.keys()].join(', ') : USUAL_METHODS;
  return { routes, byMethod, anyMethod, allow, rank: 2 * segments.length + (below ? 0 : 1), segments, below };
}

function sharedMethod(one: Route, two: Route): string | undefined {
  const [ours, theirs] = [one.match.methods, two.match.methods];
  if (ours === undefined || theirs === undefined) return (ours ?? theirs)?.[0] ?? 'every method';
  return ours.find((method) => theirs.includes(method));
}

/** Rule 4: paths of one rank that fit a common request although neither is the more literal one everywhere. */
function findRivals(groups: readonly PathGroup[], ambiguities: Map<string, Ambiguity>): void {
  const starred = groups.filter(({ segments }) => segments.includes('*'));
  for (const ofRank of Map.groupBy(starred, ({ rank }) => rank).values()) {
    for (const [one, two] of pairs(ofRank)) {
      const [first, second] = [one.routes[0], two.routes[0]];
      if (first && second && rivals(one.segments, two.segments))
        note(ambiguities, second, first, 'some paths fit both, and neither is the more specific one');
    }
  }
}

function rivals(one: readonly string[], two: readonly string[]): boolean {
  const places = one.map((segment, index) => [segment, two[index]] as const).filter(([a, b]) => a !== b);
  const meet = places.every(([a, b]) => a === '*' || b === '*');
  return meet && places.some(([a]) => a === '*') && places.some(([, b]) => b === '*');
}

/** Once for each pair, however many listeners they meet on. */
function note(ambiguities: Map<string, Ambiguity>, route: Route, other: Route, why: string): void {
  const key = JSON.stringify([route.name, other.name]);
  if (!ambiguities.has(key)) ambiguities.set(key, { route, other, why });
}

function emptyNode(): MutableNode {
  return { literals: new Map(), anySegment: undefined, exact: undefined, below: undefined };
}

function addLiteral(to: MutableNode, segment: string): MutableNode {
  const added = emptyNode();
  to.literals.set(segment, added);
  return added;
}

function* pairs<T>(list: readonly T[]): Generator<readonly [T, T]> {
  for (const [index, one] of list.entries()) for (const two of list.slice(index + 1)) yield [one, two];
}
