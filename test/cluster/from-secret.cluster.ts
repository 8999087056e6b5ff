// Gateways of a Secret on a real API server: rights, changes, and absence of all but them.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { readPage, SERVER, sendRequest } from '../support/gateway.ts';
import type { Cluster } from './cluster.ts';
import { HOST, putApplication } from './parts.ts';
import { restricted, sharedCluster, skip } from './shared.ts';

const PORT = 10_443;
const TELEMETRY = 9902;
const NAMESPACE = 'planes';

const configuration = (path: string, more: object = {}) => ({
  version: 1,
  listeners: [
    {
      name: 'public',
      bind: `0.0.0.0:${PORT}`,
      origins: [`https://${HOST}`],
      tls: { certificates: [{ cert: SERVER.chain, key_file: SERVER.key }] },
    },
  ],
  telemetry: { bind: `0.0.0.0:${TELEMETRY}` },
  defaults: { require: 'public' },
  drain: { delay: '0s', grace: '2s' },
  upstreams: { orders: { targets: ['http://orders:8080'], insecure_plain_http: true } },
  routes: [{ name: 'orders', match: { path }, upstream: 'orders' }],
  ...more,
});

/** @param named the one Secret that its Role is about */
async function putPod(cluster: Cluster, name: string, named: string, args: readonly string[], kind = 'Pod') {
  const probe = { httpGet: { path: '/readyz', port: TELEMETRY }, periodSeconds: 1 };
  const container = {
    name: 'holdfast',
    image: 'holdfast:test',
    args,
    ...(kind === 'Pod' && { readinessProbe: probe }),
    securityContext: {
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
  };
  const rules = [{ apiGroups: [''], resources: ['secrets'], resourceNames: [named], verbs: ['get', 'list', 'watch'] }];
  const objects = [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } },
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name }, rules },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: NAMESPACE }],
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { serviceAccountName: name, restartPolicy: kind === 'Pod' ? 'Always' : 'Never', containers: [container] },
    },
  ];
  await cluster.kubectl(
    ['-n', NAMESPACE, 'apply', '-f', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
  );
}

describe('gateways of a Secret', { skip }, () => {
  let cluster: Cluster;
  let address: string;
  const kubectl = (...args: readonly string[]) => cluster.kubectl(['-n', NAMESPACE, ...args]);
  const put = async (value: object) => {
    const data = { 'holdfast.json.gz': gzipSync(JSON.stringify(value)).toString('base64') };
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'public' }, data };
    await cluster.kubectl(['-n', NAMESPACE, 'apply', '-f', '-'], JSON.stringify(secret));
  };
  const until = async (holds: () => Promise<boolean>) => {
    const began = performance.now();
    while (!(await holds())) await pause(50);
    return performance.now() - began;
  };
  const status = async (path: string) => (await sendRequest(PORT, 'GET', path, { to: address })).status;
  const ready = async () => (await readPage(TELEMETRY, '/readyz', address)).status;
  const logged = async (pattern: RegExp) => pattern.test(await kubectl('logs', 'plane'));

  before(async () => {
    cluster = await sharedCluster();
    await restricted(cluster, NAMESPACE);
    await putApplication(cluster, NAMESPACE);
  });
  after(async () => {
    await cluster.kubectl(['delete', 'namespace', NAMESPACE, '--wait=false']);
  });

  test('without the Secret a pod is live and not ready; with it the pod serves', async (t) => {
    await putPod(cluster, 'plane', 'public', ['serve', '--from-secret', `${NAMESPACE}/public`]);
    await until(() => logged(/the secret does not exist/).catch(() => false));
    address = await kubectl('get', 'pod', 'plane', '-o=jsonpath={.status.podIP}');
    assert.equal(await ready(), 503);
    const began = performance.now();
    await put(configuration('/orders/*'));
    await kubectl('wait', '--for=condition=Ready', 'pod/plane', '--timeout=60s');
    t.diagnostic(`ready ${Math.round(performance.now() - began)} ms after the Secret came`);
    assert.equal(await status('/orders/1'), 200);
  });

  test('a change is in force at once, a bad one is refused and said, and the pod stays the same', async (t) => {
    const times: number[] = [];
    for (let nth = 0; nth < 10; nth += 1) {
      await put(configuration(`/v${nth}/*`));
      times.push(await until(async () => (await status(`/v${nth}/1`)) === 200));
    }
    const sorted = times.toSorted((one, two) => one - two).map(Math.round);
    t.diagnostic(`after kubectl apply: median ${sorted[5]} ms, at most ${sorted.at(-1)} ms`);
    await put(configuration('/w/*', { nonsense: true }));
    await until(() => logged(/configuration refused: nothing was changed.*|nonsense: is not a known key/));
    assert.equal(await status('/v9/1'), 200);
    assert.equal(await kubectl('get', 'pod', 'plane', '-o=jsonpath={.status.containerStatuses[0].restartCount}'), '0');
    const log = await kubectl('logs', 'plane');
    assert.ok(!log.includes('PRIVATE KEY') && !log.includes(SERVER.key.split('\n')[1] ?? ''));
  });

  test('without the Secret, and without the API server, the last good policy is served; then changes come again', async () => {
    await kubectl('delete', 'secret', 'public');
    await until(() => logged(/the secret does not exist.*[\s\S]*the secret does not exist/));
    assert.deepEqual([await status('/v9/1'), await ready()], [200, 200]);
    await cluster.plane.kill('kube-apiserver');
    for (let nth = 0; nth < 20; nth += 1) {
      assert.equal(await status('/v9/1'), 200);
      await pause(100);
    }
    await cluster.plane.startApiServer();
    await put(configuration('/back/*'));
    await until(async () => (await status('/back/1')) === 200);
  });

  test('a Role for another Secret is not enough, and the log says what is', async () => {
    await putPod(cluster, 'stranger', 'other', ['serve', '--from-secret', `${NAMESPACE}/public`]);
    const said = /expected a Role that lets this ServiceAccount get, list and watch secret public in planes/;
    await until(async () => said.test(await kubectl('logs', 'stranger').catch(() => '')));
  });

  test('check --from-secret in a pod lists problems, and shows nothing of the content', async () => {
    await put(configuration('/w/*', { nonsense: SERVER.key }));
    await putPod(cluster, 'check', 'public', ['check', '--from-secret', `${NAMESPACE}/public`], 'check');
    await kubectl('wait', '--for=jsonpath={.status.phase}=Failed', 'pod/check', '--timeout=60s');
    const log = await kubectl('logs', 'check');
    assert.match(log, /secret planes\/public:\d+:3 nonsense: is not a known key/);
    assert.ok(!log.includes('PRIVATE KEY'));
  });
});
