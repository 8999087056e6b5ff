// Tests of tenants who share a Gateway: none of them speaks for the others.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conditionOf, routesOf, secretOf, statusOf, translated } from '../support/manifests.ts';
import { makeCertificate } from '../support/pki.ts';
import { GATEWAY_SECRET, sharedGateway } from '../support/shared-gateway.ts';

/** By a field that others may not take from it, and with an edit of another one. */
const OPERATOR = sharedGateway(
  '{ matches: [{ path: { value: /orders }, headers: [{ name: X-Ver, value: "2" }] }], filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-Team, value: shop }] } }], backendRefs: [{ name: shop, port: 80 }] }',
);
const tenant = (spec: string, name = 'evil', ns = 'evil') => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: ${ns} }
spec: { parentRefs: [{ name: gw, namespace: infra }], ${spec} }
`;
const policy = (
  keys: string,
  {
    target = 'kind: HTTPRoute, name: evil',
    namespace = 'evil',
    name = 'p',
  }: { target?: string; namespace?: string; name?: string } = {},
) => `
apiVersion: holdfast.internal/v1alpha1
kind: HoldfastPolicy
metadata: { name: ${name}, namespace: ${namespace} }
spec: { targetRefs: [{ group: gateway.networking.k8s.io, ${target} }], ${keys} }
`;
const world = (...texts: readonly string[]) => translated(OPERATOR, GATEWAY_SECRET, ...texts);

const PLAIN = tenant('hostnames: [evil.example.com], rules: [{}]');
const routeOf = (result: ReturnType<typeof world>, name: string) => routesOf(result).find((one) => one.name === name);
const ownRoute = (result: ReturnType<typeof world>) => routeOf(result, 'evil.evil.0.0.0.0');
const isWithheld = (result: ReturnType<typeof world>) => ownRoute(result)?.respond?.status === 503;

function assertUnharmed(result: ReturnType<typeof world>): void {
  const alone = routeOf(world(), 'shop.good.0.0.0.0');
  assert.equal(alone.upstream, 'shop.shop.80');
  assert.deepEqual(routeOf(result, 'shop.good.0.0.0.0'), alone);
}

for (const [what, keys] of [
  ['identity in a field that others edit and match by', 'forward: { identity: { x-team: sub, X-Ver: sub } }'],
  ['removal of a field that others match by', 'forward: { remove: [X-Ver] }'],
  ['removal of what every client sends', 'forward: { remove: [Content-Type] }'],
  ['certificates in a field that others edit', 'forward: { client_certificate: [{ format: xfcc, field: X_Team }] }'],
  ['a resource at the host of another', 'resource: { identifier: "https://shop.example.com/", name: Evil }'],
  ['a resource below its host in name alone', 'resource: { identifier: "https://evil.example.com.example.org/" }'],
  ['values that fill the Secret of all', `claims: { a: ${'ab'.repeat(10_000)} }`],
] as const) {
  test(`a policy of a route with ${what} withholds this route alone`, () => {
    const result = world(PLAIN, policy(keys));
    assert.equal(isWithheld(result), true);
    assertUnharmed(result);
  });
}

test('a policy of a route has the fields of the defaults, those that the Gateway names, and its own host', () => {
  const own = world(
    PLAIN,
    policy(
      'forward: { identity: { X-Auth-Subject: email }, client_certificate: [{ format: rfc9440, field: Client-Cert }] }',
    ),
  );
  assert.deepEqual(ownRoute(own).forward.identity, { 'X-Auth-Subject': 'email' });
  assertUnharmed(own);
  const gateway = policy('forward: { remove: [X-User] }', {
    target: 'kind: Gateway, name: gw',
    namespace: 'infra',
    name: 'fields',
  });
  const named = world(gateway, PLAIN, policy('forward: { identity: { x-user: sub } }'));
  assert.deepEqual(ownRoute(named).forward, { remove: ['X-User'], identity: { 'x-user': 'sub' } });
  const resource = world(PLAIN, policy('resource: { identifier: "https://evil.example.com/api" }'));
  assert.equal(isWithheld(resource), false);
});

test('nonces that a later route of the host asks for refuse it, and not the one whose upstream has nonces', () => {
  const passing = policy('forward: { authorization: as-received }', {
    target: 'kind: Gateway, name: gw',
    namespace: 'infra',
    name: 'passing',
  });
  const theirs = tenant('hostnames: [shop.example.com], rules: [{ matches: [{ path: { value: /x } }] }]');
  const own = policy('dpop: { nonce: required }, forward: { authorization: remove }');
  const result = world(passing, theirs, own);
  assert.equal(isWithheld(result), true);
  assert.deepEqual(routeOf(result, 'shop.good.0.0.0.0'), routeOf(world(passing), 'shop.good.0.0.0.0'));
  assert.equal(routeOf(result, 'shop.good.0.0.0.0').upstream, 'shop.shop.80');
  const elsewhere = world(passing, theirs.replace('shop.example.com', 'evil.example.com'), own);
  assert.equal(isWithheld(elsewhere), false);
});

test('a policy of a route does not go below the defaults of what the Gateway says nothing about', () => {
  const weaker = policy(
    'dpop: { max_age: 2m, clock_tolerance: 1m }, forward: { authorization: as-received }, signature: { max_age: 5m }',
  );
  const { dpop, forward, signature } = ownRoute(world(PLAIN, weaker));
  assert.deepEqual(dpop, { max_age: '60s', clock_tolerance: '15s' });
  assert.deepEqual(forward, { authorization: 'remove' });
  assert.equal(signature.max_age, '60s');
  const slow = 'limits: { upload_rate: none, download_rate: 1B, rate_grace: 1m, request_body: 1GiB }';
  assert.deepEqual(ownRoute(world(PLAIN, policy(slow))).limits, {
    upload_rate: '512B',
    download_rate: '512B',
    rate_grace: '10s',
    request_body: '1GiB',
  });
  const stricter = ownRoute(world(PLAIN, policy('dpop: { max_age: 20s, nonce: required }')));
  assert.deepEqual(stricter.dpop, { max_age: '20s', nonce: 'required' });
  const allowed = policy('dpop: { max_age: 90s }, forward: { authorization: bearer }', {
    target: 'kind: Gateway, name: gw',
    namespace: 'infra',
    name: 'more',
  });
  const { dpop: wider, forward: sent } = ownRoute(world(allowed, PLAIN, weaker));
  assert.deepEqual([wider.max_age, sent], ['90s', { authorization: 'bearer' }]);
});

for (const group of ['__proto__', 'constructor', 'toString', 'nobody.example']) {
  test(`a policy for a target of the group ${group} is about nothing, and stops no translation`, () => {
    const text = policy('require: mtls', { target: 'kind: HTTPRoute, name: evil' });
    const result = world(PLAIN, text.replace('group: gateway.networking.k8s.io', `group: ${group}`));
    assert.equal(isWithheld(result), false);
    assertUnharmed(result);
  });
}

test('routes of two kinds have different names, whatever their namespaces are called', () => {
  const call = `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: api, namespace: shop }
