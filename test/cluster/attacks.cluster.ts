// Attacks on Gateways in a real cluster: the held catalogue, and tenants who share one.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { skip as noHelm } from '../helm/helm.ts';
import { asText, attackedClass, attackedGateway, serviceAt } from '../hostile/gateway-api/as-objects.ts';
import {
  objectsOfAttacks,
  objectsOfRefusals,
  playAttacks,
  playHttp2,
  playRefusals,
  playScenes,
  RATES,
  ROUTES,
} from '../hostile/gateway-api/catalogue.ts';
import { meetFates, type SharedSide, UNHARMED } from '../hostile/gateway-api/fates.ts';
import { sharedWorld } from '../hostile/gateway-api/shared-world.ts';
import type { Side } from '../hostile/gateway-api/sides.ts';
import { ALONE } from '../hostile/gateway-api/hosts.ts';
import type { TenantAttack } from '../hostile/gateway-api/tenant-objects.ts';
import { hostOf, objectsOf, TOGETHER } from '../hostile/gateway-api/tenants.ts';
import { startRawUpstream } from '../interop/neighbours/rig.ts';
import {
  CLIENT_CA,
  CLIENT_ROOT,
  HOST,
  portOf,
  readAnswer,
  SERVER,
  SERVER_CA,
  sendRequest,
  startTestGateway,
  startUpstream,
  type TestGateway,
} from '../support/gateway.ts';
import { openTls } from '../support/edge.ts';
import { freePort } from '../support/programs.ts';
import { ApiError } from './api.ts';
import type { Cluster } from './cluster.ts';
import { addressOf, installController, shownValues, startCluster, SYSTEM, until } from './gateway-parts.ts';
import { skip as noCluster } from './shared.ts';

let cluster: Cluster;
after(async () => await (cluster as Cluster | undefined)?.close());

const NAMESPACES = ['shop', 'infra', 'evil'];
const apply = async (text: string) => await cluster.kubectl(['apply', '-f', '-'], text);
const namespaceOf = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

/** What stands before all: the controller, certificates where Gateways look for them, and CAs of clients. */
async function prepare(): Promise<void> {
  cluster = await startCluster();
  await apply(asText(NAMESPACES.filter((name) => name !== 'shop').map(namespaceOf)));
  await installController(cluster, { ...shownValues(), secrets: { namespaces: NAMESPACES } });
  const data = { 'ca.crt': `${CLIENT_CA.cert}\n${CLIENT_ROOT.cert}` };
  const secrets = NAMESPACES.map((namespace) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name: 'cert', namespace },
    stringData: { 'tls.crt': SERVER.chain, 'tls.key': SERVER.key },
  }));
  const clients = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'clients', namespace: 'shop' }, data };
  await apply(asText([...secrets, clients]));
  const controllerName = 'holdfast.internal/gateway-controller';
  await apply(attackedClass({ controllerName, namespace: SYSTEM, more: RATES }));
}

interface Manifest {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
}

function pathOf({ kind, apiVersion, metadata }: Manifest): string {
  const plural = `${kind.toLowerCase().replace(/y$/, 'ie')}s`;
  return `/apis/${apiVersion}/namespaces/${metadata.namespace}/${plural}`;
}

const objectsIn = (text: string) =>
  parseAllDocuments(text).flatMap((document) => (document as { toJS(): Manifest | null }).toJS() ?? []);

/** Writes the objects of an attack. @returns whether the API server took all of them */
async function put(attack: TenantAttack, at: number): Promise<boolean> {
  let taken = true;
  for (const object of objectsIn(objectsOf(attack, at))) {
    // oxlint-disable-next-line no-await-in-loop -- in their order
    await cluster.api.post(pathOf(object), object).catch((error: unknown) => {
      if (!(error instanceof ApiError && error.code === 422)) throw error;
      taken = false;
    });
  }
  return taken;
}

async function takeAway(attack: TenantAttack, at: number): Promise<void> {
  for (const object of objectsIn(objectsOf(attack, at))) {
    // oxlint-disable-next-line no-await-in-loop -- in their order
    await cluster.api.remove(`${pathOf(object)}/${object.metadata.name}`, {}).catch((error: unknown) => {
      if (!(error instanceof ApiError && error.code === 404)) throw error;
    });
  }
}

const isSo = () => true;
function isNotYet(error: unknown): false {
  if (!(error instanceof assert.AssertionError)) throw error;
  return false;
}

