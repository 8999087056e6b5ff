// Tests of the delivery to data planes: what is made, written again, and taken away.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Delivery } from '../../src/controller/delivery.ts';
import { dataPlaneName } from '../../src/controller/names.ts';
import { ClusterView } from '../../src/controller/view.ts';
import { Writer } from '../../src/controller/writer.ts';
import { KINDS } from '../../src/kubernetes/kinds.ts';
import type { PlannedDataPlane } from '../../src/kubernetes/state.ts';
import { SmallApiServer } from '../support/api-server.ts';

const CONTROLLER = 'holdfast.internal/gateway-controller';
const MADE = [
  '/apis/apps/v1/deployments',
  '/api/v1/services',
  '/api/v1/secrets',
  '/api/v1/serviceaccounts',
  '/apis/policy/v1/poddisruptionbudgets',
  '/apis/rbac.authorization.k8s.io/v1/roles',
  '/apis/rbac.authorization.k8s.io/v1/rolebindings',
];
const TRANSLATED = KINDS.map(({ group, version, plural }) =>
  group === '' ? `/api/${version}/${plural}` : `/apis/${group}/${version}/${plural}`,
);
const plane = (name: string, more: Partial<PlannedDataPlane> = {}): PlannedDataPlane => ({
  gateway: { namespace: 'shop', name },
  configuration: { version: 1, listeners: [], replay: { store: 'memory' } },
  ports: [{ name: 'https', port: 443, targetPort: 10_443 }],
  labels: {},
  annotations: {},
  parameters: undefined,
  ...more,
});

/** A delivery with its view of a small API server, and a wait until the view has settled. */
async function atWork(server: SmallApiServer, { leads = true } = {}) {
  let wake = () => {};
  const writes: string[] = [];
  const view = new ClusterView({
    api: server.api,
    controllerName: CONTROLLER,
    namespace: 'edge',
    secretsIn: [],
    onChange: () => wake(),
    onFailure: (kind, { message }) => writes.push(`${kind} ${message}`),
    onList: () => wake(),
  });
  const writer = new Writer({
    api: server.api,
    leads: () => leads,
    onWrite: (verb, kind, result) => writes.push(`${verb} ${kind} ${result}`),
    onFailure: () => {},
  });
  const place = {
    namespace: 'edge',
    controllerName: CONTROLLER,
    image: 'holdfast:1',
    imagePullPolicy: undefined,
    imagePullSecrets: [],
  };
  const delivery = new Delivery(place, writer, { made: view.made, onDelivered: () => {} });
  const ending = new AbortController();
  const ended = view.run(ending.signal);
  const until = async (holds: () => boolean) => {
    // oxlint-disable-next-line no-await-in-loop -- each change is looked at
    while (!holds()) await new Promise<void>((resolve) => (wake = resolve));
  };
  await until(() => view.unsettled.length === 0);
  const count = (kind: string) => view.made.find((one) => one.kind.kind === kind)?.objects.size ?? 0;
  const seen = async (each: number) => {
    for (const { kind } of view.made) await until(() => count(kind.kind) === each);
  };
  return {
    delivery,
    view,
    writes,
    seen,
    until,
    async [Symbol.asyncDispose]() {
      ending.abort();
      await ended;
    },
  };
}

const objectOf = (server: SmallApiServer, list: string, gateway: string) =>
  server.objects.get(
    `${list.replace(/\/([a-z]+)$/, '/namespaces/edge/$1')}/${dataPlaneName({ namespace: 'shop', name: gateway })}`,
  );

test('a Gateway gets seven objects, its configuration first, and nothing is written again while nothing changes', async () => {
  await using server = await new SmallApiServer([...MADE, ...TRANSLATED]).start();
  await using at = await atWork(server);
  assert.deepEqual(await at.delivery.deliver([plane('web')]), { complete: true, troubles: new Map() });
  assert.equal(at.writes.length, 7);
  assert.equal(at.writes[0], 'apply Secret done');
  await at.seen(1);
  at.writes.length = 0;
  await at.delivery.deliver([plane('web')]);
  assert.deepEqual(at.writes, []);
  await at.delivery.deliver([plane('web', { configuration: { version: 1, listeners: [], routes: [] } })]);
  assert.deepEqual(at.writes, ['apply Secret done'], 'a change of policy touches the Secret alone');
  at.writes.length = 0;
  await at.delivery.deliver([plane('web')], { again: true });
  assert.equal(at.writes.length, 7);
});

test('the Secret holds the configuration, with telemetry that kubelet reaches and as many workers as processors', async () => {
  await using server = await new SmallApiServer([...MADE, ...TRANSLATED]).start();
  await using at = await atWork(server);
  await at.delivery.deliver([plane('web')]);
  const { data } = objectOf(server, '/api/v1/secrets', 'web') as unknown as { data: Record<string, string> };
  assert.deepEqual(JSON.parse(gunzipSync(Buffer.from(data['holdfast.json.gz'] ?? '', 'base64')).toString()), {
    version: 1,
    listeners: [],
    replay: { store: 'memory' },
    telemetry: { bind: '0.0.0.0:9902' },
    workers: 1,
  });
});

