// A thousand routes of one Gateway, or ten: adopted, changed under load, met by a new start.

import assert from 'node:assert/strict';
import { loadavg } from 'node:os';
import { after, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { skip as noHelm } from '../helm/helm.ts';
import { HOST, SERVER_CA } from '../support/gateway.ts';
import type { Cluster } from './cluster.ts';
import {
  addressOf,
  ask,
  installController,
  OPEN,
  putShop,
  shownValues,
  startCluster,
  SYSTEM,
  until,
} from './gateway-parts.ts';
import { startLoad } from './loading.ts';
import type { Metadata } from './objects.ts';
import { skip as noCluster } from './shared.ts';
import { usageOf } from './usage.ts';

/** Ten thousand with ROUTES=10000; figures of both are in docs/gateway-api.md. */
const ROUTES = Number(process.env['ROUTES'] ?? 1000);
const CHANGES = ROUTES > 1000 ? 20 : 100;
/** Milliseconds: the bar, on a machine that has nothing else to do. */
const BAR = { median: 500, most: 2000 };
/** Milliseconds for all of it, on a machine that has much else to do. */
const PATIENCE = 1_800_000;
/** MiB: the limits of the chart and of data planes. */
const LIMITS = { controller: 1024, dataPlane: 512 };
const HTTP_ROUTES = '/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes';
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
    await Promise.all(some.map((route) => cluster.api.post(HTTP_ROUTES, route)));
  }
}

interface Reported {
  readonly metadata: Metadata;
  readonly status?: {
    readonly parents?: readonly {
      readonly conditions: readonly { readonly type: string; readonly status: string }[];
    }[];
  };
}

const isAccepted = ({ status }: Reported) =>
  status?.parents?.[0]?.conditions.some((one) => one.type === 'Accepted' && one.status === 'True') ?? false;

/** Watches, because a list of all of them again and again would be most of what the API server does. @returns milliseconds */
async function untilReported(count: number): Promise<number> {
  const began = performance.now();
  const accepted = new Set<string>();
  const [done, late] = [new AbortController(), AbortSignal.timeout(PATIENCE)];
  await cluster.api.follow<Reported>(HTTP_ROUTES, AbortSignal.any([done.signal, late]), (change) => {
    const routes = change.type === 'LIST' ? change.objects : [change.object];
    for (const route of routes.filter(isAccepted)) accepted.add(route.metadata.name);
    if (accepted.size === count) done.abort();
  });
  late.throwIfAborted();
  return performance.now() - began;
}

interface RunningPod {
  readonly metadata: Metadata;
  readonly status: { readonly containerStatuses: readonly { readonly restartCount: number }[] };
}

async function pods() {
  const { items } = await cluster.api.get<{ readonly items: readonly RunningPod[] }>(
    `/api/v1/namespaces/${SYSTEM}/pods`,
  );
  return items.map(({ metadata: { name }, status }) => ({
    name,
    isDataPlane: name.startsWith('gw-'),
    restarts: status.containerStatuses[0]?.restartCount,
    usage: usageOf(name),
  }));
}

/** What each has used so far, all of it within the limits. */
async function usageWithinLimits(): Promise<string> {
  const all = await pods();
  for (const { name, isDataPlane, usage } of all) {
    assert.ok(usage.peak < (isDataPlane ? LIMITS.dataPlane : LIMITS.controller), `${name}: ${usage.peak} MiB`);
  }
  const texts = all.map(({ isDataPlane, usage: { resident, peak, seconds } }) => {
    const name = isDataPlane ? 'data plane' : 'controller';
    return `${name} ${resident} MiB, at most ${peak}, ${seconds.toFixed(1)} s of CPU`;
  });
  return `${texts.join('; ')}; load average ${loadavg()[0]?.toFixed(1)}`;
}

