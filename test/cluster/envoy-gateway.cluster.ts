// Envoy Gateway in a real cluster, by the manifests of deploy/envoy-gateway.

import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { skip as noHelm } from '../helm/helm.ts';
import { findEnvoy } from '../interop/programs.ts';
import { type Door, scenes, scenesOfLoss } from './asking-scenes.ts';
import { Cluster } from './cluster.ts';
import { ask, until } from './gateway-parts.ts';
import {
  fillChart,
  imageOf,
  installChart,
  putCertificates,
  putHoldfast,
  putNamespaces,
  ROOT,
  shop,
} from './other-gateways.ts';
import { build, envoyGatewaySources, findBuilt } from './programs.ts';
import { skip as noCluster } from './shared.ts';

const envoy = findEnvoy();
const noEnvoy = 'skip' in envoy ? envoy.skip : false;
const notBuilt =
  process.env['CLUSTER'] === 'cached' && findBuilt('envoy-gateway') === undefined && 'Envoy Gateway is not built yet';
const DEPLOY = join(ROOT, 'deploy/envoy-gateway');
const IMAGE = 'docker.io/envoyproxy/gateway:test';

const say = (text: string) => process.stderr.write(`holdfast: ${text}\n`);
let cluster: Cluster;
let address = '';
const door = (): Door => ({ cluster, address });
after(async () => await (cluster as Cluster | undefined)?.close());

const apply = async (file: string) => await cluster.kubectl(['apply', '--server-side', '-f', join(DEPLOY, file)]);
const status = async (path: string) => (await ask(address, path)).status;

async function start(): Promise<void> {
  const program = await build('envoy-gateway', say);
  const file = 'file' in envoy ? envoy.file : '';
  chmodSync(file, 0o755);
  const images = {
    'docker.io/envoyproxy/gateway': imageOf('envoy-gateway', program),
    'docker.io/envoyproxy/envoy': imageOf('envoy', file),
  };
  cluster = await Cluster.start({ gatewayApi: 'experimental', images });
  const sources = join(envoyGatewaySources(), 'charts/gateway-helm');
  await cluster.kubectl(['apply', '--server-side', '-f', join(sources, 'charts/crds/crds/generated')]);
  await putNamespaces(cluster, ['envoy-gateway-system', 'gateways', 'holdfast', 'shop']);
  await installChart(cluster, {
    name: 'eg',
    namespace: 'envoy-gateway-system',
    chart: fillChart(cluster, sources, { GatewayImage: IMAGE, GatewayImagePullPolicy: 'IfNotPresent' }),
    // The injector is a webhook of pods for zones, of which there is one here.
    values: [{ crds: { enabled: false }, topologyInjector: { enabled: false } }],
  });
}

/** From one way to ask to another, over a time without any, so that it is known which one answers. */
async function askBy(protocol: 'grpc' | 'http'): Promise<void> {
  await cluster.kubectl(['-n=gateways', 'delete', 'securitypolicy', '--all']);
  await until(async () => (await status('/orders/1')) === 200);
  await apply(`security-policy-${protocol}.yaml`);
  await until(async () => (await status('/orders/1')) === 401);
}

describe('Envoy Gateway', { skip: noCluster || noHelm || noEnvoy || notBuilt }, () => {
  test('is installed by its chart, and its Gateway is programmed', { timeout: 1_800_000 }, async () => {
    await start();
    await putCertificates(cluster);
    await putHoldfast(cluster, 'envoy-gateway/holdfast-values.yaml');
    await cluster.kubectl(['apply', '--server-side', '-f', '-'], shop());
    await apply('gateway.yaml');
    await cluster.kubectl(['-n=gateways', 'wait', '--for=condition=Programmed', 'gateway/public', '--timeout=180s']);
    const path = '-o=jsonpath={.status.addresses[0].value}';
    address = await cluster.kubectl(['-n=gateways', 'get', 'gateway', 'public', path]);
    await until(async () => (await status('/healthz').catch(() => 0)) === 200);
  });

  for (const protocol of ['grpc', 'http'] as const) {
    describe(`over ${protocol}`, () => {
      test('asks, once the policy is there', async () => await askBy(protocol));
      scenes(door);
      scenesOfLoss(door);
    });
  }

  test('a policy whose Holdfast may not be named lets nothing pass', async () => {
    await cluster.kubectl(['-n=holdfast', 'delete', 'referencegrant', '--all']);
    await until(async () => (await status('/healthz')) === 500);
    await apply('gateway.yaml');
    await until(async () => (await status('/healthz')) === 200);
    assert.equal(await status('/orders/1'), 401);
  });
});
