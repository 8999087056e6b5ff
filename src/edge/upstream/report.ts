// Events at upstreams as metrics and log lines: failures, retries, changes of standing.

import type { Log } from '../../observe/log.ts';
import type { UpstreamCounts } from '../../observe/upstream-metrics.ts';
import type { UpstreamEvent } from './upstream.ts';

/** Nothing of any request goes into log and labels: names from the policy, codes and counts alone. */
export function reportUpstream(event: UpstreamEvent, metrics: UpstreamCounts, log: Pick<Log, 'event'>): void {
  const { upstream } = event;
  if (event.kind === 'waited') return metrics.countUpstreamWait(upstream, event.seconds);
  if (event.kind === 'copied') return metrics.countMirrored(upstream, event.result);
  const { target } = event;
  switch (event.kind) {
    case 'answered':
      return metrics.countUpstreamAnswer(upstream, target, event.status, event.seconds);
    case 'failed':
      return metrics.countUpstreamFailure(upstream, target, event.reason);
    case 'retried':
      return metrics.countUpstreamRetry(upstream, event.after);
    case 'unhealthy':
      return log.event('warn', 'target unhealthy', { upstream, target, what: event.what });
    case 'healthy':
      return log.event('info', 'target healthy', { upstream, target });
    case 'circuit_opened':
      return log.event('warn', 'circuit open', { upstream, target, failures: event.failures });
    case 'circuit_closed':
      return log.event('info', 'circuit closed', { upstream, target });
  }
}
