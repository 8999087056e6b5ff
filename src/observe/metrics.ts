// The table of metrics, and the counts of one worker under closed label sets.

import { getHeapStatistics } from 'node:v8';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { BindingName } from '../binding/permit.ts';
import type { Listener, Route, Upstream } from '../policy/policy.ts';
import type { Scheme } from '../rejection/challenge.ts';
import type { Rejection } from '../rejection/rejection.ts';
import { createIssuerCallCounts, ISSUER_CALL_METRICS, type IssuerCallCounts } from './issuer-call-metrics.ts';
import { addStoreMetrics, STORE_METRICS, type StoreMetrics } from './store-metrics.ts';

/**
 * How a request ended. `answered`: by the gateway itself, without a refusal (CORS preflights, OPTIONS *). `stopped`: cut off by the
 * gateway in the middle, when the time to stop was over.
 */
export type OutcomeLabel =
  | 'forwarded'
  | 'permitted'
  | 'rejected'
  | 'upstream_failed'
  | 'answered'
  | 'client_gone'
  | 'stopped';
/** `none`: nothing was presented; `other`: a scheme that we do not take. */
export type SchemeLabel = Scheme | 'other' | 'none';
export type Mode = 'enforced' | 'shadow';

/**
 * Every metric of our own; docs list this table. Each label takes values from a closed set only: names from the policy, reasons of
 * the table of rejections, or words of this file. `route` is `none` where no route was found.
 */
