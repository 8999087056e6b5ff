// Ingresses as routes and listeners of the Gateway that their IngressClass names.

import { type ClusterIndex, nameKey } from './index.ts';
import type {
  AttachedRoute,
  HoldfastPolicy,
  Ingress,
  IngressClass,
  IngressPath,
  ListenerSet,
  ListenerSpec,
  ParentReference,
  RouteRule,
} from './objects.ts';
import { GATEWAY_GROUP, HOLDFAST_GROUP } from './read-common.ts';
import type { ObjectStatus, RunningDataPlane } from './state.ts';

/** Names a HoldfastPolicy of the Ingress's namespace. */
const POLICY_ANNOTATION = `${HOLDFAST_GROUP}/policy`;
const HTTPS = 443;

/** What Ingresses are in the words of the Gateway API. */
export interface IngressParts {
  readonly routes: readonly AttachedRoute[];
  /** For the hosts that have a certificate; their names are none that an object could have. */
  readonly listenerSets: readonly ListenerSet[];
}

/** Whether a ListenerSet is one of those. */
export function isOfIngress({ meta }: Pick<ListenerSet, 'meta'>): boolean {
  return meta.name.includes(':');
}

/**
 * Ingresses of our IngressClasses. A class names its Gateway in `parameters`; its listeners and what they allow count, and the
 * Gateway has to allow ListenerSets of the namespace for hosts with a certificate to be served.
 */
export function ingressParts(index: ClusterIndex, controllerName: string): IngressParts {
  const classes = index.state.ingressClasses.filter(({ controller }) => controller === controllerName);
  const byName = new Map(classes.map((one) => [one.meta.name, one]));
  const fallback = classes.find(({ isDefault }) => isDefault);
  const found = index.state.ingresses.flatMap((ingress) => {
    const own = ingress.className === undefined ? fallback : byName.get(ingress.className);
    const gateway = own && gatewayOf(own);
    return gateway === undefined ? [] : [partsOf(index, ingress, gateway)];
  });
  return {
    routes: found.flatMap(({ routes }) => routes),
    listenerSets: found.flatMap(({ listenerSets }) => listenerSets),
  };
}

function gatewayOf({ parametersRef }: IngressClass): ParentReference | undefined {
  if (parametersRef === undefined || parametersRef.group !== GATEWAY_GROUP || parametersRef.kind !== 'Gateway') {
    return undefined;
  }
  return { ...parametersRef, sectionName: undefined, port: undefined, written: {} };
}

function partsOf(index: ClusterIndex, ingress: Ingress, gateway: ParentReference): IngressParts {
  const listeners = ingress.tls.flatMap(({ hosts, secretName }) =>
    hosts.map((host, at) => secureListener(`${secretName}-${at}`, host, secretName)),
  );
  const set: ListenerSet = {
    meta: { ...ingress.meta, name: `ingress:${ingress.meta.name}` },
    parentRef: gateway,
    listeners: listeners.filter(({ hostname }, at) => listeners.findIndex((one) => one.hostname === hostname) === at),
  };
  const own: ParentReference = {
    group: GATEWAY_GROUP,
    kind: 'ListenerSet',
    name: set.meta.name,
    namespace: set.meta.namespace,
    sectionName: undefined,
    port: undefined,
    written: {},
  };
  const byHost = Map.groupBy(ingress.paths, ({ host }) => host);
  const routes = [...byHost].map(
    ([host, paths], at): AttachedRoute => ({
      kind: 'Ingress',
      id: `ingress_${ingress.meta.namespace}.${ingress.meta.name}.${at}`,
      meta: ingress.meta,
      parentRefs: set.listeners.length === 0 ? [gateway] : [gateway, own],
      hostnames: host === undefined ? [] : [host],
      rules: paths.map((path) => ruleOf(index, ingress, path)),
      reporters: [],
    }),
  );
  return { routes, listenerSets: set.listeners.length === 0 ? [] : [set] };
}

function secureListener(name: string, hostname: string, secretName: string): ListenerSpec {
  const reference = { group: '', kind: 'Secret', name: secretName, namespace: undefined };
  return {
    name,
    hostname,
    port: HTTPS,
    protocol: 'HTTPS',
    tls: { mode: 'Terminate', certificateRefs: [reference], options: [] },
    allowedNamespaces: { from: 'Same', selector: undefined },
    allowedKinds: undefined,
  };
}

function ruleOf(index: ClusterIndex, { meta }: Ingress, { path, pathType, service }: IngressPath): RouteRule {
  const ports = index.service(meta.namespace, service.name)?.ports ?? [];
  const port = service.port ?? ports.find(({ name }) => name === service.portName)?.port;
  const reference = { group: '', kind: 'Service', name: service.name, namespace: undefined };
  return {
    name: undefined,
    matches: [
      {
        path: { type: pathType === 'Exact' ? 'Exact' : 'PathPrefix', value: path },
        call: undefined,
        method: undefined,
        headers: [],
        query: [],
        unknown: [],
      },
    ],
    filters: [],
    backends: [{ ...reference, port, weight: 1, filters: [] }],
    timeouts: { request: undefined, backendRequest: undefined },
    retry: undefined,
    unknown: [],
  };
}

/** The policy that an Ingress names by its annotation; a text: why it cannot be had. */
export function annotatedPolicies(
  { kind, meta }: AttachedRoute,
  byName: ReadonlyMap<string, HoldfastPolicy>,
): readonly HoldfastPolicy[] | string {
  const name = kind === 'Ingress' ? meta.annotations[POLICY_ANNOTATION] : undefined;
  if (name === undefined) return [];
  const policy = byName.get(nameKey(meta.namespace, name));
  return policy === undefined
    ? `The annotation ${POLICY_ANNOTATION} names a HoldfastPolicy that is not there: ${name}.`
    : [policy];
}

/** @param running data planes of the Gateways that serve it */
export function ingressStatus({ meta }: AttachedRoute, running: readonly RunningDataPlane[]): ObjectStatus {
  const addresses = running.flatMap((one) => one.addresses);
  const ingress = addresses.map(({ type, value }) => (type === 'Hostname' ? { hostname: value } : { ip: value }));
  const { namespace, name } = meta;
  return { group: 'networking.k8s.io', kind: 'Ingress', namespace, name, status: { loadBalancer: { ingress } } };
}
