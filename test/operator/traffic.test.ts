// Traffic of several workers: sums, shares, percentiles, and words that lead to the cause.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CountedRefusals,
  DURATIONS,
  NOTHING_RECENT,
  type Recent,
  type RouteTraffic,
} from '../../src/observe/recent.ts';
import { mergeRecent, refusalStatus, trafficStatus } from '../../src/operator/traffic.ts';

const minutes = (newest: number) => [...Array.from({ length: 59 }, () => 0), newest];

/** @param slow requests of 1 s; all others took 1 ms */
function traffic(requests: number, refused: number, slow = 0): RouteTraffic {
  const durations = DURATIONS.map(() => 0);
  durations[DURATIONS.findIndex((bound) => bound >= 0.001 * 0.999)] = requests - slow;
  durations[DURATIONS.findIndex((bound) => bound >= 1)] = slow;
  return { route: 'orders', requests: minutes(requests), refused: minutes(refused), failed: minutes(0), durations };
}

function refusals(change: Partial<CountedRefusals>): CountedRefusals {
  const client = '192.0.2.7';
  return {
    reason: 'proof_uri_mismatch',
    route: 'orders',
    lastFiveMinutes: 1,
    lastHour: 1,
    lastAt: 1,
    client,
    what: 'htu',
    differs: 'scheme',
    ...change,
  };
}

const part = (change: Partial<Recent>): Recent => ({ ...NOTHING_RECENT, ...change });

test('without any request there are no shares and no percentiles', () => {
  const { perSecond, refused, failed, p50, p99, requestsByMinute } = trafficStatus(mergeRecent([NOTHING_RECENT]));
  assert.deepEqual([perSecond, refused, failed, p50, p99], [0, undefined, undefined, undefined, undefined]);
  assert.equal(requestsByMinute.length, 60);
});

test('requests of all workers are added up, and percentiles are of all of them', () => {
  const merged = mergeRecent([part({ routes: [traffic(190, 10)] }), part({ routes: [traffic(110, 20, 4)] })]);
  const { perSecond, refused, p50, p99, routes } = trafficStatus(merged);
  assert.deepEqual([perSecond, refused], [1, 0.1]);
  assert.ok(p50 !== undefined && p50 >= 0.001 && p50 < 0.0015, `p50 ${p50}`);
  assert.ok(p99 !== undefined && p99 >= 1 && p99 < 1.5, `p99 ${p99}: 4 of 300 took 1 s`);
  assert.deepEqual(
    routes.map(({ route }) => route),
    ['orders'],
  );
});

test('reasons of all workers are added up, and the one client is named only where every worker saw it alone', () => {
  const parts = (other: Partial<CountedRefusals>) =>
    mergeRecent([part({ refusals: [refusals({})] }), part({ refusals: [refusals({ lastAt: 9, ...other })] })]);
  assert.deepEqual(parts({}).refusals, [refusals({ lastFiveMinutes: 2, lastHour: 2, lastAt: 9 })]);
  const [two] = parts({ client: '198.51.100.9', differs: 'host' }).refusals;
  assert.deepEqual([two?.client, two?.what, two?.differs], [undefined, 'htu', undefined]);
  assert.equal(parts({ route: 'payments' }).refusals.length, 2);
});

test('the most frequent reason comes first, with what to look at: by the part of htu that differs', () => {
  const [frequent, rare] = [
    refusals({ lastFiveMinutes: 7, client: undefined }),
    refusals({ reason: 'internal_error' }),
  ];
  const status = refusalStatus(part({ refusals: [rare, frequent] }));
  assert.deepEqual(
    status.map(({ reason, lookAt }) => [reason, lookAt]),
    [
      [
        'proof_uri_mismatch',
        'If htu is what the client called, have the balancer send X-Forwarded-Proto and name it in trusted_peers',
      ],
      ['internal_error', 'The log has the error under the request_id; one client, 192.0.2.7'],
    ],
  );
});
