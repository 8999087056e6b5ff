// The attacks of hostile tenants of a shared Gateway: their objects and their requests.

import type { RequestWishes } from '../../support/gateway.ts';
import { GATEWAY_API, SHOP } from './shared-world.ts';

/** What becomes of a request: a backend that got it, or the status and reason of the refusal. */
export type Fate = 'shop' | 'evil' | `${number}` | `${number} ${string}`;

/** A request for the host of the tenant, unless it says another one. */
export interface Asked {
  readonly path?: string;
  readonly method?: string;
  readonly host?: string;
  /** Who asks: somebody without credentials; the holder of a token with a proof, whose claims are these too. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Seconds since the proof was made. */
  readonly age?: number;
  /** An unbound token as Bearer. */
  readonly bearer?: true;
  readonly fields?: RequestWishes['fields'];
  readonly body?: string;
  readonly fate: Fate;
  /** In lines `name: value` of what the backend got, in small letters: what must not be there. */
  readonly without?: RegExp;
}

export interface TenantAttack {
  readonly what: string;
  /** Objects as YAML. HOST stands for a host of this attack alone, NAME for a name. */
  readonly objects: string;
  readonly asked: readonly Asked[];
}

/** A route of the tenant for its host. @param rest of the spec, with its rules */
const route = (rest: string, kind = 'HTTPRoute') => `
apiVersion: ${GATEWAY_API}/v1
kind: ${kind}
metadata: { name: NAME, namespace: evil }
spec: { parentRefs: [{ name: shared, namespace: infra }], ${rest} }
---`;
const own = (rule = '') => route(`hostnames: [HOST], rules: [{ ${rule}${rule === '' ? '' : ', '}${OWN} }]`);
const OWN = 'backendRefs: [{ name: evil, port: 80 }]';
const filter = (text: string) => own(`filters: [${text}]`);
const policy = (keys: string, target = 'kind: HTTPRoute, name: NAME') => `
apiVersion: holdfast.internal/v1alpha1
kind: HoldfastPolicy
metadata: { name: NAME, namespace: evil }
spec: { targetRefs: [{ group: ${GATEWAY_API}, ${target} }], ${keys} }
---`;
const grant = (namespace: string, spec: string) => `
apiVersion: ${GATEWAY_API}/v1beta1
kind: ReferenceGrant
metadata: { name: NAME, namespace: ${namespace} }
spec: ${spec}
---`;

/** The floor of the Gateway demands a proof of a token with the scope `api`. */
const GOOD = { scope: 'api' };
const anonymous: Asked = { fate: '401 credentials_missing' };
const holder: Asked = { claims: GOOD, fate: 'evil' };
const withheld: readonly Asked[] = [{ fate: '503' }, { claims: GOOD, fate: '503' }];
/** The floor, and no more: what all weaker policies come to. */
const floor: readonly Asked[] = [
  anonymous,
  { bearer: true, fate: '401 binding_required' },
  { claims: { scope: 'else' }, fate: '403 scope_insufficient' },
  { claims: GOOD, age: 200, fate: '401 proof_stale' },
  { ...holder, without: /^(?:authorization|dpop):/ },
];

