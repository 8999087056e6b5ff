// The attacks of hostile tenants on hosts and listeners of others: one at a time.

import { GATEWAY_API, OWN as OF_SHOP, SHOP } from './shared-world.ts';
import { type Asked, floor, GOOD, own, OWN, policy, route, type TenantAttack } from './tenant-objects.ts';

const theirs = (match: string) => route(`hostnames: [${SHOP}], rules: [{ matches: [${match}], ${OWN} }]`);
const atShop = (path: string, more: Partial<Asked> = {}): Asked => ({
  host: SHOP,
  path,
  claims: { scope: 'api orders:read' },
  fate: 'shop',
  ...more,
});

const HOSTS: readonly TenantAttack[] = [
  {
    what: 'the host and path of another, later',
    objects: theirs('{ path: { value: /orders } }'),
    asked: [
      atShop('/orders/1'),
      atShop('/orders'),
      { host: SHOP, path: '/orders/1', fate: '401 credentials_missing' },
      { host: SHOP, path: '/orders/1', claims: GOOD, fate: '403 scope_insufficient' },
    ],
  },
  {
    what: 'a longer path, another method or a field at the host of another, as the Gateway API has it',
    objects: theirs(
      '{ path: { value: /orders/of-evil } }, { path: { value: /orders }, method: PUT }, { path: { value: /orders }, headers: [{ name: X-Evil, value: "1" }] }',
    ),
    asked: [
      atShop('/orders/1'),
      atShop('/orders/of-evil2'),
      atShop('/orders/1', { fields: [['X-Evil', '2']] }),
      { host: SHOP, path: '/orders/of-evil/1', fate: '401 credentials_missing' },
      atShop('/orders/of-evil/1', { fate: 'evil', without: /^(?:authorization|dpop):/ }),
      { host: SHOP, path: '/orders/1', method: 'PUT', fate: '401 credentials_missing' },
      atShop('/orders/1', { fields: [['X-Evil', '1']], fate: 'evil', without: /^(?:authorization|dpop):/ }),
    ],
  },
  {
    what: 'the host and path of another, spelled differently',
    objects: route(
      `hostnames: [${SHOP}], rules: [{ matches: [{ path: { value: /orders/ } }, { path: { value: "/%6frders" } }, { path: { value: "//orders" } }, { path: { value: /orders/. } }], ${OWN} }]`,
    ),
    asked: [atShop('/orders/1'), atShop('/%6frders/1'), atShop('/orders/')],
  },
  {
    what: 'the host of another with a dot or a port',
    objects: route(`hostnames: ["${SHOP}.", "${SHOP}:443"], rules: [{ ${OWN} }]`),
    asked: [atShop('/orders/1')],
  },
  {
    what: 'every host',
    objects: route(`rules: [{ ${OWN} }]`),
    asked: [
      atShop('/orders/1'),
      { host: SHOP, path: '/orders/1', fate: '401 credentials_missing' },
      { host: 'none.example.org', fate: '401 credentials_missing' },
    ],
  },
  {
    what: 'every host below the one of the listener, and those beyond it',
    objects: route(`hostnames: ["*.example.org", "*.org", "api.example.com", "example.org"], rules: [{ ${OWN} }]`),
    asked: [
      atShop('/orders/1'),
      { host: 'api.example.com', claims: GOOD, fate: '404 route_not_found' },
      { host: 'example.org', claims: GOOD, fate: '404 route_not_found' },
    ],
  },
  {
    what: 'calls of gRPC at the host of another',
    objects: route(
      `hostnames: [${SHOP}], rules: [{ matches: [{ method: { service: orders, method: list } }], ${OWN} }]`,
      'GRPCRoute',
    ),
    asked: [
      atShop('/orders/list', { method: 'POST' }),
      atShop('/orders/list', {
        method: 'POST',
        fields: [
          ['Content-Type', 'application/grpc'],
          ['TE', 'trailers'],
        ],
      }),
    ],
  },
  {
    what: 'signatures that cover a field of others',
    objects: own() + policy('signature: { components: [x-team, content-type] }'),
    asked: [
      atShop('/orders/1', {
        fields: [
          ['X_Team', 'a'],
          ['Content_Digest', 'b'],
          ['Content.Type', 'c'],
        ],
      }),
      { claims: GOOD, fields: [['X_Team', 'a']], fate: '400 field_forbidden' },
      { claims: GOOD, fate: '401 signature_missing' },
    ],
  },
  {
    what: 'a listener for the host of another, and a wider one',
    objects: `
apiVersion: ${GATEWAY_API}/v1
kind: ListenerSet
metadata: { name: NAME, namespace: evil }
spec:
  parentRef: { name: shared, namespace: infra }
  listeners:
    - { name: a, port: 443, protocol: HTTPS, hostname: "*.example.org", tls: { certificateRefs: [{ name: cert }] } }
    - { name: b, port: 443, protocol: HTTP, hostname: HOST }
---
apiVersion: ${GATEWAY_API}/v1
kind: HTTPRoute
metadata: { name: NAME, namespace: evil }
spec: { parentRefs: [{ kind: ListenerSet, name: NAME }], rules: [{ ${OWN} }] }
---`,
    asked: [atShop('/orders/1'), { fate: '404' }],
  },
];

const listenerFor = (hostname: string, more = '') => `
apiVersion: ${GATEWAY_API}/v1
kind: ListenerSet
metadata: { name: NAME, namespace: evil }
spec:
  parentRef: { name: shared, namespace: infra }
  listeners: [{ name: a, port: 443, protocol: HTTPS, hostname: ${hostname}, tls: { certificateRefs: [{ name: cert }] }${more} }]
---`;
const LISTENERS: readonly TenantAttack[] = [
  {
    what: 'the hostname of a listener of another',
    objects: `${listenerFor(OF_SHOP, ', allowedRoutes: { namespaces: { from: All } }')}${route(`hostnames: [${OF_SHOP}], rules: [{ matches: [{ path: { value: /longer } }], ${OWN} }]`).replace('{ name: shared, namespace: infra }', '{ kind: ListenerSet, name: NAME }')}`,
    asked: [{ host: OF_SHOP, path: '/longer/1', claims: GOOD, fate: 'shop' }],
  },
  {
    what: 'a host that has a listener, through a wider one',
    objects: route(
      `hostnames: [${OF_SHOP}, "*.example.org"], rules: [{ matches: [{ path: { value: /longer } }], ${OWN} }]`,
    ),
    asked: [{ host: OF_SHOP, path: '/longer/1', claims: GOOD, fate: 'shop' }],
  },
  {
    what: 'the listener of another that takes routes of its namespace alone',
    objects: route(`rules: [{ matches: [{ path: { value: /longer } }], ${OWN} }]`).replace(
      '{ name: shared, namespace: infra }',
      '{ kind: ListenerSet, name: shop, namespace: shop }',
    ),
    asked: [{ host: OF_SHOP, path: '/longer/1', claims: GOOD, fate: 'shop' }],
  },
  {
    what: 'a listener and a policy for it, weaker than the floor',
    objects: `${listenerFor('HOST')}${route(`rules: [{ ${OWN} }]`).replace('{ name: shared, namespace: infra }', '{ kind: ListenerSet, name: NAME }')}${policy('require: public', 'kind: ListenerSet, name: NAME')}`,
    asked: floor,
  },
];

export const ALONE: readonly TenantAttack[] = [...HOSTS, ...LISTENERS];
