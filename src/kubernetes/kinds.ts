// The kinds of objects that are watched: where the API has them, and how each is read.

import { type Json, mapping } from './json.ts';
import { GATEWAY_GROUP, HOLDFAST_GROUP } from './read-common.ts';
import {
  readConfigMap,
  readEndpointSlice,
  readIngress,
  readIngressClass,
  readNamespace,
  readSecret,
  readService,
} from './read-core.ts';
import {
  readBackendTlsPolicy,
  readGateway,
  readGatewayClass,
  readListenerSet,
  readReferenceGrant,
} from './read-gateway.ts';
import { readHoldfastParameters, readHoldfastPolicy } from './read-policy.ts';
import { readGrpcRoute, readHttpRoute } from './read-route.ts';
import type { ClusterState } from './state.ts';

export interface Kind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** The member of ClusterState that has its objects. */
  readonly member: Exclude<keyof ClusterState, 'running'>;
  /** Has a status that is ours to write. */
  readonly reported: boolean;
  /** Its definition may be missing in a cluster. */
  readonly optional: boolean;
  /** @returns undefined where name or spec cannot be read: such an object counts as absent */
  readonly read: (object: Json) => object | undefined;
}

type Row = readonly [kind: string, plural: string, member: Kind['member'], read: Kind['read']];

const gatewayKind = ([kind, plural, member, read]: Row, facts: Partial<Kind> = {}): Kind => ({
  group: GATEWAY_GROUP,
  version: 'v1',
  kind,
  plural,
  member,
  read,
  namespaced: true,
  reported: true,
  optional: false,
  ...facts,
});
const coreKind = ([kind, plural, member, read]: Row, facts: Partial<Kind> = {}): Kind => ({
  group: '',
  version: 'v1',
  kind,
  plural,
  member,
  read,
  namespaced: true,
  reported: false,
  optional: false,
  ...facts,
});

const CLUSTER_WIDE = { namespaced: false } as const;
const NETWORKING = { group: 'networking.k8s.io' } as const;
const OURS = { group: HOLDFAST_GROUP, version: 'v1alpha1', optional: true } as const;

export const KINDS: readonly Kind[] = [
  gatewayKind(['GatewayClass', 'gatewayclasses', 'gatewayClasses', readGatewayClass], CLUSTER_WIDE),
  gatewayKind(['Gateway', 'gateways', 'gateways', readGateway]),
  gatewayKind(['HTTPRoute', 'httproutes', 'routes', readHttpRoute]),
  gatewayKind(['GRPCRoute', 'grpcroutes', 'routes', readGrpcRoute], { optional: true }),
  gatewayKind(['ListenerSet', 'listenersets', 'listenerSets', readListenerSet], { optional: true }),
  gatewayKind(['ReferenceGrant', 'referencegrants', 'referenceGrants', readReferenceGrant], {
    reported: false,
    optional: true,
  }),
  gatewayKind(['BackendTLSPolicy', 'backendtlspolicies', 'backendTlsPolicies', readBackendTlsPolicy], {
    optional: true,
  }),
  gatewayKind(['HoldfastPolicy', 'holdfastpolicies', 'policies', readHoldfastPolicy], OURS),
  gatewayKind(['HoldfastParameters', 'holdfastparameters', 'parameters', readHoldfastParameters], {
    ...OURS,
    reported: false,
  }),
  coreKind(['Service', 'services', 'services', readService]),
  coreKind(['EndpointSlice', 'endpointslices', 'endpointSlices', readEndpointSlice], { group: 'discovery.k8s.io' }),
  coreKind(['Secret', 'secrets', 'secrets', readSecret]),
  coreKind(['ConfigMap', 'configmaps', 'configMaps', readConfigMap]),
  coreKind(['Namespace', 'namespaces', 'namespaces', readNamespace], CLUSTER_WIDE),
  coreKind(['Ingress', 'ingresses', 'ingresses', readIngress], { ...NETWORKING, reported: true }),
  coreKind(['IngressClass', 'ingressclasses', 'ingressClasses', readIngressClass], { ...NETWORKING, ...CLUSTER_WIDE }),
];

/** Objects as the API server lists them, of one kind: those that can be read, and how many cannot. */
export function readObjects(
  kind: Kind,
  objects: readonly unknown[],
): { readonly read: readonly object[]; readonly unreadable: number } {
  const read = objects.flatMap((object) => kind.read(mapping(object) ?? {}) ?? []);
  return { read, unreadable: objects.length - read.length };
}
