// Tests of BackendTLSPolicies: TLS to backends, and nothing in place of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLASS, conditionOf, configurationOf, routesOf, statusOf, translated } from '../support/manifests.ts';
import { makeCa } from '../support/pki.ts';

const ca = await makeCa();
const CLUSTER = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: infra }
spec: { gatewayClassName: hf, listeners: [{ name: http, port: 80, protocol: HTTP }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: infra }
spec: { parentRefs: [{ name: gw }], rules: [{ backendRefs: [{ name: s, port: 443 }] }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: s, namespace: infra, labels: { kubernetes.io/service-name: s } }
ports: [{ name: tls, port: 8443 }]
endpoints: [{ addresses: [10.0.0.1] }]
---
apiVersion: v1
kind: ConfigMap
metadata: { name: ca, namespace: infra }
data: { ca.crt: ${JSON.stringify(ca.cert)} }
`;
const service = (appProtocol = '') => `
apiVersion: v1
kind: Service
metadata: { name: s, namespace: infra }
spec: { ports: [{ name: tls, port: 443${appProtocol === '' ? '' : `, appProtocol: ${appProtocol}`} }] }
`;
const policy = (name: string, validation: string, section = '') => `
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: { name: ${name}, namespace: infra }
spec:
  targetRefs: [{ group: "", kind: Service, name: s${section} }]
  validation: ${validation}
`;
const GOOD = '{ hostname: in.example, caCertificateRefs: [{ group: "", kind: ConfigMap, name: ca }] }';
const verdicts = (result: ReturnType<typeof translated>, name: string) => {
  const { conditions } = statusOf(result, 'BackendTLSPolicy', name).ancestors[0];
  return [conditionOf(conditions, 'Accepted'), conditionOf(conditions, 'ResolvedRefs')];
};

test('a backend is called over TLS by the name and with the CAs of its policy', () => {
  const result = translated(CLASS, CLUSTER, service(), policy('p', GOOD));
  const upstream = configurationOf(result)['upstreams']['infra.s.443'];
  assert.deepEqual(upstream.targets, ['https://10.0.0.1:8443']);
  assert.equal(upstream.insecure_plain_http, undefined);
  assert.equal(upstream.tls.server_name, 'in.example');
  const [, base64 = ''] = upstream.tls.ca_file.split('base64,');
  assert.equal(atob(base64).trim(), ca.cert.trim());
  assert.deepEqual(verdicts(result, 'p'), ['True Accepted', 'True ResolvedRefs']);
});

for (const [what, validation, accepted, resolved] of [
  [
    'a CA that is not there',
    '{ hostname: a.example, caCertificateRefs: [{ group: "", kind: ConfigMap, name: none }] }',
    'NoValidCACertificate',
    'InvalidCACertificateRef',
  ],
  [
    'a CA of another kind',
    '{ hostname: a.example, caCertificateRefs: [{ group: "", kind: Secret, name: ca }] }',
    'NoValidCACertificate',
    'InvalidKind',
  ],
  ['other CAs than those of the system', '{ hostname: a.example, wellKnownCACertificates: Odd }', 'Invalid', undefined],
  ...[
    '{ type: Hostname, hostname: "*.b.example" }',
    '{ type: Hostname, uri: "spiffe://b.example/x" }',
    '{ type: URI, uri: b.example }',
    '{ type: URI, uri: "spiffe://b.example/x y" }',
    '{ type: IP, hostname: b.example }',
    '{}',
    'b.example',
  ].map(
    (name) =>
      [
        `names of which one is ${name}`,
        GOOD.replace('{', `{ subjectAltNames: [{ type: Hostname, hostname: in.example }, ${name}],`),
        'Invalid',
        undefined,
      ] as const,
  ),
] as const) {
  test(`a policy with ${what} leaves its backend out, and plain HTTP is not tried`, () => {
    const result = translated(CLASS, CLUSTER, service(), policy('p', validation));
    assert.deepEqual(verdicts(result, 'p'), [
      `False ${accepted}`,
      resolved === undefined ? 'True ResolvedRefs' : `False ${resolved}`,
    ]);
    assert.deepEqual(routesOf(result)[0].upstreams, [{ weight: 1 }]);
    assert.deepEqual(configurationOf(result)['upstreams'], {});
  });
}

test('a backend has to have one of the names of its policy, and is called by the hostname', () => {
  const names = '[{ type: Hostname, hostname: b.example }, { type: URI, uri: "spiffe://b.example/ns/a" }]';
  const validation = GOOD.replace('{', `{ subjectAltNames: ${names},`);
  const result = translated(CLASS, CLUSTER, service(), policy('p', validation));
  const { tls } = configurationOf(result)['upstreams']['infra.s.443'];
  assert.deepEqual([tls.server_name, tls.subject_alt_names], ['in.example', ['b.example', 'spiffe://b.example/ns/a']]);
  assert.deepEqual(verdicts(result, 'p'), ['True Accepted', 'True ResolvedRefs']);
});

test('of the text of a CA its certificates alone are delivered', () => {
  const padded = CLUSTER.replace(
    JSON.stringify(ca.cert),
    JSON.stringify(`# ${'pad'.repeat(9000)}\n${ca.cert}\n-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n`),
  );
  const plain = configurationOf(translated(CLASS, CLUSTER, service(), policy('p', GOOD)));
  assert.deepEqual(configurationOf(translated(CLASS, padded, service(), policy('p', GOOD))), plain);
});

test('of two policies for the same target the first counts, and one for the port before one for the Service', () => {
  const named = GOOD.replace('in.example', 'port.example');
  const result = translated(
    CLASS,
    CLUSTER,
    service(),
    policy('whole', GOOD),
    policy('port', named, ', sectionName: tls'),
    policy('late', GOOD, ', sectionName: tls'),
  );
  assert.equal(configurationOf(result)['upstreams']['infra.s.443'].tls.server_name, 'port.example');
  assert.deepEqual(verdicts(result, 'whole'), ['True Accepted', 'True ResolvedRefs']);
  assert.deepEqual(verdicts(result, 'port'), ['True Accepted', 'True ResolvedRefs']);
  assert.deepEqual(verdicts(result, 'late'), ['False Conflicted', 'True ResolvedRefs']);
});

test('a protocol that needs TLS is not spoken without a policy', () => {
  const conditions = (result: ReturnType<typeof translated>) =>
    statusOf(result, 'HTTPRoute', 'r').parents[0].conditions;
  const without = translated(CLASS, CLUSTER, service('https'));
  assert.equal(conditionOf(conditions(without), 'ResolvedRefs'), 'False UnsupportedProtocol');
  const withPolicy = translated(CLASS, CLUSTER, service('https'), policy('p', GOOD));
  assert.equal(conditionOf(conditions(withPolicy), 'ResolvedRefs'), 'True ResolvedRefs');
});

test('HTTP/2 is spoken to a backend that says so', () => {
  const result = translated(CLASS, CLUSTER, service('kubernetes.io/h2c'));
  assert.equal(configurationOf(result)['upstreams']['infra.s.443.h2'].http2, true);
});
