// The objects that run the data plane of a Gateway: Deployment, Service, rights, budget.

import { HOLDFAST_GROUP } from '../kubernetes/read-common.ts';
import { asText, type Json, mapping, textMap } from '../kubernetes/json.ts';
import type { PlannedDataPlane } from '../kubernetes/state.ts';
import { dataPlaneLabels, dataPlaneName, digestOf, GATEWAY_ANNOTATION, gatewayKey, podSelector } from './names.ts';

/** What the controller knows of the place where data planes run. */
export interface DataPlanePlace {
  /** Where everything is made: that of the controller, which so needs no right to write elsewhere. */
  readonly namespace: string;
  readonly controllerName: string;
  /** Of the data planes. */
  readonly image: string;
  readonly imagePullPolicy: string | undefined;
  readonly imagePullSecrets: readonly string[];
}

/** An object as it is applied. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly [member: string]: unknown;
}

/** The port of probes and metrics. */
const TELEMETRY_PORT = 9902;
/** Seconds after drain.delay and drain.grace that a pod gets to end. */
const END = 5;
const RESOURCES = { requests: { cpu: '1', memory: '256Mi' }, limits: { memory: '512Mi' } };
/** The restricted Pod Security Standard, and the user of the image. */
const USER = 65532;

/**
 * The configuration as a pod needs it: telemetry where kubelet and Prometheus reach it, and as many workers as processors are asked for, where
 * it says neither.
 */
export function completed(configuration: object, { parameters }: Pick<PlannedDataPlane, 'parameters'>): Json {
  const given = configuration as Json;
  const telemetry = { bind: `0.0.0.0:${TELEMETRY_PORT}`, ...mapping(given.telemetry) };
  return { ...given, telemetry, workers: given.workers ?? processors(resourcesOf(parameters?.deployment)) };
}

/** All objects of a data plane but the Secret with its configuration. @param configuration as delivered */
export function manifestsOf(plane: PlannedDataPlane, configuration: Json, place: DataPlanePlace): readonly Manifest[] {
  const { gateway, labels, annotations } = plane;
  const name = dataPlaneName(gateway);
  const metadata = {
    name,
    namespace: place.namespace,
    labels: { ...labels, ...dataPlaneLabels(gateway, place.controllerName) },
    annotations: { ...annotations, [GATEWAY_ANNOTATION]: gatewayKey(gateway) },
  };
  const object = (kind: string, apiVersion: string, rest: Json): Manifest => ({ apiVersion, kind, metadata, ...rest });
  const rights = [{ apiGroups: [''], resources: ['secrets'], resourceNames: [name], verbs: ['get', 'list', 'watch'] }];
  const subjects = [{ kind: 'ServiceAccount', name, namespace: place.namespace }];
  return [
    object('ServiceAccount', 'v1', { automountServiceAccountToken: false }),
    object('Role', 'rbac.authorization.k8s.io/v1', { rules: rights }),
    object('RoleBinding', 'rbac.authorization.k8s.io/v1', {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects,
    }),
    withAnnotations(object('Service', 'v1', { spec: serviceSpec(plane) }), plane.parameters?.service.annotations),
    object('Deployment', 'apps/v1', { spec: deploymentSpec(plane, configuration, place) }),
    object('PodDisruptionBudget', 'policy/v1', {
      spec: { maxUnavailable: 1, selector: { matchLabels: podSelector(gateway) } },
    }),
  ];
}

function withAnnotations(manifest: Manifest, more: unknown): Manifest {
  const { metadata } = manifest;
  return { ...manifest, metadata: { ...metadata, annotations: { ...textMap(more), ...metadata.annotations } } };
}

/** Of `service` of the parameters: what is copied into the Service as it is. */
const SERVICE_KEYS = ['loadBalancerClass', 'loadBalancerSourceRanges', 'ipFamilyPolicy', 'ipFamilies'];

function serviceSpec({ gateway, ports, parameters }: PlannedDataPlane): Json {
  const service = parameters?.service ?? {};
  const type = asText(service.type) ?? 'LoadBalancer';
  const outside = type === 'LoadBalancer' || type === 'NodePort';
  return {
    type,
    // Local keeps the addresses of clients.
    ...(outside && { externalTrafficPolicy: asText(service.externalTrafficPolicy) ?? 'Local' }),
    ...chosen(service, SERVICE_KEYS),
    selector: podSelector(gateway),
    ports: ports.map(({ name, port, targetPort }) => ({ name, port, targetPort, protocol: 'TCP' })),
  };
}

