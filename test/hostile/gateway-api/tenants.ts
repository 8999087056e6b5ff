// The attacks of hostile tenants of a shared Gateway, each about the host of one tenant.

import { GATEWAY_API } from './shared-world.ts';
import {
  anonymous,
  filter,
  floor,
  GOOD,
  grant,
  holder,
  own,
  OWN,
  policy,
  route,
  type TenantAttack,
  withheld,
} from './tenant-objects.ts';

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
    asked: [{ fate: '404' }, { claims: GOOD, fate: '404' }],
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

/** These can be there at once. */
export const TOGETHER: readonly TenantAttack[] = [...REFERENCES, ...POLICIES, ...FILTERS];

/** The objects of an attack. @param at its number, by which its host is told from those of others */
export function objectsOf({ objects }: TenantAttack, at: number): string {
  return objects.replaceAll('HOST', hostOf(at)).replaceAll('NAME', `evil-${at}`);
}

export const hostOf = (at: number) => `evil-${at}.example.org`;
