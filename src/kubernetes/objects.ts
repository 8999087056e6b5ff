// Objects of the Kubernetes API: of each kind the members in use here.

/** What every object has. Texts are those of the API server, untrusted. */
export interface Meta {
  readonly name: string;
  /** '' for kinds without a namespace. */
  readonly namespace: string;
  readonly generation: number;
  /** RFC 3339; '' where the server gave none. Older ones come first. */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** An object as others name it. `group`: '' is the core group. */
export interface Reference {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  /** Undefined: that of the object that refers. */
  readonly namespace: string | undefined;
}

/** What a route, a ListenerSet or a policy is attached to. */
export interface ParentReference extends Reference {
  readonly sectionName: string | undefined;
  readonly port: number | undefined;
  /** As it stands in the object: a status repeats it. */
  readonly written: Readonly<Record<string, unknown>>;
}

export interface GatewayClass {
  readonly meta: Meta;
  readonly controllerName: string;
  readonly parametersRef: Reference | undefined;
}

export interface Selector {
  readonly matchLabels: Readonly<Record<string, string>>;
  readonly matchExpressions: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values: readonly string[];
  }[];
}

/** Who may attach: `none` is for ListenerSets alone. A word that is not known admits no one. */
export interface AllowedNamespaces {
  readonly from: string;
  readonly selector: Selector | undefined;
}

export interface ListenerSpec {
  readonly name: string;
  readonly hostname: string | undefined;
  readonly port: number;
  readonly protocol: string;
  readonly tls:
    | { readonly mode: string; readonly certificateRefs: readonly Reference[]; readonly options: readonly string[] }
    | undefined;
  readonly allowedNamespaces: AllowedNamespaces;
  /** Undefined: every kind that the protocol has. */
  readonly allowedKinds: readonly { readonly group: string; readonly kind: string }[] | undefined;
}

/** How clients' certificates are looked at (Gateway `spec.tls.frontend`). */
export interface FrontendValidation {
  readonly mode: string;
  readonly caCertificateRefs: readonly Reference[];
}

export interface GatewayObject {
  readonly meta: Meta;
  readonly className: string;
  readonly listeners: readonly ListenerSpec[];
  /** Undefined: no ListenerSet may attach. */
  readonly allowedListeners: AllowedNamespaces | undefined;
  readonly addresses: readonly { readonly type: string; readonly value: string }[];
  readonly infrastructure: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
    readonly parametersRef: Reference | undefined;
  };
  readonly frontend: {
    readonly default: FrontendValidation | undefined;
    readonly perPort: ReadonlyMap<number, FrontendValidation | undefined>;
  };
  /** The certificate that Gateways show to backends (`spec.tls.backend`). */
  readonly backendCertificate: Reference | undefined;
}

export interface ListenerSet {
  readonly meta: Meta;
  readonly parentRef: ParentReference;
  readonly listeners: readonly ListenerSpec[];
}

export interface BackendReference extends Reference {
  readonly port: number | undefined;
  readonly weight: number;
  readonly filters: readonly Filter[];
}