export const METRICS = {
  requests: {
    name: 'holdfast_requests_total',
    help: 'Requests by how they ended.',
    labels: ['route', 'scheme', 'binding', 'outcome'],
  },
  rejections: {
    name: 'holdfast_rejections_total',
    help: 'Refusals by reason and stage; mode shadow counts what a stricter demand would have refused.',
    labels: ['route', 'reason', 'stage', 'mode'],
  },
  nonceChallenges: {
    name: 'holdfast_nonce_challenges_total',
    help: 'Challenges that carried a DPoP nonce.',
    labels: [],
  },
  unknownConfirmations: {
    name: 'holdfast_unknown_confirmations_total',
    help: 'Members of cnf that were not checked, next to one that was.',
    labels: [],
  },
  requestDuration: {
    name: 'holdfast_request_duration_seconds',
    help: 'From the end of the request header section to the end of the answer.',
    labels: ['route'],
  },
  replayEntries: { name: 'holdfast_replay_entries', help: 'Proofs that are remembered.', labels: [] },
  replayCapacity: { name: 'holdfast_replay_capacity', help: 'Proofs that can be remembered at once.', labels: [] },
  ...STORE_METRICS,
  issuerKeysLoaded: {
    name: 'holdfast_issuer_keys_loaded',
    help: '1 if the keys of the issuer have been loaded since the start.',
    labels: ['issuer'],
  },
  issuerKeysAge: {
    name: 'holdfast_issuer_keys_age_seconds',
    help: 'Since the last good answer with the keys of the issuer.',
    labels: ['issuer'],
  },
  issuerKeyRefreshes: {
    name: 'holdfast_issuer_key_refreshes_total',
    help: 'Attempts to load the keys of the issuer, by result: loaded or failed.',
    labels: ['issuer', 'result'],
  },
  ...ISSUER_CALL_METRICS,
  certificateExpiry: {
    name: 'holdfast_certificate_expiry_timestamp_seconds',
    help: 'End of validity of a server certificate, by the base name of its file.',
    labels: ['listener', 'certificate'],
  },
  connections: { name: 'holdfast_connections', help: 'Open client connections.', labels: ['listener'] },
  refusedConnections: {
    name: 'holdfast_refused_connections_total',
    help: 'Connections closed for want of room. New ones: limit (limits.connections are open), descriptors (of the process). Open ones: share (room for a client with fewer), handshakes (for others of the same client).',
    labels: ['listener', 'reason'],
  },
  tunnels: { name: 'holdfast_tunnels', help: 'Open tunnels of WebSockets.', labels: ['route'] },
  handshakeFailures: {
    name: 'holdfast_tls_handshake_failures_total',
    help: 'Connections that failed before their first request, in the PROXY header or the TLS handshake, by reason.',
    labels: ['listener', 'reason'],
  },
  workers: { name: 'holdfast_workers', help: 'Worker threads by state.', labels: ['state'] },
  workerRestarts: {
    name: 'holdfast_worker_restarts_total',
    help: 'Worker threads that died or hung and were replaced.',
    labels: [],
  },
  workerUtilization: {
    name: 'holdfast_worker_utilization_ratio',
    help: 'Share of the last five seconds in which a worker thread was busy, 0 to 1.',
    labels: ['worker'],
  },
  workerHeap: {
    name: 'holdfast_worker_heap_bytes',
    help: 'JavaScript heap of a worker thread, by kind: used, committed, external (outside of the heap), or the limit beyond which it dies.',
    labels: ['worker', 'kind'],
  },
  reloads: {
    name: 'holdfast_reloads_total',
    help: 'Attempts to put a changed configuration to work, by result: adopted or refused.',
    labels: ['result'],
  },
  lastReload: {
    name: 'holdfast_last_reload_successful',
    help: '1 if the configuration that was read last is the one at work, 0 if it was refused.',
    labels: [],
  },
  policyAdopted: {
    name: 'holdfast_policy_adopted_timestamp_seconds',
    help: 'When the policy at work was adopted.',
    labels: [],
  },
  upstreamPending: {
    name: 'holdfast_upstream_pending_requests',
    help: 'Requests that wait for the target, or for the end of its answer.',
    labels: ['upstream', 'target'],
  },
  upstreamTargetHealthy: {
    name: 'holdfast_upstream_target_healthy',
    help: '1 if the health checks of every worker succeed; only of upstreams that have them.',
    labels: ['upstream', 'target'],
    aggregator: 'min',
  },
  upstreamCircuitOpen: {
    name: 'holdfast_upstream_circuit_open',
    help: '1 while a worker sends the target nothing but trials, because of failures in a row; only of upstreams with a circuit.',
    labels: ['upstream', 'target'],
    aggregator: 'max',
  },
  upstreamFailures: {
    name: 'holdfast_upstream_failures_total',
    help: 'Attempts to have a request answered that failed, by reason: unreachable, timed_out, invalid or broken.',
    labels: ['upstream', 'target', 'reason'],
  },
  upstreamRetries: {
    name: 'holdfast_upstream_retries_total',
    help: 'Requests sent again, by why that is safe: unconnected (nothing was sent), refused (the upstream did not process it) or closed (an idle connection ended under an idempotent request).',
    labels: ['upstream', 'reason'],
  },
  upstreamQueue: {
    name: 'holdfast_upstream_queue_requests',
    help: 'Requests that wait in the gateway because the connections of the upstream, or the share of their client or route, are in use.',
    labels: ['upstream'],
  },
  upstreamQueueWait: {
    name: 'holdfast_upstream_queue_wait_seconds',
    help: 'How long requests waited there, those included that were refused in the end.',
    labels: ['upstream'],
  },
  buildInfo: { name: 'holdfast_build_info', help: 'Always 1; the label says which build runs.', labels: ['version'] },
} as const;

/** Codes of Node and OpenSSL → why a handshake failed; the first row that fits. */
const HANDSHAKE_FAILURES: readonly (readonly [RegExp, string])[] = [
  [/^(?:ECONNRESET|EPIPE)$/, 'closed'],
  [/HANDSHAKE_TIMEOUT|TIMED_OUT/, 'timeout'],
  [/DID_NOT_RETURN_A_CERTIFICATE|^CERTIFICATE_MISSING$/, 'certificate_missing'],
  [/ALERT_(?:BAD_CERTIFICATE|CERTIFICATE_|UNKNOWN_CA|ACCESS_DENIED)/, 'server_certificate_refused'],
  [/CERT|CRL|LEAF_SIGNATURE/, 'client_certificate_refused'],
  [/HTTP_REQUEST|HTTPS_PROXY_REQUEST|WRONG_VERSION_NUMBER|PACKET_LENGTH/, 'no_tls'],
  [/^PROXY_PEER_UNTRUSTED$/, 'proxy_peer_untrusted'],
  [/^PROXY_HEADER_MALFORMED$/, 'proxy_header_malformed'],
  [/UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|INAPPROPRIATE_FALLBACK/, 'version'],
  [/NO_SHARED|NO_SUITABLE|NO_APPLICATION_PROTOCOL/, 'parameters'],
];

