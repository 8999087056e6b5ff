// The metrics of the controller.

import { collectDefaultMetrics } from 'prom-client';
import { type ExpositionFormat, expose } from '../observe/exposition.ts';
import { addCounter, addGauge, addHistogram, createRegistry, type Sample } from '../observe/instruments.ts';

/** Every metric of the controller, with what it means. */
const CONTROLLER_METRICS = {
  leader: {
    name: 'holdfast_controller_leader',
    help: '1 in the controller that writes, 0 in those that wait.',
    labels: [],
  },
  objects: {
    name: 'holdfast_controller_objects',
    help: 'Objects of the cluster as the controller sees them, by kind.',
    labels: ['kind'],
  },
  unsettled: {
    name: 'holdfast_controller_unsettled_kinds',
    help: 'Kinds that could not be listed yet, or whose definition is missing: nothing is delivered while there are any.',
    labels: [],
  },
  reconciliations: {
    name: 'holdfast_controller_reconciliations_total',
    help: 'Reconciliations by how they ended: done; incomplete, where a write has to be tried again; failed.',
    labels: ['result'],
  },
  reconciliationDuration: {
    name: 'holdfast_controller_reconciliation_duration_seconds',
    help: 'From the beginning of a reconciliation until all configurations were delivered.',
    labels: [],
  },
  translationDuration: {
    name: 'holdfast_controller_translation_duration_seconds',
    help: 'Part of it that translated the state of the cluster.',
    labels: [],
  },
  reconciledAt: {
    name: 'holdfast_controller_reconciled_timestamp_seconds',
    help: 'When the last reconciliation was complete, seconds since the epoch; 0: none was yet.',
    labels: [],
  },
  writes: {
    name: 'holdfast_controller_writes_total',
    help: 'Writes to the API server by verb, kind and result.',
    labels: ['verb', 'kind', 'result'],
  },
  configurationBytes: {
    name: 'holdfast_controller_configuration_bytes',
    help: 'Bytes of the largest configuration that was delivered, compressed; a Secret holds 1 MiB.',
    labels: [],
  },
  watchFailures: {
    name: 'holdfast_controller_watch_failures_total',
    help: 'Lists and watches that failed, by kind.',
    labels: ['kind'],
  },
  lists: {
    name: 'holdfast_controller_lists_total',
    help: 'Lists that replaced what was known of a kind: one at the start, and one after each interruption that lasted.',
    labels: ['kind'],
  },
} as const;

/** What gauges are read from, at each scrape. */
export interface ControllerSources {
  readonly leads: () => boolean;
  readonly counts: () => readonly (readonly [kind: string, count: number])[];
  readonly unsettled: () => number;
  /** Milliseconds since the epoch; 0: there was none. */
  readonly doneAt: () => number;
}

/** Counters of the controller, and their exposition with the usual ones of the process. */
export class ControllerMetrics {
  readonly #registry = createRegistry();
  readonly #reconciliations = addCounter(this.#registry, CONTROLLER_METRICS.reconciliations);
  readonly #durations = addHistogram(this.#registry, CONTROLLER_METRICS.reconciliationDuration, BUCKETS);
  readonly #translations = addHistogram(this.#registry, CONTROLLER_METRICS.translationDuration, BUCKETS);
  readonly #writes = addCounter(this.#registry, CONTROLLER_METRICS.writes);
  readonly #watchFailures = addCounter(this.#registry, CONTROLLER_METRICS.watchFailures);
  readonly #lists = addCounter(this.#registry, CONTROLLER_METRICS.lists);
  #largest = 0;

  constructor({ leads, counts, unsettled, doneAt }: ControllerSources) {
    const gauge = (row: Parameters<typeof addGauge>[1], read: () => readonly Sample[]) =>
      addGauge(this.#registry, row, read);
    gauge(CONTROLLER_METRICS.leader, () => [[{}, leads() ? 1 : 0]]);
    gauge(CONTROLLER_METRICS.objects, () => counts().map(([kind, count]) => [{ kind }, count]));
    gauge(CONTROLLER_METRICS.unsettled, () => [[{}, unsettled()]]);
    gauge(CONTROLLER_METRICS.configurationBytes, () => [[{}, this.#largest]]);
    gauge(CONTROLLER_METRICS.reconciledAt, () => [[{}, doneAt() / 1000]]);
    for (const result of ['done', 'incomplete', 'failed']) this.#reconciliations.inc({ result }, 0);
    collectDefaultMetrics({ register: this.#registry });
  }

  countReconciliation(result: string, seconds: number, translation: number): void {
    this.#reconciliations.inc({ result });
    this.#durations.observe('', seconds);
    this.#translations.observe('', translation);
  }

  countWrite(verb: string, kind: string, result: string): void {
    this.#writes.inc({ verb, kind, result });
  }

  countWatchFailure(kind: string): void {
    this.#watchFailures.inc({ kind });
  }

  countList(kind: string): void {
    this.#lists.inc({ kind });
  }

  noteConfiguration(bytes: number): void {
    this.#largest = Math.max(this.#largest, bytes);
  }

  async expose(format: ExpositionFormat): Promise<string> {
    return await expose(await this.#registry.getMetricsAsJSON(), format);
  }
}

/** Seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
