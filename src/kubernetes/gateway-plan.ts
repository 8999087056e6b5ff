// One Gateway, from its objects to its configuration and everything that statuses say of it.

import { mapInSteps, type InSteps } from '../long-work.ts';
import { Kept } from '../config/kept.ts';
import { type Attachment, attachRoutes } from './attach.ts';
import { Backends } from './backends.ts';
import type { BackendTlsPolicies } from './backend-tls.ts';
import { withServicesFirst } from './calls.ts';
import { backendCertificateOf, type Unresolved } from './certificates.ts';
import { configure, type Configured, type RefusedRoute } from './configuration.ts';
import { type FairPlan, overShare, withinShares, withoutListeners } from './fair-plan.ts';
import type { ClusterIndex } from './index.ts';
import { judgeListeners, type JudgedListener } from './listeners.ts';
import type { AttachedRoute, BackendTlsPolicy, GatewayObject, HoldfastPolicy } from './objects.ts';
import type { ClassTerms } from './parameters.ts';
import { type Plan, planRoutes, wholeRefusal } from './plan.ts';
import type { PlannedRoute } from './route-plan.ts';
import { nameOf, type Policies } from './policies.ts';
import type { EffectivePolicy } from './state.ts';

export interface Surroundings {
  readonly index: ClusterIndex;
  readonly policies: Policies;
  readonly backendTls: BackendTlsPolicies;
  readonly byParent: ReadonlyMap<string, readonly AttachedRoute[]>;
  readonly more: (route: AttachedRoute) => readonly HoldfastPolicy[] | string;
  /** Seconds since the epoch. */
  readonly now: number;
}

export interface GatewayPlan {
  readonly gateway: GatewayObject;
  readonly listeners: readonly JudgedListener[];
  readonly attachments: readonly Attachment[];
  readonly findings: Plan['findings'];
  readonly configured: Configured;
  readonly effective: readonly EffectivePolicy[];
  /** A reference of the Gateway itself, not of a listener. */
  readonly unresolved: Unresolved | undefined;
  readonly tlsPolicies: ReadonlySet<BackendTlsPolicy>;
}

/** What a Gateway asks for as a whole and cannot have. */
export function refusalOf({ infrastructure, addresses }: GatewayObject): Unresolved | undefined {
  if (infrastructure.parametersRef !== undefined) {
    const message = 'infrastructure.parametersRef is not supported, expected parameters of the GatewayClass.';
    return { reason: 'InvalidParameters', message };
  }
  const odd = addresses.find(({ type }) => type !== 'IPAddress' && type !== 'Hostname');
  return odd && { reason: 'UnsupportedAddress', message: `Addresses of type ${odd.type} are not supported.` };
}

/** A Gateway that is refused has no configuration: what was there before stays, and nothing begins. */
export function* planGateway(
  gateway: GatewayObject,
  terms: ClassTerms,
  surroundings: Surroundings,
): InSteps<GatewayPlan> {
  const { index, policies, now } = surroundings;
  const { memory } = index;
  const { listeners, attached, unresolved, plan, upstreams, tlsPolicies } = yield* fairRound(
    gateway,
    terms,
    surroundings,
  );
  const refused = refusalOf(gateway);
  const trouble = terms.trouble ?? refused?.message;
  const { parameters } = terms;
  const kept = memory.keep(gateway, 'compiled', [], () => new Kept());
  const configured =
    trouble === undefined
      ? yield* configure(listeners, plan.routes, { upstreams, parameters, now, memory, kept })
      : { configuration: undefined, refused: [], problems: [trouble] };
  for (const one of configured.refused) noteRefusal(one, plan, policies);
  const refusals = new Map(configured.refused.map(({ planned, message }) => [planned, message]));
  const effective = yield* mapInSteps(plan.routes, (planned) => {
    const refusal = planned.effective.refusal ?? refusals.get(planned);
    return memory.keep(planned, 'effective', [refusal], () => effectiveOf(gateway, planned, refusal));
  });
  const attachments = yield* mapInSteps(attached, (one) => withFindings(one, plan));
  const { findings } = plan;
  return { gateway, listeners, attachments, findings, configured, effective, unresolved, tlsPolicies };
}

