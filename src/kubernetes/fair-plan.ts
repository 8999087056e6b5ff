// A plan within the shares of its namespaces; 503 in the place of what has no room.

import { mapInSteps, type InSteps } from '../long-work.ts';
import type { JudgedListener } from './listeners.ts';
import type { Memory } from './memory.ts';
import type { AttachedRoute, HoldfastParameters } from './objects.ts';
import type { Plan } from './plan.ts';
import type { PlannedRoute } from './route-plan.ts';
import { type Keys, upstreamsNamed } from './rule-keys.ts';
import { NOTHING, type SharedRoute, type SharePart, namespaceShares } from './namespace-shares.ts';
import { escapedOnce, writtenOnce } from './write-route.ts';

type Upstreams = Readonly<Record<string, Keys>>;

export interface FairPlan {
  readonly plan: Plan;
  readonly upstreams: Upstreams;
  /** Namespaces that have no room for anything. */
  readonly out: readonly string[];
}

/** Why something of a namespace is not served. */
export function overShare(namespace: string) {
  return {
    reason: 'NamespaceShareExceeded',
    message: `The configuration of the Gateway does not fit, and namespace ${namespace} has more in it than its share: its newest routes are not served, and their requests are answered 503 as long as there is room for that. Expected fewer or smaller routes, policies and certificates there, or another Gateway.`,
  };
}

/** The plan itself where everything fits. */
export function* withinShares(
  plan: Plan,
  upstreams: Upstreams,
  terms: {
    readonly listeners: readonly JudgedListener[];
    readonly parameters: HoldfastParameters | undefined;
    readonly memory: Memory;
  },
): InSteps<FairPlan> {
  const { listeners, parameters, memory } = terms;
  const parts = new Map<string, { readonly fixed: string[]; readonly routes: SharedRoute[] }>();
  const partOf = (namespace: string) => {
    const part = parts.get(namespace) ?? { fixed: [], routes: [] };
    parts.set(namespace, part);
    return part;
  };
  const base = [JSON.stringify(parameters?.configuration ?? {})];
  for (const listener of listeners.filter(({ serves }) => serves)) {
    const { kind, meta } = listener.owner;
    const texts = kind === 'Gateway' ? base : partOf(meta.namespace).fixed;
    texts.push(...textsOfListener(listener));
  }
  const byRoute = Map.groupBy(plan.routes, ({ source }) => source.route);
  yield* mapInSteps(byRoute, ([route, own]) =>
    partOf(route.meta.namespace).routes.push(shared(own, upstreams, memory)),
  );
  const shares = yield* namespaceShares(base, parts satisfies ReadonlyMap<string, SharePart>);
  if (shares.size === 0) return { plan, upstreams, out: [] };
  const over = new Set<AttachedRoute>();
  for (const [namespace, served] of shares) {
    const own = [...byRoute.keys()].filter(({ meta }) => meta.namespace === namespace);
    for (const route of own.slice(Math.max(0, served))) over.add(route);
  }
  const out = [...shares].filter(([, served]) => served === NOTHING).map(([namespace]) => namespace);
  return { ...held(plan, upstreams, { over, memory }), out };
}

function textsOfListener({ spec, certificates, client }: JudgedListener): readonly string[] {
  return [JSON.stringify(spec), ...certificates.flatMap(({ cert, key }) => [cert, key]), client?.ca ?? ''];
}

function shared(own: readonly PlannedRoute[], upstreams: Upstreams, memory: Memory): SharedRoute {
  const [first] = own;
  const names = new Set(own.flatMap(({ keys }) => upstreamsNamed(keys)));
  const used = [...names].map((name) => [name, upstreams[name]] as const);
  return memory.keep(first ?? own, 'shared', [...own, ...used.map(([, data]) => data)], () => ({
    whole: own.map((one) => textOf(one, memory)).join(''),
    held: own.map((one) => textOf(heldRoute(one, memory), memory)).join(''),
    upstreams: used.map(([name, data]) => JSON.stringify([name, data])),
  }));
}

function textOf(planned: PlannedRoute, memory: Memory): string {
  return JSON.stringify(escapedOnce(writtenOnce(planned, memory), memory));
}

/** 503 in the place of a route: requests for it are not for a wider one that demands less. */
function heldRoute(planned: PlannedRoute, memory: Memory): PlannedRoute {
  return memory.keep(planned, 'held', [], () => {
    const { message } = overShare(planned.source.route.meta.namespace);
    return { ...planned, effective: { ...planned.effective, demand: undefined, refusal: message } };
  });
}

function held(
  { routes, findings }: Plan,
  upstreams: Upstreams,
  { over, memory }: { readonly over: ReadonlySet<AttachedRoute>; readonly memory: Memory },
): Omit<FairPlan, 'out'> {
  const told = new Map(findings);
  for (const route of over) {
    const found = findings.get(route);
    const refused = overShare(route.meta.namespace);
    // The same findings as long as they are: their status is made once.
    if (found !== undefined)
      told.set(
        route,
        memory.keep(found, 'held', [], () => ({ ...found, refused })),
      );
  }
  const served = routes.map((one) => (over.has(one.source.route) ? heldRoute(one, memory) : one));
  const named = new Set(routes.flatMap(({ source, keys }) => (over.has(source.route) ? [] : upstreamsNamed(keys))));
  return {
    plan: { routes: served, findings: told },
    upstreams: Object.fromEntries(Object.entries(upstreams).filter(([name]) => named.has(name))),
  };
}

/** Listeners of namespaces that have no room do not serve. */
export function withoutListeners(
  listeners: readonly JudgedListener[],
  out: ReadonlySet<string>,
): readonly JudgedListener[] {
  return listeners.map((listener) => {
    const { namespace } = listener.owner.meta;
    if (listener.owner.kind === 'Gateway' || !out.has(namespace)) return listener;
    const conditions = listener.conditions.map((one) =>
      one.type === 'Accepted' || one.type === 'Programmed'
        ? { ...one, status: 'False' as const, ...overShare(namespace) }
        : one,
    );
    return { ...listener, serves: false, conditions };
  });
}
