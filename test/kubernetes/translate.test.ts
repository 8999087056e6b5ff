// Tests of the translation as a whole: classes, policies of Gateways, Ingresses.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLASS, conditionOf, secretOf, statusOf, translated } from '../support/manifests.ts';
import { makeCertificate } from '../support/pki.ts';

const pair = await makeCertificate({ names: ['a.example.com'] });

test('parameters of a class that cannot be had are told, and nothing of it is served', () => {
  const [classOnly = ''] = CLASS.split('---');
  const gateway = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: infra }
spec: { gatewayClassName: hf, listeners: [{ name: a, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: c }] } }] }
`;
  const without = translated(classOnly, gateway, secretOf('infra', 'c', pair));
  assert.equal(conditionOf(statusOf(without, 'GatewayClass', 'hf').conditions, 'Accepted'), 'False InvalidParameters');
  assert.equal(without.dataPlanes[0]?.configuration, undefined);
  const status = statusOf(translated(CLASS, gateway, secretOf('infra', 'c', pair)), 'GatewayClass', 'hf');
  assert.equal(conditionOf(status.conditions, 'Accepted'), 'True Accepted');
  assert.deepEqual(
    status.supportedFeatures.map(({ name }: { name: string }) => name),
    status.supportedFeatures.map(({ name }: { name: string }) => name).toSorted(),
  );
});

test('a Gateway that asks for what is not there is not served', () => {
  const gateway = (spec: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: infra }
spec: { gatewayClassName: hf, ${spec}, listeners: [{ name: a, port: 80, protocol: HTTP }] }
`;
  for (const [spec, reason] of [
    [
      'infrastructure: { parametersRef: { group: holdfast.internal, kind: HoldfastParameters, name: mine } }',
      'InvalidParameters',
    ],
    ['addresses: [{ type: odd.example/Name, value: a }]', 'UnsupportedAddress'],
  ] as const) {
    const result = translated(CLASS, gateway(spec));
    assert.equal(conditionOf(statusOf(result, 'Gateway', 'gw').conditions, 'Accepted'), `False ${reason}`);
    assert.equal(result.dataPlanes[0]?.configuration, undefined);
  }
});
