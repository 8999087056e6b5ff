// The route table: which route a request belongs to, by host, path, method and conditions.

import { narrownessOf } from '../http/host-pattern.ts';
import { connectionOptions } from '../http/connection-options.ts';
import { squeezeName } from '../http/field.ts';
import { hostOf, readDecodedPaths } from '../http/uri.ts';
import type { RejectionFacts } from '../rejection/facts.ts';
import { reject, type Rejection } from '../rejection/rejection.ts';
import type { RequestFacts } from '../request-facts.ts';
import { allAtOnce, type InSteps } from '../long-work.ts';
import { AskedParts, askedNames, unmetCondition, unmetParameter } from './match.ts';
import { type Ambiguities, type Ambiguity, bestGroup, compilePaths, fittingGroups } from './path-tree.ts';
import type { HostTables, Listener, PathNode, Route, RouteGroup, RouteTable } from './policy.ts';

const EVERY_HOST = '';
const NEVER_ALLOWED: ReadonlySet<string> = new Set(['TRACE', 'CONNECT']);

type CompiledTable = { readonly table: RouteTable } | { readonly ambiguities: readonly Ambiguity[] };

/**
 * Builds one table per listener. Naming listeners limits a route to them and gives it no precedence: on each listener all its
 * routes compete. There the most specific (host, path) that fits a request picks the group:
 * 1. an exact host before `*.` before `**.`, of these the longest suffix first, and no host last, whatever the paths;
 * 2. the longer path: the one with more segments, a final `/*` not counted (`/a/*` has one, `/*` none);
 * 3. of equal length, exact before `/*`;
 * 4. of these, the one that has a literal wherever they differ. Where two paths fit a common request and each has a literal
 *    where the other has an inner `*`, neither is first: an ambiguity, whatever their methods.
 * An inner `*` stands for one segment that is not empty.
 * Routes with the same host and path form a group; two of them that take the same method and ask the same of fields and query are
 * an ambiguity. In a group the first that fits is taken: one that names methods, then one with more fields, then one with more
 * parameters, then the one that was written first (match.ts).
 * A group of which no route fits is final, unless the listener has `fall_through`: then the next one of the same host is looked at.
 * @param routes with hosts lower-cased, paths normalised and methods including the HEAD that GET implies
 * Checks neither that a route is reachable nor that paths and hosts are well formed (config/compile).
 */
export function* routeTableInSteps(
  routes: readonly Route[],
  listeners: readonly Pick<Listener, 'name' | 'fallThrough'>[],
): InSteps<CompiledTable> {
  const ambiguities: Ambiguities = new Map();
  const table = new Map<string, HostTables>();
  for (const { name, fallThrough = false } of listeners) {
    const here = routes.filter(({ match }) => match.listeners?.includes(name) ?? true);
    table.set(name, yield* compileHosts(here, fallThrough, ambiguities));
  }
  return ambiguities.size > 0 ? { ambiguities: [...ambiguities.values()] } : { table };
}

/** The same at once. */
export function compileRouteTable(...given: Parameters<typeof routeTableInSteps>): CompiledTable {
  return allAtOnce(routeTableInSteps(...given));
}

function* compileHosts(routes: readonly Route[], fallThrough: boolean, ambiguities: Ambiguities): InSteps<HostTables> {
  const exact = new Map<string, PathNode>();
  const wildcard = new Map<string, PathNode>();
  const subdomains = new Map<string, PathNode>();
  let every: PathNode | undefined;
  for (const [host, ofHost] of Map.groupBy(routes, ({ match }) => match.host ?? EVERY_HOST)) {
    const paths = yield* compilePaths(ofHost, { hostRank: rankOfHost(host), fallThrough }, ambiguities);
    if (host === EVERY_HOST) every = paths;
    else if (host.startsWith('**.')) subdomains.set(host.slice(3), paths);
    else if (host.startsWith('*.')) wildcard.set(host.slice(2), paths);
    else exact.set(host, paths);
  }
  return { exact, wildcard, subdomains, every, fallThrough };
}

/** More than the narrowness of any pattern. */
const EXACT_HOST = 1000;

/** The higher the earlier a host is looked for: rule 1. */
function rankOfHost(host: string): number {
  if (host === EVERY_HOST) return 0;
  return host.startsWith('*') ? narrownessOf(host) : EXACT_HOST;
}

/** What a route is chosen by: facts of a request. */
export type RouteQuestion = Pick<
  RequestFacts,
  'listener' | 'origin' | 'method' | 'path' | 'matchPath' | 'encodedSlash' | 'message' | 'query'
>;

/** The most specific group for host and path of a request, whatever its method and fields; undefined: no route has them. */
export function groupOf(table: RouteTable, { listener, origin, matchPath }: RouteQuestion): RouteGroup | undefined {
  return chooseGroup(table, listener, hostOf(origin.authority), matchPath);
}