/** Of `deployment` of the parameters: what is copied into the pod as it is. */
const POD_KEYS = [
  'nodeSelector',
  'tolerations',
  'affinity',
  'priorityClassName',
  'runtimeClassName',
  'topologySpreadConstraints',
];

function deploymentSpec(plane: PlannedDataPlane, configuration: Json, place: DataPlanePlace): Json {
  const { gateway, labels, annotations, parameters } = plane;
  const deployment = parameters?.deployment ?? {};
  const shared = mapping(configuration.replay)?.store === 'redis';
  const replicas = typeof deployment.replicas === 'number' ? deployment.replicas : 2;
  return {
    // Pods that remember proofs alone would each take one that another has seen (docs/decisions/0052).
    replicas: shared ? replicas : Math.min(1, replicas),
    revisionHistoryLimit: 3,
    strategy: shared
      ? { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } }
      : { type: 'Recreate' },
    selector: { matchLabels: podSelector(gateway) },
    template: {
      metadata: {
        labels: { ...labels, ...textMap(deployment.podLabels), ...dataPlaneLabels(gateway, place.controllerName) },
        annotations: {
          ...annotations,
          ...textMap(deployment.podAnnotations),
          [GATEWAY_ANNOTATION]: gatewayKey(gateway),
          [`${HOLDFAST_GROUP}/restart`]: digestOf(restartKeys(configuration)),
        },
      },
      spec: { ...podSpec(plane, configuration, place), ...chosen(deployment, POD_KEYS) },
    },
  };
}

/** A change of these rolls the pods; everything else is taken up by those that run (docs/reload.md). */
function restartKeys({ workers, replay, admin, telemetry }: Json): Json {
  const { store = 'memory', capacity } = mapping(replay) ?? {};
  return { workers, store, capacity, admin: mapping(admin)?.bind, telemetry: mapping(telemetry)?.bind };
}

function podSpec({ gateway, parameters }: PlannedDataPlane, configuration: Json, place: DataPlanePlace): Json {
  const name = dataPlaneName(gateway);
  const { imagePullPolicy, imagePullSecrets } = place;
  const drain = mapping(configuration.drain);
  return {
    serviceAccountName: name,
    // To watch its one Secret, and for nothing else.
    automountServiceAccountToken: true,
    enableServiceLinks: false,
    ...(imagePullSecrets.length > 0 && { imagePullSecrets: imagePullSecrets.map((secret) => ({ name: secret })) }),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    terminationGracePeriodSeconds: seconds(drain?.delay, 5) + seconds(drain?.grace, 30) + END,
    containers: [
      {
        name: 'holdfast',
        image: place.image,
        ...(imagePullPolicy && { imagePullPolicy }),
        args: ['serve', '--from-secret', `${place.namespace}/${name}`],
        // Ports of listeners are not listed: one that comes or goes would roll the pods, which take it up as they run.
        ports: [{ name: 'telemetry', containerPort: TELEMETRY_PORT, protocol: 'TCP' }],
        ...PROBES,
        resources: resourcesOf(parameters?.deployment),
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          runAsNonRoot: true,
          capabilities: { drop: ['ALL'] },
          seccompProfile: { type: 'RuntimeDefault' },
        },
      },
    ],
  };
}

const probe = (path: string) => ({ httpGet: { path, port: 'telemetry' } });
const PROBES = {
  startupProbe: { ...probe('/livez'), periodSeconds: 1, failureThreshold: 60 },
  livenessProbe: { ...probe('/livez'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
  readinessProbe: { ...probe('/readyz'), periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 2 },
};

function chosen(from: Json, keys: readonly string[]): Json {
  return Object.fromEntries(keys.filter((key) => from[key] !== undefined).map((key) => [key, from[key]]));
}

function resourcesOf(deployment: Json | undefined): Json {
  return mapping(deployment?.resources) ?? RESOURCES;
}

/** Processors that are asked for, rounded up: `1500m` is 2; 1 where nothing is asked for. */
function processors(resources: Json): number {
  const written = mapping(resources.requests)?.cpu;
  const { amount, milli } = /^(?<amount>\d+(?:\.\d+)?)(?<milli>m?)$/.exec(String(written))?.groups ?? {};
  if (amount === undefined) return 1;
  return Math.max(1, Math.ceil(milli === 'm' ? Number(amount) / 1000 : Number(amount)));
}

const UNITS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600 };

/** A duration of the configuration, rounded up to seconds. */
function seconds(written: unknown, otherwise: number): number {
  const { amount, unit = '' } = /^(?<amount>\d+)(?<unit>ms|s|m|h)$/.exec(String(written))?.groups ?? {};
  return amount === undefined ? otherwise : Math.ceil(Number(amount) * (UNITS[unit] ?? 1));
}