spec: { parentRefs: [{ name: gw, namespace: infra }], hostnames: [g.example.com], rules: [{ backendRefs: [{ name: shop, port: 80 }] }] }
`;
  const result = world(call, tenant('hostnames: [evil.example.com], rules: [{}]', 'shop.api', 'grpc'));
  assert.equal(routesOf(result).find(({ match }) => match.host === 'g.example.com')?.upstream, 'shop.shop.80.h2');
});

test('a route with several faults is answered 503 in its place, and leaves no request to a wider one', () => {
  const wide = '{ matches: [{ path: { value: / } }], backendRefs: [{ name: shop, port: 80 }] }';
  const faults = (names: readonly string[]) =>
    `{ matches: [{ path: { value: /admin } }], filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [${names.map((name) => `{ name: ${name}, value: a }`).join()}] } }] }`;
  for (const names of [['Authorization'], ['Authorization', 'Host', 'DPoP']]) {
    const result = world(tenant(`hostnames: [evil.example.com], rules: [${wide}, ${faults(names)}]`));
    assert.equal(routeOf(result, 'evil.evil.1.0.0.0')?.respond?.status, 503, names.join());
    assert.notEqual(routeOf(result, 'evil.evil.0.0.0.0'), undefined);
  }
});

test('rules that fill the Secret of all are refused, and a large route is not', () => {
  const rules = (matches: number) =>
    `[${Array.from({ length: matches }, (_, at) => `{ matches: [{ path: { value: /${at} }, headers: [{ name: X-A, value: ${'ab'.repeat(500)} }] }] }`).join()}]`;
  const huge = world(tenant(`hostnames: [evil.example.com], rules: ${rules(150)}`));
  assert.deepEqual(
    routesOf(huge).map(({ name }) => name),
    ['shop.good.0.0.0.0'],
  );
  const [parent] = statusOf(huge, 'HTTPRoute', 'evil').parents;
  assert.equal(conditionOf(parent.conditions, 'Accepted'), 'False UnsupportedValue');
  assert.equal(routesOf(world(tenant(`hostnames: [evil.example.com], rules: ${rules(50)}`))).length, 51);
});

const set = (listeners: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: { name: set, namespace: evil }
spec: { parentRef: { name: gw, namespace: infra }, listeners: [${listeners}] }
`;
const listener = (hostname: string, name = 'l') =>
  `{ name: ${name}, port: 443, protocol: HTTPS, hostname: ${hostname}, tls: { certificateRefs: [{ name: own }] }, allowedRoutes: { namespaces: { from: All } } }`;
test('a policy for a listener of a ListenerSet that is not there withholds its routes', async () => {
  const own = secretOf('evil', 'own', await makeCertificate({ names: ['evil.example.com'] }));
  const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: evil, namespace: evil }
spec: { parentRefs: [{ kind: ListenerSet, name: set }], rules: [{}] }
`;
  const on = (section: string) =>
    world(
      set(listener('evil.example.com')),
      own,
      route,
      policy('scope: [x]', { target: `kind: ListenerSet, name: set, sectionName: ${section}` }),
    );
  assert.equal(isWithheld(on('typo')), true);
  assert.deepEqual(ownRoute(on('l')).scope, ['api', 'x']);
});
