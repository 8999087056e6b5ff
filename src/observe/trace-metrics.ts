// The metrics of traces: what became of the spans of one worker.

import { addCounter, type MetricRegistry } from './instruments.ts';

export const TRACE_METRICS = {
  spans: {
    name: 'holdfast_trace_spans_total',
    help: 'Spans by what became of them: exported, dropped (the queue was full) or failed (the collector did not take them).',
    labels: ['outcome'],
  },
} as const;

/** A closed set, for labels. */
export type SpanOutcome = 'exported' | 'dropped' | 'failed';

export type CountSpans = (outcome: SpanOutcome, spans: number) => void;

/** Into the registry of a worker; it is not there before something is traced. */
export function addTraceMetrics(registry: MetricRegistry): CountSpans {
  const spans = addCounter(registry, TRACE_METRICS.spans);
  for (const outcome of ['exported', 'dropped', 'failed'] as const) spans.inc({ outcome }, 0);
  return (outcome, count) => spans.inc({ outcome }, count);
}
