// Tests of a cluster with hostile tenants: none gets around the floor, or stops others.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { translate } from '../../src/kubernetes/translate.ts';
import {
  CLASS,
  clusterOf,
  conditionOf,
  configurationOf,
  CONTROLLER,
  type Loose,
  manifests,
  NOW,
  routesOf,
  secretOf,
  statusOf,
  translated,
} from '../support/manifests.ts';
import { GATEWAY_PAIR, GATEWAY_SECRET, sharedGateway } from '../support/shared-gateway.ts';

const tenant = (spec: string, name = 'evil') => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: evil }
spec: { parentRefs: [{ name: gw, namespace: infra }], ${spec} }
`;
const world = (...texts: readonly string[]) => translated(sharedGateway(), GATEWAY_SECRET, ...texts);

/** Routes that lead somewhere. */
const leading = (result: ReturnType<typeof world>) => routesOf(result).filter(({ respond }) => respond === undefined);

/** No route that leads somewhere demands less than the floor. */
function assertFloor(result: ReturnType<typeof world>): void {
  for (const { name, require: wanted, issuers, scope } of leading(result)) {
    assert.equal(wanted, 'dpop', name);
    assert.deepEqual(issuers, ['main'], name);
    assert.ok(scope.includes('api'), name);
  }
}

/** The route of the good tenant is there as it would be alone. */
function assertUnharmed(result: ReturnType<typeof world>): void {
  const [alone] = leading(world());
  assert.deepEqual(
    leading(result).find(({ name }) => name === alone.name),
    alone,
  );
}

const POLICY = `
apiVersion: holdfast.internal/v1alpha1
kind: HoldfastPolicy
metadata: { name: p, namespace: evil }
spec:`;
const TARGET = 'targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: evil }]';
const BACKEND = 'backendRefs: [{ name: shop, namespace: shop, port: 80 }]';

for (const [what, ...texts] of [
  [
    'the same match, later',
    tenant(`hostnames: [shop.example.com], rules: [{ matches: [{ path: { value: /orders } }] }]`),
  ],
  [
    'a match with a field in front of it',
    tenant(
      `hostnames: [shop.example.com], rules: [{ matches: [{ path: { value: /orders/admin }, headers: [{ name: X-A, value: b }] }] }]`,
    ),
  ],
  ['every host', tenant('rules: [{ matches: [{ path: { value: / } }] }]')],
  ['a host that no listener has', tenant(`hostnames: [shop.example.org], rules: [{}]`)],
  [
    'hosts that are none',
    tenant(`hostnames: ["", "*", "a b", "shop.example.com:80", "*.*.example.com", "shop.example.com."], rules: [{}]`),
  ],
  [
    'a credential to match by',
    tenant(
      `hostnames: [shop.example.com], rules: [{ matches: [{ path: { value: /orders }, headers: [{ name: authorization, value: b }] }] }]`,
    ),
  ],
  [
    'a match that two times does not compile',
    tenant(
      `hostnames: [shop.example.com], rules: [{ matches: [{ path: { value: /orders }, headers: [{ name: dpop, value: b }] }, { path: { value: /orders }, headers: [{ name: cookie, value: b }] }] }]`,
    ),
  ],
  ['a backend of another namespace', tenant(`hostnames: [a.example.com], rules: [{ ${BACKEND} }]`)],
  [
    'a mirror to another namespace',
    tenant(
      `hostnames: [a.example.com], rules: [{ filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: shop, namespace: shop, port: 80 } } }] }]`,
    ),
  ],
  [
    'fields of the gateway',
    tenant(
      'hostnames: [a.example.com], rules: [{ filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-Auth-Subject, value: admin }, { name: Authorization, value: x }] } }] }]',
    ),
  ],
  ['a weaker policy', tenant('hostnames: [a.example.com], rules: [{}]'), `${POLICY} { ${TARGET}, require: public }`],
  [
    'a policy for the Gateway',
    tenant('hostnames: [a.example.com], rules: [{}]'),
    `${POLICY} { targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: gw, namespace: infra }], require: public }`,
  ],
  ['a policy without sense', `${POLICY} { targetRefs: { a: b }, "\${HOME}": 1, __proto__: { require: public } }`],
  [
    'a policy that clashes',
    tenant('hostnames: [a.example.com], rules: [{}]'),
    `${POLICY} { ${TARGET}, require: mtls }`,
  ],
  [
    'the resource of another host',
    tenant('hostnames: [a.example.com], rules: [{}]'),
    `${POLICY} { ${TARGET}, resource: { identifier: "https://shop.example.com/orders" } }`,
  ],
  [
    'a listener for the host of another',
    `
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: { name: set, namespace: evil }
spec:
  parentRef: { name: gw, namespace: infra }
  listeners:
    - { name: a, port: 80, protocol: HTTP, hostname: "*.example.com" }
    - { name: b, port: 80, protocol: HTTPS, tls: { certificateRefs: [{ name: cert, namespace: infra }] } }
    - { name: c, port: 443, protocol: HTTPS, hostname: a.example.com, tls: { certificateRefs: [{ name: cert, namespace: infra }] } }
