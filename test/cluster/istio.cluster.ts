// Istio in a real cluster, by the manifests of deploy/istio.

import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { skip as noHelm } from '../helm/helm.ts';
import { findEnvoy } from '../interop/programs.ts';
import { type Door, scenes, scenesOfLoss } from './asking-scenes.ts';
import { Cluster } from './cluster.ts';
import { ask, until } from './gateway-parts.ts';
import type { Image } from './images.ts';
import { imageOf, installChart, putCertificates, putHoldfast, putNamespaces, ROOT, shop } from './other-gateways.ts';
import { build, findBuilt, istioSources } from './programs.ts';
import { skip as noCluster } from './shared.ts';

const envoy = findEnvoy();
const noEnvoy = 'skip' in envoy ? envoy.skip : false;
const notBuilt =
  process.env['CLUSTER'] === 'cached' && findBuilt('pilot-discovery') === undefined && 'Istio is not built yet';
const DEPLOY = join(ROOT, 'deploy/istio');

/**
 * Istio's own build of Envoy has filters that an unchanged Envoy has not. They are for metrics and for protocols between sidecars,
 * and Istio leaves them out where it is told so.
 */
const WITHOUT_OWN_FILTERS = {
  env: { PILOT_ENABLE_METADATA_EXCHANGE: 'false', PILOT_ENABLE_ALPN_FILTER: 'false' },
  telemetry: { enabled: false },
};

/** Fields that Istio passes on as the client wrote them. */
const REMOVED =
  '{ type: RequestHeaderModifier, requestHeaderModifier: { remove: [forwarded, x-forwarded, x-forwarded-host, x-forwarded-port, x-forwarded-prefix, x-real-ip, proxy-authorization, http2-settings] } }';

const say = (text: string) => process.stderr.write(`holdfast: ${text}\n`);
let cluster: Cluster;
let address = '';
const door = (): Door => ({ cluster, address });
after(async () => await (cluster as Cluster | undefined)?.close());

const apply = async (file: string) => await cluster.kubectl(['apply', '--server-side', '-f', join(DEPLOY, file)]);
const status = async (path: string) => (await ask(address, path)).status;

async function start(): Promise<void> {
  const discovery = await build('pilot-discovery', say);
  const agent = await build('pilot-agent', say);
  const file = 'file' in envoy ? envoy.file : '';
  chmodSync(file, 0o755);
  const sources = istioSources();
  const bootstrap = join(sources, 'tools/packaging/common/envoy_bootstrap.json');
  const proxy: Image = {
    entrypoint: ['pilot-agent'],
    mounts: [
      [agent, '/usr/local/bin/pilot-agent'],
      [file, '/usr/local/bin/envoy'],
      [bootstrap, '/var/lib/istio/envoy/envoy_bootstrap_tmpl.json'],
    ],
  };
  const images = { 'docker.io/istio/pilot': imageOf('pilot-discovery', discovery), 'docker.io/istio/proxyv2': proxy };
  cluster = await Cluster.start({ gatewayApi: 'experimental', images });
  const charts = join(sources, 'manifests/charts');
  await cluster.kubectl(['apply', '--server-side', '-f', join(charts, 'base/files/crd-all.gen.yaml')]);
  await putNamespaces(cluster, ['istio-system', 'gateways', 'holdfast', 'shop']);
  await installChart(cluster, {
    name: 'istiod',
    namespace: 'istio-system',
    chart: join(charts, 'istio-control/istio-discovery'),
    values: [
      join(DEPLOY, 'istiod-values.yaml'),
      { global: { hub: 'docker.io/istio', tag: 'test' }, ...WITHOUT_OWN_FILTERS },
    ],
  });
}

/** From one way to ask to another, over a time without any, so that it is known which one answers. */
async function askBy(provider: string): Promise<void> {
  await cluster.kubectl(['-n=gateways', 'delete', 'authorizationpolicy', '--all']);
  await until(async () => (await status('/orders/1')) === 200);
  await apply('authorization-policy.yaml');
  const path = '/apis/security.istio.io/v1/namespaces/gateways/authorizationpolicies/holdfast';
  await cluster.api.patch(path, { spec: { provider: { name: provider } } });
  await until(async () => (await status('/orders/1')) === 401);
}

describe('Istio', { skip: noCluster || noHelm || noEnvoy || notBuilt }, () => {
  test('is installed by its chart, and its Gateway is programmed', { timeout: 1_800_000 }, async () => {
    await start();
    await putCertificates(cluster);
    await putHoldfast(cluster, 'envoy-gateway/holdfast-values.yaml');
    await cluster.kubectl(['apply', '--server-side', '-f', '-'], shop(REMOVED));
    await apply('gateway.yaml');
    await cluster.kubectl(['-n=gateways', 'wait', '--for=condition=Programmed', 'gateway/public', '--timeout=180s']);
    const path = '-o=jsonpath={.status.loadBalancer.ingress[0].ip}';
    address = await cluster.kubectl(['-n=gateways', 'get', 'service', 'public-istio', path]);
    await until(async () => (await status('/healthz').catch(() => 0)) === 200);
  });

  for (const provider of ['holdfast', 'holdfast-http']) {
    describe(`by the provider ${provider}`, () => {
      test('asks, once the policy is there', async () => await askBy(provider));
      scenes(door);
      scenesOfLoss(door);
    });
  }
});
