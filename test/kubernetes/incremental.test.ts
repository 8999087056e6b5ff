// Tests of translations that remember the ones before: the same result as one from nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KINDS } from '../../src/kubernetes/kinds.ts';
import { Memory } from '../../src/kubernetes/memory.ts';
import type { ClusterState } from '../../src/kubernetes/state.ts';
import { translate } from '../../src/kubernetes/translate.ts';
import { CONTROLLER, type Loose, manifests, NOW, secretOf, translated } from '../support/manifests.ts';
import { makeCertificate } from '../support/pki.ts';
import { classWith, GATEWAY_SECRET, sharedGateway } from '../support/shared-gateway.ts';

const own = await makeCertificate({ names: ['set.example.com'] });
const another = await makeCertificate({ names: ['*.example.com'] });
const expired = await makeCertificate({ names: ['set.example.com'], notAfter: NOW - 60 });
const object = (kind: string, at: string, rest: string, apiVersion = 'gateway.networking.k8s.io/v1') => {
  const [namespace, name] = at.split('/');
  return `{ apiVersion: ${apiVersion}, kind: ${kind}, metadata: { name: "${name}"${namespace ? `, namespace: ${namespace}` : ''} }, ${rest} }`;
};
const OURS = 'holdfast.internal/v1alpha1';
const TO_GATEWAY = 'parentRefs: [{ name: gw, namespace: infra }]';
const route = (name: string, rest: string, kind = 'HTTPRoute') =>
  object(kind, `evil/${name}`, `spec: { ${TO_GATEWAY}, ${rest} }`);
const policy = (at: string, target: string, keys: string) =>
  object(
    'HoldfastPolicy',
    at,
    `spec: { targetRefs: [{ group: gateway.networking.k8s.io, ${target} }], ${keys} }`,
    OURS,
  );
const service = (at: string, port: string) =>
  object('Service', at, `spec: { ports: [{ name: w, port: 80${port} }] }`, 'v1');
const slice = (at: string, name: string, addresses: string) =>
  object(
    'EndpointSlice',
    at,
    `ports: [{ name: w, port: 8080 }], endpoints: [{ addresses: [${addresses}] }]`,
    'discovery.k8s.io/v1',
  ).replace(' }, ports', `, labels: { kubernetes.io/service-name: ${name} } }, ports`);
const namespace = (labels: string) =>
  object('Namespace', '/evil', '', 'v1').replace(' }, ', `, labels: { ${labels} } }`);
const grant = (name: string) =>
  object(
    'ReferenceGrant',
    'shop/grant',
    `spec: { from: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: evil }], to: [{ group: "", kind: Service${name} }] }`,
  );
const secretGrant = (name: string) =>
  object(
    'ReferenceGrant',
    'shop/secrets',
    `spec: { from: [{ group: gateway.networking.k8s.io, kind: Gateway, namespace: infra }], to: [{ group: "", kind: Secret${name} }] }`,
  );
const gateway = (more: string, name = 'infra/gw') =>
  object(
    'Gateway',
    name,
    `spec: { gatewayClassName: hf, allowedListeners: { namespaces: { from: All } }, listeners: [{ name: http, port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: All } } }, ${more}] }`,
  );
const HTTPS = (allowed: string, certificate = 'cert') =>
  `{ name: https, port: 443, protocol: HTTPS, hostname: "*.example.com", tls: { certificateRefs: [{ name: ${certificate} }] }, allowedRoutes: { namespaces: ${allowed} } }`;
const RULE = (path: string, rest: string) => `{ name: a, matches: [{ path: { value: ${path} } }], ${rest} }`;
const SHOP = 'backendRefs: [{ name: shop, namespace: shop, port: 80 }]';
const OWN = 'backendRefs: [{ name: app, port: 80, weight: 3 }, { name: gone, port: 80 }]';
const parameters = (rest: string) => classWith(`{ ${rest} }`).split('---')[1] ?? '';
const ISSUER = (name: string) =>
  `${name}: { issuer: "https://${name}.example", audience: [api], keys: { jwks_uri: "https://${name}.example/keys" } }`;
const PUBLIC = 'floor: { require: public }, withoutPolicy: public';
const authority = (text: string) => object('ConfigMap', 'shop/ca', `data: { ca.crt: ${JSON.stringify(text)} }`, 'v1');

