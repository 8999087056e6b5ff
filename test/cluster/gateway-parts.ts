// Parts of the tests of the controller: its chart, a Gateway, requests of a holder.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { parse } from 'yaml';
import { findTool } from '../helm/tools.ts';
import { HOST, ISSUER_KEY, ORIGIN, SERVER, SERVER_CA } from '../support/gateway.ts';
import type { TestCertificate } from '../support/pki.ts';
import { makeKey, makeProof, makeToken, ath } from '../support/tokens.ts';
import { APPLICATION } from './application.ts';
import { Cluster } from './cluster.ts';

const ROOT = join(import.meta.dirname, '../..');
const CHART = join(ROOT, 'helm/holdfast-controller');
export const SYSTEM = 'holdfast-system';

/** A cluster for one file of tests, which ends it: the controller is the only one in it. */
export async function startCluster(): Promise<Cluster> {
  return await Cluster.start({ gatewayApi: 'experimental', images: { 'registry.example.com/orders': APPLICATION } });
}

/** The YAML that docs/gateway-api.md shows under a name. */
export function shownYaml(name: string): string {
  const page = readFileSync(join(ROOT, 'docs/gateway-api.md'), 'utf8');
  const found = new RegExp(`^\`\`\`yaml ${name}\\n([^]*?)^\`\`\``, 'm').exec(page)?.[1];
  if (found === undefined) throw new Error(`docs/gateway-api.md shows no yaml ${name}`);
  return found;
}

/** The values of the page, with the keys of its issuer as a file, since no issuer is there, and an image of the harness. */
export function shownValues(more: object = {}): object {
  const values = parse(shownYaml('values')) as {
    gatewayClass: { parameters: { configuration: { issuers: { login: object } } } };
  };
  Object.assign(values.gatewayClass.parameters.configuration.issuers.login, {
    keys: { jwks_file: 'configMap:issuer/keys.json' },
  });
  const { parameters } = values.gatewayClass;
  Object.assign(parameters, { deployment: { resources: { requests: { cpu: '500m', memory: '256Mi' } } } }, more);
  return { ...values, image: { repository: 'holdfast', tag: 'test' } };
}

/** Runs a program for the cluster. Not at once: kubelet is in this process. */
export async function runInCluster(cluster: Cluster, file: string, args: readonly string[], input = '') {
  const env = { PATH: process.env['PATH'], HOME: cluster.folder, KUBECONFIG: cluster.kubeconfig };
  const child = spawn(file, args, { env });
  child.stdin.end(input);
  const said = Promise.all([text(child.stdout), text(child.stderr)]);
  const [status] = (await once(child, 'close')) as [number | null];
  const [stdout, stderr] = await said;
  return { status, stdout, stderr };
}

/** Namespaces, keys of the issuer, and the controller by its chart. */
export async function installController(cluster: Cluster, values: object): Promise<void> {
  const helm = findTool('helm');
  if ('skip' in helm) throw new Error(helm.skip);
  const restricted = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  for (const [name, labels] of [
    [SYSTEM, restricted],
    ['shop', {}],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await cluster.api.post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  }
  await cluster.api.post(`/api/v1/namespaces/${SYSTEM}/configmaps`, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'issuer' },
    data: { 'keys.json': JSON.stringify({ keys: [ISSUER_KEY.jwk] }) },
  });
  const args = [
    'upgrade',
    '--install',
    'holdfast-controller',
    CHART,
    '--namespace',
    SYSTEM,
    '--wait',
    '--timeout=120s',
  ];
  const { status, stderr } = await runInCluster(cluster, helm.file, [...args, '-f', '-'], JSON.stringify(values));
  if (status !== 0) throw new Error(stderr);
}

/** The certificate of the page, and an application that stands for its orders. */
export async function putShop(cluster: Cluster): Promise<void> {
  await cluster.api.post('/api/v1/namespaces/shop/secrets', {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name: 'api-example-com' },
    stringData: { 'tls.crt': SERVER.chain, 'tls.key': SERVER.key },
  });
  await cluster.kubectl(['apply', '-f', '-'], ORDERS);
}

const ORDERS = `
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
      containers: [{ name: orders, image: "registry.example.com/orders:1", env: [{ name: HOST, value: 0.0.0.0 }, { name: PORT, value: "8080" }] }]
`;