`,
  ],
] as const) {
  test(`a tenant with ${what} gets nothing below the floor, and stops no one`, () => {
    const result = world(...texts);
    assertFloor(result);
    assertUnharmed(result);
    assert.equal(
      JSON.stringify(leading(result).filter(({ name }) => name.startsWith('evil'))).includes('shop.shop'),
      false,
    );
  });
}

test('with a grant a backend of another namespace is reached, and for the granted kind alone', () => {
  const grant = (kind: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: { name: g, namespace: shop }
spec: { from: [{ group: gateway.networking.k8s.io, kind: ${kind}, namespace: evil }], to: [{ group: "", kind: Service, name: shop }] }
`;
  const route = tenant(`hostnames: [a.example.com], rules: [{ ${BACKEND} }]`);
  const reached = (result: ReturnType<typeof world>) =>
    leading(result).some(({ name, upstream }) => name.startsWith('evil') && upstream === 'shop.shop.80');
  assert.equal(reached(world(route, grant('HTTPRoute'))), true);
  assert.equal(reached(world(route, grant('GRPCRoute'))), false);
});

test('addresses of the gateway itself are no backends', () => {
  const own = `
apiVersion: v1
kind: Service
metadata: { name: s, namespace: evil }
spec: { ports: [{ name: w, port: 80 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: s, namespace: evil, labels: { kubernetes.io/service-name: s } }
ports: [{ name: w, port: 9901 }]
endpoints: [{ addresses: [127.0.0.1] }, { addresses: ["::1"] }, { addresses: ["::ffff:127.0.0.1"] }, { addresses: [169.254.169.254] }, { addresses: ["fe80::1"] }, { addresses: ["fd00:ec2::254"] }, { addresses: ["64:ff9b::7f00:1"] }, { addresses: ["::127.0.0.1"] }, { addresses: ["ff02::1"] }, { addresses: [224.0.0.1] }, { addresses: [0.0.0.0] }, { addresses: ["a.example"] }, { addresses: [10.0.0.9] }, { addresses: ["fd00:ec2::25"] }]
`;
  const result = world(own, tenant('hostnames: [a.example.com], rules: [{ backendRefs: [{ name: s, port: 80 }] }]'));
  assert.deepEqual(configurationOf(result)['upstreams']['evil.s.80'].targets, [
    'http://10.0.0.9:9901',
    'http://[fd00:ec2::25]:9901',
  ]);
});

test('names as long as Kubernetes has them are told apart', () => {
  const long = (end: string) => `${'a'.repeat(240)}${end}`;
  const result = world(
    tenant('hostnames: [a.example.com], rules: [{}]', long('1')),
    tenant('hostnames: [b.example.com], rules: [{}]', long('2')),
  );
  const names = routesOf(result).map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.every((name) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)));
});

test('no key and no certificate gets into a status, an event or a message', () => {
  const result = world(secretOf('evil', 'cert', { cert: GATEWAY_PAIR.key, key: GATEWAY_PAIR.cert }));
  const told = JSON.stringify([result.statuses, result.events, result.effective]);
  assert.equal(told.includes('BEGIN'), false);
  assert.equal(told.includes(GATEWAY_PAIR.key.split('\n')[1] ?? ''), false);
});