/** Seconds. A refusal takes a fraction of a millisecond, a slow upstream its timeout. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Why a connection was closed: a new one at `limits.connections` or without descriptors, or an open one for others (decision 94). */
export type ConnectionRefusal = 'limit' | 'descriptors' | 'share' | 'handshakes';

/** What the gauges of a worker are read from. */
export interface TrafficSources {
  /** Open connections by listener. */
  readonly connections: () => Iterable<readonly [Pick<Listener, 'name'>, number]>;
  readonly upstreams: () => Iterable<UpstreamSource>;
  /** Which worker it is; 0 where there is one. */
  readonly worker?: number;
}

interface UpstreamSource {
  readonly upstream: Pick<Upstream, 'name' | 'health' | 'circuit'>;
  readonly entrance: { readonly waiting: number };
  readonly targets: readonly TargetSource[];
}

interface TargetSource {
  readonly name: string;
  readonly pending: number;
  readonly healthy: boolean;
  readonly circuitOpen: boolean;
}

/** The metrics of one worker as prom-client hands them out: to be sent to the supervisor, which adds them up. */
export type Snapshot = readonly object[];

/** Where a request went; undefined: no route was found. */
type RouteOf = Pick<Route, 'name'> | undefined;

/** What a worker counts. */
export interface TrafficMetrics extends IssuerCallCounts {
  /** @param seconds from the end of the header section to the end of the answer */
  countRequest(route: RouteOf, scheme: SchemeLabel, binding: BindingName, outcome: OutcomeLabel, seconds: number): void;
  /** @param by 1: one opened, -1: one ended */
  countTunnel(route: RouteOf, by: 1 | -1): void;
  countRejection(route: RouteOf, rejection: Rejection, mode: Mode): void;
  countNonceChallenge(): void;
  /** @param members of `cnf` in one token that are none of those we check */
  countUnknownConfirmations(members: number): void;
  /** @param code `code` of the error that Node reported */
  countHandshakeFailure(listener: Pick<Listener, 'name'>, code: string | undefined): void;
  countRefusedConnection(listener: Pick<Listener, 'name'>, reason: ConnectionRefusal): void;
  /** @param reason a word of upstream/target.ts */
  countUpstreamFailure(upstream: string, target: string, reason: string): void;
  /** @param reason a word of upstream/loss.ts */
  countUpstreamRetry(upstream: string, reason: string): void;
  /** A request waited for a connection that others held. */
  countUpstreamWait(upstream: string, seconds: number): void;
  /** Of the replica replay store, once there is one. */
  addStore(): StoreMetrics;
  snapshot(): Promise<Snapshot>;
}

/**
 * The metrics of one worker, in a registry of their own. Counting by labels costs 0.2 µs a call; binding labels beforehand would
 * make it no cheaper.
 */
export function createTrafficMetrics({ connections, upstreams, worker = 0 }: TrafficSources): TrafficMetrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = (definition: Definition) => new Counter({ ...namesOf(definition), registers });
  const requests = counter(METRICS.requests);
  const rejections = counter(METRICS.rejections);
  const nonceChallenges = counter(METRICS.nonceChallenges);
  const histogram = (definition: Definition) =>
    new Histogram({ ...namesOf(definition), registers, buckets: DURATION_BUCKETS });
  const requestDuration = histogram(METRICS.requestDuration);
  const unknownConfirmations = counter(METRICS.unknownConfirmations);
  const handshakeFailures = counter(METRICS.handshakeFailures);
  const refusedConnections = counter(METRICS.refusedConnections);
  const tunnels = new Gauge({ ...namesOf(METRICS.tunnels), registers });
  addTargetGauges(registry, upstreams);
  addWorkerGauges(registry, connections, worker);
  return {
    countRequest(of, scheme, binding, outcome, seconds) {
      const route = of?.name ?? 'none';
      requests.inc({ route, scheme, binding, outcome });
      requestDuration.observe({ route }, seconds);
    },
    countTunnel: (of, by) => tunnels.inc({ route: of?.name ?? 'none' }, by),
    countRejection(of, { reason, stage }, mode) {
      rejections.inc({ route: of?.name ?? 'none', reason, stage, mode });
    },
    countNonceChallenge: () => nonceChallenges.inc(),
    countUnknownConfirmations: (members) => unknownConfirmations.inc(members),
    countHandshakeFailure({ name: listener }, code = '') {
      const reason = HANDSHAKE_FAILURES.find(([pattern]) => pattern.test(code))?.[1] ?? 'other';
      handshakeFailures.inc({ listener, reason });
    },
    countRefusedConnection: ({ name: listener }, reason) => refusedConnections.inc({ listener, reason }),
    ...createIssuerCallCounts(registry, DURATION_BUCKETS),
    ...createUpstreamCounts(registry),
    addStore: () => addStoreMetrics(registry),
    snapshot: () => registry.getMetricsAsJSON(),
  };
}

