// The statuses of GatewayClasses, Gateways and ListenerSets.

import type { Attachment } from './attach.ts';
import type { Unresolved } from './certificates.ts';
import { condition } from './condition.ts';
import type { JudgedListener } from './listeners.ts';
import type { GatewayClass, GatewayObject, ListenerSet } from './objects.ts';
import { GATEWAY_GROUP } from './read-common.ts';
import type { ObjectStatus, RunningDataPlane } from './state.ts';

/** Features of the Gateway API that the official suite finds here (docs/conformance-gateway-api.yaml). */
const FEATURES = [
  'BackendTLSPolicy',
  'BackendTLSPolicySANValidation',
  'GRPCRoute',
  'GRPCRouteNamedRouteRule',
  'Gateway',
  'GatewayAddressEmpty',
  'GatewayBackendClientCertificate',
  'GatewayFrontendClientCertificateValidation',
  'GatewayFrontendClientCertificateValidationInsecureFallback',
  'GatewayHTTPListenerIsolation',
  'GatewayHTTPSListenerDetectMisdirectedRequests',
  'GatewayPort8080',
  'HTTPRoute',
  'HTTPRoute303RedirectStatusCode',
  'HTTPRoute307RedirectStatusCode',
  'HTTPRoute308RedirectStatusCode',
  'HTTPRouteBackendProtocolH2C',
  'HTTPRouteBackendProtocolWebSocket',
  'HTTPRouteBackendTimeout',
  'HTTPRouteDestinationPortMatching',
  'HTTPRouteHostRewrite',
  'HTTPRouteMethodMatching',
  'HTTPRouteNamedRouteRule',
  'HTTPRouteParentRefPort',
  'HTTPRoutePathRedirect',
  'HTTPRoutePathRewrite',
  'HTTPRoutePortRedirect',
  'HTTPRouteQueryParamMatching',
  'HTTPRouteRequestMirror',
  'HTTPRouteRequestMultipleMirrors',
  'HTTPRouteRequestPercentageMirror',
  'HTTPRouteRequestTimeout',
  'HTTPRouteResponseHeaderModification',
  'HTTPRouteRetry',
  'HTTPRouteSchemeRedirect',
  'ListenerSet',
  'ReferenceGrant',
] as const;

/** @param trouble with its parameters; undefined: none */
export function classStatus({ meta }: GatewayClass, trouble: string | undefined): ObjectStatus {
  const accepted = condition('Accepted', trouble === undefined, {
    reason: trouble === undefined ? 'Accepted' : 'InvalidParameters',
    message: trouble ?? 'Gateways of this class are served.',
    generation: meta.generation,
  });
  const status = { conditions: [accepted], supportedFeatures: FEATURES.map((name) => ({ name })) };
  return { group: GATEWAY_GROUP, kind: 'GatewayClass', namespace: '', name: meta.name, status };
}

/** What is known about a Gateway beyond its listeners. */
export interface GatewayFacts {
  readonly listeners: readonly JudgedListener[];
  readonly attachments: readonly Attachment[];
  readonly running: RunningDataPlane | undefined;
  /** Why no configuration could be made, for people. */
  readonly problems: readonly string[];
  readonly attachedSets: number;
  /** Why it is not accepted: reason and message. */
  readonly refused: Unresolved | undefined;
  /** A reference of its own that cannot be used. */
  readonly unresolved: Unresolved | undefined;
}

export function gatewayStatus(gateway: GatewayObject, facts: GatewayFacts): ObjectStatus {
  const { meta } = gateway;
  const own = facts.listeners.filter(({ owner }) => owner.kind === 'Gateway');
  const addresses = facts.running?.addresses ?? [];
  const insecure = facts.listeners.some(({ client }) => client?.insecureFallback);
  const status = {
    ...(addresses.length > 0 && { addresses }),
    conditions: [
      acceptedGateway(gateway, own, facts),
      programmedGateway(gateway, facts),
      resolvedGateway(meta.generation, facts),
      ...(insecure ? [insecureMode(meta.generation)] : []),
    ],
    listeners: own.map((listener) => listenerStatus(listener, facts.attachments)),
    attachedListenerSets: facts.attachedSets,
  };
  return { group: GATEWAY_GROUP, kind: 'Gateway', namespace: meta.namespace, name: meta.name, status };
}

function insecureMode(generation: number) {
  return condition('InsecureFrontendValidationMode', true, {
    reason: 'ConfigurationChanged',
    message: 'Clients without a certificate, and with one of an unknown CA, are let in.',
    generation,
  });
}

