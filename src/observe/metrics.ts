// The counts of one worker under closed label sets.

import { getHeapStatistics } from 'node:v8';
import { Gauge } from 'prom-client';
import type { Watch } from '../enforce.ts';
import type { Listener, Route } from '../policy/policy.ts';
import type { Rejection } from '../rejection/rejection.ts';
import { Challenged, createChallengedMemory } from './challenged.ts';
import { addConnectionGauge, type ConnectionCounts, createConnectionCounts } from './connection-metrics.ts';
import {
  addCounted,
  addCounter,
  addExemplified,
  addGauge,
  addHistogram,
  DURATION_BUCKETS,
  type Sample,
  type Snapshot,
  type MetricRegistry,
  createRegistry,
} from './instruments.ts';
import { createForgetting, type NamedParts } from './gone.ts';
import { createIssuerCallCounts, type IssuerCallCounts } from './issuer-call-metrics.ts';
import { type Mode, type OutcomeLabel, type PreflightResult, statusLabel } from './labels.ts';
import type { RequestLine } from './log.ts';
import { METRICS } from './metric-table.ts';
import { addStoreMetrics, type StoreMetrics } from './store-metrics.ts';
import { addTraceMetrics, type CountSpans } from './trace-metrics.ts';
import {
  addUpstreamGauges,
  createUpstreamCounts,
  type UpstreamCounts,
  type UpstreamSource,
} from './upstream-metrics.ts';
import { createWatches } from './watch.ts';

/** Seconds by which an event loop is late. */
const DELAY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** What the metrics of a worker are read from. */
export interface TrafficSources {
  /** Open connections by listener. */
  readonly connections: () => Iterable<readonly [Pick<Listener, 'name'>, number]>;
  readonly upstreams: () => Iterable<UpstreamSource>;
  /** Caches by name. */
  readonly caches?: () => readonly (readonly [name: string, lookups: CacheLookups])[];
  /** Which worker it is; 0 where there is one. */
  readonly worker?: number;
  /** Shared with the other workers (challenged.ts). */
  readonly challenged?: SharedArrayBuffer;
}

/** How often something was looked for and found, or not. */
export interface CacheLookups {
  readonly hits: number;
  readonly misses: number;
}

/** Where a request went; undefined: no route was found. */
type RouteOf = Pick<Route, 'name'> | undefined;

/** A trace that an operator can look up, 32 hexadecimal digits; undefined: none is kept. */
type TraceId = string | undefined;

/** What a worker counts. */
export interface TrafficMetrics extends IssuerCallCounts, UpstreamCounts, ConnectionCounts {
  /** @param seconds from the end of the header section to the end of the answer */
  countRequest(
    request: Pick<RequestLine, 'route' | 'scheme' | 'binding' | 'outcome' | 'status'>,
    seconds: number,
    trace?: TraceId,
  ): void;
  /** @param issuer who vouches for the token of the request; undefined: nobody does, or it is not known */
  countIssuerRequest(issuer: string | undefined, outcome: OutcomeLabel): void;
  /** @param by 1: one opened, -1: one ended */
  countTunnel(route: RouteOf, by: 1 | -1): void;
  countRejection(route: RouteOf, rejection: Rejection, mode: Mode, trace?: TraceId): void;
  /** @param credentials Authorization field of the request; undefined: it had none that was looked at */
  countNonceChallenge(route: RouteOf, credentials: string | undefined): void;
  /** A request was permitted by a proof with a nonce: perhaps after a challenge. */
  countNonceUse(route: RouteOf, credentials: string | undefined): void;
  countPreflight(route: RouteOf, result: PreflightResult): void;
  /** A page got an answer that its browser keeps from it. */
  countCorsRefusal(route: RouteOf): void;
  /** @param members of `cnf` in one token that are none of those we check */
  countUnknownConfirmations(members: number): void;
  /** @param now on the monotonic clock, milliseconds. @returns undefined: this request is not watched */
  watch(now: number): Watch | undefined;
  /** @param seconds by which the event loop of this thread was late */
  observeLoopDelay(seconds: number): void;
  /** Of the replica replay store, once there is one. */
  addStore(): StoreMetrics;
  /** Of traces, once there are some. */
  addTraces(): CountSpans;
  /** Another policy is at work: series of what it has no longer go. */
  forget(policy: NamedParts): Promise<void>;
  snapshot(): Promise<Snapshot>;
}

/**
 * The metrics of one worker, in a registry of their own. Counting by labels costs 0.2 µs a call; binding labels beforehand would
 * make it no cheaper.
 */
