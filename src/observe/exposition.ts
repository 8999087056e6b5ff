// The answer to a scrape: metrics of all threads added up, as text for Prometheus.

import { AggregatorRegistry, Registry, type RegistryContentType } from 'prom-client';
import type { Snapshot } from './instruments.ts';
import { METRICS } from './metric-table.ts';

export type ExpositionFormat = 'prometheus' | 'openmetrics';

/** What each format is called in Content-Type. */
export const EXPOSITION_TYPES: Readonly<Record<ExpositionFormat, RegistryContentType>> = {
  prometheus: Registry.PROMETHEUS_CONTENT_TYPE,
  openmetrics: Registry.OPENMETRICS_CONTENT_TYPE,
};

/** A request that shows what a number counts (OpenMetrics 1.0, exemplars). */
interface Exemplar {
  readonly labelSet: Readonly<Record<string, string>>;
  readonly value: number;
  /** Seconds since the epoch. */
  readonly timestamp: number;
}

/** What prom-client's JSON looks like, as far as it is read here. */
interface Metric {
  readonly name: string;
  readonly type: string;
  readonly values: readonly Value[];
}

interface Value {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  exemplar?: Exemplar | null;
}

/** Sums, least or most, as each metric has it. Of several exemplars the newest stays. */
export async function addUp(snapshots: readonly Snapshot[]): Promise<Snapshot> {
  const sum = (await AggregatorRegistry.aggregate(snapshots as object[][]).getMetricsAsJSON()) as unknown as Metric[];
  const newest = newestExemplars(snapshots as readonly (readonly Metric[])[]);
  for (const { name, values } of newest.size === 0 ? [] : sum) {
    for (const value of values) value.exemplar = newest.get(keyOf(name, value)) ?? null;
  }
  return sum;
}

function newestExemplars(snapshots: readonly (readonly Metric[])[]): ReadonlyMap<string, Exemplar> {
  const newest = new Map<string, Exemplar>();
  for (const { name, values } of snapshots.flat()) {
    for (const value of values) {
      const { exemplar } = value;
      if (!exemplar) continue;
      const key = keyOf(name, value);
      if (exemplar.timestamp >= (newest.get(key)?.timestamp ?? 0)) newest.set(key, exemplar);
    }
  }
  return newest;
}

function keyOf(name: string, { metricName = name, labels }: Value): string {
  return JSON.stringify([metricName, Object.entries(labels).toSorted(([one], [other]) => (one < other ? -1 : 1))]);
}

/**
 * The text of metrics that were added up. @param metrics each name once
 * A histogram with bounds below zero has no sum: it would not be a counter (OpenMetrics 1.0, histograms).
 */
export async function expose(metrics: Snapshot, format: ExpositionFormat): Promise<string> {
  const registry = new Registry<RegistryContentType>();
  registry.setContentType(EXPOSITION_TYPES[format]);
  for (const metric of metrics as unknown as readonly Metric[]) {
    // prom-client puts _total behind the name of every counter of OpenMetrics.
    const bare = format === 'openmetrics' && metric.type === 'counter';
    const name = bare ? metric.name.replace(/_total$/, '') : metric.name;
    const values = metric.values.filter(({ metricName }) => metricName !== `${METRICS.clockOffset.name}_sum`);
    registry.registerMetric({ ...metric, name, values, get: async () => ({ ...metric, name, values }) } as never);
  }
  return await registry.metrics();
}
