// The translation of a cluster into configurations of data planes and statuses of objects.

import { allAtOnce, mapInSteps, type InSteps } from '../long-work.ts';
import { BackendTlsPolicies } from './backend-tls.ts';
import { parentKey } from './attach.ts';
import { type GatewayPlan, planGateway, refusalOf, type Surroundings } from './gateway-plan.ts';
import { ClusterIndex, compareTexts, inPrecedence, nameKey } from './index.ts';
import { annotatedPolicies, ingressParts, ingressStatus, isOfIngress } from './ingress.ts';
import { attachedSets, servingPorts, targetPort } from './listeners.ts';
import type { AttachedRoute, GatewayObject, ListenerSet } from './objects.ts';
import { Memory } from './memory.ts';
import { type ClassTerms, classTerms } from './parameters.ts';
import { Policies } from './policies.ts';
import { HOLDFAST_GROUP } from './read-common.ts';
import type {
  ClusterState,
  Name,
  ObjectEvent,
  ObjectStatus,
  PlannedDataPlane,
  RunningDataPlane,
  Settings,
  Translation,
} from './state.ts';
import { classStatus, gatewayStatus, isAttached, listenerSetStatus } from './status-gateway.ts';
import { backendTlsStatus, policyStatus, routeStatus } from './status-route.ts';

/**
 * Translates everything that Gateways of our classes serve. The result depends on the arguments alone, and not on the order of
 * objects. Where something cannot be had as it is written, requests for it are refused, and the status of the object says why.
 * @param memory of the translations before: it saves what did not change, and changes nothing about the result
 * NOT checked: whether anything that runs has taken the configurations.
 */
export function translate(...given: Parameters<typeof translateInSteps>): Translation {
  return allAtOnce(translateInSteps(...given));
}

/** The same in steps, none of which is longer for more objects but for what is quick. */
export function* translateInSteps(
  state: ClusterState,
  settings: Settings,
  memory = new Memory(),
): InSteps<Translation> {
  const ingress = ingressParts(new ClusterIndex(state), settings.controllerName);
  const index = new ClusterIndex(
    {
      ...state,
      routes: [...state.routes, ...ingress.routes],
      listenerSets: [...state.listenerSets, ...ingress.listenerSets],
    },
    memory,
  );
  const byName = new Map(state.policies.map((one) => [nameKey(one.meta.namespace, one.meta.name), one]));
  const classes = new Map(
    state.gatewayClasses
      .filter(({ controllerName }) => controllerName === settings.controllerName)
      .map((one) => [one.meta.name, { object: one, terms: classTerms(index, one) }]),
  );
  const policies = new Policies(index);
  const backendTls = new BackendTlsPolicies(index);
  const surroundings: Surroundings = {
    index,
    policies,
    backendTls,
    byParent: routesByParent(index.state.routes),
    more: (route) => annotatedPolicies(route, byName),
    now: settings.now,
  };
  const plans: { readonly terms: ClassTerms; readonly plan: GatewayPlan }[] = [];
  for (const gateway of inPrecedence(state.gateways)) {
    const { terms } = classes.get(gateway.className) ?? {};
    if (terms !== undefined) plans.push({ terms, plan: yield* planGateway(gateway, terms, surroundings) });
  }
  const shared = { index, policies, backendTls, controllerName: settings.controllerName };
  const all = plans.map(({ plan }) => plan);
  return {
    dataPlanes: plans.map(({ plan, terms }) => dataPlane(plan, terms)),
    statuses: inOrder([
      ...[...classes.values()].map(({ object, terms }) => classStatus(object, terms.trouble)),
      ...all.flatMap((plan) => statusesOfGateway(plan, index)),
      ...(yield* routeStatuses(state.routes, all, settings.controllerName, memory)),
      ...ingressStatuses(ingress.routes, all, state),
      ...policyStatuses(all, shared),
    ]),
    events: policyEvents(state, policies),
    effective: all.flatMap(({ effective }) => effective),
  };
}

function routesByParent(routes: readonly AttachedRoute[]): ReadonlyMap<string, readonly AttachedRoute[]> {
  const byParent = new Map<string, AttachedRoute[]>();
  for (const route of routes) {
    const keys = new Set(route.parentRefs.flatMap((reference) => parentKey(route, reference) ?? []));
    for (const key of keys) {
      const known = byParent.get(key);
      if (known === undefined) byParent.set(key, [route]);
      else known.push(route);
    }
  }
  return byParent;
}

function dataPlane({ gateway, listeners, configured }: GatewayPlan, { parameters }: ClassTerms): PlannedDataPlane {
  return {
    gateway: nameOfGateway(gateway),
    configuration: configured.configuration,
    ports: [...servingPorts(listeners).keys()].map((port) => ({
      name: `p${port}`,
      port,
      targetPort: targetPort(port),
    })),
    labels: gateway.infrastructure.labels,
    annotations: gateway.infrastructure.annotations,
    parameters: parameters && { service: parameters.service, deployment: parameters.deployment },
  };
}

function nameOfGateway({ meta }: GatewayObject): Name {
  return { namespace: meta.namespace, name: meta.name };
}

