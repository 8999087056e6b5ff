// One Gateway, from its objects to its configuration and everything that statuses say of it.

import { type Attachment, attachRoutes } from './attach.ts';
import { Backends } from './backends.ts';
import type { BackendTlsPolicies } from './backend-tls.ts';
import { withServicesFirst } from './calls.ts';
import type { Unresolved } from './certificates.ts';
import { configure, type Configured, type RefusedRoute } from './configuration.ts';
import type { ClusterIndex } from './index.ts';
import { judgeListeners, type JudgedListener } from './listeners.ts';
import type { AttachedRoute, BackendTlsPolicy, GatewayObject, HoldfastPolicy } from './objects.ts';
import type { ClassTerms } from './parameters.ts';
import { type Plan, planRoutes, wholeRefusal } from './plan.ts';
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
export function planGateway(gateway: GatewayObject, terms: ClassTerms, surroundings: Surroundings): GatewayPlan {
  const { index, policies, backendTls, byParent, more, now } = surroundings;
  const listeners = judgeListeners(index, gateway, now);
  const attached = attachRoutes(index, listeners, byParent);
  const backends = new Backends(index, backendTls);
  const { floor, publicWithoutPolicy, parameters } = terms;
  const written = planRoutes(attached, { gateway, policies, backends, floor, publicWithoutPolicy, more });
  const plan = { ...written, routes: withServicesFirst(written.routes) };
  const refused = refusalOf(gateway);
  const trouble = terms.trouble ?? refused?.message;
  const configured =
    trouble === undefined
      ? configure(listeners, plan.routes, { upstreams: backends.upstreams, parameters, now })
      : { configuration: undefined, refused: [], problems: [trouble] };
  for (const one of configured.refused) noteRefusal(one, plan, policies);
  const refusals = new Map(configured.refused.map(({ planned, message }) => [planned, message]));
  const effective = plan.routes.map((planned): EffectivePolicy => {
    const { source, effective: held } = planned;
    const refusal = held.refusal ?? refusals.get(planned);
    const { kind, meta } = source.route;
    return {
      gateway: { namespace: gateway.meta.namespace, name: gateway.meta.name },
      listener: planned.listener,
      route: { kind, namespace: meta.namespace, name: meta.name },
      rule: source.rule,
      ruleName: source.route.rules[source.rule]?.name,
      policies: held.policies.map(nameOf),
      demand: refusal === undefined ? held.demand : undefined,
      refusal,
    };
  });
  const attachments = attached.map((one) => withFindings(one, plan));
  return {
    gateway,
    listeners,
    attachments,
    findings: plan.findings,
    configured,
    effective,
    tlsPolicies: backends.tlsPolicies,
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
    found.unsupported.set(source.rule, { reason: 'UnsupportedValue', message: `${message}.` });
    return;
  }
  const text = `${policyKey} ${message}`;
  const key = policyKey.split('.')[1] ?? '';
  const author = effective.policies.findLast(({ demand }) => Object.hasOwn(demand, key)) ?? effective.policies.at(-1);
  if (author !== undefined) policies.note(author, { reason: 'Invalid', message: text });
  found.withheld ??=
    author === undefined ? `The floor of the class: ${text}` : `HoldfastPolicy ${nameOf(author)}: ${text}`;
}
