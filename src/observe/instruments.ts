// Counters, histograms and gauges of prom-client, made from rows of the table.

import { Counter, Gauge, type OpenMetricsContentType, Registry } from 'prom-client';
import { Histogram } from './histogram.ts';

/** A row of the table of metrics (metric-table.ts). */
export interface Definition {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** How a gauge of all workers is made of theirs; the default is their sum. */
  readonly aggregator?: 'min' | 'max';
}

/** The metrics of one worker as prom-client hands them out: to be sent to the supervisor, which adds them up. */
export type Snapshot = readonly object[];

export type MetricRegistry = Registry<OpenMetricsContentType>;

/** Exemplars are taken in a registry of OpenMetrics alone; what is read from it as JSON is of no format (exposition.ts). */
export function createRegistry(): MetricRegistry {
  const registry: MetricRegistry = new Registry();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  return registry;
}

export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** Seconds. A refusal takes a fraction of a millisecond, a slow upstream its timeout. */
export const DURATION_BUCKETS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

const namesOf = ({ name, help, labels }: Definition) => ({ name, help, labelNames: labels });

export function addCounter(registry: MetricRegistry, definition: Definition): Counter {
  return new Counter({ ...namesOf(definition), registers: [registry] });
}

/** One whose series can show a request as an example (OpenMetrics 1.0, exemplars). */
export function addExemplified(registry: MetricRegistry, definition: Definition): Counter {
  return new Counter({ ...namesOf(definition), registers: [registry], enableExemplars: true });
}

export function addHistogram(registry: MetricRegistry, definition: Definition, bounds: readonly number[]): Histogram {
  const histogram = new Histogram(definition, bounds);
  // prom-client knows its own classes alone, and reads nothing of them but what ours has.
  registry.registerMetric(histogram as never);
  return histogram;
}

/** A counter whose numbers are kept elsewhere, and read at each scrape. */
export function addCounted(registry: MetricRegistry, definition: Definition, read: () => readonly Sample[]): void {
  registry.registerMetric(
    new Counter({
      ...namesOf(definition),
      registers: [],
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.inc({ ...labels }, value);
      },
    }),
  );
}

/** A gauge that is read at each scrape; a name that left the policy leaves the answer. */
export function addGauge(registry: MetricRegistry, definition: Definition, read: () => readonly Sample[]): void {
  const { aggregator } = definition;
  registry.registerMetric(
    new Gauge({
      ...namesOf(definition),
      ...(aggregator && { aggregator }),
      registers: [],
      collect() {
        this.reset();
        for (const [sampleLabels, value] of read()) this.set(sampleLabels, value);
      },
    }),
  );
}
