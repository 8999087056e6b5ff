// The metrics of the replica replay store, as one worker sees it.

import { Counter, Gauge } from 'prom-client';
import type { StoreTroubleReason } from '../memory/redis/trouble.ts';

import { addHistogram, type MetricRegistry } from './instruments.ts';

export const STORE_METRICS = {
  replayStoreUp: {
    name: 'holdfast_replay_store_up',
    help: '1 if every worker can ask the replica replay store, 0 if one of them cannot.',
    labels: [],
  },
  replayStoreDuration: {
    name: 'holdfast_replay_store_duration_seconds',
    help: 'From a question to the replica replay store to its answer.',
    labels: [],
  },
  replayStoreErrors: {
    name: 'holdfast_replay_store_errors_total',
    help: 'Questions to the replica replay store without an answer that counts, by reason.',
    labels: ['reason'],
  },
} as const;

/** Seconds. The deadline of the contract is 250 ms. */
const BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1];

export interface StoreMetrics {
  answered(seconds: number): void;
  failed(reason: StoreTroubleReason): void;
  setUp(up: boolean): void;
}

/** Into the registry of a worker; none of them is there before a store is. */
export function addStoreMetrics(registry: MetricRegistry): StoreMetrics {
  const { replayStoreUp, replayStoreDuration, replayStoreErrors } = STORE_METRICS;
  const registers = [registry];
  const up = new Gauge({ name: replayStoreUp.name, help: replayStoreUp.help, registers, aggregator: 'min' });
  const duration = addHistogram(registry, replayStoreDuration, BUCKETS);
  const errors = new Counter({ ...replayStoreErrors, labelNames: replayStoreErrors.labels, registers });
  return {
    answered: (seconds) => duration.observe('', seconds),
    failed: (reason) => errors.inc({ reason }),
    setUp: (is) => up.set(is ? 1 : 0),
  };
}
