// The metrics of upstreams, as one worker sees them.

import type { Upstream } from '../policy/upstream.ts';
import {
  addCounter,
  addGauge,
  addHistogram,
  type Definition,
  DURATION_BUCKETS,
  type Sample,
  type MetricRegistry,
} from './instruments.ts';
import { statusLabel } from './labels.ts';
import { METRICS } from './metric-table.ts';

/** What happens between the gateway and its upstreams. */
export interface UpstreamCounts {
  /** An attempt was answered. @param seconds from its connection to the header section of the answer */
  countUpstreamAnswer(upstream: string, target: string, status: number, seconds: number): void;
  /** @param reason a word of upstream/target.ts */
  countUpstreamFailure(upstream: string, target: string, reason: string): void;
  /** @param reason a word of upstream/loss.ts */
  countUpstreamRetry(upstream: string, reason: string): void;
  /** @param result a word of upstream/upstream.ts */
  countMirrored(upstream: string, result: string): void;
  /** A request waited for a connection that others held. */
  countUpstreamWait(upstream: string, seconds: number): void;
}

export interface UpstreamSource {
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

export function createUpstreamCounts(registry: MetricRegistry): UpstreamCounts {
  const answers = addCounter(registry, METRICS.upstreamAnswers);
  const durations = addHistogram(registry, METRICS.upstreamDuration, DURATION_BUCKETS);
  const failures = addCounter(registry, METRICS.upstreamFailures);
  const retries = addCounter(registry, METRICS.upstreamRetries);
  const mirrored = addCounter(registry, METRICS.mirrored);
  const waits = addHistogram(registry, METRICS.upstreamQueueWait, DURATION_BUCKETS);
  return {
    countUpstreamAnswer(upstream, target, status, seconds) {
      answers.inc({ upstream, target, status: statusLabel(status) });
      durations.observe(upstream, seconds);
    },
    countUpstreamFailure: (upstream, target, reason) => failures.inc({ upstream, target, reason }),
    countUpstreamRetry: (upstream, reason) => retries.inc({ upstream, reason }),
    countMirrored: (upstream, result) => mirrored.inc({ upstream, result }),
    countUpstreamWait: (upstream, seconds) => waits.observe(upstream, seconds),
  };
}

/** What is read at each scrape. */
export function addUpstreamGauges(registry: MetricRegistry, upstreams: () => Iterable<UpstreamSource>): void {
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
