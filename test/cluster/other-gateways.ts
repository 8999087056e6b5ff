// Charts, certificates and an API around a gateway of others, which asks Holdfast.

import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findTool } from '../helm/tools.ts';
import { CLIENT_CA, CLIENT_ROOT, ISSUER_KEY, SERVER, SERVER_CA } from '../support/gateway.ts';
import { makeCa, makeCertificate, type TestCertificate } from '../support/pki.ts';
import type { Cluster } from './cluster.ts';
import { runInCluster } from './gateway-parts.ts';
import type { Image } from './images.ts';

export const ROOT = join(import.meta.dirname, '../..');

/** A program that stands for an image by its name alone. */
export const imageOf = (program: string, file: string): Image => ({
  entrypoint: [program],
  mounts: [[file, `/usr/local/bin/${program}`]],
});

export interface Installed {
  readonly name: string;
  readonly namespace: string;
  readonly chart: string;
  /** Files and objects of values, later ones on top. */
  readonly values: readonly (string | object)[];
}

/** Installs a chart by Helm and waits until all is ready. @throws Helm's words */
export async function installChart(cluster: Cluster, { name, namespace, chart, values }: Installed): Promise<void> {
  const helm = findTool('helm');
  if ('skip' in helm) throw new Error(helm.skip);
  const folder = mkdtempSync(join(cluster.folder, 'values-'));
  const files = values.map((one, index) => {
    if (typeof one === 'string') return one;
    const file = join(folder, `${index}.json`);
    writeFileSync(file, JSON.stringify(one));
    return file;
  });
  const named = files.flatMap((file) => ['-f', file]);
  const args = ['upgrade', '--install', name, chart, '-n', namespace, '--wait', '--timeout=180s', ...named];
  const { status, stderr } = await runInCluster(cluster, helm.file, args);
  if (status !== 0) throw new Error(stderr);
}

/** A copy of a chart whose values have places for words, with the words in them. */
export function fillChart(cluster: Cluster, chart: string, words: Readonly<Record<string, string>>): string {
  const copy = mkdtempSync(join(cluster.folder, 'chart-'));
  cpSync(chart, copy, { recursive: true, mode: 0 });
  const template = readFileSync(join(copy, 'values.tmpl.yaml'), 'utf8');
  writeFileSync(
    join(copy, 'values.yaml'),
    template.replaceAll(/\$\{(\w+)\}/g, (_, word: string) => words[word] ?? ''),
  );
  return copy;
}

export async function putNamespaces(cluster: Cluster, names: readonly string[]): Promise<void> {
  const objects = names.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
  await put(cluster, objects);
}

/** What deploy/ expects to be there: certificates of the Gateway, of Holdfast, and of the proxy that asks, with their CAs and those of clients. */
export async function putCertificates(cluster: Cluster): Promise<void> {
  const ca = await makeCa({ subject: 'CN=Inside' });
  const holdfast = await makeCertificate({ names: ['holdfast.holdfast.svc'], ca });
  const envoy = await makeCertificate({ names: ['envoy.gateways.internal'], ca });
  await put(cluster, [
    secret('gateways', 'api-example-com', SERVER, SERVER_CA),
    secret('gateways', 'envoy-to-holdfast', envoy, ca),
    secret('holdfast', 'holdfast-tls', holdfast, ca),
    configMap('gateways', 'clients-ca', CLIENT_ROOT, CLIENT_CA),
    configMap('holdfast', 'trusted-cas', ca, CLIENT_ROOT, CLIENT_CA),
    configMap('holdfast', 'holdfast-ca', ca),
  ]);
}

/** One document each: of a List kubectl asks for the whole schema of the API server, which takes long where there are many kinds. */
const put = async (cluster: Cluster, objects: readonly object[]) =>
  await cluster.kubectl(
    ['apply', '--server-side', '-f', '-'],
    objects.map((one) => JSON.stringify(one)).join('\n---\n'),
  );

const secret = (namespace: string, name: string, { chain, key }: TestCertificate, { cert }: TestCertificate) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  type: 'kubernetes.io/tls',
  metadata: { namespace, name },
  stringData: { 'tls.crt': chain, 'tls.key': key, 'ca.crt': cert },
});

const configMap = (namespace: string, name: string, ...cas: readonly TestCertificate[]) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace, name },
  data: { 'ca.crt': cas.map(({ cert }) => cert).join('\n') },
});

/** Holdfast by its chart. @param file values of deploy/, to which the keys of the issuer are added, since no issuer is there */
export async function putHoldfast(cluster: Cluster, file: string): Promise<void> {
  const more = {
    image: { repository: 'holdfast', tag: 'test' },
    files: { 'keys.json': JSON.stringify({ keys: [ISSUER_KEY.jwk] }) },
    resources: { requests: { cpu: '500m' } },
    config: { issuers: { login: { keys: { jwks_file: 'keys.json' } } } },
  };
  const chart = join(ROOT, 'helm/holdfast');
  await installChart(cluster, {
    name: 'holdfast',
    namespace: 'holdfast',
    chart,
    values: [join(ROOT, 'deploy', file), more],
  });
}

/** An API that tells what it got, and its route, of which a part is rewritten on the way. @param filter of every rule, as YAML */
export const shop = (filter?: string): string => `
apiVersion: v1
kind: Service
metadata: { name: orders, namespace: shop }
spec: { selector: { app: orders }, ports: [{ port: 8080 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: orders, namespace: shop }
spec:
  selector: { matchLabels: { app: orders } }
  template:
    metadata: { labels: { app: orders } }
    spec:
      containers:
        - name: orders
          image: registry.k8s.io/gateway-api/echo-basic:v1
          env: [{ name: HTTP_PORT, value: "8080" }, { name: POD_NAME, value: orders }, { name: NAMESPACE, value: shop }]
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders, namespace: shop }
spec:
  parentRefs: [{ name: public, namespace: gateways }]
  hostnames: [api.example.com]
  rules:
    - matches: [{ path: { type: PathPrefix, value: /orders/old } }]
      filters:
        - { type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /archive } } }
        ${filter === undefined ? '' : `- ${filter}`}
      backendRefs: [{ name: orders, port: 8080 }]
    - matches: [{ path: { type: PathPrefix, value: / } }]
      filters: [${filter ?? ''}]
      backendRefs: [{ name: orders, port: 8080 }]
`;
