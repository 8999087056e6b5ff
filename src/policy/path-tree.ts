// The paths of one host as a tree: groups of routes, their order, and which fits a path.

import { squeezeName } from '../http/field.ts';
import { mapInSteps, type InSteps } from '../long-work.ts';
import { compareMatches, conditionsKey, hasConditions } from './match.ts';
import type { PathNode, Route, RouteGroup } from './policy.ts';

/** Two routes between which a request could not be decided. */
export interface Ambiguity {
  readonly route: Route;
  readonly other: Route;
  /** Why neither comes first, for people: `both take GET`. */
  readonly why: string;
}

/** By the names of both routes: each pair once, however many listeners they meet on. */
export type Ambiguities = Map<string, Ambiguity>;

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

/** `Allow` of a group that takes every method: the registered ones that clients use (RFC 9110 §9, RFC 5789). */
const USUAL_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
/** More than any path is long: the host comes first. */
const RANKS_PER_HOST = 1e6;

/** How routes of one host are put together. */
interface TreeTerms {
  /** The higher the more specific the host. */
  readonly hostRank: number;
  /** A route that names a method comes before one that takes every method, instead of being ambiguous with it. */
  readonly fallThrough: boolean;
}

/** The tree of the routes of one host. @param ambiguities is added to */
export function* compilePaths(routes: readonly Route[], terms: TreeTerms, ambiguities: Ambiguities): InSteps<PathNode> {
  const byPath = Map.groupBy(routes, ({ match }) => match.path).values();
  const groups = yield* mapInSteps(byPath, (same) => group(same, terms, ambiguities));
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

/**
 * The best group in a subtree: every node is visited at most once, so the cost is bounded by the configuration. Literals are
 * tried first; a group found through `*` only wins by rank, because of equal ranks the literal one is the more specific.
 */
export function bestGroup(node: PathNode | undefined, segments: readonly string[], depth = 0): RouteGroup | undefined {
  if (node === undefined) return undefined;
  const segment = segments[depth];
  if (segment === undefined) return node.exact ?? node.below;
  const literal = bestGroup(node.literals.get(segment), segments, depth + 1);
  const starred = segment === '' ? undefined : bestGroup(node.anySegment, segments, depth + 1);
  if (literal === undefined) return starred ?? node.below;
  return starred !== undefined && starred.rank > literal.rank ? starred : literal;
}

/** All groups that fit, the best one first; of equal ranks the literal one comes first here, too. Bounded as `bestGroup`. */
export function fittingGroups(root: PathNode | undefined, segments: readonly string[]): readonly RouteGroup[] {
  return [...walk(root, segments, 0)].toSorted((one, two) => two.rank - one.rank);
}

function* walk(node: PathNode | undefined, segments: readonly string[], depth: number): Generator<RouteGroup> {
  if (node === undefined) return;
  const segment = segments[depth];
  if (segment !== undefined) {
    yield* walk(node.literals.get(segment), segments, depth + 1);
    if (segment !== '') yield* walk(node.anySegment, segments, depth + 1);
  } else if (node.exact !== undefined) yield node.exact;
  if (node.below !== undefined) yield node.below;
}

function group(routes: readonly Route[], { hostRank, fallThrough }: TreeTerms, ambiguities: Ambiguities): PathGroup {
  for (const alike of Map.groupBy(routes, ({ match }) => conditionsKey(match)).values()) {
    for (const [one, two] of pairs(alike)) {
      const method = sharedMethod(one, two);
      const isTold = fallThrough && (one.match.methods === undefined) !== (two.match.methods === undefined);
      if (method !== undefined && !isTold) note(ambiguities, two, one, `both take ${method}`);
    }
  }
  const path = routes[0]?.match.path ?? '';
  const below = path.endsWith('/*');
  const segments = path.split('/').slice(1, below ? -1 : undefined);
  const byMethod = new Map(routes.flatMap((route) => (route.match.methods ?? []).map((method) => [method, route])));
  const anyMethod = routes.find(({ match }) => match.methods === undefined);
  const names = routes.flatMap(({ match }) => match.headers ?? []).map(({ name }) => name);
  return {
    routes,
    byMethod,
    anyMethod,
    ordered: routes.some(({ match }) => hasConditions(match))
      ? routes.toSorted((one, two) => compareMatches(one.match, two.match))
      : undefined,
    ...(names.length > 0 && { asked: Map.groupBy(new Set(names), squeezeName) }),
    allow: anyMethod === undefined ? [...byMethod.keys()].join(', ') : USUAL_METHODS,
    rank: RANKS_PER_HOST * hostRank + 2 * segments.length + (below ? 0 : 1),
    segments,
    below,
  };
}

function sharedMethod(one: Route, two: Route): string | undefined {
  const [ours, theirs] = [one.match.methods, two.match.methods];
  if (ours === undefined || theirs === undefined) return (ours ?? theirs)?.[0] ?? 'every method';
  return ours.find((method) => theirs.includes(method));
}

/** Rule 4: paths of one rank that fit a common request although neither is the more literal one everywhere. */
function findRivals(groups: readonly PathGroup[], ambiguities: Ambiguities): void {
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

function note(ambiguities: Ambiguities, route: Route, other: Route, why: string): void {
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
