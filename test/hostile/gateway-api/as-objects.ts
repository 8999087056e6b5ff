// Routes of a configuration as objects of a cluster that mean the same.

import { parse } from 'yaml';
import type { Loose } from '../../support/manifests.ts';
import { AUDIENCE, ISSUER } from '../../support/tokens.ts';
import { GATEWAY_API } from './shared-world.ts';

/** Where an upstream of the configuration is. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

export interface ClassWishes {
  readonly controllerName: string;
  /** Of the parameters. The ConfigMap `issuer` there has the keys of the issuer. */
  readonly namespace: string;
  /** More keys of the shared configuration, as YAML in braces without them. */
  readonly more?: string;
}

/** A class `attacked` whose Gateways demand nothing by themselves, as a configuration file without defaults does not. */
export const attackedClass = ({ controllerName, namespace, more = '' }: ClassWishes) => `
apiVersion: holdfast.internal/v1alpha1
kind: HoldfastParameters
metadata: { name: attacked, namespace: ${namespace} }
spec:
  floor: { require: public }
  withoutPolicy: public
  deployment: { resources: { requests: { cpu: 500m } } }
  configuration:
    issuers: { login: { issuer: "${ISSUER}", audience: ["${AUDIENCE}"], keys: { jwks_file: "configMap:issuer/keys.json" } } }
    drain: { delay: 0s, grace: 5s }
    ${more}
---
apiVersion: ${GATEWAY_API}/v1
kind: GatewayClass
metadata: { name: attacked }
spec:
  controllerName: ${controllerName}
  parametersRef: { group: holdfast.internal, kind: HoldfastParameters, namespace: ${namespace}, name: attacked }
`;

/** A Gateway for one host, whose clients are asked for certificates. @param clients name of a ConfigMap with their CAs */
export const attackedGateway = (host: string, secret: string, clients: string) => `
apiVersion: ${GATEWAY_API}/v1
kind: Gateway
metadata: { name: attacked, namespace: shop }
spec:
  gatewayClassName: attacked
  tls: { frontend: { default: { validation: { mode: AllowInsecureFallback, caCertificateRefs: [{ group: "", kind: ConfigMap, name: ${clients} }] } } } }
  listeners: [{ name: https, port: 443, protocol: HTTPS, hostname: ${host}, tls: { certificateRefs: [{ name: ${secret} }] } }]
`;

/** A Service without pods whose requests go to that place. */
export function serviceAt(namespace: string, name: string, { address, port }: Place): readonly object[] {
  const metadata = { name, namespace };
  return [
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports: [{ name: 'http', port: 80 }] } },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port, protocol: 'TCP' }],
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
    },
  ];
}

/**
 * An HTTPRoute and a HoldfastPolicy for each route, in the namespace `shop` and for the Gateway `attacked`.
 * @param routes YAML, as a configuration has it
 */
export function routesAsObjects(routes: string, host: string): readonly object[] {
  return (parse(routes) as Loose[]).flatMap(({ name, match, upstream, timeouts, ...written }) => {
    const { weaker_than_defaults: _, ...demand } = written;
    const metadata = { name, namespace: 'shop' };
    const path = pathOf(match.path);
    const methods: readonly string[] = match.methods ?? [];
    const rule = {
      matches: methods.length === 0 ? [{ path }] : withHead(methods).map((method) => ({ path, method })),
      backendRefs: [{ name: upstream, port: 80 }],
      ...(timeouts?.response_header && { timeouts: { backendRequest: timeouts.response_header } }),
    };
    const parentRefs = [{ name: 'attacked' }];
    const targetRefs = [{ group: GATEWAY_API, kind: 'HTTPRoute', name }];
    return [
      {
        apiVersion: `${GATEWAY_API}/v1`,
        kind: 'HTTPRoute',
        metadata,
        spec: { parentRefs, hostnames: [host], rules: [rule] },
      },
      {
        apiVersion: 'holdfast.internal/v1alpha1',
        kind: 'HoldfastPolicy',
        metadata,
        spec: { targetRefs, ...BY_DEFAULT, ...demand },
      },
    ];
  });
}

/** What a route of a configuration demands that says nothing; here the floor would count, which is none. */
const BY_DEFAULT = { require: 'sender-constrained' };

/** GET of a configuration implies HEAD. */
const withHead = (methods: readonly string[]) => methods.flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one]));

function pathOf(pattern: string): object {
  if (!pattern.endsWith('/*')) return { type: 'Exact', value: pattern };
  return { type: 'PathPrefix', value: pattern.slice(0, -2) || '/' };
}

/** Objects as the text of one file. */
export const asText = (objects: readonly object[]) => objects.map((one) => JSON.stringify(one)).join('\n---\n');