/** A filter as it is written; `type` '' where there is none. */
export interface Filter {
  readonly type: string;
  /** The member that belongs to the type. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** A name and a value that must be equal. `type`: `Exact` or what else stands there. */
export interface Condition {
  readonly type: string;
  readonly name: string;
  readonly value: string;
}

export interface RouteMatchSpec {
  /** Undefined: of a gRPC match. */
  readonly path: { readonly type: string; readonly value: string } | undefined;
  /** Of a gRPC match. */
  readonly call: { readonly type: string; readonly service: string; readonly method: string } | undefined;
  readonly method: string | undefined;
  readonly headers: readonly Condition[];
  readonly query: readonly Condition[];
  /** Members of the match that are not known here: what they would exclude is not known either. */
  readonly unknown: readonly string[];
}

export interface RouteRule {
  readonly name: string | undefined;
  readonly matches: readonly RouteMatchSpec[];
  readonly filters: readonly Filter[];
  readonly backends: readonly BackendReference[];
  /** As written: GEP-2257 durations. */
  readonly timeouts: { readonly request: string | undefined; readonly backendRequest: string | undefined };
  readonly retry:
    | {
        readonly codes: readonly number[];
        readonly attempts: number | undefined;
        readonly backoff: string | undefined;
      }
    | undefined;
  readonly unknown: readonly string[];
}

export interface AttachedRoute {
  readonly kind: 'HTTPRoute' | 'GRPCRoute' | 'Ingress';
  /** What its routes in a configuration are called; no other one has it. */
  readonly id: string;
  readonly meta: Meta;
  readonly parentRefs: readonly ParentReference[];
  readonly hostnames: readonly string[];
  readonly rules: readonly RouteRule[];
  /** Controllers with an entry in its status. */
  readonly reporters: readonly string[];
}

export interface ReferenceGrant {
  readonly meta: Meta;
  readonly from: readonly { readonly group: string; readonly kind: string; readonly namespace: string }[];
  readonly to: readonly { readonly group: string; readonly kind: string; readonly name: string | undefined }[];
}

export interface BackendTlsPolicy {
  readonly meta: Meta;
  readonly targetRefs: readonly (Reference & { readonly sectionName: string | undefined })[];
  readonly hostname: string;
  readonly caCertificateRefs: readonly Reference[];
  readonly wellKnown: string | undefined;
  readonly subjectAltNames: readonly { readonly type: string; readonly value: string }[];
  readonly reporters: readonly string[];
}

export interface ServicePort {
  readonly name: string;
  readonly port: number;
  readonly appProtocol: string | undefined;
}

export interface Service {
  readonly meta: Meta;
  readonly type: string;
  readonly ports: readonly ServicePort[];
}

export interface EndpointSlice {
  readonly meta: Meta;
  /** The Service that it belongs to (label kubernetes.io/service-name). */
  readonly service: string;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  /** Ready ones alone. */
  readonly addresses: readonly string[];
}

/** Content of Secrets and ConfigMaps, decoded: each character is an octet. */
export interface Content {
  readonly meta: Meta;
  readonly type: string;
  readonly data: ReadonlyMap<string, string>;
}

export interface Namespace {
  readonly meta: Meta;
}

export interface IngressPath {
  readonly host: string | undefined;
  readonly path: string;
  readonly pathType: string;
  readonly service: { readonly name: string; readonly port: number | undefined; readonly portName: string | undefined };
}

export interface Ingress {
  readonly meta: Meta;
  readonly className: string | undefined;
  readonly tls: readonly { readonly hosts: readonly string[]; readonly secretName: string }[];
  readonly paths: readonly IngressPath[];
}

export interface IngressClass {
  readonly meta: Meta;
  readonly controller: string;
  readonly parametersRef: Reference | undefined;
  readonly isDefault: boolean;
}

/** A HoldfastPolicy: what is demanded of requests, attached to Gateways and routes of its namespace. */
export interface HoldfastPolicy {
  readonly meta: Meta;
  /** Undefined: they cannot be read, so that it may be meant for anything in its namespace. */
  readonly targetRefs: readonly (Reference & { readonly sectionName: string | undefined })[] | undefined;
  /** Keys of a route of the configuration, unchecked. */
  readonly demand: Readonly<Record<string, unknown>>;
  readonly reporters: readonly string[];
}

/** HoldfastParameters of a GatewayClass: the configuration that its Gateways share. */
export interface HoldfastParameters {
  readonly meta: Meta;
  /** Keys of the configuration beside listeners, upstreams and routes, unchecked. */
  readonly configuration: Readonly<Record<string, unknown>>;
  /** What every route demands at least. */
  readonly floor: Readonly<Record<string, unknown>>;
  /** What becomes of public routes to which no policy is attached. */
  readonly withoutPolicy: 'refuse' | 'public';
  /** Of the data planes' Service and Deployment; for who makes them. */
  readonly service: Readonly<Record<string, unknown>>;
  readonly deployment: Readonly<Record<string, unknown>>;
}