test('a data plane may read its own Secret and nothing else', async () => {
  await using server = await new SmallApiServer([...MADE, ...TRANSLATED]).start();
  await using at = await atWork(server);
  await at.delivery.deliver([plane('web')]);
  const role = objectOf(server, '/apis/rbac.authorization.k8s.io/v1/roles', 'web');
  assert.deepEqual(role?.['rules'], [
    {
      apiGroups: [''],
      resources: ['secrets'],
      resourceNames: [dataPlaneName({ namespace: 'shop', name: 'web' })],
      verbs: ['get', 'list', 'watch'],
    },
  ]);
});

test('pods that remember proofs alone are never two: one replica, ended before the next one starts', async () => {
  await using server = await new SmallApiServer([...MADE, ...TRANSLATED]).start();
  await using at = await atWork(server);
  const parameters = { service: {}, deployment: { replicas: 5 } };
  await at.delivery.deliver([
    plane('alone', { parameters }),
    plane('shared', { parameters, configuration: { replay: { store: 'redis' } } }),
  ]);
  const spec = (gateway: string) =>
    objectOf(server, '/apis/apps/v1/deployments', gateway)?.['spec'] as {
      replicas: number;
      strategy: { type: string };
    };
  assert.deepEqual([spec('alone').replicas, spec('alone').strategy.type], [1, 'Recreate']);
  assert.deepEqual([spec('shared').replicas, spec('shared').strategy.type], [5, 'RollingUpdate']);
});

test('what was made for a Gateway that is gone is taken away, and nothing else', async () => {
  await using server = await new SmallApiServer([...MADE, ...TRANSLATED]).start();
  await using at = await atWork(server);
  server.put('/api/v1/namespaces/edge/services', { metadata: { name: 'foreign' }, spec: {} });
  await at.delivery.deliver([plane('stays'), plane('goes')]);
  await at.until(() => at.view.made.every(({ objects }) => objects.size >= 2));
  assert.equal(await at.delivery.sweep(new Set(['shop/stays'])), true);
  const left = [...server.objects.keys()].filter((key) => key.includes('/edge/'));
  assert.equal(left.filter((key) => key.includes('stays')).length, 7);
  assert.equal(left.filter((key) => key.includes('goes')).length, 0);
  assert.ok(left.some((key) => key.endsWith('/foreign')));
});

test('a Gateway without a good configuration keeps what it has', async () => {
  await using server = await new SmallApiServer([...MADE, ...TRANSLATED]).start();
  await using at = await atWork(server);
  await at.delivery.deliver([plane('web')]);
  await at.seen(1);
  at.writes.length = 0;
  await at.delivery.deliver([plane('web', { configuration: undefined })], { again: true });
  assert.deepEqual(at.writes, []);
});

test('a configuration that no Secret can hold is a trouble, and the last one stays', async () => {
  await using server = await new SmallApiServer([...MADE, ...TRANSLATED]).start();
  await using at = await atWork(server);
  await at.delivery.deliver([plane('web')]);
  await at.seen(1);
  const before = objectOf(server, '/api/v1/secrets', 'web');
  const configuration = { text: randomBytes(1_500_000).toString('hex') };
  const { troubles, complete } = await at.delivery.deliver([plane('web', { configuration })]);
  assert.equal(complete, true);
  assert.match(
    [...troubles.values()][0] ?? '',
    /^the configuration has \d+ bytes compressed, and a Secret holds 1044480; use several Gateways$/,
  );
  assert.equal(objectOf(server, '/api/v1/secrets', 'web'), before);
});

test('one that does not lead writes nothing', async () => {
  await using server = await new SmallApiServer([...MADE, ...TRANSLATED]).start();
  await using at = await atWork(server, { leads: false });
  assert.equal((await at.delivery.deliver([plane('web')])).complete, false);
  assert.equal(server.requests.filter(({ method }) => method !== 'GET').length, 0);
});

test('names are those of a DNS label, and of no other Gateway', () => {
  const gateways = [
    { namespace: 'a', name: 'b-c' },
    { namespace: 'a-b', name: 'c' },
    { namespace: 'n'.repeat(63), name: `${'x'.repeat(252)}a` },
    { namespace: 'n'.repeat(63), name: `${'x'.repeat(252)}b` },
    { namespace: 'a', name: 'b.c' },
  ];
  const names = gateways.map(dataPlaneName);
  assert.equal(new Set(names).size, gateways.length);
  for (const name of names) assert.match(name, /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/);
});

test('a port that comes changes the Service, and no pod', async () => {
  await using server = await new SmallApiServer([...MADE, ...TRANSLATED]).start();
  await using at = await atWork(server);
  await at.delivery.deliver([plane('web')]);
  await at.seen(1);
  at.writes.length = 0;
  const ports = [
    { name: 'https', port: 443, targetPort: 10_443 },
    { name: 'http', port: 80, targetPort: 10_080 },
  ];
  await at.delivery.deliver([plane('web', { ports })]);
  assert.deepEqual(at.writes, ['apply Service done']);
});
