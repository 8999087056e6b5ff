// The plan of a data plane's routes: what every rule of every attached route becomes.

import { mapInSteps, type InSteps } from '../long-work.ts';
import type { Attachment, TakenHosts } from './attach.ts';
import type { Backends } from './backends.ts';
import type { Unresolved } from './certificates.ts';
import type { Memory } from './memory.ts';
import { nameKey } from './index.ts';
import type { JudgedListener } from './listeners.ts';
import type { AttachedRoute, GatewayObject, HoldfastPolicy, RouteRule } from './objects.ts';
import type { Chain, Policies } from './policies.ts';
import {
  asksOf,
  placeCandidates,
  type PlannedRoute,
  planRoute,
  type RouteFindings,
  type RoutePlan,
} from './route-plan.ts';
import type { WrittenDemand } from './stricter.ts';

/** Why a route is not served at all: by what it is, or because none of its rules can be. */
export function wholeRefusal(route: AttachedRoute, { refused, unsupported }: RouteFindings): Unresolved | undefined {
  if (refused !== undefined) return refused;
  const [first] = unsupported.values();
  return unsupported.size === route.rules.length ? first : undefined;
}

export interface PlanTerms {
  readonly gateway: GatewayObject;
  readonly policies: Policies;
  readonly backends: Backends;
  readonly floor: WrittenDemand;
  /** Public routes to which no policy is attached are served. */
  readonly publicWithoutPolicy: boolean;
  /** Policies that are attached to a route in another way, such as by an annotation. */
  readonly more: (route: AttachedRoute) => readonly HoldfastPolicy[] | string;
  readonly memory: Memory;
}

export interface Plan {
  readonly routes: readonly PlannedRoute[];
  readonly findings: Map<AttachedRoute, RouteFindings>;
}

/** Plans all rules in the order in which they take precedence; of two with the same match the first one stays. */
export function* planRoutes(attachments: readonly Attachment[], terms: PlanTerms): InSteps<Plan> {
  const findings = new Map<AttachedRoute, RouteFindings>();
  const routes: PlannedRoute[] = [];
  const taken = new Set<string>();
  const byRoute = Map.groupBy(attachments, (attachment) => attachment.route);
  yield* mapInSteps(byRoute, ([route, own]) => {
    const hosts = own.flatMap((attachment) => attachment.taken).filter(({ listener }) => listener.serves);
    const plan = planOnce(route, hosts, terms);
    for (const { policy, finding } of plan.notes) terms.policies.note(policy, finding);
    findings.set(route, plan.findings);
    routes.push(...placeOnce(plan, taken, terms.memory));
  });
  return { routes, findings };
}

function planOnce(route: AttachedRoute, hosts: readonly TakenHosts[], terms: PlanTerms): RoutePlan {
  const { gateway, backends, floor, publicWithoutPolicy, memory } = terms;
  const { namespace, name } = gateway.meta;
  const asks = memory.keep(route, 'asks', [], () => asksOf(route));
  const resolved = new Map([...asks.references].map(([key, one]) => [key, backends.resolve(route, one)] as const));
  const more = terms.more(route);
  const chains = route.rules.map((rule) =>
    hosts.map(({ listener }) => chainOf(terms, listener, { route, rule, more })),
  );
  const inputs = [
    floor,
    publicWithoutPolicy,
    ...[...resolved.values()].map((one) => ('reason' in one ? `${one.reason} ${one.message}` : one)),
    ...hosts.flatMap(({ listener: { spec }, hosts: own }) => [spec.port, spec.name, own.length, ...own]),
    ...chains.flat().flatMap(({ refusal, policies }) => [refusal, policies.length, ...policies]),
  ];
  return memory.keep(route, `plan ${nameKey(namespace, name)}`, inputs, () =>
    planRoute(route, asks, { hosts, chains, resolved, floor, publicWithoutPolicy, operators: namespace }),
  );
}

function chainOf(
  { gateway, policies }: PlanTerms,
  listener: JudgedListener,
  {
    route,
    rule,
    more,
  }: { readonly route: AttachedRoute; readonly rule: RouteRule; readonly more: readonly HoldfastPolicy[] | string },
): Chain {
  if (typeof more === 'string') return { policies: [], refusal: more };
  return policies.chain(gateway, listener, { route, rule: rule.name, more });
}

/** Routes whose places others have are the exception. */
function placeOnce(plan: RoutePlan, taken: Set<string>, memory: Memory): readonly PlannedRoute[] {
  if (plan.candidates.some(({ place }) => taken.has(place))) return placeCandidates(plan.candidates, taken);
  for (const { place } of plan.candidates) taken.add(place);
  return memory.keep(plan, 'placed', [], () => placeCandidates(plan.candidates, new Set()));
}