test('a status tells a tenant nothing of the Secrets of others', () => {
  const set = (name: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: { name: set, namespace: evil }
spec:
  parentRef: { name: gw, namespace: infra }
  listeners: [{ name: a, port: 8443, protocol: HTTPS, tls: { certificateRefs: [{ name: ${name}, namespace: infra }] } }]
`;
  const told = (name: string) =>
    JSON.stringify(statusOf(world(set(name)), 'ListenerSet', 'set')).replaceAll(name, 'NAME');
  assert.equal(told('cert'), told('none'));
});

test('the order in which objects are listed changes nothing', () => {
  const objects = manifests(
    sharedGateway(),
    GATEWAY_SECRET,
    tenant(`hostnames: [shop.example.com], rules: [{}]`),
    `${POLICY} { ${TARGET}, require: mtls }`,
  );
  const translation = (list: readonly Loose[]) => translate(clusterOf(list), { controllerName: CONTROLLER, now: NOW });
  fc.assert(
    fc.property(fc.shuffledSubarray([...objects], { minLength: objects.length }), (shuffled) => {
      assert.deepEqual(translation(shuffled), translation(objects));
    }),
    { numRuns: 20 },
  );
});

/** A value somewhere in an object, replaced by another one or taken away. */
function altered(value: Loose, path: readonly number[], put: Loose): Loose {
  const [at, ...rest] = path;
  if (at === undefined || typeof value !== 'object' || value === null) return put;
  const keys = Object.keys(value);
  const key = keys[at % Math.max(1, keys.length)];
  if (key === undefined) return put;
  const inner = altered(value[key], rest, put);
  if (Array.isArray(value)) return value.map((item, index) => (String(index) === key ? inner : item));
  return { ...value, [key]: inner };
}

test('whatever of a tenant is missing or odd: nothing throws, and the floor holds', () => {
  const own = manifests(sharedGateway(), GATEWAY_SECRET);
  const theirs = manifests(
    tenant(
      `hostnames: [a.example.com, "*.example.com"], rules: [{ name: x, matches: [{ path: { type: Exact, value: /a }, method: GET, headers: [{ name: a, value: b }], queryParams: [{ name: a, value: b }] }], filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-A, value: a }] } }, { type: URLRewrite, urlRewrite: { path: { type: ReplaceFullPath, replaceFullPath: /x } } }], backendRefs: [{ name: s, port: 80, weight: 1 }], timeouts: { request: 1s } }]`,
    ),
    `${POLICY} { ${TARGET}, require: dpop, dpop: { max_age: 30s }, scope: { any: [a, api] }, claims: { a: [b] }, cors: { origins: ["https://a.example"] } }`,
    `apiVersion: v1\nkind: Service\nmetadata: { name: s, namespace: evil }\nspec: { ports: [{ name: w, port: 80 }] }\n`,
  );
  const odd = fc.oneof(
    fc.constantFrom<Loose>(
      undefined,
      null,
      '',
      '*',
      '${HOME}',
      '__proto__',
      '/..',
      '{"a":1}',
      [],
      {},
      [null],
      [[]],
      -1,
      0,
      1e9,
      true,
      'public',
    ),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(
      fc.nat(theirs.length - 1),
      fc.array(fc.nat(20), { minLength: 1, maxLength: 7 }),
      odd,
      (which, path, put) => {
        const objects = theirs.map((object, index) => {
          if (index !== which) return object;
          // Kind and name stay: those of other kinds belong to others.
          const { spec } = altered({ spec: object['spec'] }, [0, ...path], put);
          return { ...object, spec };
        });
        const result = translate(clusterOf([...own, ...objects]), { controllerName: CONTROLLER, now: NOW });
        assertFloor(result);
        assertUnharmed(result);
      },
    ),
    { numRuns: process.env['TRIALS'] === undefined ? 150 : 3000 },
  );
});

test('a class of someone else is none of ours', () => {
  const foreign = CLASS.replace(`controllerName: ${CONTROLLER}`, 'controllerName: other.example/controller');
  const gateway =
    'apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: { name: gw, namespace: a }\nspec: { gatewayClassName: hf, listeners: [{ name: a, port: 80, protocol: HTTP }] }\n';
  assert.deepEqual(translated(foreign, gateway), { dataPlanes: [], statuses: [], events: [], effective: [] });
  assert.equal(
    conditionOf(statusOf(translated(CLASS, gateway), 'Gateway', 'gw').conditions, 'Accepted'),
    'True Accepted',
  );
});
