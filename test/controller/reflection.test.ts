// Tests of reflections: lists, watches, and every way in which they are interrupted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiFailure } from '../../src/controller/api-failure.ts';
import { watched, type WatchedKind } from '../../src/controller/kinds.ts';
import { Reflection } from '../../src/controller/reflection.ts';
import { KINDS } from '../../src/kubernetes/kinds.ts';
import { SmallApiServer } from '../support/api-server.ts';

const SERVICES = '/api/v1/services';
const SHOP = '/api/v1/namespaces/shop/services';
const ROUTES = '/apis/gateway.networking.k8s.io/v1/httproutes';
const GRANTS = '/apis/gateway.networking.k8s.io/v1beta1/referencegrants';

function kindOf(name: string): WatchedKind {
  const kind = KINDS.find((one) => one.kind === name);
  assert.ok(kind);
  return watched(kind);
}

/** A reflection at work, and a wait for what it comes to know. */
function reflect(server: SmallApiServer, kind: WatchedKind) {
  const failures: ApiFailure[] = [];
  let changes = 0;
  let wake = () => {};
  const reflection = new Reflection({
    api: server.api,
    kind,
    onChange: () => {
      changes += 1;
      wake();
    },
    onFailure: (failure) => failures.push(failure),
    onList: () => wake(),
    waits: [5, 40],
  });
  const ending = new AbortController();
  const ended = reflection.run(ending.signal);
  const until = async (holds: () => boolean) => {
    // oxlint-disable-next-line no-await-in-loop -- each change is looked at
    while (!holds()) await new Promise<void>((resolve) => (wake = resolve));
  };
  return {
    reflection,
    failures,
    until,
    names: () => [...reflection.objects.keys()].toSorted(),
    changes: () => changes,
    async [Symbol.asyncDispose]() {
      ending.abort();
      await ended;
    },
  };
}

const service = (name: string, more: object = {}) => ({ metadata: { name }, spec: { ports: [] }, ...more });

test('objects are listed page by page, then followed', async () => {
  await using server = await new SmallApiServer([SERVICES]).start();
  for (let i = 0; i < 1203; i++) server.put(SHOP, service(`s${i}`));
  await using at = reflect(server, kindOf('Service'));
  await at.until(() => at.reflection.state === 'current');
  assert.equal(at.reflection.objects.size, 1203);
  assert.equal(server.requests.filter(({ path }) => path === SERVICES).length >= 3, true);
  server.put(SHOP, service('new'));
  await at.until(() => at.reflection.objects.has('shop/new'));
  server.remove(SHOP, 'new');
  await at.until(() => !at.reflection.objects.has('shop/new'));
});

test('an API server that goes and comes again is followed, and what changed meanwhile is known', async () => {
  await using server = await new SmallApiServer([SERVICES]).start();
  server.put(SHOP, service('stays'));
  server.put(SHOP, service('goes'));
  await using at = reflect(server, kindOf('Service'));
  await at.until(() => at.reflection.objects.size === 2);
  await server.stop();
  server.remove(SHOP, 'goes');
  server.faults.compactedBefore = server.version;
  assert.deepEqual(at.names(), ['shop/goes', 'shop/stays'], 'the last known state stays');
  await server.start();
  await at.until(() => at.reflection.objects.size === 1);
  assert.deepEqual(at.names(), ['shop/stays']);
  assert.equal(at.reflection.settled, true);
});

test('a watch from too old a version (410) becomes a list, without a moment in which objects are missing', async () => {
  await using server = await new SmallApiServer([SERVICES]).start();
  server.put(SHOP, service('a'));
  await using at = reflect(server, kindOf('Service'));
  await at.until(() => at.reflection.objects.size === 1);
  const before = at.changes();
  server.faults.compactedBefore = server.version + 1;
  server.endWatches();
  const lists = () => server.requests.filter(({ path }) => path === SERVICES).length;
  const seen = lists();
  await at.until(() => lists() > seen + 1);
  assert.deepEqual(at.names(), ['shop/a']);
  assert.equal(at.changes(), before, 'a list with nothing new is no change');
});

test('a kind whose definition is missing counts as empty, and is picked up when it comes', async () => {
  await using server = await new SmallApiServer([]).start();
  await using at = reflect(server, kindOf('HTTPRoute'));
  await at.until(() => at.reflection.state === 'unknown');
  assert.equal(at.reflection.settled, true);
  server.kinds.add(ROUTES);
  server.put(ROUTES.replace('/httproutes', '/namespaces/shop/httproutes'), service('orders'));
  await at.until(() => at.reflection.objects.size === 1);
});

test('a kind of policies that is missing is waited for: it is not the same as no policies', async () => {
  await using server = await new SmallApiServer([]).start();
  await using at = reflect(server, kindOf('HoldfastPolicy'));
  await at.until(() => at.reflection.state === 'unknown');
  assert.equal(at.reflection.settled, false);
});

test('a refusal (403) is told, and leaves what is known unsettled', async () => {
  await using server = await new SmallApiServer([SERVICES]).start();
  server.faults.answer = () => 403;
  await using at = reflect(server, kindOf('Service'));
  while (at.failures.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(at.reflection.settled, false);
  assert.equal(at.failures[0]?.message, 'GET /api/v1/services: 403 Faulty');
});

test('an older version of a kind serves where the newer one is unknown', async () => {
  await using server = await new SmallApiServer([GRANTS]).start();
  server.put(GRANTS.replace('/referencegrants', '/namespaces/shop/referencegrants'), service('grant'));
  await using at = reflect(server, kindOf('ReferenceGrant'));
  await at.until(() => at.reflection.objects.size === 1);
  assert.equal(at.reflection.apiVersion, 'gateway.networking.k8s.io/v1beta1');
});

test('a status that others write is known and is no change; labels and specs are', async () => {
  await using server = await new SmallApiServer([ROUTES]).start();
  const list = ROUTES.replace('/httproutes', '/namespaces/shop/httproutes');
  server.put(list, service('orders'));
  await using at = reflect(server, kindOf('HTTPRoute'));
  await at.until(() => at.reflection.objects.size === 1);
  const before = at.changes();
  server.put(list, service('orders', { status: { parents: [] } }));
  server.put(list, service('second'));
  await at.until(() => at.reflection.objects.size === 2);
  assert.equal(at.changes(), before + 1, 'the second route alone');
  assert.deepEqual(at.reflection.objects.get('shop/orders')?.['status'], { parents: [] });
  server.put(list, { metadata: { name: 'orders', labels: { a: 'b' } }, spec: { ports: [] } });
  await at.until(() => at.changes() === before + 2);
});

test('objects without a usable name are left out', async () => {
  await using server = await new SmallApiServer([SERVICES]).start();
  server.objects.set(`${SHOP}/odd`, { metadata: { name: 7 as unknown as string } });
  server.put(SHOP, service('good'));
  await using at = reflect(server, kindOf('Service'));
  await at.until(() => at.reflection.state === 'current');
  assert.deepEqual(at.names(), ['shop/good']);
});
