// The backends of routes as upstreams: Services by the addresses of their pods.

import { createHash } from 'node:crypto';
import { readAddress } from '../http/address.ts';
import type { BackendTls, BackendTlsPolicies } from './backend-tls.ts';
import type { PemPair, Unresolved } from './certificates.ts';
import { type ClusterIndex, compareTexts } from './index.ts';
import type { AttachedRoute, BackendReference, BackendTlsPolicy, EndpointSlice, ServicePort } from './objects.ts';
import { GATEWAY_GROUP } from './read-common.ts';
import { inlineFile } from './shared-files.ts';

type UpstreamData = Readonly<Record<string, unknown>>;

/** A backend that requests can go to. The same object for as long as it is the same. */
export interface ResolvedBackend {
  readonly upstream: string;
  /** What the configuration says of the upstream. */
  readonly data: UpstreamData;
}

/** Characters that a name in a configuration has at most. */
const NAME = 64;
/**
 * Addresses that no pod has: those of the gateway's own host, where its operators' ports listen, in every spelling that holds one of
 * IPv4 (`::/16`, NAT64); those of a link, where clouds answer about machines, and the one of AWS for IPv6; groups.
 */
const OWN = /^(?:127\.|0\.|169\.254\.|2(?:2[4-9]|[345]\d)\.|::|64:ff9b:|fe[89ab]|ff|fd00:ec2::254$)/i;
/** Another protocol than HTTP: gRPC and HTTP/2 without TLS. */
const H2C = 'kubernetes.io/h2c';
const PLAIN = new Set([undefined, '', 'http', 'HTTP', 'tcp', 'kubernetes.io/ws', 'grpc', H2C]);

/** A name of letters, digits, ".", "_" and "-": the text itself, or what fits of it and its hash. */
export function shortName(text: string): string {
  const clean = text.replaceAll(/[^A-Za-z0-9._-]/g, '_');
  if (clean === text && text.length <= NAME) return text;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12);
  return `${clean.slice(0, NAME - hash.length - 1)}_${hash}`;
}

/** The upstreams of one data plane, collected as its routes ask for them. */
export class Backends {
  readonly #index: ClusterIndex;
  readonly #tls: BackendTlsPolicies;
  readonly #certificate: PemPair | Unresolved | undefined;
  readonly #upstreams = new Map<string, UpstreamData>();
  readonly #used = new Set<BackendTlsPolicy>();

  /** @param certificate shown to backends with TLS; Unresolved: there should be one, and they get no requests */
  constructor(index: ClusterIndex, tls: BackendTlsPolicies, certificate: PemPair | Unresolved | undefined) {
    this.#index = index;
    this.#tls = tls;
    this.#certificate = certificate;
  }

  /** By name, in order. */
  get upstreams(): Readonly<Record<string, UpstreamData>> {
    return Object.fromEntries([...this.#upstreams].toSorted(([a], [b]) => compareTexts(a, b)));
  }

  /** Policies whose targets are among the backends, whether or not they count. */
  get tlsPolicies(): ReadonlySet<BackendTlsPolicy> {
    return this.#used;
  }

  /**
   * The upstream for a backend of a route. NOT checked: whether a pod is there; without one the upstream has no target.
   */
  resolve(route: AttachedRoute, reference: BackendReference): ResolvedBackend | Unresolved {
    const { group, kind, name, namespace = route.meta.namespace, port } = reference;
    if (group !== '' || kind !== 'Service') {
      return { reason: 'InvalidKind', message: `${kind} ${name} is not a Service, expected one.` };
    }
    const from = { group: GATEWAY_GROUP, kind: route.kind, namespace: route.meta.namespace };
    if (!this.#index.permits({ from, to: { group, kind, namespace, name } })) {
      const message = `Service ${namespace}/${name} is in another namespace, expected a ReferenceGrant there for ${route.kind}s of ${route.meta.namespace}.`;
      return { reason: 'RefNotPermitted', message };
    }
    const service = this.#index.service(namespace, name);
    if (service === undefined || service.type === 'ExternalName') {
      const message = `Service ${namespace}/${name} does not exist, or has no pods that could be reached (ExternalName).`;
      return { reason: 'BackendNotFound', message };
    }
    const found = service.ports.find((one) => one.port === port);
    if (found === undefined) {
      return {
        reason: 'BackendNotFound',
        message: `Service ${namespace}/${name} has no TCP port ${port ?? '(none named)'}.`,
      };
    }
    return this.#upstream({ namespace, name }, found, route.kind === 'GRPCRoute');
  }

  #upstream(
    { namespace, name }: { readonly namespace: string; readonly name: string },
    port: ServicePort,
    isGrpc: boolean,
  ): ResolvedBackend | Unresolved {
    const policies = this.#tls.of(namespace, name, port);
    for (const one of policies) this.#used.add(one.policy);
    const [policy] = policies;
    if (policy !== undefined && policy.tls === undefined) {
      const message = `BackendTLSPolicy ${policy.policy.meta.name} for Service ${namespace}/${name} is not valid.`;
      return { reason: 'BackendNotFound', message };
    }
    const shown = policy === undefined ? undefined : this.#certificate;
    if (shown !== undefined && 'reason' in shown) {
      const message = `Service ${namespace}/${name} is called over TLS, for which the Gateway has no certificate: ${shown.message}.`;
      return { reason: 'BackendNotFound', message };
    }
    if (policy === undefined && !PLAIN.has(port.appProtocol)) {
      const message = `appProtocol ${port.appProtocol} of Service ${namespace}/${name} needs TLS, expected a BackendTLSPolicy.`;
      return { reason: 'UnsupportedProtocol', message };
    }
    const http2 = isGrpc || port.appProtocol === H2C || port.appProtocol === 'grpc';
    const slices = this.#index.slices(namespace, name);
    const inputs = [policy, shown?.cert, shown?.key, ...slices];
    const found = this.#index.memory.keep(port, `upstream ${http2}`, inputs, (): ResolvedBackend => {
      const scheme = policy === undefined ? 'http' : 'https';
      const data = {
        targets: targetsOf(slices, port, scheme),
        ...(policy === undefined && { insecure_plain_http: true }),
        ...(http2 && { http2: true }),
        ...(policy?.tls && { tls: tlsData(policy.tls, shown) }),
      };
      return { upstream: shortName(`${namespace}.${name}.${port.port}${http2 ? '.h2' : ''}`), data };
    });
    if (!this.#upstreams.has(found.upstream)) this.#upstreams.set(found.upstream, found.data);
    return found;
  }
}

function tlsData({ serverName, subjectAltNames, ca }: BackendTls, shown: PemPair | undefined): UpstreamData {
  return {
    server_name: serverName,
    ...(subjectAltNames.length > 0 && { subject_alt_names: subjectAltNames }),
    ...(ca !== undefined && { ca_file: inlineFile(ca) }),
    ...(shown !== undefined && { cert: inlineFile(shown.cert), key_file: inlineFile(shown.key) }),
  };
}

/** Each address once, in order, so that equal states give equal configurations. */
function targetsOf(slices: readonly EndpointSlice[], port: ServicePort, scheme: 'http' | 'https'): readonly string[] {
  const targets = slices.flatMap(({ ports, addresses }) => {
    const number = ports.find((one) => one.name === port.name)?.port;
    if (number === undefined) return [];
    return addresses
      .map(readAddress)
      .filter((address) => address !== undefined && !OWN.test(address))
      .map((address) => `${scheme}://${address?.includes(':') ? `[${address}]` : address}:${number}`);
  });
  return [...new Set(targets)].toSorted(compareTexts);
}