let marks = 0;
/** Waits until everything that was written before is in force: a route that is written last is. */
async function settled({ address, port }: { readonly address: string; readonly port: number }): Promise<void> {
  marks += 1;
  const host = `mark-${marks}.example.org`;
  await apply(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: mark, namespace: infra }
spec: { parentRefs: [{ name: shared }], hostnames: [${host}], rules: [{}] }
`);
  await until(
    async () => (await sendRequest(port, 'GET', '/', { to: address, host, servername: host })).status === 401,
  );
}

const skip = noCluster || noHelm;
if (!skip) before(prepare);

describe('the catalogue through a Gateway', { skip }, () => {
  let address: string;
  before(async () => {
    await apply(attackedGateway(HOST, 'cert', 'clients'));
    address = await addressOf(cluster, 'attacked');
  });

  const served = async (path: string) => {
    await until(async () => (await sendRequest(443, 'GET', path, { to: address })).status === 200);
  };

  test('every attack is answered as by the configuration of a file, and scenes come out as they must', async (t) => {
    const { machine } = cluster.network;
    const raw = await startRawUpstream(t, machine);
    await apply(objectsOfAttacks({ address: machine, port: raw.port }));
    await served('/healthz');
    const gateway: Side = { address, port: 443, upstream: raw.upstream };
    const own = await startRawUpstream(t);
    const other = await startTestGateway(t, {
      listener: 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }',
      upstreams: `raw: { targets: ["http://127.0.0.1:${own.port}"] }`,
      routes: ROUTES,
    });
    const file: Side = {
      address: '127.0.0.1',
      port: portOf(other.running.listeners[0]?.bind),
      upstream: own.upstream,
    };
    await t.test('over HTTP/1', async (each) => await playAttacks(each, gateway, file));
    await t.test('over HTTP/2', async (each) => await playHttp2(each, gateway, file));
    await t.test('scenes', async (each) => await playScenes(each, gateway));
    const routesAndPolicies = 'httproutes,holdfastpolicies';
    await cluster.kubectl(['--namespace=shop', 'delete', routesAndPolicies, '--all']);
  });

  test('every refusal has the same words', async (t) => {
    const { machine } = cluster.network;
    const upstream = await startUpstream(t, machine);
    const orders = { address: machine, port: Number(new URL(upstream.origin).port) };
    await apply(objectsOfRefusals(orders, { address: machine, port: await freePort() }));
    await served('/open/1');
    // As much of a gateway in this process as the refusals ask for.
    const connect = async () => await openTls(443, { host: address, ca: SERVER_CA.cert });
    const gateway: Pick<TestGateway, 'now' | 'request' | 'connect' | 'raw' | 'upstream'> = {
      now: () => Date.now() / 1000,
      upstream,
      request: async (method, path, wishes) => await sendRequest(443, method, path, { ...wishes, to: address }),
      connect,
      async raw(bytes) {
        const socket = await connect();
        socket.write(bytes, 'latin1');
        return await readAnswer(socket);
      },
    };
    await playRefusals(t, gateway as TestGateway);
  });
});

describe('tenants who share a Gateway', { skip }, () => {
  let side: SharedSide;

  const undo: (() => unknown)[] = [];
  after(async () => void (await Promise.all(undo.map((step) => step()))));

  test('are given what they ask for within the floor', async (t) => {
    const { machine } = cluster.network;
    const whole = { after: (step?: unknown) => void undo.push(step as () => unknown) };
    const [shop, evil] = [await startUpstream(whole, machine), await startUpstream(whole, machine)];
    const place = ({ origin }: typeof shop) => ({ address: machine, port: Number(new URL(origin).port) });
    const services = [...serviceAt('shop', 'shop', place(shop)), ...serviceAt('evil', 'evil', place(evil))];
    await apply(asText(services));
    await apply(sharedWorld('attacked'));
    side = { address: await addressOf(cluster, 'shared', 'infra'), port: 443, shop, evil };
    const refused = new Set<string>();
    for (const [at, attack] of TOGETHER.entries()) if (!(await put(attack, at))) refused.add(attack.what);
    await settled(side);
    await t.test('the good tenant is as it was', async () => await meetFates(side, UNHARMED, ''));
    for (const [at, attack] of TOGETHER.entries()) {
      if (refused.has(attack.what)) continue;
      await t.test(attack.what, async () => await meetFates(side, attack, hostOf(at)));
    }
    t.diagnostic(`refused by the API server: ${[...refused].join('; ')}`);
    for (const [at, attack] of TOGETHER.entries()) await takeAway(attack, at);
    assert.ok(refused.size < TOGETHER.length / 4);
  });

  for (const [at, attack] of ALONE.entries()) {
    test(`cannot have ${attack.what}`, async (t) => {
      const taken = await put(attack, at);
      await settled(side);
      await meetFates(side, UNHARMED, '');
      // Objects of other kinds than the mark's may be read after it.
      if (taken) await until(async () => await meetFates(side, attack, hostOf(at)).then(isSo, isNotYet));
      if (taken) await meetFates(side, attack, hostOf(at));
      else t.diagnostic('refused by the API server');
      await takeAway(attack, at);
      await settled(side);
    });
  }
});
