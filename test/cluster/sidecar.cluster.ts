// The chart as a sidecar in a real cluster: rollouts under load.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { application, skip as noHelm } from '../helm/helm.ts';
import { startLoad } from './loading.ts';
import { applicationValues, CA, HOST, putCertificate, putRedis } from './parts.ts';
import { Release } from './release.ts';
import { restricted, sharedCluster, skip } from './shared.ts';

const ROLLOUTS = 3;

describe('the gateway as a sidecar', { skip: skip || noHelm }, () => {
  test(`${ROLLOUTS} rollouts of the application under load lose no request`, async (t) => {
    const cluster = await sharedCluster();
    const namespace = await restricted(cluster, 'sidecar');
    await putCertificate(cluster, namespace);
    await putRedis(cluster, namespace);
    const release = new Release(cluster, namespace, application());
    await release.put(applicationValues(2));
    const address = await release.kubectl('get', 'service', 'orders', '-o=jsonpath={.spec.clusterIP}');
    const load = await startLoad(t, {
      address,
      port: 443,
      host: HOST,
      path: '/healthz',
      ca: CA,
      http1: 6,
      http2: 4,
      pause: 20,
    });
    for (let round = 0; round < ROLLOUTS; round += 1) {
      const before = await release.pods('app=orders');
      await release.kubectl('rollout', 'restart', 'deployment/orders');
      await release.kubectl('rollout', 'status', 'deployment/orders', '--timeout=180s');
      // Those that end have requests too.
      await release.kubectl(
        'wait',
        '--for=delete',
        'pod',
        ...before.map((pod) => pod.split(' ')[0] ?? ''),
        '--timeout=120s',
      );
    }
    const result = await load.stop();
    t.diagnostic(`${result.sent} requests through ${ROLLOUTS} rollouts`);
    assert.deepEqual(result.failures, []);
    assert.ok(result.good > 500, String(result.good));
    const { status, stderr } = await release.helm('uninstall', 'gw', '--wait', '--timeout=120s');
    assert.equal(status, 0, stderr);
  });
});
