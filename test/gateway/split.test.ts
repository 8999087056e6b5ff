// Requests of one route divided among several upstreams.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { openTargets } from '../support/targets.ts';

const PUBLIC = 'require: public, weaker_than_defaults: [require]';
const split = (upstreams: string) =>
  `- { name: split, match: { path: /* }, upstreams: [${upstreams}], ${PUBLIC} }\n- { name: orders, match: { path: /orders }, upstream: orders }`;

async function statuses(gateway: TestGateway, count: number): Promise<ReadonlyMap<number, number>> {
  const answers = await Promise.all(Array.from({ length: count }, (_, nth) => gateway.request('GET', `/${nth}`)));
  return new Map([...Map.groupBy(answers, ({ status }) => status)].map(([status, all]) => [status, all.length]));
}

async function openPair(t: Parameters<typeof startTestGateway>[0], wishes: (a: string, b: string) => string) {
  const targets = await openTargets(t as never, 2);
  const [a, b] = targets;
  assert.ok(a && b);
  const upstreams = `a: { targets: ["${a.origin}"], circuit: { failures: 1, open: 60s } }\nb: { targets: ["${b.origin}"] }`;
  const gateway = await startTestGateway(t, { upstreams, routes: wishes('a', 'b') });
  return { a, b, gateway };
}

test('each upstream gets about its share, and the log says which one a request went to', async (t) => {
  const { a, b, gateway } = await openPair(t, () => split('{ name: a, weight: 3 }, { name: b, weight: 1 }'));
  assert.deepEqual(await statuses(gateway, 400), new Map([[200, 400]]));
  assert.equal(a.seen.length + b.seen.length, 400);
  // Five standard deviations.
  assert.ok(Math.abs(b.seen.length - 100) < 44, `${b.seen.length}`);
  assert.equal(await gateway.count('holdfast_upstream_answers_total', { upstream: 'b' }), b.seen.length);
  const lines = gateway.log.filter(({ msg, upstream }) => msg === 'request' && upstream === 'b');
  assert.equal(lines.length, b.seen.length);
  await gateway.request('GET', '/orders');
  assert.equal((await gateway.logged({ msg: 'request', route: 'orders' }))['upstream'], undefined);
});

test('no other upstream takes the share of one that is down, not even when its circuit is open', async (t) => {
  const { a, b, gateway } = await openPair(t, () => split('{ name: a }, { name: b }'));
  a.kill();
  const before = await statuses(gateway, 100);
  assert.equal((before.get(502) ?? 0) + (before.get(503) ?? 0) + (before.get(200) ?? 0), 100);
  assert.equal(before.get(200), b.seen.length);
  const after = await statuses(gateway, 100);
  assert.deepEqual(new Set(after.keys()), new Set([200, 503]));
  assert.ok(Math.abs((after.get(503) ?? 0) - 50) < 25);
});

test('a weight of 0 takes nothing, and a reload moves the weights without losing a connection', async (t) => {
  const { a, b, gateway } = await openPair(t, () => split('{ name: a, weight: 1 }, { name: b, weight: 0 }'));
  await statuses(gateway, 20);
  assert.deepEqual([a.seen.length, b.seen.length], [20, 0]);
  const { connections } = a;
  const upstreams = `a: { targets: ["${a.origin}"], circuit: { failures: 1, open: 60s } }\nb: { targets: ["${b.origin}"] }`;
  await gateway.reload({ upstreams, routes: split('{ name: a, weight: 0 }, { name: b, weight: 1 }') });
  await statuses(gateway, 20);
  assert.deepEqual([a.seen.length, b.seen.length], [20, 20]);
  await gateway.reload({ upstreams, routes: split('{ name: a, weight: 1 }, { name: b, weight: 0 }') });
  await gateway.request('GET', '/again');
  assert.equal(a.connections, connections);
});

test('a share that names no upstream is refused with 500, the rest passes', async (t) => {
  const { gateway } = await openPair(t, () => split('{ name: a }, { weight: 1 }'));
  const counted = await statuses(gateway, 100);
  assert.deepEqual(new Set(counted.keys()), new Set([200, 500]));
  assert.equal(await gateway.count('holdfast_rejections_total', { reason: 'upstream_absent' }), counted.get(500));
});
