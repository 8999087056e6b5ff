// Parts of the chart’s tests: values, keys, certificates, an application, Redis.

import { ISSUER_KEY, SERVER, SERVER_CA } from '../support/gateway.ts';
import type { Cluster } from './cluster.ts';

export const HOST = 'api.example.com';
export const CA = SERVER_CA.cert;

const keys = JSON.stringify({ keys: [ISSUER_KEY.jwk] });

const listener = {
  name: 'public',
  bind: '0.0.0.0:8443',
  origins: [`https://${HOST}`],
  tls: { certificates: [{ cert: 'tls/public/tls.crt', key_file: 'tls/public/tls.key' }] },
};

/** What edge and sidecar have in common. @param upstream where the application is */
function common(upstream: string, redis: boolean): object {
  return {
    image: { repository: 'holdfast', tag: 'test' },
    files: { 'keys.json': keys },
    tls: { public: { secretName: 'api-example-com' } },
    resources: { requests: { cpu: '1', memory: '256Mi' }, limits: { memory: '512Mi' } },
    networkPolicy: { enabled: true },
    config: {
      listeners: [listener],
      drain: { delay: '2s', grace: '10s' },
      issuers: {
        login: { issuer: 'https://login.example.com', audience: [`https://${HOST}`], keys: { jwks_file: 'keys.json' } },
      },
      upstreams: { orders: { targets: [upstream], insecure_plain_http: true } },
      ...(redis && { replay: { store: 'redis', redis: { url: 'redis://redis:6379' } } }),
      routes: [
        { name: 'orders', match: { path: '/orders/*' }, upstream: 'orders', require: 'dpop' },
        {
          name: 'health',
          match: { path: '/healthz' },
          upstream: 'orders',
          require: 'public',
          weaker_than_defaults: ['require'],
        },
      ],
    },
  };
}

export interface EdgeWishes {
  readonly replicas: number;
  readonly redis: boolean;
}

export const edgeValues = ({ replicas, redis }: EdgeWishes): Record<string, unknown> => ({
  ...common('http://orders:8080', redis),
  replicas,
  test: { enabled: true },
});

/** Of the application's chart, with the gateway as a dependency. @param replicas several need Redis */
export const applicationValues = (replicas: number, more: object = {}): Record<string, unknown> => ({
  replicas,
  image: 'registry.example.com/orders:1',
  holdfast: {
    ...common('http://127.0.0.1:8080', replicas > 1),
    mode: 'sidecar',
    replicas,
    sidecar: { podLabels: { app: 'orders' }, probePath: '/healthz', applicationGraceSeconds: 10 },
    ...more,
  },
});

/** The Secret with the certificate of the listener. */
export async function putCertificate(cluster: Cluster, namespace: string): Promise<void> {
  await cluster.api.post(`/api/v1/namespaces/${namespace}/secrets`, {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name: 'api-example-com' },
    stringData: { 'tls.crt': SERVER.chain, 'tls.key': SERVER.key },
  });
}

const SAFE = {
  runAsNonRoot: true,
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

/** One pod and its Service. */
async function put(cluster: Cluster, namespace: string, name: string, image: string, port: number): Promise<void> {
  const labels = { app: name };
  // A machine that is busy is not a reason to be without an upstream.
  const probe = { tcpSocket: { port }, periodSeconds: 1, failureThreshold: 60 };
  const container = { name, image, ports: [{ containerPort: port }], readinessProbe: probe, securityContext: SAFE };
  const template = { metadata: { labels }, spec: { containers: [container] } };
  const deployment = { replicas: 1, selector: { matchLabels: labels }, template };
  await cluster.api.post(`/apis/apps/v1/namespaces/${namespace}/deployments`, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: deployment,
  });
  await cluster.api.post(`/api/v1/namespaces/${namespace}/services`, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: labels, ports: [{ port, targetPort: port }] },
  });
  await cluster.kubectl(['-n', namespace, 'rollout', 'status', `deployment/${name}`, '--timeout=180s']);
}

export const putRedis = async (cluster: Cluster, namespace: string): Promise<void> =>
  await put(cluster, namespace, 'redis', 'redis:7', 6379);

export const putApplication = async (cluster: Cluster, namespace: string): Promise<void> =>
  await put(cluster, namespace, 'orders', 'registry.example.com/orders:1', 8080);
