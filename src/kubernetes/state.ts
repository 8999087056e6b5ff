// The state of a cluster as the translation takes it, and its result.

import type {
  AttachedRoute,
  BackendTlsPolicy,
  Content,
  EndpointSlice,
  GatewayObject,
  GatewayClass,
  HoldfastParameters,
  HoldfastPolicy,
  Ingress,
  IngressClass,
  ListenerSet,
  Namespace,
  ReferenceGrant,
  Service,
} from './objects.ts';

/** All objects of the kinds that are watched, in any order. Kinds whose definition is missing in the cluster are empty. */
export interface ClusterState {
  readonly gatewayClasses: readonly GatewayClass[];
  readonly gateways: readonly GatewayObject[];
  readonly listenerSets: readonly ListenerSet[];
  /** HTTPRoutes and GRPCRoutes. */
  readonly routes: readonly AttachedRoute[];
  readonly referenceGrants: readonly ReferenceGrant[];
  readonly backendTlsPolicies: readonly BackendTlsPolicy[];
  readonly services: readonly Service[];
  readonly endpointSlices: readonly EndpointSlice[];
  /** Those that objects may refer to; the others do no harm. */
  readonly secrets: readonly Content[];
  readonly configMaps: readonly Content[];
  readonly namespaces: readonly Namespace[];
  readonly ingresses: readonly Ingress[];
  readonly ingressClasses: readonly IngressClass[];
  readonly policies: readonly HoldfastPolicy[];
  readonly parameters: readonly HoldfastParameters[];
  /** Data planes as they run. */
  readonly running: readonly RunningDataPlane[];
}

/** A data plane as its Service and Deployment say. */
export interface RunningDataPlane {
  readonly gateway: Name;
  /** Those of the Service; none: not assigned yet. */
  readonly addresses: readonly { readonly type: 'IPAddress' | 'Hostname'; readonly value: string }[];
  /** At least one pod is ready. */
  readonly ready: boolean;
  /** Why the configuration could not be delivered, such as its size. */
  readonly trouble: string | undefined;
}

export interface Name {
  readonly namespace: string;
  readonly name: string;
}

export interface Settings {
  /** Whose GatewayClasses count: `spec.controllerName`. */
  readonly controllerName: string;
  /** Seconds since the epoch: certificates have to be valid. */
  readonly now: number;
}

export interface PlannedDataPlane {
  readonly gateway: Name;
  /**
   * What `holdfast serve` takes, as JSON data. Undefined: it would not compile; who runs the data plane leaves the last one in place.
   */
  readonly configuration: object | undefined;
  /** Of the Service: `targetPort` is where the listener binds. */
  readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: number }[];
  /** For every object that is made for this Gateway (spec.infrastructure). */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly parameters: Pick<HoldfastParameters, 'service' | 'deployment'> | undefined;
}

export interface StatusCondition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
}

/**
 * The part of a status that is ours. `parents` (routes) and `ancestors` (policies) are our entries alone: those of other controllers
 * stay, those of ours that are not named go. Conditions have no lastTransitionTime: it changes only with `status`.
 */
export interface ObjectStatus extends Name {
  readonly group: string;
  readonly kind: string;
  readonly status: Readonly<Record<string, unknown>>;
}

export interface ObjectEvent extends Name {
  readonly group: string;
  readonly kind: string;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** What holds for a rule of a route on one listener. */
export interface EffectivePolicy {
  readonly gateway: Name;
  readonly listener: string;
  readonly route: Name & { readonly kind: string };
  /** Counted from 0. */
  readonly rule: number;
  readonly ruleName: string | undefined;
  /** `namespace/name`, the Gateway's first. */
  readonly policies: readonly string[];
  /** Undefined: requests get 503. */
  readonly demand: Readonly<Record<string, unknown>> | undefined;
  readonly refusal: string | undefined;
}

export interface Translation {
  readonly dataPlanes: readonly PlannedDataPlane[];
  readonly statuses: readonly ObjectStatus[];
  readonly events: readonly ObjectEvent[];
  readonly effective: readonly EffectivePolicy[];
}
