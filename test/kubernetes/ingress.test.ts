// Tests of Ingresses: paths, hosts, certificates, and the annotation that names a policy.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CLASS,
  clusterOf,
  configurationOf,
  CONTROLLER,
  manifests,
  NOW,
  routesOf,
  secretOf,
  statusOf,
  translated,
} from '../support/manifests.ts';
import { makeCertificate } from '../support/pki.ts';
import { translate } from '../../src/kubernetes/translate.ts';

const pair = await makeCertificate({ names: ['a.example.com'] });
const gateway = (more = '') => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: infra }
spec:
  gatewayClassName: hf
  ${more}
  listeners: [{ name: http, port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: All } } }]
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: { name: hf }
spec:
  controller: ${CONTROLLER}
  parameters: { apiGroup: gateway.networking.k8s.io, kind: Gateway, namespace: infra, name: gw, scope: Namespace }
---
apiVersion: v1
kind: Service
metadata: { name: s, namespace: team }
spec: { ports: [{ name: web, port: 80 }] }
`;
const ALLOWING = 'allowedListeners: { namespaces: { from: All } }';
const BACKEND = 'backend: { service: { name: s, port: { name: web } } }';
const ingress = (spec: string, { annotations = '{}', className = 'ingressClassName: hf,' } = {}) => `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: i, namespace: team, annotations: ${annotations} }
spec: { ${className} ${spec} }
`;
const RULES = `rules: [
  { host: a.example.com, http: { paths: [{ path: /x, pathType: Exact, ${BACKEND} }, { path: /y, pathType: Prefix, ${BACKEND} }] } },
  { host: "*.example.com", http: { paths: [{ path: /, pathType: Prefix, ${BACKEND} }] } }]`;

test('paths of an Ingress are routes of the Gateway that its class names', () => {
  const result = translated(CLASS, gateway(), ingress(RULES));
  assert.deepEqual(
    routesOf(result).map(({ match, upstream }) => [match.host, match.path, upstream]),
    [
      ['a.example.com', '/x', 'team.s.80'],
      ['a.example.com', '/y/*', 'team.s.80'],
      ['*.example.com', '/*', 'team.s.80'],
    ],
  );
});

test('an Ingress of another class, or of none, is left alone', () => {
  for (const className of ['ingressClassName: other,', '']) {
    const result = translated(CLASS, gateway(), ingress(RULES, { className }));
    assert.deepEqual(routesOf(result), []);
    assert.equal(statusOf(result, 'Ingress', 'i'), undefined);
  }
});

test('hosts with a certificate are served over TLS where the Gateway allows listeners of the namespace', () => {
  const tls = `tls: [{ hosts: [a.example.com], secretName: cert }], ${RULES}`;
  const secret = secretOf('team', 'cert', pair);
  const listeners = (result: ReturnType<typeof translated>) => result.dataPlanes[0]?.ports.map(({ port }) => port);
  const allowed = translated(CLASS, gateway(ALLOWING), secret, ingress(tls));
  assert.deepEqual(listeners(allowed), [80, 443]);
  const [first] = routesOf(allowed);
  assert.deepEqual(first.match.listeners.toSorted(), ['p443', 'p80']);
  assert.equal(configurationOf(allowed)['listeners'][1].tls.certificates.length, 1);
  assert.equal(statusOf(allowed, 'Gateway', 'gw').attachedListenerSets, 0);
  assert.equal(
    allowed.statuses.some(({ kind }) => kind === 'ListenerSet'),
    false,
  );
  assert.deepEqual(listeners(translated(CLASS, gateway(), secret, ingress(tls))), [80]);
});

test('the annotation names a policy, and one that is not there refuses everything', () => {
  const annotations = '{ holdfast.internal/policy: p }';
  const policy = (demand: string) => `
apiVersion: holdfast.internal/v1alpha1
kind: HoldfastPolicy
metadata: { name: p, namespace: team }
spec: { targetRefs: [{ group: networking.k8s.io, kind: Ingress, name: other }], ${demand} }
`;
  const withIssuer = CLASS.replace(
    'spec: { floor',
    'spec: { configuration: { issuers: { main: { issuer: "https://login.example", audience: [api], keys: { jwks_uri: "https://login.example/k" } } } }, floor',
  );
  const held = translated(withIssuer, gateway(), ingress(RULES, { annotations }), policy('require: dpop'));
  assert.ok(routesOf(held).every(({ require: wanted }) => wanted === 'dpop'));
  const without = translated(withIssuer, gateway(), ingress(RULES, { annotations }));
  assert.ok(routesOf(without).every(({ respond }) => respond.status === 503));
});

test('the status has the addresses of the Gateway', () => {
  const addresses = [
    { type: 'IPAddress' as const, value: '192.0.2.1' },
    { type: 'Hostname' as const, value: 'lb.example' },
  ];
  const running = [{ gateway: { namespace: 'infra', name: 'gw' }, addresses, ready: true, trouble: undefined }];
  const state = clusterOf(manifests(CLASS, gateway(), ingress(RULES)), running);
  const result = translate(state, { controllerName: CONTROLLER, now: NOW });
  assert.deepEqual(statusOf(result, 'Ingress', 'i'), {
    loadBalancer: { ingress: [{ ip: '192.0.2.1' }, { hostname: 'lb.example' }] },
  });
});
