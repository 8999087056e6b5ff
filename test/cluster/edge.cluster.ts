// The chart at the edge of a real cluster, by Helm 3, from installation to its end.

import assert from 'node:assert/strict';
import { request } from 'node:https';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { CHART, skip as noHelm } from '../helm/helm.ts';
import { startLoad } from './loading.ts';
import { CA, edgeValues, HOST, putApplication, putCertificate, putRedis } from './parts.ts';
import { Release } from './release.ts';
import { restricted, sharedCluster, skip } from './shared.ts';

const PODS = 'app.kubernetes.io/instance=gw,app.kubernetes.io/name=holdfast';
const VALUES = edgeValues({ replicas: 2, redis: true });

/** The values with more routes, or another thing of the configuration. */
function withConfig(change: object): object {
  return { ...VALUES, config: { ...(VALUES['config'] as object), ...change } };
}

/** No route sends there: `check` finds it, and Helm does not. */
const OTHER = { other: { targets: ['http://orders:8080'], insecure_plain_http: true } };

async function balancerOf(release: Release): Promise<string> {
  return await release.kubectl('get', 'service', 'gw-holdfast', '-o=jsonpath={.status.loadBalancer.ingress[0].ip}');
}

/** The status of a request of nobody. */
async function ask(address: string, path: string): Promise<number> {
  return await new Promise((resolve, reject) => {
    const options = { host: address, port: 443, path, ca: CA, servername: HOST, headers: { Host: HOST }, agent: false };
    const one = request(options, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    one.once('error', reject).end();
  });
}

describe('the chart at the edge, by Helm 3', { skip: skip || noHelm }, () => {
  let release: Release;
  let address: string;

  test('is installed, and helm test finds it at work', async () => {
    const cluster = await sharedCluster();
    const namespace = await restricted(cluster, 'edge');
    await putCertificate(cluster, namespace);
    await Promise.all([putApplication(cluster, namespace), putRedis(cluster, namespace)]);
    release = new Release(cluster, namespace, CHART);
    await release.put(VALUES);
    address = await balancerOf(release);
    assert.equal(await ask(address, '/healthz'), 200);
    assert.equal(await ask(address, '/orders/1'), 401);
    const tested = await release.helm('test', 'gw', '--timeout=180s');
    assert.equal(tested.status, 0, tested.stderr);
    assert.match(await release.kubectl('logs', 'job/gw-holdfast-test'), /good listener public: a request without cred/);
  });

  test('a live change touches no pod, a change that needs a restart rolls them, a rollback too: no request is lost', async (t) => {
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
    const { network, margins } = release.cluster;
    const refused = await network.refused();
    const before = await release.pods(PODS);
    const more = {
      name: 'more',
      match: { path: '/more' },
      upstream: 'orders',
      require: 'public',
      weaker_than_defaults: ['require'],
    };
    const routes = (VALUES['config'] as { routes: object[] }).routes;
    await release.put(withConfig({ routes: [...routes, more] }));
    assert.deepEqual(await release.pods(PODS), before);
    while ((await ask(address, '/more')) !== 200) await pause(200);
    await release.put(withConfig({ workers: 2 }));
    const rolled = await release.pods(PODS);
    assert.ok(rolled.every((pod) => !before.includes(pod)));
    const back = await release.helm('rollback', 'gw', '1', '--wait', '--timeout=180s');
    assert.equal(back.status, 0, back.stderr);
    assert.notDeepEqual(await release.pods(PODS), rolled);
    const result = await load.stop();
    t.diagnostic(`${result.sent} requests through a live change, a roll and a rollback`);
    t.diagnostic(`rules led to pods that end for ${margins.lasted.join(', ')} ms`);
    t.diagnostic(`ports of Services without a target: ${margins.emptied.join(', ') || 'none'}`);
    t.diagnostic(`packets that no rule knew: ${(await network.refused()) - refused}`);
    assert.deepEqual(result.failures, []);
    assert.ok(result.good > 500, String(result.good));
  });

  test('a configuration with a problem stops Helm; what runs goes on, and what is left goes by itself', async () => {
    const before = await release.pods(PODS);
    const { status, stderr } = await release.try(withConfig({ upstreams: OTHER, workers: 3 }));
    assert.notEqual(status, 0);
    assert.match(stderr, /pre-upgrade hooks failed/);
    assert.deepEqual(await release.pods(PODS), before);
    assert.equal(await ask(address, '/healthz'), 200);
    assert.match(await release.kubectl('logs', 'job/gw-holdfast-check'), /routes\[0\]\.upstream/);
    const kept = await release.kubectl(
      'get',
      'job',
      'gw-holdfast-check',
      '-o=jsonpath={.spec.ttlSecondsAfterFinished}',
    );
    assert.equal(kept, '3600');
    assert.doesNotMatch(await release.kubectl('get', 'configmaps', '-o=name'), /gw-holdfast-check/);
  });

  test('a rollback is checked as well', async () => {
    const { status, stderr } = await release.helm('rollback', 'gw', '3', '--wait', '--timeout=180s');
    assert.equal(status, 0, stderr);
    const events = await release.kubectl('get', 'events', '--field-selector=involvedObject.name=gw-holdfast-check');
    assert.match(events, /Completed/);
  });

  test('uninstalled, it leaves nothing', async () => {
    const { status, stderr } = await release.helm('uninstall', 'gw', '--wait', '--timeout=180s');
    assert.equal(status, 0, stderr);
    await release.kubectl('wait', '--for=delete', 'pods', '-l', PODS, '--timeout=180s');
    const kinds =
      'deployments,services,configmaps,secrets,jobs,pods,serviceaccounts,networkpolicies,poddisruptionbudgets';
    const left = await release.kubectl('get', kinds, '-l', 'app.kubernetes.io/instance=gw', '-o=name');
    assert.deepEqual(
      left.split('\n').filter((name) => name !== '' && !/-(test|check)\b/.test(name)),
      [],
    );
  });
});
