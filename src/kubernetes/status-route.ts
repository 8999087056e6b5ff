// The statuses of routes and policies.

import type { Attachment } from './attach.ts';
import type { BackendTlsPolicies } from './backend-tls.ts';
import { condition } from './condition.ts';
import type { AttachedRoute, BackendTlsPolicy, HoldfastPolicy } from './objects.ts';
import { wholeRefusal } from './plan.ts';
import { nameOf, type Policies } from './policies.ts';
import { GATEWAY_GROUP, HOLDFAST_GROUP } from './read-common.ts';
import type { RouteFindings } from './route-plan.ts';
import type { EffectivePolicy, Name, ObjectStatus, StatusCondition } from './state.ts';

/** Entries of a status that is told of at most so many Gateways: the API takes no more. */
const ANCESTORS = 16;
const EFFECTIVE = 16;

/** One entry of a route's status for each of its references to Gateways of ours. */
export function routeStatus(
  route: AttachedRoute,
  parents: readonly { readonly attachment: Attachment; readonly findings: RouteFindings | undefined }[],
  controllerName: string,
): ObjectStatus {
  const entries = parents.map(({ attachment, findings }) => ({
    parentRef: attachment.parentRef.written,
    controllerName,
    conditions: parentConditions(route, attachment, findings),
  }));
  const { namespace, name } = route.meta;
  return { group: GATEWAY_GROUP, kind: route.kind, namespace, name, status: { parents: entries } };
}

function parentConditions(
  route: AttachedRoute,
  { refused }: Attachment,
  findings: RouteFindings | undefined,
): readonly StatusCondition[] {
  const { generation } = route.meta;
  const unsupported = [...(findings?.unsupported ?? [])];
  const why = refused ?? (findings && wholeRefusal(route, findings));
  const unresolved = findings?.unresolved;
  const conditions = [
    condition('Accepted', why === undefined, {
      ...(why ?? { reason: 'Accepted', message: 'The route is part of the Gateway.' }),
      generation,
    }),
    condition('ResolvedRefs', unresolved === undefined, {
      ...(unresolved ?? { reason: 'ResolvedRefs', message: 'All references are resolved.' }),
      generation,
    }),
  ];
  if (why === undefined && unsupported.length > 0) {
    const rules = unsupported.map(([number, { message }]) => `${number}: ${message}`).join(' ');
    const message = `Dropped Rule(s), whose requests are refused: ${rules}`;
    conditions.push(condition('PartiallyInvalid', true, { reason: 'UnsupportedValue', message, generation }));
  }
  if (findings !== undefined && (findings.withheld !== undefined || findings.policies.size > 0)) {
    conditions.push(policyCondition(findings, generation));
  }
  return conditions;
}

/** GEP-713: an object that a policy affects says so. */
function policyCondition({ withheld, policies }: RouteFindings, generation: number): StatusCondition {
  const names = [...policies].map(nameOf).join(', ');
  return condition(`${HOLDFAST_GROUP}/PolicyAffected`, true, {
    reason: withheld === undefined ? 'Applied' : 'Withheld',
    message: withheld === undefined ? `By ${names}.` : `Requests are answered 503. ${withheld}`,
    generation,
  });
}

function ancestor(gateway: Name) {
  return { group: GATEWAY_GROUP, kind: 'Gateway', namespace: gateway.namespace, name: gateway.name };
}

export function backendTlsStatus(
  policy: BackendTlsPolicy,
  gateways: readonly Name[],
  { policies, controllerName }: { readonly policies: BackendTlsPolicies; readonly controllerName: string },
): ObjectStatus {
  const conditions = policies.conditions(policy);
  const ancestors = gateways
    .slice(0, ANCESTORS)
    .map((gateway) => ({ ancestorRef: ancestor(gateway), controllerName, conditions }));
  const { namespace, name } = policy.meta;
  return { group: GATEWAY_GROUP, kind: 'BackendTLSPolicy', namespace, name, status: { ancestors } };
}

/** @param effective all that is known of routes on which the policy has a part */
export function policyStatus(
  policy: HoldfastPolicy,
  effective: readonly EffectivePolicy[],
  { policies, controllerName }: { readonly policies: Policies; readonly controllerName: string },
): ObjectStatus {
  const finding = policies.findingOn(policy);
  const { generation, namespace, name } = policy.meta;
  const gateways = new Map(effective.map(({ gateway }) => [`${gateway.namespace}/${gateway.name}`, gateway]));
  const conditionsFor = (served: boolean): readonly StatusCondition[] => {
    const absent = { reason: 'TargetNotFound', message: 'No target is part of a Gateway that is served here.' };
    const wrong = finding ?? (served ? undefined : absent);
    const message = 'The policy holds for all of its targets.';
    return [
      condition('Accepted', wrong === undefined, { ...(wrong ?? { reason: 'Accepted', message }), generation }),
      condition('Conflicted', wrong?.reason === 'Conflicted', {
        reason: wrong?.reason === 'Conflicted' ? 'Conflicted' : 'NoConflicts',
        message: wrong?.reason === 'Conflicted' ? wrong.message : 'It can be met together with the policies above it.',
        generation,
      }),
      condition('Invalid', wrong?.reason === 'Invalid', {
        reason: wrong?.reason === 'Invalid' ? 'Invalid' : 'Valid',
        message: wrong?.reason === 'Invalid' ? wrong.message : 'It compiles.',
        generation,
      }),
    ];
  };
  const served = [...gateways.values()].map((gateway) => ({
    ancestorRef: ancestor(gateway),
    controllerName,
    conditions: conditionsFor(true),
  }));
  const targets = (policy.targetRefs ?? []).map(({ group, kind, name: target }) => ({
    ancestorRef: { group, kind, namespace, name: target },
    controllerName,
    conditions: conditionsFor(false),
  }));
  const ancestors = (served.length > 0 ? served : targets).slice(0, ANCESTORS);
  const shown = effective.slice(0, EFFECTIVE).map(({ gateway, listener, route, rule, demand, refusal }) => ({
    gateway: `${gateway.namespace}/${gateway.name}`,
    listener,
    route: `${route.kind} ${route.namespace}/${route.name}`,
    rule,
    ...(demand === undefined ? { refusal: refusal ?? '' } : { demand }),
  }));
  const status = { ancestors, effective: shown, routes: effective.length };
  return { group: HOLDFAST_GROUP, kind: 'HoldfastPolicy', namespace, name, status };
}
