// A Gateway that tenants share, as its operator and the good tenant have written it.

export const GATEWAY_API = 'gateway.networking.k8s.io';
/** The host of the good tenant, who came first. */
export const SHOP = 'shop.example.org';
/** Another one, for which it has a listener. */
export const OWN = 'own.example.org';

/** A shared Gateway, its floor, and the good tenant `shop`; the tenant `evil` has a backend too. @param className of its class */
export const sharedWorld = (className: string) => `
apiVersion: ${GATEWAY_API}/v1
kind: Gateway
metadata: { name: shared, namespace: infra }
spec:
  gatewayClassName: ${className}
  allowedListeners: { namespaces: { from: All } }
  listeners:
    - { name: https, port: 443, protocol: HTTPS, hostname: "*.example.org", tls: { certificateRefs: [{ name: cert }] }, allowedRoutes: { namespaces: { from: All } } }
---
apiVersion: holdfast.internal/v1alpha1
kind: HoldfastPolicy
metadata: { name: floor, namespace: infra }
spec:
  targetRefs: [{ group: ${GATEWAY_API}, kind: Gateway, name: shared }]
  require: dpop
  issuers: [login]
  audience: ["https://api.example.com"]
  scope: [api]
  limits: { request_body: 2KiB }
---
apiVersion: ${GATEWAY_API}/v1
kind: HTTPRoute
metadata: { name: shop, namespace: shop }
spec:
  parentRefs: [{ name: shared, namespace: infra }]
  hostnames: [${SHOP}]
  rules: [{ matches: [{ path: { value: /orders } }], backendRefs: [{ name: shop, port: 80 }] }]
---
apiVersion: holdfast.internal/v1alpha1
kind: HoldfastPolicy
metadata: { name: shop, namespace: shop }
spec:
  targetRefs: [{ group: ${GATEWAY_API}, kind: HTTPRoute, name: shop }]
  scope: ["orders:read"]
---
apiVersion: ${GATEWAY_API}/v1
kind: ListenerSet
metadata: { name: shop, namespace: shop }
spec:
  parentRef: { name: shared, namespace: infra }
  listeners: [{ name: own, port: 443, protocol: HTTPS, hostname: ${OWN}, tls: { certificateRefs: [{ name: cert }] } }]
---
apiVersion: ${GATEWAY_API}/v1
kind: HTTPRoute
metadata: { name: own, namespace: shop }
spec: { parentRefs: [{ kind: ListenerSet, name: shop }], rules: [{ backendRefs: [{ name: shop, port: 80 }] }] }
---
`;