function statusesOfGateway(plan: GatewayPlan, index: ClusterIndex): readonly ObjectStatus[] {
  const { gateway, listeners, attachments, configured, unresolved } = plan;
  const sets = attachedSets(index, gateway).filter(({ set }) => !isOfIngress(set));
  const listenersOf = ({ meta }: ListenerSet) => listeners.filter(({ owner }) => owner.meta === meta);
  const ofSets = sets.map(({ set, admitted }) =>
    listenerSetStatus(set, admitted ? listenersOf(set) : undefined, attachments),
  );
  const running = runningOf(index.state.running, gateway);
  const facts = {
    listeners,
    attachments,
    running,
    problems: configured.problems,
    attachedSets: sets.filter(({ set, admitted }) => admitted && isAttached(listenersOf(set))).length,
    refused: refusalOf(gateway),
    unresolved,
  };
  return [gatewayStatus(gateway, facts), ...ofSets];
}

/** Routes that no longer refer to a Gateway of ours have an empty list, so that our entries go. */
function* routeStatuses(
  routes: readonly AttachedRoute[],
  plans: readonly GatewayPlan[],
  controllerName: string,
  memory: Memory,
): InSteps<readonly ObjectStatus[]> {
  const parents = plans.flatMap(({ attachments, findings }) =>
    attachments.map((attachment) => ({ attachment, findings: findings.get(attachment.route) })),
  );
  const byRoute = Map.groupBy(parents, ({ attachment }) => attachment.route);
  const told = routes.filter((route) => byRoute.has(route) || route.reporters.includes(controllerName));
  return yield* mapInSteps(told, (route) => routeStatusOnce(route, byRoute.get(route) ?? [], controllerName, memory));
}

type Parents = Parameters<typeof routeStatus>[1];

function routeStatusOnce(route: AttachedRoute, parents: Parents, controllerName: string, memory: Memory): ObjectStatus {
  const inputs = parents.flatMap(({ attachment: { parentRef, refused }, findings }) => [
    parentRef,
    refused?.reason,
    refused?.message,
    findings,
  ]);
  return memory.keep(route, 'status', [controllerName, ...inputs], () => routeStatus(route, parents, controllerName));
}

/** One for each Ingress, with the addresses of the Gateways that take one of its hosts. */
function ingressStatuses(
  routes: readonly AttachedRoute[],
  plans: readonly GatewayPlan[],
  { running }: ClusterState,
): readonly ObjectStatus[] {
  const served = plans.map((plan) => ({
    plan,
    taken: new Set(plan.attachments.filter(({ taken }) => taken.length > 0).map(({ route }) => route)),
  }));
  return [...Map.groupBy(routes, ({ meta }) => meta).values()].flatMap((own) => {
    const [first] = own;
    const serving = served.filter(({ taken }) => own.some((route) => taken.has(route))).map(({ plan }) => plan);
    const planes = serving.flatMap(({ gateway }) => runningOf(running, gateway) ?? []);
    return first === undefined ? [] : [ingressStatus(first, planes)];
  });
}

function runningOf(running: ClusterState['running'], { meta }: GatewayObject): RunningDataPlane | undefined {
  return running.find(({ gateway }) => gateway.namespace === meta.namespace && gateway.name === meta.name);
}

interface Shared {
  readonly index: ClusterIndex;
  readonly policies: Policies;
  readonly backendTls: BackendTlsPolicies;
  readonly controllerName: string;
}

function policyStatuses(plans: readonly GatewayPlan[], shared: Shared): readonly ObjectStatus[] {
  const { index, policies, backendTls, controllerName } = shared;
  const { state } = index;
  const effective = plans.flatMap((plan) => plan.effective);
  const byPolicy = new Map<string, (typeof effective)[number][]>();
  for (const one of effective) {
    for (const policy of one.policies) {
      const known = byPolicy.get(policy);
      if (known === undefined) byPolicy.set(policy, [one]);
      else known.push(one);
    }
  }
  const tls = state.backendTlsPolicies.flatMap((policy) => {
    const gateways = plans
      .filter(({ tlsPolicies }) => tlsPolicies.has(policy))
      .map(({ gateway }) => nameOfGateway(gateway));
    if (gateways.length === 0 && !policy.reporters.includes(controllerName)) return [];
    return [backendTlsStatus(policy, gateways, { policies: backendTls, controllerName })];
  });
  const ours = state.policies.map((policy) => {
    const held = byPolicy.get(nameKey(policy.meta.namespace, policy.meta.name)) ?? [];
    const finding = policies.findingOn(policy);
    const inputs = [controllerName, finding?.reason, finding?.message, ...held];
    return index.memory.keep(policy, 'status', inputs, () => policyStatus(policy, held, { policies, controllerName }));
  });
  return [...tls, ...ours];
}

function policyEvents(state: ClusterState, policies: Policies): readonly ObjectEvent[] {
  return inPrecedence(state.policies).flatMap((policy) => {
    const finding = policies.findingOn(policy);
    if (finding === undefined) return [];
    const { namespace, name } = policy.meta;
    return [{ group: HOLDFAST_GROUP, kind: 'HoldfastPolicy', namespace, name, type: 'Warning' as const, ...finding }];
  });
}

function inOrder(statuses: readonly ObjectStatus[]): readonly ObjectStatus[] {
  const keyed = statuses.map((status) => {
    const { kind, namespace, name } = status;
    return { key: `${kind} ${nameKey(namespace, name)}`, status };
  });
  return keyed.toSorted((a, b) => compareTexts(a.key, b.key)).map(({ status }) => status);
}
