// Recent traffic: true counts of the last hour, in bounded memory.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestLine } from '../../src/observe/log.ts';
import { DURATIONS, RecentTraffic, sum } from '../../src/observe/recent.ts';
import { REASON_NAMES, reject } from '../../src/rejection/rejection.ts';

/** The first second of a minute. */
const NOW = 1_800_000_000;

function line(change: Partial<RequestLine> = {}): RequestLine {
  return {
    requestId: 'r-1',
    interactionId: undefined,
    listener: { name: 'public' },
    route: { name: 'orders' },
    method: 'GET',
    host: 'api.example.com',
    target: '/orders/1',
    status: 200,
    grpcStatus: undefined,
    scheme: 'DPoP',
    binding: 'dpop',
    outcome: 'forwarded',
    rejection: undefined,
    shadow: undefined,
    seconds: 0.004,
    client: '192.0.2.7',
    sent: 0,
    tunnel: undefined,
    attempts: undefined,
    ...change,
  };
}

const REFUSED = line({ outcome: 'rejected', status: 401, rejection: reject('proof_replayed') });

test('requests, refusals and failures of upstreams are counted by minute, and nothing twice', () => {
  const recent = new RecentTraffic();
  recent.count(line(), NOW);
  recent.count(REFUSED, NOW + 59);
  recent.count(line({ outcome: 'challenged', status: 401, rejection: reject('nonce_required') }), NOW + 60);
  recent.count(line({ outcome: 'upstream_failed', rejection: reject('upstream_unreachable') }), NOW + 60);
  recent.count(line({ route: undefined, outcome: 'answered' }), NOW + 60);
  const [orders, none] = recent.snapshot(NOW + 60).routes;
  assert.deepEqual(
    [orders?.route, orders?.requests.slice(-2), orders?.refused.slice(-2), orders?.failed.slice(-2)],
    ['orders', [2, 2], [1, 0], [0, 1]],
  );
  assert.deepEqual([none?.route, none?.requests.slice(-2)], ['none', [0, 1]]);
});

test('after an hour a minute counts no more, also where nothing happened in between', () => {
  const recent = new RecentTraffic();
  recent.count(REFUSED, NOW);
  const seen = (now: number) => {
    const { routes, refusals } = recent.snapshot(now);
    return [sum(routes[0]?.requests ?? []), refusals.length];
  };
  assert.deepEqual(seen(NOW + 59 * 60 + 59), [1, 1]);
  assert.deepEqual(seen(NOW + 60 * 60), [0, 0]);
  assert.deepEqual(seen(NOW + 600 * 60), [0, 0]);
  recent.count(REFUSED, NOW + 60 * 60);
  assert.deepEqual(seen(NOW + 60 * 60), [1, 1], 'the minute that came round again begins at zero');
});

test('every duration falls into the bucket whose bound is the first that is not below it', () => {
  for (const seconds of [0, 1e-9, 0.000_25, 0.0003, 0.004, 0.0612, 1, 22, 24, 1e6]) {
    const recent = new RecentTraffic();
    recent.count(line({ seconds }), NOW);
    const at = recent.snapshot(NOW).routes[0]?.durations.indexOf(1) ?? -1;
    const expected = DURATIONS.findIndex((bound) => bound * (1 + 1e-9) >= seconds);
    assert.equal(at, expected, `${seconds} s`);
  }
});

test('a reason names its client and its cause where all refusals of the hour had the same, and not otherwise', () => {
  const recent = new RecentTraffic();
  const refuse = (client: string, what: string, now: number) =>
    recent.count(line({ ...REFUSED, client, rejection: reject('proof_uri_mismatch', { what }) }), now);
  const seen = (now: number) => {
    const [only] = recent.snapshot(now).refusals;
    return [only?.client, only?.what, only?.lastFiveMinutes, only?.lastHour];
  };
  refuse('192.0.2.7', 'scheme', NOW);
  refuse('192.0.2.7', 'scheme', NOW + 1);
  assert.deepEqual(seen(NOW + 1), ['192.0.2.7', 'scheme', 2, 2]);
  refuse('192.0.2.7', 'host', NOW + 360);
  assert.deepEqual(seen(NOW + 360), ['192.0.2.7', undefined, 1, 3]);
  refuse('198.51.100.9', 'host', NOW + 361);
  assert.deepEqual(seen(NOW + 361), [undefined, undefined, 2, 4]);
  refuse('198.51.100.9', 'port', NOW + 8000);
  assert.deepEqual(seen(NOW + 8000), ['198.51.100.9', 'port', 1, 1], 'what was more than an hour ago is forgotten');
});

test('a refusal is kept with what the log says of it: without the query, and cut', () => {
  const recent = new RecentTraffic();
  const target = `/${'a'.repeat(9000)}?access_token=secret`;
  recent.count(line({ ...REFUSED, target, method: 'X'.repeat(500) }), NOW);
  const [seen] = recent.snapshot(NOW).last;
  assert.ok(seen !== undefined && seen.path.length <= 201 && seen.method.length <= 33);
  assert.doesNotMatch(JSON.stringify(seen), /secret/);
});

test('a flood of refusals of every kind takes no more memory than its bounds', () => {
  const recent = new RecentTraffic();
  for (let at = 0; at < 50_000; at++) {
    const reason = REASON_NAMES[at % REASON_NAMES.length] ?? 'credentials_missing';
    recent.count(
      line({ ...REFUSED, requestId: `r-${at}`, client: `192.0.2.${at}`, target: `/${at}`, rejection: reject(reason) }),
      NOW + at / 100,
    );
  }
  const { routes, refusals, last } = recent.snapshot(NOW + 500);
  assert.deepEqual([routes.length, refusals.length, last.length], [1, REASON_NAMES.length, 50]);
  assert.equal(last[0]?.requestId, 'r-49999', 'the newest comes first');
  assert.ok(JSON.stringify({ routes, refusals, last }).length < 100_000);
});

test('of more routes than a page can show the rest is counted together, and none is lost', () => {
  const recent = new RecentTraffic();
  for (let at = 0; at < 3000; at++) recent.count(line({ ...REFUSED, route: { name: `route-${at}` } }), NOW);
  const { routes, refusals } = recent.snapshot(NOW);
  assert.ok(routes.length <= 1001 && refusals.length <= 1001);
  assert.equal(sum(routes.flatMap(({ requests }) => requests)), 3000);
  assert.equal(sum(refusals.map(({ lastHour }) => lastHour)), 3000);
});