/** What happens between the gateway and its upstreams. */
type UpstreamCounts = Pick<TrafficMetrics, 'countUpstreamFailure' | 'countUpstreamRetry' | 'countUpstreamWait'>;

function createUpstreamCounts(registry: Registry): UpstreamCounts {
  const registers = [registry];
  const failures = new Counter({ ...namesOf(METRICS.upstreamFailures), registers });
  const retries = new Counter({ ...namesOf(METRICS.upstreamRetries), registers });
  const waits = new Histogram({ ...namesOf(METRICS.upstreamQueueWait), registers, buckets: DURATION_BUCKETS });
  return {
    countUpstreamFailure: (upstream, target, reason) => failures.inc({ upstream, target, reason }),
    countUpstreamRetry: (upstream, reason) => retries.inc({ upstream, reason }),
    countUpstreamWait: (upstream, seconds) => waits.observe({ upstream }, seconds),
  };
}

function addWorkerGauges(registry: Registry, connections: TrafficSources['connections'], worker: number): void {
  addGauge(registry, METRICS.workerHeap, () => readHeap(String(worker)));
  addGauge(registry, METRICS.connections, () =>
    [...connections()].map(([{ name: listener }, open]) => [{ listener }, open]),
  );
}

/** Of the thread that asks. */
function readHeap(worker: string): readonly Sample[] {
  const heap = getHeapStatistics();
  const kinds = {
    used: heap.used_heap_size,
    committed: heap.total_heap_size,
    external: heap.external_memory,
    limit: heap.heap_size_limit,
  };
  return Object.entries(kinds).map(([kind, bytes]) => [{ worker, kind }, bytes]);
}

function addTargetGauges(registry: Registry, upstreams: TrafficSources['upstreams']): void {
  const gauge = (
    definition: Definition,
    applies: (upstream: UpstreamSource['upstream']) => boolean,
    read: (target: TargetSource) => number,
  ) =>
    addGauge(registry, definition, () =>
      [...upstreams()]
        .filter(({ upstream }) => applies(upstream))
        .flatMap(({ upstream, targets }) =>
          targets.map((target): Sample => [{ upstream: upstream.name, target: target.name }, read(target)]),
        ),
    );
  addGauge(registry, METRICS.upstreamQueue, () =>
    [...upstreams()].map(({ upstream, entrance }): Sample => [{ upstream: upstream.name }, entrance.waiting]),
  );
  gauge(
    METRICS.upstreamPending,
    () => true,
    ({ pending }) => pending,
  );
  gauge(
    METRICS.upstreamTargetHealthy,
    ({ health }) => health !== undefined,
    ({ healthy }) => Number(healthy),
  );
  gauge(
    METRICS.upstreamCircuitOpen,
    ({ circuit }) => circuit !== undefined,
    ({ circuitOpen }) => Number(circuitOpen),
  );
}

export interface Definition {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** How a gauge of all workers is made of theirs; the default is their sum. */
  readonly aggregator?: 'min' | 'max';
}

const namesOf = ({ name, help, labels }: Definition) => ({ name, help, labelNames: labels });

export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** A gauge that is read at each scrape; a name that left the policy leaves the answer. */
export function addGauge(registry: Registry, definition: Definition, read: () => readonly Sample[]): void {
  const { name, help, labels, aggregator } = definition;
  registry.registerMetric(
    new Gauge({
      name,
      help,
      labelNames: labels,
      ...(aggregator && { aggregator }),
      registers: [],
      collect() {
        this.reset();
        for (const [sampleLabels, value] of read()) this.set(sampleLabels, value);
      },
    }),
  );
}