/**
 * As `groupOf`. With `fall_through` the most specific host is final; without, one whose paths do not fit leaves the request to others.
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
  if (hosts.fallThrough) return bestGroup(hostOnly(hosts, hostname), segments);
  return (
    bestGroup(hosts.exact.get(hostname), segments) ??
    bestGroup(hosts.wildcard.get(parentDomain(hostname)), segments) ??
    (hosts.subdomains.size === 0 ? undefined : bestBelow(hosts, hostname, segments)) ??
    bestGroup(hosts.every, segments)
  );
}

/** All groups that a request for host and path may come to, whatever its method and fields, the most specific one first. */
export function possibleGroups(
  table: RouteTable,
  listener: string,
  hostname: string,
  matchPath: string,
): readonly RouteGroup[] {
  const first = chooseGroup(table, listener, hostname, matchPath);
  return first === undefined ? [] : [first, ...groupsAfter(table, listener, hostname, matchPath)];
}

/** What is left to look at where no route of the most specific group fits: nothing, unless the listener has `fall_through`. */
function groupsAfter(table: RouteTable, listener: string, hostname: string, matchPath: string): readonly RouteGroup[] {
  const hosts = table.get(listener);
  if (hosts === undefined || !hosts.fallThrough) return [];
  return fittingGroups(hostOnly(hosts, hostname), matchPath.slice(1).split('/')).slice(1);
}

/** The paths of the most specific host that fits. */
function hostOnly({ exact, wildcard, subdomains, every }: HostTables, hostname: string): PathNode | undefined {
  const own = exact.get(hostname) ?? wildcard.get(parentDomain(hostname));
  if (own !== undefined || subdomains.size === 0) return own ?? every;
  for (const parent of parentDomains(hostname)) {
    const found = subdomains.get(parent);
    if (found !== undefined) return found;
  }
  return every;
}

