// Pods that remember proofs alone, and pods that an autoscaler counts.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Change } from './api.ts';
import { CHART, skip as noHelm } from '../helm/helm.ts';
import type { Metadata } from './objects.ts';
import { edgeValues, putApplication, putCertificate, putRedis } from './parts.ts';
import { Release } from './release.ts';
import { restricted, sharedCluster, skip } from './shared.ts';

interface Deployment {
  readonly metadata: Metadata;
  readonly spec: { readonly replicas: number };
}

const GATEWAY = ['deployment', 'gw-holdfast'];

describe('a gateway that remembers proofs alone', { skip: skip || noHelm }, () => {
  test('gets no second pod where admissionPolicy is on: neither by kubectl, nor by an autoscaler; with Redis it does', async () => {
    const cluster = await sharedCluster();
    const namespace = await restricted(cluster, 'memory');
    await putCertificate(cluster, namespace);
    await Promise.all([putApplication(cluster, namespace), putRedis(cluster, namespace)]);
    const release = new Release(cluster, namespace, CHART);
    await release.put({ ...edgeValues({ replicas: 1, redis: false }), admissionPolicy: { enabled: true } });
    // A policy counts when the API server has read it.
    const refused = /config\.replay\.store is memory: a proof that one pod has seen is new to the next/;
    const scale = async () => await release.kubectl('scale', '--replicas=2', ...GATEWAY).then(() => '', String);
    let said = await scale();
    for (const until = Date.now() + 30_000; said === '' && Date.now() < until; said = await scale())
      await release.kubectl('scale', '--replicas=1', ...GATEWAY);
    assert.match(said, refused);
    await assert.rejects(release.kubectl('patch', ...GATEWAY, '-p', '{"spec":{"replicas":3}}'), refused);
    await release.kubectl('autoscale', ...GATEWAY, '--min=2', '--max=4');
    const events = async () => await release.kubectl('get', 'events', '-o=jsonpath={.items[*].message}');
    for (const until = Date.now() + 60_000; !refused.test(await events()); )
      assert.ok(Date.now() < until, 'the autoscaler was not refused');
    assert.equal(await release.kubectl('get', ...GATEWAY, '-o=jsonpath={.spec.replicas}'), '1');
    await release.kubectl('delete', 'hpa', '--all');
    // Scaled to none and back is no second pod.
    await release.kubectl('scale', '--replicas=0', ...GATEWAY);
    await release.kubectl('scale', '--replicas=1', ...GATEWAY);
    await release.put({ ...edgeValues({ replicas: 3, redis: true }), admissionPolicy: { enabled: true } });
    assert.equal(await release.kubectl('get', ...GATEWAY, '-o=jsonpath={.status.readyReplicas}'), '3');
    assert.doesNotMatch(await release.kubectl('get', 'validatingadmissionpolicies', '-o=name'), /memory-gw-holdfast/);
    await release.helm('uninstall', 'gw', '--wait', '--timeout=120s');
  });
});

describe('autoscaling', { skip: skip || noHelm }, () => {
  test('is turned on, upgraded and turned off without a moment of fewer pods', async (t) => {
    const cluster = await sharedCluster();
    const namespace = await restricted(cluster, 'autoscaling');
    await putCertificate(cluster, namespace);
    await Promise.all([putApplication(cluster, namespace), putRedis(cluster, namespace)]);
    const release = new Release(cluster, namespace, CHART);
    const values = edgeValues({ replicas: 3, redis: true });
    const wanted: number[] = [];
    await release.put(values);
    const stop = new AbortController();
    t.after(() => stop.abort());
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments?fieldSelector=metadata.name%3Dgw-holdfast`;
    void cluster.api.follow<Deployment>(path, stop.signal, (change: Change<Deployment>) => {
      const seen = change.type === 'LIST' ? change.objects : [change.object];
      wanted.push(...seen.map(({ spec }) => spec.replicas));
    });
    const autoscaling = { enabled: true, minReplicas: 3, maxReplicas: 5, targetCPU: 70 };
    await release.put({ ...values, autoscaling });
    // What the autoscaler has decided since stays.
    await release.kubectl('scale', '--replicas=4', ...GATEWAY);
    await release.put({ ...values, autoscaling, podLabels: { more: 'labels' } });
    assert.equal(await release.kubectl('get', ...GATEWAY, '-o=jsonpath={.spec.replicas}'), '4');
    await release.put(values);
    assert.deepEqual(new Set(wanted), new Set([3, 4]), wanted.join());
    await release.helm('uninstall', 'gw', '--wait', '--timeout=120s');
  });

  test('from the first installation on is never told a number', async () => {
    const cluster = await sharedCluster();
    const namespace = await restricted(cluster, 'autoscaled');
    await putCertificate(cluster, namespace);
    await Promise.all([putApplication(cluster, namespace), putRedis(cluster, namespace)]);
    const release = new Release(cluster, namespace, CHART);
    const autoscaling = { enabled: true, minReplicas: 2, maxReplicas: 5, targetCPU: 70 };
    const values = { ...edgeValues({ replicas: 2, redis: true }), autoscaling };
    await release.put(values);
    await release.put({ ...values, podLabels: { more: 'labels' } });
    const { stdout } = await release.helm('get', 'manifest', 'gw');
    const deployment = /kind: Deployment\n[\s\S]*?(?=\n---)/.exec(stdout)?.[0] ?? '';
    assert.match(deployment, /name: gw-holdfast/);
    assert.doesNotMatch(deployment, /^ {2}replicas:/m);
    await release.helm('uninstall', 'gw', '--wait', '--timeout=120s');
  });
});
