// Every file of values of the chart’s tests, against a real API server.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { stringify } from 'yaml';
import { deployFolder } from '../helm/deployed.ts';
import { CASES, podsOf, readObjects } from '../helm/golden.ts';
import { skip as noHelm, template } from '../helm/helm.ts';
import { restricted, sharedCluster, skip } from './shared.ts';

/** Kinds of operators that are not there: known to the API server, without their schemas. */
const OPERATORS = [
  ['cert-manager.io', 'v1', 'Certificate'],
  ['monitoring.coreos.com', 'v1', 'ServiceMonitor'],
  ['monitoring.coreos.com', 'v1', 'PrometheusRule'],
] as const;

function definition([group, version, kind]: (typeof OPERATORS)[number]): object {
  const singular = kind.toLowerCase();
  const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const names = { kind, singular, plural: `${singular}s`, listKind: `${kind}List` };
  const schema = { openAPIV3Schema: open };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${singular}s.${group}` },
    spec: { group, names, scope: 'Namespaced', versions: [{ name: version, served: true, storage: true, schema }] },
  };
}

describe('the API server takes', { skip: skip || noHelm }, () => {
  test('the kinds of the operators, for what follows', async () => {
    const cluster = await sharedCluster();
    await cluster.kubectl(['apply', '-f', '-'], OPERATORS.map((one) => stringify(definition(one))).join('---\n'));
    await cluster.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=180s']);
  });

  for (const name of CASES) {
    test(`${name}: every object, without a warning, and its pods where restricted ones alone may be`, async () => {
      const cluster = await sharedCluster();
      const namespace = await restricted(cluster, `values-${name}`);
      const { status, stdout, stderr } = template(name);
      assert.equal(status, 0, stderr);
      // The renderings are for the namespace `edge`, and hooks are objects as well.
      const objects = readObjects(stdout).map((one) => {
        const { metadata } = one as unknown as { metadata: { name: string; namespace?: string } };
        return { ...one, metadata: { ...metadata, namespace } };
      });
      const pods = podsOf(objects).map(({ metadata, spec }, index) => ({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { ...metadata, name: `pod-${index}`, namespace },
        spec: { ...spec, serviceAccountName: 'default' },
      }));
      await untilAccount(namespace);
      const said = await cluster.kubectlWarnings(
        ['apply', '--dry-run=server', '--validate=strict', '-f', '-'],
        [...objects, ...pods].map((one) => stringify(one)).join('---\n'),
      );
      assert.equal(said, '');
      await cluster.kubectl(['delete', 'namespace', namespace, '--wait=false']);
    });
  }

  test('the folders of deploy/, by kubectl apply -k', async () => {
    const cluster = await sharedCluster();
    await cluster.kubectl(['apply', '-k', deployFolder('kustomize')]);
    await restricted(cluster, 'shop');
    await cluster.kubectl(['apply', '-k', deployFolder('sidecar')]);
    for (const namespace of ['holdfast', 'shop'])
      await cluster.kubectl(['delete', 'namespace', namespace, '--wait=false']);
  });

  test('nothing that is not restricted: the namespaces do refuse', async () => {
    const cluster = await sharedCluster();
    const namespace = await restricted(cluster, 'values-none');
    await untilAccount(namespace);
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'x' },
      spec: { containers: [{ name: 'x', image: 'x' }] },
    };
    const apply = cluster.kubectl(['-n', namespace, 'apply', '--dry-run=server', '-f', '-'], stringify(pod));
    await assert.rejects(apply, /violates PodSecurity "restricted/);
  });

  /** Pods need the account that a controller makes. */
  async function untilAccount(namespace: string): Promise<void> {
    const cluster = await sharedCluster();
    const what = ['wait', '--for=create', 'serviceaccount/default', '--timeout=180s'];
    await cluster.kubectl(['-n', namespace, ...what]);
  }
});