const demand = (require: string) => ({
  apiVersion: 'holdfast.internal/v1alpha1',
  kind: 'HoldfastPolicy',
  metadata: { name: 'one', namespace: 'shop' },
  spec: { targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'r7' }], require },
});

/** @returns milliseconds from the change to its enforcement */
async function change(to: 'token' | 'public'): Promise<number> {
  await cluster.api.patch(`${POLICIES}/one`, demand(to));
  return await until(async () => (await ask(address, '/r7')).status === (to === 'token' ? 401 : 200));
}

describe(`${ROUTES} routes of one Gateway`, { skip: noCluster || noHelm }, () => {
  test('are adopted, with a status each', { timeout: PATIENCE }, async (t) => {
    cluster = await startCluster();
    await installController(cluster, shownValues());
    await putShop(cluster);
    await cluster.kubectl(['apply', '-f', '-'], OPEN);
    address = await addressOf(cluster, 'open');
    await putRoutes();
    const began = performance.now();
    const reported = untilReported(ROUTES + 1);
    const served = await until(async () => (await ask(address, `/r${ROUTES - 1}`)).status === 200, PATIENCE);
    await reported;
    const all = performance.now() - began;
    t.diagnostic(`after the last one was written: served in ${seconds(served)} s, all reported in ${seconds(all)} s`);
    t.diagnostic(await usageWithinLimits());
  });

  test('a change of one policy is enforced within moments, and many of them lose no request', {
    timeout: PATIENCE,
  }, async (t) => {
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
    for (let index = 0; index < CHANGES; index++) {
      // oxlint-disable no-await-in-loop -- one change after the other
      times.push(await change(index % 2 === 0 ? 'token' : 'public'));
      await pause(200);
      // oxlint-enable no-await-in-loop
    }
    times.sort((a, b) => a - b);
    const [median = 0, p99 = 0] = [times[CHANGES / 2], times[Math.ceil(CHANGES * 0.99) - 1]];
    const { sent, good, failures } = await load.stop();
    t.diagnostic(
      `change to enforcement, ${CHANGES} of them: median ${median.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms; ${good} of ${sent} requests meanwhile`,
    );
    t.diagnostic(await usageWithinLimits());
    assert.deepEqual(failures, []);
    assert.equal(good, sent);
    if (process.env['BARS'] === 'held') assert.ok(median < BAR.median && p99 < BAR.most);
  });

  test('a data plane and a controller that were killed begin again with all of them, and no other one ends', {
    timeout: PATIENCE,
  }, async (t) => {
    const before = await pods();
    const plane = before.find(({ isDataPlane }) => isDataPlane);
    assert.ok(plane);
    process.kill(plane.usage.pid, 'SIGKILL');
    const isServed = async () => (await ask(address, `/r${ROUTES - 1}`).catch(() => undefined))?.status === 200;
    await until(async () => !(await isServed()));
    const served = await until(isServed, PATIENCE);
    const path = `/apis/coordination.k8s.io/v1/namespaces/${SYSTEM}/leases/holdfast-controller`;
    const { spec } = await cluster.api.get<{ readonly spec: { readonly holderIdentity: string } }>(path);
    const leader = before.find(({ name }) => spec.holderIdentity.startsWith(name));
    assert.ok(leader);
    process.kill(leader.usage.pid, 'SIGKILL');
    await cluster.api.patch(`${POLICIES}/one`, demand('token'));
    const enforced = await until(async () => (await ask(address, '/r7')).status === 401, PATIENCE);
    t.diagnostic(
      `after it was killed, a data plane serves in ${seconds(served)} s; after its leader was, a controller delivers in ${seconds(enforced)} s`,
    );
    t.diagnostic(await usageWithinLimits());
    assert.deepEqual(
      (await pods()).map(({ name, restarts }) => [name, restarts]),
      before.map(({ name }) => [name, name === plane.name || name === leader.name ? 1 : 0]),
    );
  });
});

const seconds = (milliseconds: number) => (milliseconds / 1000).toFixed(1);