const REFERENCES: readonly TenantAttack[] = [
  {
    what: 'a backend of another namespace without a grant',
    objects: route('hostnames: [HOST], rules: [{ backendRefs: [{ name: shop, namespace: shop, port: 80 }] }]'),
    asked: [anonymous, { claims: GOOD, fate: '500 upstream_absent' }],
  },
  {
    what: 'a backend of another namespace, with a grant that the tenant gives itself',
    objects: `${route('hostnames: [HOST], rules: [{ backendRefs: [{ name: shop, namespace: shop, port: 80 }] }]')}
${grant('evil', `{ from: [{ group: ${GATEWAY_API}, kind: HTTPRoute, namespace: evil }], to: [{ group: "", kind: Service }] }`)}`,
    asked: [anonymous, { claims: GOOD, fate: '500 upstream_absent' }],
  },
  {
    what: 'a backend of another namespace next to one of its own',
    objects: route(
      'hostnames: [HOST], rules: [{ backendRefs: [{ name: shop, namespace: shop, port: 80, weight: 1000 }, { name: evil, port: 80, weight: 0 }] }]',
    ),
    asked: [anonymous, { claims: GOOD, fate: '500 upstream_absent' }],
  },
  {
    what: 'a mirror to another namespace',
    objects: filter(
      '{ type: RequestMirror, requestMirror: { backendRef: { name: shop, namespace: shop, port: 80 } } }',
    ),
    asked: [anonymous, holder],
  },
  {
    what: 'a mirror where its requests go anyway',
    objects: filter('{ type: RequestMirror, requestMirror: { backendRef: { name: evil, port: 80 } } }'),
    asked: withheld,
  },
  {
    what: 'a mirror for requests that are refused',
    objects: route(
      'hostnames: [HOST], rules: [{ filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: evil, port: 80 } } }], backendRefs: [{ name: none, port: 80 }] }]',
    ),
    asked: [anonymous, { claims: { scope: 'else' }, fate: '403 scope_insufficient' }],
  },
  {
    what: 'a listener with the certificate of another namespace',
    objects: `
apiVersion: ${GATEWAY_API}/v1
kind: ListenerSet
metadata: { name: NAME, namespace: evil }
spec:
  parentRef: { name: shared, namespace: infra }
  listeners: [{ name: a, port: 443, protocol: HTTPS, hostname: HOST, tls: { certificateRefs: [{ name: cert, namespace: infra }] } }]
---
apiVersion: ${GATEWAY_API}/v1
kind: HTTPRoute
metadata: { name: NAME, namespace: evil }
spec: { parentRefs: [{ kind: ListenerSet, name: NAME }], hostnames: [HOST], rules: [{ ${OWN} }] }
---`,
    asked: [{ fate: '404 route_not_found' }, { claims: GOOD, fate: '404 route_not_found' }],
  },
];

const POLICIES: readonly TenantAttack[] = [
  ...[
    'require: public',
    'require: token',
    'scope: { any: [else, api] }',
    'dpop: { max_age: 10m, nonce: none }',
    'dpop: { clock_tolerance: 2m }',
    'forward: { authorization: as-received }',
    'forward: { authorization: bearer }',
    'limits: { upload_rate: none, download_rate: none, rate_grace: 1h }',
    'encoded: [slash]',
    'audience: ["https://api.example.com", "https://else.example"]',
    'issuers: [login]',
    'require: public, claims: {}',
    'shadow: { require: public }',
  ].map((keys): TenantAttack => ({ what: `the policy ${keys}`, objects: own() + policy(keys), asked: floor })),
  ...[
    'require: mtls',
    'scope: []',
    'max_auth_age: 0s',
    'audience: ["https://else.example"]',
    'issuers: [other]',
    'rate_limit: none-such',
    'forward: { identity: { Authorization: sub } }',
    'forward: { identity: { X-Forwarded-For: sub } }',
    'forward: { identity: { X-Team: sub } }',
    'forward: { remove: [Content-Length] }',
    'resource: { identifier: "https://shop.example.org/" }',
    'scope: ["two words"]',
    'cors: { origins: ["*"] }',
    'dpop: { algorithms: [none] }',
    'signature: { components: ["@none"] }',
  ].map((keys): TenantAttack => ({ what: `the policy ${keys}`, objects: own() + policy(keys), asked: withheld })),
  {
    what: 'a larger body than the floor takes',
    objects: own() + policy('limits: { request_body: 1GiB }'),
    asked: [{ method: 'POST', claims: GOOD, body: 'x'.repeat(3000), fate: '413 body_too_large' }],
  },
  {
    what: 'a policy for the Gateway, from another namespace',
    objects: own() + policy('require: public', 'kind: Gateway, name: shared'),
    asked: floor,
  },
  {
    what: 'a policy for a rule that is not there',
    objects: own() + policy('scope: [more]', 'kind: HTTPRoute, name: NAME, sectionName: typo'),
    asked: withheld,
  },
  {
    what: 'pages of any origin',
    objects: filter('{ type: CORS, cors: { allowOrigins: ["*"], allowCredentials: true } }'),
    asked: [{ claims: GOOD, fields: [['Origin', 'https://else.example']], fate: '500' }],
  },
];

