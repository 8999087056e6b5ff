// Events at upstreams for operators: all counted, changes of standing logged.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UpstreamEvent } from '../../../src/edge/upstream/upstream.ts';
import { reportUpstream } from '../../../src/edge/upstream/report.ts';

const HERE = { upstream: 'orders', target: 'http://127.0.0.1:9000' };

const TOLD: readonly (readonly [UpstreamEvent, readonly unknown[]])[] = [
  [{ ...HERE, kind: 'answered', status: 503, seconds: 0.1 }, ['answer', 'orders', HERE.target, 503, 0.1]],
  [{ ...HERE, kind: 'failed', reason: 'broken' }, ['failure', 'orders', HERE.target, 'broken']],
  [{ ...HERE, kind: 'retried', after: 'refused' }, ['retry', 'orders', 'refused']],
  [{ upstream: 'orders', kind: 'waited', seconds: 0.2 }, ['wait', 'orders', 0.2]],
  [{ ...HERE, kind: 'unhealthy', what: 'HTTP 503' }, ['warn', 'target unhealthy', { ...HERE, what: 'HTTP 503' }]],
  [{ ...HERE, kind: 'healthy' }, ['info', 'target healthy', HERE]],
  [{ ...HERE, kind: 'circuit_opened', failures: 3 }, ['warn', 'circuit open', { ...HERE, failures: 3 }]],
  [{ ...HERE, kind: 'circuit_closed' }, ['info', 'circuit closed', HERE]],
];

for (const [event, expected] of TOLD) {
  test(`${event.kind} is told once`, () => {
    const told: unknown[][] = [];
    const metrics = {
      countUpstreamAnswer: (...said: unknown[]) => void told.push(['answer', ...said]),
      countUpstreamFailure: (...said: unknown[]) => void told.push(['failure', ...said]),
      countUpstreamWait: (...said: unknown[]) => void told.push(['wait', ...said]),
      countMirrored: (...said: unknown[]) => void told.push(['mirrored', ...said]),
      countUpstreamRetry: (...said: unknown[]) => void told.push(['retry', ...said]),
    };
    reportUpstream(event, metrics, { event: (...said) => void told.push(said) });
    assert.deepEqual(told, [expected]);
  });
}