interface Round extends FairPlan {
  readonly listeners: readonly JudgedListener[];
  readonly attached: readonly Attachment[];
  readonly unresolved: Unresolved | undefined;
  readonly tlsPolicies: ReadonlySet<BackendTlsPolicy>;
}

/** Planned again without the namespaces that have no room for anything, until there is none more. */
function* fairRound(gateway: GatewayObject, terms: ClassTerms, surroundings: Surroundings): InSteps<Round> {
  const out = new Set<string>();
  for (;;) {
    const round = yield* planRound(gateway, terms, surroundings, out);
    const more = round.out.filter((namespace) => !out.has(namespace));
    if (more.length === 0) return round;
    for (const namespace of more) out.add(namespace);
  }
}

function* planRound(
  gateway: GatewayObject,
  { floor, publicWithoutPolicy, parameters }: ClassTerms,
  { index, policies, backendTls, byParent, more, now }: Surroundings,
  out: ReadonlySet<string>,
): InSteps<Round> {
  const { memory } = index;
  const listeners = withoutListeners(judgeListeners(index, gateway, now), out);
  const found = yield* attachRoutes(index, listeners, byParent);
  const attached = found.map((one) => {
    const { namespace } = one.route.meta;
    return out.has(namespace) ? { ...one, taken: [], refused: overShare(namespace) } : one;
  });
  const certificate = backendCertificateOf(index, gateway, now);
  const backends = new Backends(index, backendTls, certificate);
  const written = yield* planRoutes(attached, {
    gateway,
    policies,
    backends,
    floor,
    publicWithoutPolicy,
    more,
    memory,
  });
  const plan = { ...written, routes: withServicesFirst(written.routes) };
  const fair = yield* withinShares(plan, backends.upstreams, { listeners, parameters, memory });
  const unresolved = certificate !== undefined && 'reason' in certificate ? certificate : undefined;
  return { ...fair, listeners, attached, unresolved, tlsPolicies: backends.tlsPolicies };
}

function effectiveOf({ meta }: GatewayObject, planned: PlannedRoute, refusal: string | undefined): EffectivePolicy {
  const { source, effective, listener } = planned;
  const { kind, meta: of, rules } = source.route;
  return {
    gateway: { namespace: meta.namespace, name: meta.name },
    listener,
    route: { kind, namespace: of.namespace, name: of.name },
    rule: source.rule,
    ruleName: rules[source.rule]?.name,
    policies: effective.policies.map(nameOf),
    demand: refusal === undefined ? effective.demand : undefined,
    refusal,
  };
}

/** A route that is refused as a whole is attached to no listener. */
function withFindings(attachment: Attachment, { findings }: Plan): Attachment {
  const found = findings.get(attachment.route);
  const refused = found && wholeRefusal(attachment.route, found);
  return refused === undefined ? attachment : { ...attachment, taken: [], refused };
}

/** Tells those who wrote it: of the policies that say the key, the nearest one to the route; else the route. */
function noteRefusal({ planned, policyKey, message }: RefusedRoute, { findings }: Plan, policies: Policies): void {
  const { source, effective } = planned;
  const found = findings.get(source.route);
  if (found === undefined) return;
  if (policyKey === undefined) {
    const unsupported = new Map(found.unsupported);
    unsupported.set(source.rule, { reason: 'UnsupportedValue', message: `${message}.` });
    findings.set(source.route, { ...found, unsupported });
    return;
  }
  const text = `${policyKey} ${message}`;
  const key = policyKey.split('.')[1] ?? '';
  const author = effective.policies.findLast(({ demand }) => Object.hasOwn(demand, key)) ?? effective.policies.at(-1);
  if (author !== undefined) policies.note(author, { reason: 'Invalid', message: text });
  const withheld =
    author === undefined ? `The floor of the class: ${text}` : `HoldfastPolicy ${nameOf(author)}: ${text}`;
  if (found.withheld === undefined) findings.set(source.route, { ...found, withheld });
}
