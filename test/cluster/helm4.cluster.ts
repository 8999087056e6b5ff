// The chart by Helm 4: installed, upgraded, rolled back, gone.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CHART } from '../helm/helm.ts';
import { findTool } from '../helm/tools.ts';
import { edgeValues, putApplication, putCertificate, putRedis } from './parts.ts';
import { Release } from './release.ts';
import { restricted, sharedCluster, skip } from './shared.ts';

/** No route sends there: `check` finds it, and Helm does not. */
const OTHER = { other: { targets: ['http://orders:8080'], insecure_plain_http: true } };
const found = skip ? { skip } : findTool('helm4');
const PODS = 'app.kubernetes.io/instance=gw,app.kubernetes.io/name=holdfast';

describe('the chart by Helm 4', { skip: 'skip' in found ? found.skip : false }, () => {
  test('is installed, tested, upgraded, autoscaled, rolled back and uninstalled', async () => {
    const cluster = await sharedCluster();
    const namespace = await restricted(cluster, 'helm4');
    await putCertificate(cluster, namespace);
    await Promise.all([putApplication(cluster, namespace), putRedis(cluster, namespace)]);
    const release = new Release(cluster, namespace, CHART, 'helm4');
    const values = edgeValues({ replicas: 2, redis: true });
    await release.put(values);
    const tested = await release.helm('test', 'gw', '--timeout=120s');
    assert.equal(tested.status, 0, tested.stderr);
    const before = await release.pods(PODS);
    await release.put({ ...values, config: { ...(values['config'] as object), log: { level: 'warn' } } });
    assert.deepEqual(await release.pods(PODS), before, 'a live change touches no pod');
    const autoscaling = { enabled: true, minReplicas: 2, maxReplicas: 5, targetCPU: 70 };
    await release.put({ ...values, autoscaling });
    await release.kubectl('scale', '--replicas=3', 'deployment', 'gw-holdfast');
    await release.put({ ...values, autoscaling, podLabels: { more: 'labels' } });
    assert.equal(await release.kubectl('get', 'deployment', 'gw-holdfast', '-o=jsonpath={.spec.replicas}'), '3');
    const back = await release.helm('rollback', 'gw', '1', '--force-conflicts', '--wait', '--timeout=180s');
    assert.equal(back.status, 0, back.stderr);
    const bad = await release.try({ ...values, config: { ...(values['config'] as object), upstreams: OTHER } });
    assert.notEqual(bad.status, 0);
    assert.match(bad.stderr, /hook/);
    const { status, stderr } = await release.helm('uninstall', 'gw', '--wait', '--timeout=120s');
    assert.equal(status, 0, stderr);
    const left = await release.kubectl(
      'get',
      'deployments,services,secrets',
      '-l',
      'app.kubernetes.io/instance=gw',
      '-o=name',
    );
    assert.equal(left.trim(), '');
  });
});
