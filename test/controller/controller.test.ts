// The whole controller against a small API server: objects come, change and go.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { startController } from '../../src/controller/controller.ts';
import { dataPlaneName } from '../../src/controller/names.ts';
import { KINDS } from '../../src/kubernetes/kinds.ts';
import { createLog } from '../../src/observe/log.ts';
import { SmallApiServer, type StoredObject } from '../support/api-server.ts';
import { LogLines } from '../support/log-lines.ts';
import { CONTROLLER } from '../support/manifests.ts';

const KINDS_OF_ALL = [
  ...KINDS.map(({ group, version, plural }) =>
    group === '' ? `/api/${version}/${plural}` : `/apis/${group}/${version}/${plural}`,
  ),
  '/apis/apps/v1/deployments',
  '/api/v1/serviceaccounts',
  '/apis/policy/v1/poddisruptionbudgets',
  '/apis/rbac.authorization.k8s.io/v1/roles',
  '/apis/rbac.authorization.k8s.io/v1/rolebindings',
  '/apis/coordination.k8s.io/v1/leases',
  '/apis/events.k8s.io/v1/events',
];
const GATEWAY = '/apis/gateway.networking.k8s.io/v1';
const OURS = '/apis/holdfast.internal/v1alpha1';
const ROUTES = `${GATEWAY}/namespaces/shop/httproutes`;
const NAME = dataPlaneName({ namespace: 'shop', name: 'web' });

function putBasics(server: SmallApiServer): void {
  server.put(`${OURS}/namespaces/edge/holdfastparameters`, {
    metadata: { name: 'open' },
    spec: { floor: { require: 'public' }, withoutPolicy: 'public' },
  });
  server.put(`${GATEWAY}/gatewayclasses`, {
    metadata: { name: 'hf' },
    spec: {
      controllerName: CONTROLLER,
      parametersRef: { group: 'holdfast.internal', kind: 'HoldfastParameters', namespace: 'edge', name: 'open' },
    },
  });
  server.put(`${GATEWAY}/namespaces/shop/gateways`, {
    metadata: { name: 'web' },
    spec: { gatewayClassName: 'hf', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
  });
  server.put(ROUTES, routeTo('/one'));
}

const routeTo = (path: string): StoredObject => ({
  metadata: { name: 'orders' },
  spec: {
    parentRefs: [{ name: 'web' }],
    rules: [{ matches: [{ path: { type: 'PathPrefix', value: path } }], backendRefs: [{ name: 'none', port: 80 }] }],
  },
});

async function start(server: SmallApiServer, identity = 'one') {
  const lines = new LogLines();
  const controller = await startController({
    api: server.api,
    log: createLog({ level: 'info', sampleSuccesses: 1 }, lines),
    identity,
    leaseName: 'holdfast-controller',
    namespace: 'edge',
    controllerName: CONTROLLER,
    image: 'holdfast',
    imagePullPolicy: undefined,
    imagePullSecrets: [],
    secretsIn: [],
    telemetry: { host: '127.0.0.1', port: 0 },
  });
  return { lines, controller, [Symbol.asyncDispose]: () => controller.stop() };
}

const secretOf = (server: SmallApiServer) => server.objects.get(`/api/v1/namespaces/edge/secrets/${NAME}`);

function pathsOf(server: SmallApiServer): readonly string[] {
  const data = secretOf(server)?.['data'] as Record<string, string> | undefined;
  if (data === undefined) return [];
  const text = gunzipSync(Buffer.from(data['holdfast.json.gz'] ?? '', 'base64')).toString();
  return (JSON.parse(text) as { routes: { match: { path: string } }[] }).routes.map(({ match }) => match.path);
}

const conditions = (server: SmallApiServer, key: string) =>
  ((server.objects.get(key)?.['status'] ?? {}) as { conditions?: { type: string; status: string }[] }).conditions ?? [];

async function until(holds: () => boolean): Promise<void> {
  // oxlint-disable-next-line no-await-in-loop -- the server tells nothing
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('a Gateway gets a data plane and a status; a changed route reaches the Secret; all goes with the Gateway', async () => {
  await using server = await new SmallApiServer(KINDS_OF_ALL).start();
  putBasics(server);
  await using _ = await start(server);
  await until(() => pathsOf(server).includes('/one/*'));
  await until(() =>
    conditions(server, `${GATEWAY}/namespaces/shop/gateways/web`).some(({ type }) => type === 'Accepted'),
  );
  await until(() => conditions(server, `${GATEWAY}/gatewayclasses/hf`).some(({ status }) => status === 'True'));
  server.put(ROUTES, routeTo('/two'));
  await until(() => pathsOf(server).includes('/two/*'));
  assert.ok(!pathsOf(server).includes('/one/*'));
  server.remove(`${GATEWAY}/namespaces/shop/gateways`, 'web');
  await until(() => ![...server.objects.keys()].some((key) => key.endsWith(`/${NAME}`)));
});

test('a cluster at rest is written to by no one but the Lease', async () => {
  await using server = await new SmallApiServer(KINDS_OF_ALL).start();
  putBasics(server);
  await using _ = await start(server);
  await until(() => pathsOf(server).length > 0);
  const writes = () =>
    server.requests.filter(({ method, path }) => method !== 'GET' && !path.includes('/leases')).length;
  let before = -1;
  while (before !== writes()) {
    before = writes();
    // oxlint-disable-next-line no-await-in-loop -- a rest of several reconciliations
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  server.put('/api/v1/namespaces/other/services', { metadata: { name: 'unrelated' }, spec: { ports: [] } });
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.equal(writes(), before);
});

test('without the kind of policies nothing is delivered, and /readyz says what is waited for', async () => {
  const missing = '/apis/holdfast.internal/v1alpha1/holdfastpolicies';
  await using server = await new SmallApiServer(KINDS_OF_ALL.filter((kind) => kind !== missing)).start();
  putBasics(server);
  await using at = await start(server);
  await at.lines.until({ msg: 'leading' });
  assert.ok('port' in at.controller.telemetry);
  const { port } = at.controller.telemetry;
  const ready = async () =>
    (await fetch(`http://127.0.0.1:${port}/readyz`)).json() as Promise<{ waiting_for: string[] }>;
  while ((await ready()).waiting_for.length !== 1);
  assert.deepEqual(await ready(), { ready: false, leader: true, waiting_for: ['HoldfastPolicy'] });
  assert.equal(secretOf(server), undefined);
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  assert.match(metrics, /^holdfast_controller_unsettled_kinds 1$/m);
  assert.match(metrics, /^holdfast_controller_leader 1$/m);
});

test('an API server that goes takes nothing away, and a second controller takes over when the first one ends', async () => {
  await using server = await new SmallApiServer(KINDS_OF_ALL).start();
  putBasics(server);
  const first = await start(server, 'first');
  await until(() => pathsOf(server).includes('/one/*'));
  await using second = await start(server, 'second');
  await server.stop();
  server.faults.compactedBefore = server.version;
  await server.start();
  server.put(ROUTES, routeTo('/two'));
  await until(() => pathsOf(server).includes('/two/*'));
  await first.controller.stop();
  await second.lines.until({ msg: 'leading', identity: 'second' });
  server.put(ROUTES, routeTo('/three'));
  await until(() => pathsOf(server).includes('/three/*'));
});