function bestBelow({ subdomains }: HostTables, hostname: string, segments: readonly string[]): RouteGroup | undefined {
  for (const parent of parentDomains(hostname)) {
    const found = bestGroup(subdomains.get(parent), segments);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** `example.com` of `api.example.com`; '' (which no wildcard has) of a name with one label, or with an empty first one. */
function parentDomain(hostname: string): string {
  const dot = hostname.indexOf('.');
  return dot <= 0 ? '' : hostname.slice(dot + 1);
}

/** `b.example.com`, `example.com` and `com` of `a.b.example.com`; none of an address, and of a name with an empty label. */
function* parentDomains(hostname: string): Generator<string> {
  if (hostname.startsWith('[') || hostname.startsWith('.') || hostname.includes('..')) return;
  for (let dot = hostname.indexOf('.'); dot !== -1; dot = hostname.indexOf('.', dot + 1)) yield hostname.slice(dot + 1);
}

/** The route of a group that takes a method, where no condition is asked; undefined where none does, and always for TRACE and CONNECT (RFC 9110 §9.3). */
function routeForMethod(group: RouteGroup, method: string): Route | undefined {
  return group.byMethod.get(method) ?? (NEVER_ALLOWED.has(method) ? undefined : group.anyMethod);
}

function takes({ match: { methods } }: Route, method: string): boolean {
  return methods?.includes(method) ?? !NEVER_ALLOWED.has(method);
}

/** @param first the most specific group for host and path */
function findRoute(table: RouteTable, question: RouteQuestion, first: RouteGroup): Route | undefined {
  const parts = first.ordered && new AskedParts(question);
  const route = fittingRoute(first, question.method, parts);
  if (route !== undefined) return route;
  const others = parts ?? new AskedParts(question);
  for (const group of othersOf(table, question)) {
    const found = fittingRoute(group, question.method, others);
    if (found !== undefined) return found;
  }
  return undefined;
}

function fittingRoute(group: RouteGroup, method: string, parts: AskedParts | undefined): Route | undefined {
  if (group.ordered === undefined || parts === undefined) return routeForMethod(group, method);
  return group.ordered.find((route) => takes(route, method) && unmetCondition(route.match, parts) === undefined);
}

/** Of the most specific group's request: what comes after that group. */
function othersOf(table: RouteTable, { listener, origin, matchPath }: RouteQuestion): readonly RouteGroup[] {
  return groupsAfter(table, listener, hostOf(origin.authority), matchPath);
}

/**
 * Whether a path belongs to a more specific group for servers that decode delimiters before they split it: `/admin%2Fusers` under a
 * route for `/*` beside one for `/admin/*`. Such a path means two things, and is refused (docs/decisions/0013).
 * A group of equal or lower rank does not count: who writes `encoded: [slash]` on a route means such paths to be there.
 * With `fall_through` the group counts whose route would take the request.
 */
export function isDisguised(table: RouteTable, question: RouteQuestion): boolean {
  const decoded = readDecodedPaths(question.path);
  if (decoded.length === 0) return false;
  const rankOf = (matchPath: string): number => takingGroup(table, { ...question, matchPath })?.rank ?? -1;
  const rank = rankOf(question.matchPath);
  return rank >= 0 && decoded.some((each) => rankOf(each) > rank);
}

/** The group that is final for a request. */
function takingGroup(table: RouteTable, question: RouteQuestion): RouteGroup | undefined {
  const first = groupOf(table, question);
  if (first === undefined || !table.get(question.listener)?.fallThrough) return first;
  const route = findRoute(table, question, first);
  return route && [first, ...othersOf(table, question)].find(({ routes }) => routes.includes(route));
}

/**
 * The one route that takes a request. Rejections: `request_malformed` for an encoded slash that the route does not admit and for a
 * disguised path; `field_forbidden` for a field that routes ask for, or that signs requests of the route, and that an upstream would see otherwise; `route_not_found`, also where a route has host, path and method and the request has not its fields or parameters;
 * `method_not_allowed` with the group's `Allow` (RFC 9110 §15.5.6).
 * Does not look at credentials or CORS preflights (those use the group first).
 */
export function chooseRoute(
  table: RouteTable,
  question: RouteQuestion,
  group: RouteGroup | undefined = groupOf(table, question),
): Route | Rejection {
  const route = group && findRoute(table, question, group);
  // The path decides that this is malformed; only a route can say that it is meant so (C0.13).
  if (question.encodedSlash && !route?.encodedSlash) return reject('request_malformed', { what: '%2F' });
  const hidden =
    (group && !isPlain(group, route, question) ? hiddenField(table, question, group) : undefined) ??
    (route?.signed && hiddenAmong(question.message.rawHeaders, route.signed));
  if (hidden !== undefined) return reject('field_forbidden', { what: hidden });
  if (isDisguised(table, question)) return reject('request_malformed', { what: 'encoded delimiter' });
  if (group === undefined) return reject('route_not_found', { what: 'path', ...nearby(table, question) });
  return route ?? noRouteFits(table, question, group);
}

/** The method alone decided, as on most paths. */
function isPlain(group: RouteGroup, route: Route | undefined, { method }: RouteQuestion): boolean {
  return group.ordered === undefined && route !== undefined && routeForMethod(group, method) === route;
}

/**
 * A field that routes of the path ask for, and that an upstream would see otherwise than they do: by an imitation of its name, which servers
 * that follow CGI take for it, or by Connection, which removes it. Looked for only where routes are chosen by it: a name that one path
 * asks for means nothing on others.
 */
function hiddenField(table: RouteTable, question: RouteQuestion, group: RouteGroup): string | undefined {
  const { rawHeaders } = question.message;
  for (const { asked } of [group, ...othersOf(table, question)]) {
    const hidden = asked && hiddenAmong(rawHeaders, asked);
    if (hidden !== undefined) return hidden;
  }
  return undefined;
}

function hiddenAmong(rawHeaders: readonly string[], asked: NonNullable<RouteGroup['asked']>): string | undefined {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const lower = (rawHeaders[at] ?? '').toLowerCase();
    if (
      lower === 'connection' &&
      [...connectionOptions(rawHeaders[at + 1] ?? '')].some((one) => asked.has(squeezeName(one)))
    )
      return 'Connection';
    const names = asked.get(squeezeName(lower));
    if (names?.includes(lower) === false) return names[0];
  }
  return undefined;
}

/** The nearest group that has routes for the method says what is missing. */
function noRouteFits(table: RouteTable, question: RouteQuestion, group: RouteGroup): Rejection {
  const { method, listener } = question;
  const { allow } = group;
  const taking = [group, ...othersOf(table, question)]
    .map(({ routes }) => routes.filter((route) => takes(route, method)))
    .find((routes) => routes.length > 0);
  const facts = { what: 'method', expected: allow, received: method };
  if (taking === undefined) {
    const isFinal = NEVER_ALLOWED.has(method) || !table.get(listener)?.fallThrough;
    return isFinal ? reject('method_not_allowed', { ...facts, allow }) : reject('route_not_found', facts);
  }
  const what = taking.some(({ match }) => match.headers !== undefined) ? 'fields' : 'query';
  // Their values stay here: some are kept like secrets, and what is expected may be told to clients.
  return reject('route_not_found', { what, expected: taking.map(({ match }) => askedNames(match).join(', ')) });
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

/** Where the request may go that a browser asks leave for. */
export interface PreflightReach {
  /** The routes that may take it by this method, the first first: its fields are not known yet, so any of them may fit or not. */
  readonly taking: (method: string) => readonly Route[];
  /** All routes of the groups that are looked at. */
  readonly routes: readonly Route[];
  /** What takes the preflight itself, as a request like any other. */
  readonly options: Route | undefined;
}

/** @param group the most specific one for host and path */
export function preflightReach(table: RouteTable, question: RouteQuestion, group: RouteGroup): PreflightReach {
  const groups = [group, ...othersOf(table, question)];
  const parts = new AskedParts(question);
  const taking = (method: string): readonly Route[] => {
    const tried = groups.flatMap((each) => each.ordered ?? routeForMethod(each, method) ?? []);
    const fitting = tried.filter((route) => takes(route, method) && unmetParameter(route.match, parts) === undefined);
    const certain = fitting.findIndex(({ match }) => match.headers === undefined);
    return certain === -1 ? fitting : fitting.slice(0, certain + 1);
  };
  const options = findRoute(table, { ...question, method: 'OPTIONS' }, group);
  return { taking, routes: groups.flatMap(({ routes }) => routes), options };
}
