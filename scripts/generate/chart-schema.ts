// helm/holdfast/values.schema.json: the values, and the whole configuration under `config`.

import { jsonSchema } from '../../src/config/schema/json-schema.ts';

type Node = Readonly<Record<string, unknown>>;

const text = { type: 'string' };
const flag = { type: 'boolean' };
const anything = { type: 'object' };
const texts = { type: 'object', additionalProperties: text };
const list = (items: Node): Node => ({ type: 'array', items });
const choice = (...values: string[]): Node => ({ enum: values });
const whole = (minimum: number): Node => ({ type: 'integer', minimum });
const byName = (additionalProperties: Node): Node => ({ type: 'object', additionalProperties });

/** A mapping with these keys and no others. */
function keys(properties: Readonly<Record<string, Node>>, ...required: string[]): Node {
  return { type: 'object', properties, additionalProperties: false, ...(required.length > 0 ? { required } : {}) };
}

/** A null takes away what another values file says. */
const orNull = (properties: Readonly<Record<string, Node>>): Node => ({
  ...keys(properties),
  type: ['object', 'null'],
});

const mounted = list(keys({ name: { ...text, minLength: 1 }, items: { ...texts, minProperties: 1 } }, 'name', 'items'));

const CHART: Readonly<Record<string, Node>> = {
  mode: choice('edge', 'sidecar'),
  nameOverride: text,
  fullnameOverride: text,
  image: keys({ repository: text, tag: text, digest: text, pullPolicy: choice('Always', 'IfNotPresent', 'Never') }),
  imagePullSecrets: list(anything),
  replicas: whole(1),
  files: { type: 'object', propertyNames: { pattern: '^[-._a-zA-Z0-9]+$' }, additionalProperties: text },
  tls: {
    ...byName(
      orNull({
        secretName: text,
        certManager: {
          type: 'object',
          properties: { issuerRef: anything, dnsNames: list(text), duration: text, renewBefore: text },
          required: ['issuerRef'],
        },
      }),
    ),
    propertyNames: { pattern: '^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$' },
  },
  secrets: mounted,
  configMaps: mounted,
  nonce: keys({ generate: flag, existingSecret: text, keys: { ...list(text), minItems: 1 } }),
  env: list(anything),
  extraVolumes: list(anything),
  extraVolumeMounts: list(anything),
  check: keys({ enabled: flag }),
  resources: {
    type: 'object',
    properties: { requests: { type: 'object', required: ['cpu', 'memory'] } },
    required: ['requests'],
  },
  autoscaling: keys({
    enabled: flag,
    minReplicas: whole(1),
    maxReplicas: whole(1),
    targetCPU: { ...whole(1), maximum: 100 },
  }),
  admissionPolicy: keys({ enabled: flag, deployments: list(text) }),
  test: keys({ enabled: flag, labels: texts }),
  podDisruptionBudget: keys({ enabled: flag, maxUnavailable: { type: ['integer', 'string'] } }),
  service: keys({
    type: choice('LoadBalancer', 'NodePort', 'ClusterIP'),
    ports: byName(keys({ port: { ...whole(1), maximum: 65_535 }, nodePort: whole(1) })),
    externalTrafficPolicy: choice('Local', 'Cluster'),
    annotations: texts,
    loadBalancerClass: text,
    loadBalancerSourceRanges: list(text),
    ipFamilyPolicy: choice('', 'SingleStack', 'PreferDualStack', 'RequireDualStack'),
  }),
  networkPolicy: keys({ enabled: flag, clients: list(anything), telemetry: list(anything), egress: list(anything) }),
  serviceAccount: keys({ create: flag, name: text, annotations: texts }),
  podAnnotations: texts,
  podLabels: texts,
  podSecurityContext: anything,
  securityContext: anything,
  nodeSelector: texts,
  tolerations: list(anything),
  affinity: anything,
  priorityClassName: text,
  spreadOver: list(text),
  sidecar: keys({
    podLabels: texts,
    probePath: { ...text, pattern: '^(/.*)?$' },
    socketFolder: { ...text, pattern: '^(/.+)?$' },
    delaySeconds: whole(0),
    applicationGraceSeconds: whole(0),
  }),
  monitoring: keys({
    serviceMonitor: keys({ enabled: flag, labels: texts, interval: text }),
    dashboard: keys({ enabled: flag, labels: texts, annotations: texts }),
    rules: keys({
      enabled: flag,
      labels: texts,
      runbook: { ...text, minLength: 1 },
      refusedShare: { type: 'number', minimum: 0, maximum: 1 },
      serverErrorShare: { type: 'number', minimum: 0, maximum: 1 },
      latencySeconds: { type: 'number', exclusiveMinimum: 0 },
      certificateDays: whole(1),
      issuerKeysHours: whole(1),
      replayShare: { type: 'number', exclusiveMinimum: 0, maximum: 1 },
      rejectionRates: byName({ type: ['number', 'null'], minimum: 0 }),
    }),
  }),
  // Helm's own: values of the parent chart for all, and whether a dependency is wanted.
  global: anything,
  enabled: flag,
};

/** The schema by which Helm refuses values before it renders anything. What is missing under `config` the templates say better. */
export function chartSchema(): string {
  const { $schema, definitions, title, properties, additionalProperties } = jsonSchema() as Node;
  const config = { title, type: 'object', properties, additionalProperties };
  const schema = { $schema, title: 'Values of the chart', ...keys({ ...CHART, config }), definitions };
  return `${JSON.stringify(schema, whatGoReads, 2)}\n`;
}

/**
 * Helm's patterns are Go's: without lookaround, without \\u, and with no count above 1000, which counts in it multiply. `holdfast check`
 * looks at such texts anyway.
 */
function whatGoReads(key: string, value: unknown): unknown {
  if (key !== 'pattern' || typeof value !== 'string') return value;
  const counts = [...value.matchAll(/\{(?:\d+,)?(\d+)\}/g)].map(([, count]) => Number(count));
  return /\(\?<?[!=]|\\u/.test(value) || counts.some((count) => count > 1000) ? undefined : value;
}