/** The address of a Gateway, when it is programmed. */
export async function addressOf(cluster: Cluster, gateway: string, namespace = 'shop'): Promise<string> {
  await cluster.kubectl([
    `--namespace=${namespace}`,
    'wait',
    '--for=condition=Programmed',
    `gateway/${gateway}`,
    '--timeout=120s',
  ]);
  return await cluster.kubectl([
    `--namespace=${namespace}`,
    'get',
    'gateway',
    gateway,
    '-o=jsonpath={.status.addresses[0].value}',
  ]);
}

export interface Reply {
  readonly status: number;
  /** By which the gateway says why it refuses. */
  readonly challenge: string;
  /** That a proof is asked to have. */
  readonly nonce: string;
  readonly body: string;
}

/** One request on a connection for itself. @param client whose certificate is shown; undefined: none */
export async function ask(
  address: string,
  path: string,
  fields: Readonly<Record<string, string>> = {},
  client?: Pick<TestCertificate, 'chain' | 'key'>,
): Promise<Reply> {
  return await new Promise((resolve, reject) => {
    const options = {
      host: address,
      port: 443,
      path,
      ca: SERVER_CA.cert,
      servername: HOST,
      headers: { Host: HOST, ...fields },
      agent: false as const,
      timeout: 10_000,
      ...(client && { cert: client.chain, key: client.key }),
    };
    const one = request(options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.once('end', () => {
        const { 'www-authenticate': challenge = '', 'dpop-nonce': nonce = '' } = response.headers;
        resolve({ status: response.statusCode ?? 0, challenge, nonce: String(nonce), body });
      });
    });
    one.once('timeout', () => one.destroy(new Error('no answer')));
    one.once('error', reject).end();
  });
}

const KEY = await makeKey();

/** A token that is bound to a key, and what its holder sends: a new proof for each request. */
export async function holder(claims: Record<string, unknown> = {}) {
  const now = Date.now() / 1000;
  const token = await makeToken(ISSUER_KEY, now, { claims: { cnf: { jkt: KEY.jkt }, ...claims } });
  const fieldsFor = async (path: string, more: Record<string, unknown> = {}) => ({
    Authorization: `DPoP ${token}`,
    DPoP: await makeProof(KEY, Date.now() / 1000, {
      claims: { htm: 'GET', htu: `${ORIGIN}${path}`, ath: ath(token), ...more },
    }),
  });
  return { token, fieldsFor };
}

/** Waits until something holds, looking every few milliseconds. @returns milliseconds that it took */
export async function until(holds: () => Promise<boolean>, patience = 60_000): Promise<number> {
  const began = performance.now();
  // oxlint-disable no-await-in-loop -- one look after the other
  while (!(await holds())) {
    if (performance.now() - began > patience) throw new Error(`it did not come to hold within ${patience} ms`);
    await pause(5);
  }
  // oxlint-enable no-await-in-loop
  return performance.now() - began;
}

/** A class whose Gateways serve public routes, one of them with the certificate of the page, and a route for everyone. */
export const OPEN = `
apiVersion: holdfast.internal/v1alpha1
kind: HoldfastParameters
metadata: { name: open, namespace: ${SYSTEM} }
spec:
  configuration:
    issuers:
      login: { issuer: https://login.example.com, audience: [https://api.example.com], keys: { jwks_file: "configMap:issuer/keys.json" } }
  floor: { require: public }
  withoutPolicy: public
  deployment: { resources: { requests: { cpu: 500m }, limits: { memory: 512Mi } } }
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: { name: open }
spec:
  controllerName: holdfast.internal/gateway-controller
  parametersRef: { group: holdfast.internal, kind: HoldfastParameters, namespace: ${SYSTEM}, name: open }
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: open, namespace: shop }
spec:
  gatewayClassName: open
  listeners:
    - { name: https, port: 443, protocol: HTTPS, hostname: ${HOST}, tls: { certificateRefs: [{ name: api-example-com }] } }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: health, namespace: shop }
spec:
  parentRefs: [{ name: open }]
  hostnames: [${HOST}]
  rules: [{ matches: [{ path: { value: /healthz } }], backendRefs: [{ name: orders, port: 8080 }] }]
`;