export function createTrafficMetrics(sources: TrafficSources): TrafficMetrics {
  const registry = createRegistry();
  const { worker = 0, caches = () => [] } = sources;
  const unknownConfirmations = addCounter(registry, METRICS.unknownConfirmations);
  const { name, help, labels: labelNames } = METRICS.tunnels;
  const issuerRequests = addCounter(registry, METRICS.issuerRequests);
  const tunnels = new Gauge({ name, help, labelNames, registers: [registry] });
  const loopDelay = addHistogram(registry, METRICS.workerLoopDelay, DELAY_BUCKETS);
  loopDelay.zero(String(worker));
  addUpstreamGauges(registry, sources.upstreams);
  addGauge(registry, METRICS.workerHeap, () => readHeap(String(worker)));
  addConnectionGauge(registry, sources.connections);
  addCounted(registry, METRICS.cacheLookups, () => caches().flatMap(lookupSamples));
  return {
    ...createRequestCounts(registry),
    ...createNonceCounts(registry, new Challenged(sources.challenged ?? createChallengedMemory())),
    ...createCorsCounts(registry),
    countIssuerRequest(issuer, outcome) {
      if (issuer !== undefined) issuerRequests.inc({ issuer, outcome });
    },
    countTunnel: (of, by) => tunnels.inc({ route: nameOf(of) }, by),
    countUnknownConfirmations: (members) => unknownConfirmations.inc(members),
    watch: createWatches(registry),
    observeLoopDelay: (seconds) => loopDelay.observe(String(worker), seconds),
    ...createConnectionCounts(registry),
    ...createIssuerCallCounts(registry),
    ...createUpstreamCounts(registry),
    addStore: () => addStoreMetrics(registry),
    addTraces: () => addTraceMetrics(registry),
    forget: createForgetting(registry),
    snapshot: () => registry.getMetricsAsJSON(),
  };
}

const nameOf = (route: RouteOf) => route?.name ?? 'none';

function createRequestCounts(registry: MetricRegistry): Pick<TrafficMetrics, 'countRequest' | 'countRejection'> {
  const requests = addCounter(registry, METRICS.requests);
  const rejections = addExemplified(registry, METRICS.rejections);
  const durations = addHistogram(registry, METRICS.requestDuration, DURATION_BUCKETS);
  return {
    countRequest({ route: of, scheme, binding, outcome, status }, seconds, trace) {
      const route = nameOf(of);
      requests.inc({ route, scheme, binding, outcome, status: statusLabel(status) });
      durations.observe(route, seconds, exemplarOf(trace)?.exemplarLabels);
    },
    countRejection(of, { reason, stage }, mode, trace) {
      rejections.inc({ labels: { route: nameOf(of), reason, stage, mode }, value: 1, ...exemplarOf(trace) });
    },
  };
}

/** Nothing but digits of the client's gets into an answer to a scrape. */
function exemplarOf(trace: TraceId): { readonly exemplarLabels?: { readonly trace_id: string } } | undefined {
  return trace !== undefined && /^[0-9a-f]{32}$/.test(trace) ? { exemplarLabels: { trace_id: trace } } : undefined;
}

function createNonceCounts(
  registry: MetricRegistry,
  challenged: Challenged,
): Pick<TrafficMetrics, 'countNonceChallenge' | 'countNonceUse'> {
  const challenges = addCounter(registry, METRICS.nonceChallenges);
  const recoveries = addCounter(registry, METRICS.nonceRecoveries);
  return {
    countNonceChallenge(of, credentials) {
      challenges.inc({ route: nameOf(of) });
      if (credentials !== undefined) challenged.add(credentials);
    },
    countNonceUse(of, credentials) {
      if (credentials !== undefined && challenged.met(credentials)) recoveries.inc({ route: nameOf(of) });
    },
  };
}

function createCorsCounts(registry: MetricRegistry): Pick<TrafficMetrics, 'countPreflight' | 'countCorsRefusal'> {
  const preflights = addCounter(registry, METRICS.preflights);
  const refused = addCounter(registry, METRICS.corsRefused);
  return {
    countPreflight: (of, result) => preflights.inc({ route: nameOf(of), result }),
    countCorsRefusal: (of) => refused.inc({ route: nameOf(of) }),
  };
}

function lookupSamples([cache, { hits, misses }]: readonly [string, CacheLookups]): readonly Sample[] {
  return [
    [{ cache, result: 'hit' }, hits],
    [{ cache, result: 'miss' }, misses],
  ];
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
