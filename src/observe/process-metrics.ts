// The metrics of the whole process: all workers added up, and the supervisor's own.

import { X509Certificate } from 'node:crypto';
import { basename } from 'node:path';
import { collectDefaultMetrics } from 'prom-client';
import type { Listener } from '../policy/policy.ts';
import type { IssuerKeys, IssuerKeysEvent } from '../issuer/keys.ts';
import { addUp, type ExpositionFormat, expose } from './exposition.ts';
import { createForgetting, type KnownNames, knownNames, type NamedParts, withoutGone } from './gone.ts';
import {
  addCounter,
  addGauge,
  type Definition,
  type Sample,
  type Snapshot,
  type MetricRegistry,
  createRegistry,
} from './instruments.ts';
import { METRICS } from './metric-table.ts';
import { type ZeroSources, zerosOf } from './zeros.ts';

/** What gauges are read from, at each scrape; functions where a reload changes the answer. */
export interface ProcessSources {
  readonly version: string;
  readonly policy: () => ZeroSources;
  readonly replay: () => { readonly entries: number; readonly capacity: number };
  readonly issuerKeys: () => Iterable<Pick<IssuerKeys, 'issuer' | 'loadedOnce' | 'ageSeconds'>>;
  readonly reload: () => LastReload;
  readonly workers: () => readonly {
    readonly index: number;
    readonly state: 'starting' | 'serving' | 'stopped' | 'gone';
    readonly utilization: number;
  }[];
}

/** What came of the configuration that was read last. */
export interface LastReload {
  readonly result: 'adopted' | 'refused';
  /** When the policy at work was adopted, seconds since the epoch. */
  readonly adoptedAt: number;
}

export interface ProcessMetrics {
  countReload(result: LastReload['result']): void;
  countKeyRefresh(event: IssuerKeysEvent): void;
  /** A worker was lost, and these are the metrics that it reported last: what it counted goes on counting. */
  countLostWorker(last: Snapshot): void;
  /** Another policy is at work: series of what it has no longer go. */
  forget(policy: NamedParts): Promise<void>;
  /** All metrics. @param snapshots of the workers that there are */
  collect(snapshots: readonly Snapshot[]): Promise<Exposition>;
}

/** What there was at one moment, as text in each format; made when it is asked for, and once. */
export type Exposition = (format: ExpositionFormat) => Promise<string>;

/** In a registry of their own, with the usual ones of prom-client about the process. */
export function createProcessMetrics(sources: ProcessSources): ProcessMetrics {
  const registry = createRegistry();
  const issuerKeyRefreshes = addCounter(registry, METRICS.issuerKeyRefreshes);
  const workerRestarts = addCounter(registry, METRICS.workerRestarts);
  const reloads = addCounter(registry, METRICS.reloads);
  for (const result of ['adopted', 'refused'] as const) reloads.inc({ result }, 0);
  const zeros = rememberZeros(sources.policy);
  addGauges(registry, sources);
  addDefaults(registry);
  let lost: Promise<Snapshot> = Promise.resolve([]);
  const forget = createForgetting(registry);
  return {
    countKeyRefresh: ({ issuer, result }) => issuerKeyRefreshes.inc({ issuer, result }),
    countReload: (result) => reloads.inc({ result }),
    countLostWorker(last) {
      workerRestarts.inc();
      lost = lost.then((before) => addUp([before, last.filter(isCumulative)]));
    },
    async forget(next) {
      lost = withoutNames(lost, knownNames(next));
      await forget(next);
    },
    async collect(snapshots) {
      const own = await registry.getMetricsAsJSON();
      const metrics = await addUp([own, await zeros(), await lost, ...snapshots]);
      const texts: Partial<Record<ExpositionFormat, Promise<string>>> = {};
      return (format) => (texts[format] ??= expose(metrics, format));
    },
  };
}

async function withoutNames(snapshot: Promise<Snapshot>, known: KnownNames): Promise<Snapshot> {
  return withoutGone(await snapshot, known);
}

/** They change with the policy alone. */
function rememberZeros(policy: ProcessSources['policy']): () => Promise<Snapshot> {
  let of: ZeroSources | undefined;
  let zeros: Promise<Snapshot> = Promise.resolve([]);
  return () => {
    const now = policy();
    if (now !== of) [of, zeros] = [now, zerosOf(now)];
    return zeros;
  };
}

/** What prom-client says of the process, and the version of Node: what else it knows of Node is the supervisor's, which serves no requests. */
function addDefaults(registry: MetricRegistry): void {
  collectDefaultMetrics({ register: registry });
  const ofThread = registry.getMetricsAsArray().filter(({ name }) => /^nodejs_(?!version_info)/.test(name));
  for (const { name } of ofThread) registry.removeSingleMetric(name);
}

/** What a thread has open goes with it; what it counted does not, or the sum would fall and count as a restart. */
function isCumulative(metric: object): boolean {
  return 'type' in metric && metric.type !== 'gauge';
}

function addGauges(
  registry: MetricRegistry,
  { version, policy, replay, issuerKeys, reload, workers }: ProcessSources,
): void {
  const gauge = (definition: Definition, read: () => readonly Sample[]) => addGauge(registry, definition, read);
  gauge(METRICS.buildInfo, () => [[{ version }, 1]]);
  const store = () => (policy().replay.redis === undefined ? 'memory' : 'redis');
  gauge(METRICS.replayEntries, () => [[{ store: store() }, replay().entries]]);
  gauge(METRICS.replayCapacity, () => [[{ store: store() }, replay().capacity]]);
  gauge(METRICS.issuerKeysLoaded, () =>
    [...issuerKeys()].map(({ issuer, loadedOnce }) => [{ issuer: issuer.name }, loadedOnce ? 1 : 0]),
  );
  gauge(METRICS.issuerKeysAge, () =>
    [...issuerKeys()].flatMap(({ issuer, ageSeconds }) =>
      ageSeconds === undefined ? [] : [[{ issuer: issuer.name }, ageSeconds]],
    ),
  );
  gauge(METRICS.lastReload, () => [[{}, reload().result === 'adopted' ? 1 : 0]]);
  gauge(METRICS.policyAdopted, () => [[{}, reload().adoptedAt]]);
  gauge(METRICS.certificateExpiry, () => readDates(policy().listeners, 'validToDate'));
  gauge(METRICS.certificateStart, () => readDates(policy().listeners, 'validFromDate'));
  gauge(METRICS.workers, () =>
    (['starting', 'serving', 'stopped', 'gone'] as const).map((state) => [
      { state },
      workers().filter((worker) => worker.state === state).length,
    ]),
  );
  gauge(METRICS.workerUtilization, () =>
    workers().map(({ index, utilization }) => [{ worker: String(index) }, utilization]),
  );
}

/** Latest first: of two files with one base name, the earlier date is what stays. */
function readDates(listeners: readonly Listener[], which: 'validFromDate' | 'validToDate'): readonly Sample[] {
  return listeners
    .flatMap(({ name, tls }) =>
      (tls?.certificates ?? []).map(({ cert, certFile }): Sample => {
        const date = new X509Certificate(cert)[which].getTime() / 1000;
        return [{ listener: name, certificate: basename(certFile) }, date];
      }),
    )
    .toSorted(([, one], [, other]) => other - one);
}