/** Objects of a cluster, each with everything that it may be; '' is not there. */
const SLOTS: readonly (readonly string[])[] = [
  [
    parameters(`${PUBLIC}, configuration: { issuers: { ${ISSUER('main')} } }`),
    parameters(
      `${PUBLIC}, configuration: { issuers: { ${ISSUER('main')}, ${ISSUER('other')} }, rate_limits: { slow: { key: client, rate: 1/s, burst: 1 } } }`,
    ),
    parameters(`floor: { require: dpop }, withoutPolicy: public, configuration: { issuers: { ${ISSUER('main')} } }`),
    parameters(`floor: { require: public }, configuration: { issuers: { ${ISSUER('main')} } }`),
    parameters(`configuration: { issuers: { ${ISSUER('main')} } }`),
    parameters(`${PUBLIC}, configuration: { issuers: { ${ISSUER('other')} }, odd: 1 }`),
    '',
  ],
  [
    gateway(HTTPS('{ from: All }')),
    gateway(HTTPS('{ from: All }').replace('*.', 'evil.')),
    gateway(HTTPS('{ from: All }').replace('443', '8443')),
    gateway(HTTPS('{ from: Selector, selector: { matchLabels: { tier: a } } }')),
    gateway(HTTPS('{ from: Same }', 'none')),
    gateway(HTTPS('{ from: All }', 'cert, namespace: shop')),
    '',
  ],
  [
    '',
    gateway('', 'infra/second').replace('gatewayClassName: hf', 'gatewayClassName: other'),
    gateway('', 'infra/second'),
  ],
  [namespace('tier: a'), namespace('tier: b'), ''],
  [GATEWAY_SECRET, ''],
  ['', secretOf('evil', 'own', own), secretOf('evil', 'own', expired)],
  [
    '',
    object(
      'ListenerSet',
      'evil/set',
      'spec: { parentRef: { name: gw, namespace: infra }, listeners: [{ name: l, port: 443, protocol: HTTPS, hostname: set.example.com, tls: { certificateRefs: [{ name: own }] } }] }',
    ),
  ],
  [
    policy('infra/floor', 'kind: Gateway, name: gw', 'require: dpop, issuers: [main], scope: [api]'),
    policy('infra/floor', 'kind: Gateway, name: gw, sectionName: http', 'require: dpop'),
    policy('infra/floor', 'kind: Gateway, name: gw', 'require: nothing'),
    '',
  ],
  [
    route(
      'one',
      `hostnames: [evil.example.com], rules: [${RULE('/a', SHOP)}, { matches: [{ path: { value: /b } }], ${OWN} }]`,
    ),
    route('one', `hostnames: [evil.example.com, set.example.com], rules: [${RULE('/a', OWN)}]`),
    route(
      'one',
      `rules: [${RULE('/a', `${SHOP}, filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: app, port: 80 } } }]`)}]`,
    ),
    route(
      'one',
      `rules: [${RULE('/a', `${SHOP}, filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: Authorization, value: a }] } }]`)}]`,
    ),
    '',
  ],
  [
    '',
    route('two', `hostnames: [evil.example.com], rules: [${RULE('/a', OWN)}]`),
    route('two', `hostnames: [evil.example.com], rules: [${RULE('/c', 'timeouts: { request: soon }')}]`),
    route('two', `hostnames: [evil.example.com], rules: [{ backendRefs: [{ name: app, port: 80 }] }]`, 'GRPCRoute'),
  ],
  [
    '',
    policy('evil/p', 'kind: HTTPRoute, name: one', 'scope: [x]'),
    policy('evil/p', 'kind: HTTPRoute, name: one, sectionName: a', 'require: mtls'),
    policy('evil/p', 'kind: HTTPRoute, name: one', 'issuers: [other]'),
    policy('evil/p', 'kind: HTTPRoute, name: one', 'rate_limit: slow, claims: { a: 1 }'),
    policy('evil/p', 'kind: HTTPRoute, name: one', 'forward: { remove: [X-Ver] }'),
    object('HoldfastPolicy', 'evil/p', 'spec: { targetRefs: all }', OURS),
  ],
  [
    '',
    policy('evil/q', 'kind: HTTPRoute, name: one', 'resource: { identifier: "https://evil.example.com/api" }'),
    policy('evil/q', 'kind: GRPCRoute, name: two', 'scope: [y]'),
  ],
  [service('shop/shop', ''), service('shop/shop', ', appProtocol: https'), ''],
  [slice('shop/shop', 'shop', '10.0.0.1'), slice('shop/shop', 'shop', '10.0.0.2'), ''],
  [service('evil/app', ''), service('evil/app', ', appProtocol: kubernetes.io/h2c'), ''],
  ['', slice('evil/app', 'app', '10.0.1.1'), slice('evil/app', 'app', '127.0.0.1')],
  ['', grant(''), grant(', name: shop'), grant(', name: other')],
  ['', secretGrant(''), secretGrant(', name: cert'), secretGrant(', name: other')],
  ['', secretOf('shop', 'cert', own), secretOf('shop', 'cert', another)],
  ['', authority(own.cert), authority('none')],
  [
    '',
    object(
      'BackendTLSPolicy',
      'shop/tls',
      'spec: { targetRefs: [{ group: "", kind: Service, name: shop }], validation: { hostname: shop.example.com, caCertificateRefs: [{ group: "", kind: ConfigMap, name: ca }] } }',
    ),
    object(
      'BackendTLSPolicy',
      'shop/tls',
      'spec: { targetRefs: [{ group: "", kind: Service, name: shop }], validation: { hostname: shop.example.com, wellKnownCACertificates: System } }',
    ),
  ],
  [
    '',
    object(
      'Ingress',
      'evil/in',
      'spec: { ingressClassName: hf, tls: [{ hosts: [set.example.com], secretName: own }], rules: [{ host: set.example.com, http: { paths: [{ path: /i, pathType: Prefix, backend: { service: { name: app, port: { name: w } } } }] } }] }',
      'networking.k8s.io/v1',
    ),
  ],
  [
    object(
      'IngressClass',
      '/hf',
      `spec: { controller: ${CONTROLLER}, parameters: { apiGroup: gateway.networking.k8s.io, kind: Gateway, scope: Namespace, namespace: infra, name: gw } }`,
      'networking.k8s.io/v1',
    ),
    '',
  ],
];
const CLASS = sharedGateway().split('---')[0] ?? '';
const VARIANTS = SLOTS.map((variants, slot) => variants.map((text) => objectOf(text, slot)));

