// The certificate that a Gateway shows to backends, and one that cannot be had.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CLASS,
  conditionOf,
  configurationOf,
  type Loose,
  NOW,
  routesOf,
  secretOf,
  statusOf,
  translated,
} from '../support/manifests.ts';
import { makeCa, makeCertificate } from '../support/pki.ts';

const ca = await makeCa();
const pair = await makeCertificate({ names: ['gateway.internal'], ca });
const other = await makeCertificate({ names: ['other.internal'], ca });

const gateway = (reference: string, name = 'gw') => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: ${name}, namespace: infra }
spec:
  gatewayClassName: hf
  listeners: [{ name: http, port: 80, protocol: HTTP }]
  tls: { backend: { clientCertificateRef: ${reference} } }
`;
const CLUSTER = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: infra }
spec:
  parentRefs: [{ name: gw }, { name: gw2 }]
  rules: [{ backendRefs: [{ name: secure, port: 443 }] }, { matches: [{ path: { value: /plain } }], backendRefs: [{ name: plain, port: 80 }] }]
---
apiVersion: v1
kind: Service
metadata: { name: secure, namespace: infra }
spec: { ports: [{ name: tls, port: 443 }] }
---
apiVersion: v1
kind: Service
metadata: { name: plain, namespace: infra }
spec: { ports: [{ name: http, port: 80 }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: { name: p, namespace: infra }
spec:
  targetRefs: [{ group: "", kind: Service, name: secure }]
  validation: { hostname: in.example, wellKnownCACertificates: System }
`;
const GRANT = `
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: { name: g, namespace: far }
spec: { from: [{ group: gateway.networking.k8s.io, kind: Gateway, namespace: infra }], to: [{ group: "", kind: Secret }] }
`;
const shown = (base64: string) => atob(base64.split('base64,')[1] ?? '');
const upstreamOf = (result: ReturnType<typeof translated>): Loose =>
  configurationOf(result)['upstreams']['infra.secure.443'];
const resolvedOf = (result: ReturnType<typeof translated>, name = 'gw') =>
  conditionOf(statusOf(result, 'Gateway', name).conditions, 'ResolvedRefs');

for (const [where, reference, secret] of [
  ['its own namespace', '{ name: own }', secretOf('infra', 'own', pair)],
  ['one that grants it', '{ name: own, namespace: far }', secretOf('far', 'own', pair) + GRANT.replace(/^/, '\n---')],
] as const) {
  test(`a certificate of ${where} is shown to backends with TLS, and to no others`, () => {
    const result = translated(CLASS, CLUSTER, gateway(reference), secret);
    const { tls } = upstreamOf(result);
    assert.deepEqual([shown(tls.cert), shown(tls.key_file)], [pair.cert, pair.key]);
    assert.equal(configurationOf(result)['upstreams']['infra.plain.80'].tls, undefined);
    assert.equal(resolvedOf(result), 'True ResolvedRefs');
  });
}

for (const [what, reference, secret, reason] of [
  ['of a Secret that is not there', '{ name: none }', '', 'InvalidClientCertificateRef'],
  ['of another kind', '{ kind: ConfigMap, name: own }', secretOf('infra', 'own', pair), 'InvalidClientCertificateRef'],
  ['of another group', '{ group: a.b, name: own }', secretOf('infra', 'own', pair), 'InvalidClientCertificateRef'],
  [
    'with the key of another one',
    '{ name: own }',
    secretOf('infra', 'own', { cert: pair.cert, key: other.key }),
    'InvalidClientCertificateRef',
  ],
  [
    'of a namespace that grants nothing',
    '{ name: own, namespace: far }',
    secretOf('far', 'own', pair),
    'RefNotPermitted',
  ],
] as const) {
  test(`with a certificate ${what} a backend with TLS gets no requests, and others get theirs`, () => {
    const result = translated(CLASS, CLUSTER, gateway(reference), secret);
    assert.equal(resolvedOf(result), `False ${reason}`);
    assert.equal(conditionOf(statusOf(result, 'Gateway', 'gw').conditions, 'Accepted'), 'True Accepted');
    assert.deepEqual(Object.keys(configurationOf(result)['upstreams']), ['infra.plain.80']);
    const secure = routesOf(result).find(({ match }) => match.path === '/*');
    assert.deepEqual(secure.upstreams, [{ weight: 1 }]);
    const [{ conditions }] = statusOf(result, 'HTTPRoute', 'r').parents;
    assert.equal(conditionOf(conditions, 'ResolvedRefs'), 'False BackendNotFound');
  });
}

test('one that has expired is shown no more', () => {
  const late = translated({ now: NOW + 1e9 }, CLASS, CLUSTER, gateway('{ name: own }'), secretOf('infra', 'own', pair));
  assert.equal(resolvedOf(late), 'False InvalidClientCertificateRef');
});

test('two Gateways show each its own to the same backend', () => {
  const secrets = [secretOf('infra', 'own', pair), secretOf('infra', 'other', other)];
  const result = translated(CLASS, CLUSTER, gateway('{ name: own }'), gateway('{ name: other }', 'gw2'), ...secrets);
  const certificates = result.dataPlanes.map(({ configuration }) =>
    shown((configuration as Loose).upstreams['infra.secure.443'].tls.cert),
  );
  assert.deepEqual(certificates.toSorted(), [pair.cert, other.cert].toSorted());
});

test('listeners whose references cannot be used are told by their Gateway', () => {
  const listeners =
    '[{ name: a, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: none }] } }, { name: b, port: 80, protocol: HTTP }]';
  const result = translated(
    CLASS,
    gateway('{ name: own }').replace(/listeners: .*/, `listeners: ${listeners}`),
    secretOf('infra', 'own', pair),
  );
  const { conditions } = statusOf(result, 'Gateway', 'gw');
  assert.equal(conditionOf(conditions, 'ResolvedRefs'), 'False ListenersNotResolved');
  assert.match(conditions.find((one: Loose) => one.type === 'ResolvedRefs').message, /: a\. Their/);
});
