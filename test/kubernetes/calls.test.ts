// The precedence of GRPCRoutes by services and methods.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLASS, routesOf, translated } from '../support/manifests.ts';

const GATEWAY = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: infra }
spec:
  gatewayClassName: hf
  listeners:
    - { name: http, port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: All } } }
`;
const service = (name: string, namespace = 'infra', more = '') => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec: { ports: [{ name: web, port: 8080${more} }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-1, namespace: ${namespace}, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
ports: [{ name: web, port: 3000 }]
endpoints: [{ addresses: [10.1.0.2] }, { addresses: [10.1.0.1] }, { addresses: [10.1.0.3], conditions: { ready: false } }]
`;
const route = (spec: string, { name = 'r', namespace = 'infra', kind = 'HTTPRoute' } = {}) => `
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
`;
const TO_GATEWAY = 'parentRefs: [{ name: gw, namespace: infra }]';
const BACKEND = 'backendRefs: [{ name: one, port: 8080 }]';
const rules = (...all: readonly string[]) => `rules: [${all.map((one) => `{ ${one} }`).join(', ')}]`;

test('a service comes before a method of any service, and a call of both names before either', () => {
  const call = (name: string, method: string, backend = name) =>
    route(
      `{ ${TO_GATEWAY}, hostnames: [a.example], ${rules(`matches: [{ method: { ${method} } }], backendRefs: [{ name: ${backend}, port: 8080 }]`)} }`,
      {
        name,
        kind: 'GRPCRoute',
      },
    );
  const backends = ['one', 'two', 'three'].map((name) => service(name)).join('---\n');
  const leading = (...texts: readonly string[]) =>
    Object.fromEntries(
      routesOf(translated(CLASS, GATEWAY, backends, ...texts)).map(({ match, upstream }) => [match.path, upstream]),
    );
  const both = [call('one', 'service: shop.Orders'), call('two', 'method: List')];
  const [one, two, three] = ['one', 'two', 'three'].map((name) => `infra.${name}.8080.h2`);
  const paths = { '/shop.Orders/*': one, '/*/List': two };
  assert.deepEqual(leading(...both), { ...paths, '/shop.Orders/List': one });
  const exact = call('three', 'service: shop.Orders, method: List');
  assert.deepEqual(leading(...both, exact), { ...paths, '/shop.Orders/List': three });
  assert.deepEqual(leading(both[0] ?? ''), { '/shop.Orders/*': one });
  assert.deepEqual(leading(both[1] ?? ''), { '/*/List': two });
});

test('a tenant with many services and methods makes no million routes of them', () => {
  const matches = (kind: string) => Array.from({ length: 60 }, (_, at) => `{ method: { ${kind}: x${at} } }`).join();
  const many = (kind: string) =>
    route(`{ ${TO_GATEWAY}, ${rules(`matches: [${matches(kind)}], ${BACKEND}`)} }`, { name: kind, kind: 'GRPCRoute' });
  const result = translated(CLASS, GATEWAY, service('one'), many('service'), many('method'));
  assert.equal(routesOf(result).length, 120 + 500);
});
