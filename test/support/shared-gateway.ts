// A Gateway that tenants share: its class, its floor, and one good tenant.

import { makeCertificate } from './pki.ts';
import { CONTROLLER, secretOf } from './manifests.ts';

/** A class whose parameters have this spec. */
export const classWith = (spec: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: { name: hf }
spec:
  controllerName: ${CONTROLLER}
  parametersRef: { group: holdfast.internal, kind: HoldfastParameters, namespace: system, name: p }
---
apiVersion: holdfast.internal/v1alpha1
kind: HoldfastParameters
metadata: { name: p, namespace: system }
spec: ${spec}
`;

const ISSUERS =
  '{ main: { issuer: "https://login.example", audience: [api], keys: { jwks_uri: "https://login.example/keys" } } }';
const RULE = '{ matches: [{ path: { value: /orders } }], backendRefs: [{ name: shop, port: 80 }] }';

/** What the operator and the good tenant wrote. @param rule of the good tenant's route */
export const sharedGateway = (rule = RULE) => `${classWith(
  `{ floor: { require: public }, withoutPolicy: public, configuration: { issuers: ${ISSUERS} } }`,
)}---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: infra }
spec:
  gatewayClassName: hf
  allowedListeners: { namespaces: { from: All } }
  listeners:
    - { name: http, port: 80, protocol: HTTP, hostname: "*.example.com", allowedRoutes: { namespaces: { from: All } } }
    - { name: https, port: 443, protocol: HTTPS, hostname: "*.example.com", tls: { certificateRefs: [{ name: cert }] }, allowedRoutes: { namespaces: { from: All } } }
---
apiVersion: holdfast.internal/v1alpha1
kind: HoldfastPolicy
metadata: { name: floor, namespace: infra }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: gw }]
  require: dpop
  issuers: [main]
  scope: [api]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: good, namespace: shop }
spec:
  parentRefs: [{ name: gw, namespace: infra }]
  hostnames: [shop.example.com]
  rules: [${rule}]
---
apiVersion: v1
kind: Service
metadata: { name: shop, namespace: shop }
spec: { ports: [{ name: w, port: 80 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: shop, namespace: shop, labels: { kubernetes.io/service-name: shop } }
ports: [{ name: w, port: 80 }]
endpoints: [{ addresses: [10.0.0.1] }]
`;

/** The certificate of the Gateway, and the Secret that it is in. */
export const GATEWAY_PAIR = await makeCertificate({ names: ['*.example.com'] });
export const GATEWAY_SECRET = secretOf('infra', 'cert', GATEWAY_PAIR);