const edit = (set: string) => filter(`{ type: RequestHeaderModifier, requestHeaderModifier: { set: [${set}] } }`);
const FILTERS: readonly TenantAttack[] = [
  ...[
    'Authorization',
    'DPoP',
    'Client-Cert',
    'X-Forwarded-For',
    'X-Forwarded-Client-Cert',
    'X-Auth-Subject',
    'X_Auth_Subject',
    'x.auth.scope',
    'Forwarded',
    'Connection',
    'Transfer-Encoding',
    'Content-Length',
    'Via',
    'Signature-Input',
    'X-Request-Id',
  ].map(
    (name): TenantAttack => ({
      what: `a filter that sets ${name}`,
      objects: edit(`{ name: ${name}, value: evil }`),
      asked: withheld,
    }),
  ),
  ...['Authorization', 'X-Auth-Subject', 'Forwarded', 'Via'].map(
    (name): TenantAttack => ({
      what: `a filter that removes ${name}`,
      objects: filter(`{ type: RequestHeaderModifier, requestHeaderModifier: { remove: [${name}] } }`),
      asked: withheld,
    }),
  ),
  ...['WWW-Authenticate', 'DPoP-Nonce', 'Access-Control-Allow-Origin', 'Content-Length', 'Connection'].map(
    (name): TenantAttack => ({
      what: `a filter that sets ${name} of answers`,
      objects: filter(
        `{ type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: ${name}, value: evil }] } }`,
      ),
      asked: withheld,
    }),
  ),
  {
    what: 'a rewrite to the host and path of another',
    objects: filter(
      '{ type: URLRewrite, urlRewrite: { hostname: shop.example.org, path: { type: ReplaceFullPath, replaceFullPath: /orders } } }',
    ),
    asked: [anonymous, holder],
  },
  {
    what: 'a rewrite out of its paths',
    objects: filter(
      '{ type: URLRewrite, urlRewrite: { path: { type: ReplaceFullPath, replaceFullPath: /../orders } } }',
    ),
    asked: withheld,
  },
  {
    what: 'a redirect for those without a token',
    objects: route(
      'hostnames: [HOST], rules: [{ filters: [{ type: RequestRedirect, requestRedirect: { hostname: else.example } }] }]',
    ),
    asked: [anonymous, { claims: GOOD, fate: '302' }],
  },
  {
    what: 'retries of what was refused, and no end',
    objects: own('retry: { codes: [500, 503], attempts: 100 }, timeouts: { request: 0s }'),
    asked: [anonymous, holder],
  },
  {
    what: 'a filter of its backend',
    objects: route(
      'hostnames: [HOST], rules: [{ backendRefs: [{ name: evil, port: 80, filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: Authorization, value: x }] } }] }] }]',
    ),
    asked: [anonymous, { claims: GOOD, fate: '500' }],
  },
];

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
    asked: [atShop('/orders/1'), { fate: '404 route_not_found' }],
  },
];

/** Each about a host that no other one is about: these can be there at once. */
export const TOGETHER: readonly TenantAttack[] = [...REFERENCES, ...POLICIES, ...FILTERS];
/** About hosts of others: one at a time. */
export const ALONE: readonly TenantAttack[] = HOSTS;

/** The objects of an attack. @param at its number, by which its host is told from those of others */
export function objectsOf({ objects }: TenantAttack, at: number): string {
  return objects.replaceAll('HOST', hostOf(at)).replaceAll('NAME', `evil-${at}`);
}

export const hostOf = (at: number) => `evil-${at}.example.org`;