function acceptedGateway({ meta }: GatewayObject, own: readonly JudgedListener[], { refused }: GatewayFacts) {
  const { generation } = meta;
  if (refused !== undefined) return condition('Accepted', false, { ...refused, generation });
  const valid = own.filter(isAccepted);
  if (valid.length === own.length) {
    return condition('Accepted', true, { reason: 'Accepted', message: 'The Gateway is valid.', generation });
  }
  const names = own.filter((one) => !isAccepted(one)).map(({ spec }) => spec.name);
  const message = `These listeners are not valid: ${names.join(', ')}. Their conditions say why.`;
  return condition('Accepted', valid.length > 0, { reason: 'ListenersNotValid', message, generation });
}

/** The Gateway's own references, then those of its listeners. */
function resolvedGateway(generation: number, { unresolved, listeners }: GatewayFacts) {
  const names = listeners.filter((one) => !has(one, 'ResolvedRefs')).map(({ spec }) => spec.name);
  const ofListeners = names.length > 0 && {
    reason: 'ListenersNotResolved',
    message: `These listeners have references that cannot be used: ${names.join(', ')}. Their conditions say why.`,
  };
  const found = unresolved ?? (ofListeners || undefined);
  const { reason, message } = found ?? { reason: 'ResolvedRefs', message: 'All references are resolved.' };
  return condition('ResolvedRefs', found === undefined, { reason, message, generation });
}

const isAccepted = (listener: JudgedListener) => has(listener, 'Accepted');

function has({ conditions }: JudgedListener, sought: string): boolean {
  return conditions.some(({ type, status }) => type === sought && status === 'True');
}

function programmedGateway({ meta, addresses }: GatewayObject, facts: GatewayFacts) {
  const { running, problems, refused } = facts;
  const { generation } = meta;
  const not = (reason: string, message: string) => condition('Programmed', false, { reason, message, generation });
  if (refused !== undefined) return not('Invalid', refused.message);
  if (problems.length > 0) return not('Invalid', `The configuration does not compile:\n${problems.join('\n')}`);
  if (!facts.listeners.some(({ serves }) => serves)) return not('Invalid', 'No listener can serve.');
  if (running?.trouble !== undefined) return not('Pending', running.trouble);
  if (running === undefined || running.addresses.length === 0) {
    return not('AddressNotAssigned', 'The Service of the data plane has no address yet.');
  }
  const missing = addresses.find(({ value }) => value !== '' && !running.addresses.some((one) => one.value === value));
  if (missing !== undefined) return not('AddressNotUsable', `Address ${missing.value} was not assigned.`);
  if (!running.ready) return not('Pending', 'No pod of the data plane is ready yet.');
  return condition('Programmed', true, { reason: 'Programmed', message: 'The data plane serves.', generation });
}

/** Routes count as attached where they are accepted, whether or not the listener serves. */
function listenerStatus(listener: JudgedListener, attachments: readonly Attachment[]) {
  const attached = attachments.filter(({ taken }) => taken.some((one) => one.listener === listener));
  return {
    name: listener.spec.name,
    supportedKinds: listener.kinds.map((kind) => ({ group: GATEWAY_GROUP, kind })),
    attachedRoutes: new Set(attached.map(({ route }) => route)).size,
    conditions: listener.conditions,
  };
}

/** A ListenerSet is part of its Gateway where one of its listeners serves. */
export function isAttached(listeners: readonly JudgedListener[]): boolean {
  return listeners.some(({ serves }) => serves);
}

/** @param listeners those of the set; undefined: the Gateway does not admit it */
export function listenerSetStatus(
  { meta }: ListenerSet,
  listeners: readonly JudgedListener[] | undefined,
  attachments: readonly Attachment[],
): ObjectStatus {
  const { generation, namespace, name } = meta;
  const [reason, message] =
    listeners === undefined
      ? ['NotAllowed', 'The Gateway does not allow ListenerSets of this namespace.']
      : listeners.every(({ serves }) => serves)
        ? ['Accepted', 'The listeners are part of the Gateway.']
        : ['ListenersNotValid', 'Some listeners are not valid. Their conditions say why.'];
  const holds = listeners !== undefined && isAttached(listeners);
  const conditions = [
    condition('Accepted', holds, { reason, message, generation }),
    condition('Programmed', holds, { reason: holds ? 'Programmed' : reason, message, generation }),
  ];
  const entries = (listeners ?? []).map((listener) => listenerStatus(listener, attachments));
  const status = { conditions, ...(entries.length > 0 && { listeners: entries }) };
  return { group: GATEWAY_GROUP, kind: 'ListenerSet', namespace, name, status };
}
