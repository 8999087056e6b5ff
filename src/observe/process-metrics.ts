// The metrics of the whole process: all workers added up, and the supervisor's own.

import { X509Certificate } from 'node:crypto';
import { basename } from 'node:path';
import { AggregatorRegistry, Counter, collectDefaultMetrics, Registry } from 'prom-client';
import type { Listener, Policy } from '../policy/policy.ts';
import type { IssuerKeys, IssuerKeysEvent } from '../issuer/keys.ts';
import { addGauge, type Definition, METRICS, type Sample, type Snapshot } from './metrics.ts';

/** What gauges are read from, at each scrape; functions where a reload changes the answer. */
export interface ProcessSources {
  readonly version: string;
  readonly policy: () => Pick<Policy, 'listeners'>;
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
  /** The text format of Prometheus. @param snapshots of the workers that there are */
  text(snapshots: readonly Snapshot[]): Promise<string>;
}

/** In a registry of their own, with the usual ones of prom-client about the process. */
export function createProcessMetrics(sources: ProcessSources): ProcessMetrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = ({ name, help, labels }: Definition) => new Counter({ name, help, labelNames: labels, registers });
  const issuerKeyRefreshes = counter(METRICS.issuerKeyRefreshes);
  const workerRestarts = counter(METRICS.workerRestarts);
  const reloads = counter(METRICS.reloads);
  addGauges(registry, sources);
  addDefaults(registry);
  let lost: Promise<Snapshot> = Promise.resolve([]);
  return {
    countKeyRefresh: ({ issuer, result }) => issuerKeyRefreshes.inc({ issuer, result }),
    countReload: (result) => reloads.inc({ result }),
    countLostWorker(last) {
      workerRestarts.inc();
      lost = lost.then((before) => addUp([before, last.filter(isCumulative)]).getMetricsAsJSON());
    },
    text: async (snapshots) => `${await registry.metrics()}\n${await addUp([await lost, ...snapshots]).metrics()}`,
  };
}

/** What prom-client says of the process, and the version of Node: what else it knows of Node is the supervisor's, which serves no requests. */
function addDefaults(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  const ofThread = registry.getMetricsAsArray().filter(({ name }) => /^nodejs_(?!version_info)/.test(name));
  for (const { name } of ofThread) registry.removeSingleMetric(name);
}

const addUp = (snapshots: readonly Snapshot[]) => AggregatorRegistry.aggregate(snapshots as object[][]);

/** What a thread has open goes with it; what it counted does not, or the sum would fall and count as a restart. */
function isCumulative(metric: object): boolean {
  return 'type' in metric && metric.type !== 'gauge';
}

function addGauges(registry: Registry, { version, policy, replay, issuerKeys, reload, workers }: ProcessSources): void {
  const gauge = (definition: Definition, read: () => readonly Sample[]) => addGauge(registry, definition, read);
  gauge(METRICS.buildInfo, () => [[{ version }, 1]]);
  gauge(METRICS.replayEntries, () => [[{}, replay().entries]]);
  gauge(METRICS.replayCapacity, () => [[{}, replay().capacity]]);
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
  gauge(METRICS.certificateExpiry, () => readExpiries(policy().listeners));
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

/** Latest first: of two files with one base name, the earlier end is what stays. */
function readExpiries(listeners: readonly Listener[]): readonly Sample[] {
  return listeners
    .flatMap(({ name, tls }) =>
      (tls?.certificates ?? []).map(({ cert, certFile }): Sample => {
        const end = new X509Certificate(cert).validToDate.getTime() / 1000;
        return [{ listener: name, certificate: basename(certFile) }, end];
      }),
    )
    .toSorted(([, one], [, other]) => other - one);
}