function objectOf(text: string, slot: number): Loose {
  if (text === '') return undefined;
  const [read] = manifests(text);
  const creationTimestamp = new Date(1_700_000_000_000 + slot * 1000).toISOString();
  return { ...read, metadata: { ...read?.['metadata'], creationTimestamp } };
}

const read = new WeakMap<object, object | undefined>();

/** Each object is read once, as the controller does. */
function stateOf(objects: readonly Loose[]): ClusterState {
  const members: Record<string, object[]> = Object.fromEntries(KINDS.map(({ member }) => [member, []]));
  for (const one of objects) {
    const kind = KINDS.find((known) => known.kind === one.kind);
    assert.ok(kind);
    if (!read.has(one)) read.set(one, kind.read(one));
    members[kind.member]?.push(read.get(one) ?? assert.fail(JSON.stringify(one)));
  }
  return { ...members, running: [] } as unknown as ClusterState;
}

const settings = { controllerName: CONTROLLER, now: NOW };
const [classObject] = manifests(CLASS);

test('the objects of these tests make a Gateway that serves, with a route of each author', () => {
  const whole = translated(...([CLASS, ...SLOTS.map(([first, second = '']) => first || second)] as [string]));
  const routes = (whole.dataPlanes[0]?.configuration as Loose)?.routes;
  assert.ok(routes.length > 3, JSON.stringify(whole.statuses));
});

interface Change {
  readonly slot: number;
  readonly variant: number;
  /** As another object of the same content: it was listed once more. */
  readonly again?: boolean;
}

function assertSame(changes: readonly Change[]): void {
  const memory = new Memory();
  const now = VARIANTS.map(([first]) => first);
  for (const { slot, variant, again = false } of changes) {
    const next = VARIANTS[slot]?.[variant];
    now[slot] = again && next !== undefined ? structuredClone(next) : next;
    const state = stateOf([classObject, ...now].filter((one) => one !== undefined));
    assert.deepEqual(translate(state, settings, memory), translate(state, settings));
  }
}

test('what all routes depend on changes, and nothing else does', () => {
  const [parametersAt, floorAt, policyAt] = [0, 7, 10];
  const otherIssuer = 3;
  for (const floor of [0, 3]) {
    assertSame([
      { slot: floorAt, variant: floor },
      ...[1, 0, 2, 0, 3, 0, 4, 2, 5, 2, 3, 6, 0].map((variant) => ({ slot: parametersAt, variant })),
      { slot: policyAt, variant: otherIssuer },
      ...[1, 0, 1, 2].map((variant) => ({ slot: parametersAt, variant })),
    ]);
  }
});

test('a certificate of another namespace comes and goes with its grant and its content', () => {
  const slotOf = (variant: string) => SLOTS.findIndex((variants) => variants.includes(variant));
  const [gatewayAt, grantAt, secretAt] = [
    gateway(HTTPS('{ from: All }')),
    secretGrant(''),
    secretOf('shop', 'cert', own),
  ].map(slotOf) as [number, number, number];
  assertSame([
    { slot: gatewayAt, variant: 5 },
    ...[1, 2, 1].map((variant) => ({ slot: secretAt, variant })),
    ...[1, 2, 3, 1, 0].map((variant) => ({ slot: grantAt, variant })),
    { slot: secretAt, variant: 2 },
    { slot: grantAt, variant: 2 },
    { slot: secretAt, variant: 0 },
  ]);
});

test('after any changes, a translation that remembers is the one from nothing', () => {
  const change = fc
    .nat(SLOTS.length - 1)
    .chain((slot) =>
      fc.record({ slot: fc.constant(slot), variant: fc.nat((SLOTS[slot]?.length ?? 1) - 1), again: fc.boolean() }),
    );
  fc.assert(fc.property(fc.array(change, { minLength: 10, maxLength: 30 }), assertSame), { numRuns: 12 });
});
