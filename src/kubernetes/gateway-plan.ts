// One Gateway, from its objects to its configuration and everything that statuses say of it.

import { type Attachment, attachRoutes } from './attach.ts';
import { Backends } from './backends.ts';
import type { BackendTlsPolicies } from './backend-tls.ts';
import { configure, type Configured, type RefusedRoute } from './configuration.ts';
import type { ClusterIndex } from './index.ts';
import { judgeListeners, type JudgedListener } from './listeners.ts';
import type { AttachedRoute, BackendTlsPolicy, GatewayObject, HoldfastPolicy } from './objects.ts';
import type { ClassTerms } from './parameters.ts';
import { type Plan, planRoutes } from './plan.ts';
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

export function planGateway(gateway: GatewayObject, terms: ClassTerms, surroundings: Surroundings): GatewayPlan {
  const { index, policies, backendTls, byParent, more, now } = surroundings;
  const listeners = judgeListeners(index, gateway, now);
  const attached = attachRoutes(index, listeners, byParent);
  const backends = new Backends(index, backendTls);
  const { floor, publicWithoutPolicy, parameters } = terms;
  const plan = planRoutes(attached, { gateway, policies, backends, floor, publicWithoutPolicy, more });
  const configured =
    terms.trouble === undefined
      ? configure(listeners, plan.routes, { upstreams: backends.upstreams, parameters, now })
      : { configuration: undefined, refused: [], problems: [terms.trouble] };
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
  const refused = findings.get(attachment.route)?.refused;
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
