// A thousand routes of one Gateway: adopted in seconds, changed a hundred times under load.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { skip as noHelm } from '../helm/helm.ts';
import { HOST, SERVER_CA } from '../support/gateway.ts';
import type { Cluster } from './cluster.ts';
import { addressOf, ask, installController, OPEN, putShop, shownValues, startCluster, until } from './gateway-parts.ts';
import { startLoad } from './loading.ts';
import { skip as noCluster } from './shared.ts';

/** Ten thousand with ROUTES=10000; figures of both are in docs/gateway-api.md. */
const ROUTES = Number(process.env['ROUTES'] ?? 1000);
const CHANGES = 100;
/** Milliseconds: the bar, on a machine that has nothing else to do. */
const BAR = { median: 500, most: 2000 };
const POLICIES = '/apis/holdfast.internal/v1alpha1/namespaces/shop/holdfastpolicies';
let cluster: Cluster;
let address: string;
after(async () => await (cluster as Cluster | undefined)?.close());

const routeOf = (index: number) => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: `r${index}`, namespace: 'shop' },
  spec: {
    parentRefs: [{ name: 'open' }],
    hostnames: [HOST],
    rules: [{ matches: [{ path: { value: `/r${index}` } }], backendRefs: [{ name: 'orders', port: 8080 }] }],
  },
});

async function putRoutes(): Promise<void> {
  const routes = Array.from({ length: ROUTES }, (_, index) => routeOf(index));
  while (routes.length > 0) {
    const some = routes.splice(0, 16);
    // oxlint-disable-next-line no-await-in-loop -- sixteen at once
    await Promise.all(
      some.map((route) => cluster.api.post('/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes', route)),
    );
  }
}

async function acceptedRoutes(): Promise<number> {
  const format =
    '-o=jsonpath={range .items[*]}{.status.parents[0].conditions[?(@.type=="Accepted")].status}{"\\n"}{end}';
  const text = await cluster.kubectl(['--namespace=shop', 'get', 'httproutes', format]);
  return text.split('\n').filter((line) => line === 'True').length;
}

describe(`${ROUTES} routes of one Gateway`, { skip: noCluster || noHelm }, () => {
  test('are adopted, with a status each', { timeout: 900_000 }, async (t) => {
    cluster = await startCluster();
    await installController(cluster, shownValues());
    await putShop(cluster);
    await cluster.kubectl(['apply', '-f', '-'], OPEN);
    address = await addressOf(cluster, 'open');
    await putRoutes();
    const served = await until(async () => (await ask(address, `/r${ROUTES - 1}`)).status === 200, 300_000);
    const reported = await until(async () => {
      await pause(250);
      return (await acceptedRoutes()) === ROUTES + 1;
    }, 600_000);
    t.diagnostic(
      `after the last one was written: served in ${seconds(served)} s, all reported in ${seconds(served + reported)} s`,
    );
  });

  test('a change of one policy is enforced within moments, and a hundred of them lose no request', {
    timeout: 900_000,
  }, async (t) => {
    const demand = (require: string) => ({
      apiVersion: 'holdfast.internal/v1alpha1',
      kind: 'HoldfastPolicy',
      metadata: { name: 'one', namespace: 'shop' },
      spec: { targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'r7' }], require },
    });
    await cluster.api.post(POLICIES, demand('public'));
    const load = await startLoad(t, {
      address,
      port: 443,
      host: HOST,
      path: '/healthz',
      ca: SERVER_CA.cert,
      http1: 3,
      http2: 2,
      pause: 20,
    });
    const times: number[] = [];
    for (let change = 0; change < CHANGES; change++) {
      const closed = change % 2 === 0;
      // oxlint-disable no-await-in-loop -- one change after the other
      await cluster.api.patch(`${POLICIES}/one`, demand(closed ? 'token' : 'public'));
      times.push(await until(async () => (await ask(address, '/r7')).status === (closed ? 401 : 200)));
      await pause(200);
      // oxlint-enable no-await-in-loop
    }
    times.sort((a, b) => a - b);
    const [median = 0, p99 = 0] = [times[CHANGES / 2], times[CHANGES - 2]];
    const { sent, good, failures } = await load.stop();
    t.diagnostic(
      `change to enforcement: median ${median.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms; ${good} of ${sent} requests meanwhile`,
    );
    assert.deepEqual(failures, []);
    assert.equal(good, sent);
    if (process.env['BARS'] === 'held') assert.ok(median < BAR.median && p99 < BAR.most);
  });
});

const seconds = (milliseconds: number) => (milliseconds / 1000).toFixed(1);
