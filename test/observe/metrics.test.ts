// The metrics: names and labels of the table, closed label sets, live gauges.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createTrafficMetrics, METRICS, type TrafficSources } from '../../src/observe/metrics.ts';
import { createProcessMetrics, type ProcessSources } from '../../src/observe/process-metrics.ts';
import type { Listener } from '../../src/policy/policy.ts';
import { reject } from '../../src/rejection/rejection.ts';
import { makeCertificate } from '../support/pki.ts';

const ORDERS = { name: 'orders' };
const PUBLIC = { name: 'public' };

const makePolicy = (listeners: readonly unknown[] = []) => ({ listeners: listeners as Listener[] });

/** A supervisor with one worker. */
const makeMetrics = (over: Partial<ProcessSources & TrafficSources> = {}) => {
  const sources = {
    version: '0.1.0',
    policy: () => makePolicy(),
    replay: () => ({ entries: 7, capacity: 1000 }),
    issuerKeys: () => [],
    workers: () => [],
    reload: () => ({ result: 'adopted', adoptedAt: 1_800_000_000 }) as const,
    connections: () => [],
    upstreams: () => [],
    ...over,
  };
  const process = createProcessMetrics(sources);
  const traffic = createTrafficMetrics(sources);
  return { ...process, ...traffic, text: async () => process.text([await traffic.snapshot()]) };
};

async function samples(metrics: { text(): Promise<string> }, name: string): Promise<string[]> {
  return (await metrics.text()).split('\n').filter((line) => line.startsWith(name));
}

describe('what is counted', () => {
  test('requests by route, scheme, binding and outcome, and how long they took', async () => {
    const metrics = makeMetrics();
    metrics.countRequest(ORDERS, 'DPoP', 'dpop', 'forwarded', 0.004);
    metrics.countRequest(ORDERS, 'DPoP', 'dpop', 'forwarded', 0.004);
    metrics.countRequest(undefined, 'none', 'none', 'rejected', 0.0001);
    assert.deepEqual(await samples(metrics, METRICS.requests.name), [
      'holdfast_requests_total{route="orders",scheme="DPoP",binding="dpop",outcome="forwarded"} 2',
      'holdfast_requests_total{route="none",scheme="none",binding="none",outcome="rejected"} 1',
    ]);
    const duration = await samples(metrics, METRICS.requestDuration.name);
    assert.ok(duration.includes('holdfast_request_duration_seconds_bucket{le="0.0025",route="orders"} 0'));
    assert.ok(duration.includes('holdfast_request_duration_seconds_bucket{le="0.005",route="orders"} 2'));
    assert.ok(duration.includes('holdfast_request_duration_seconds_count{route="none"} 1'));
  });

  test('refusals by reason and stage, the shadow beside the enforced ones, and no fact of them', async () => {
    const metrics = makeMetrics();
    metrics.countRejection(ORDERS, reject('proof_stale', { what: 'secret', clockOffset: -70 }), 'enforced');
    metrics.countRejection(ORDERS, reject('certificate_missing'), 'shadow');
    assert.deepEqual(await samples(metrics, METRICS.rejections.name), [
      'holdfast_rejections_total{route="orders",reason="proof_stale",stage="proof",mode="enforced"} 1',
      'holdfast_rejections_total{route="orders",reason="certificate_missing",stage="certificate",mode="shadow"} 1',
    ]);
    assert.doesNotMatch(await metrics.text(), /secret/);
  });

  test('nonce challenges, members of cnf that nobody checked, and key refreshes', async () => {
    const metrics = makeMetrics();
    metrics.countNonceChallenge();
    metrics.countUnknownConfirmations(2);
    metrics.countKeyRefresh({ issuer: 'login', result: 'failed', error: 'https://login.example.com/jwks: ENOTFOUND' });
    assert.deepEqual(await samples(metrics, METRICS.nonceChallenges.name), ['holdfast_nonce_challenges_total 1']);
    assert.deepEqual(await samples(metrics, METRICS.unknownConfirmations.name), [
      'holdfast_unknown_confirmations_total 2',
    ]);
    assert.deepEqual(await samples(metrics, METRICS.issuerKeyRefreshes.name), [
      'holdfast_issuer_key_refreshes_total{issuer="login",result="failed"} 1',
    ]);
  });

  test('failures of targets by reason, and retries', async () => {
    const metrics = makeMetrics();
    metrics.countUpstreamFailure('orders', 'http://127.0.0.1:9000', 'timed_out');
    metrics.countUpstreamRetry('orders', 'refused');
    assert.deepEqual(await samples(metrics, METRICS.upstreamFailures.name), [
      'holdfast_upstream_failures_total{upstream="orders",target="http://127.0.0.1:9000",reason="timed_out"} 1',
    ]);
    assert.deepEqual(await samples(metrics, METRICS.upstreamRetries.name), [
      'holdfast_upstream_retries_total{upstream="orders",reason="refused"} 1',
    ]);
  });

  for (const [code, reason] of [
    ['ECONNRESET', 'closed'],
    ['ERR_TLS_HANDSHAKE_TIMEOUT', 'timeout'],
    ['ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE', 'certificate_missing'],
    ['ERR_SSL_CERTIFICATE_VERIFY_FAILED', 'client_certificate_refused'],
    ['CERT_HAS_EXPIRED', 'client_certificate_refused'],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'server_certificate_refused'],
    ['ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN', 'server_certificate_refused'],
    ['ERR_SSL_HTTP_REQUEST', 'no_tls'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'no_tls'],
    ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'version'],
    ['ERR_SSL_NO_SHARED_CIPHER', 'parameters'],
    ['anything a client could think of', 'other'],
    [undefined, 'other'],
  ] as const) {
    test(`a failed handshake by a reason of a closed set: ${code} is ${reason}`, async () => {
      const metrics = makeMetrics();
      metrics.countHandshakeFailure(PUBLIC, code);
      assert.deepEqual(await samples(metrics, METRICS.handshakeFailures.name), [
        `holdfast_tls_handshake_failures_total{listener="public",reason="${reason}"} 1`,
      ]);
    });
  }
});

describe('what is read at each scrape', () => {
  test('the health of targets where it is checked, circuits where there are some, and the queue of each upstream', async () => {
    const targets = [
      { name: 'http://a', pending: 2, healthy: true, circuitOpen: true },
      { name: 'unix:/b', pending: 0, healthy: false, circuitOpen: false },
    ];
    const health = { path: '/', interval: 1, unhealthyAfter: 1, healthyAfter: 1 };
    const entrance = { waiting: 3 };
    const metrics = makeMetrics({
      upstreams: () => [
        { upstream: { name: 'checked', health, circuit: undefined }, targets, entrance },
        { upstream: { name: 'guarded', health: undefined, circuit: { failures: 1, open: 1 } }, targets, entrance },
      ],
    });
    assert.deepEqual(await samples(metrics, METRICS.upstreamQueue.name), [
      'holdfast_upstream_queue_requests{upstream="checked"} 3',
      'holdfast_upstream_queue_requests{upstream="guarded"} 3',
    ]);
    assert.deepEqual(await samples(metrics, METRICS.upstreamTargetHealthy.name), [
      'holdfast_upstream_target_healthy{upstream="checked",target="http://a"} 1',
      'holdfast_upstream_target_healthy{upstream="checked",target="unix:/b"} 0',
    ]);
    assert.deepEqual(await samples(metrics, METRICS.upstreamCircuitOpen.name), [
      'holdfast_upstream_circuit_open{upstream="guarded",target="http://a"} 1',
      'holdfast_upstream_circuit_open{upstream="guarded",target="unix:/b"} 0',
    ]);
  });

  test('the replay memory, the build and open connections', async () => {
    const metrics = makeMetrics({ connections: () => [[PUBLIC, 3]] });
    const text = await metrics.text();
    for (const line of [
      'holdfast_replay_entries 7',
      'holdfast_replay_capacity 1000',
      'holdfast_build_info{version="0.1.0"} 1',
      'holdfast_connections{listener="public"} 3',
    ]) {
      assert.ok(text.split('\n').includes(line), line);
    }
  });

  test('the keys of each issuer: their age only once there are any, and nothing of issuers that are gone', async () => {
    const keys = (name: string, ageSeconds: number | undefined) =>
      ({ issuer: { name }, loadedOnce: ageSeconds !== undefined, ageSeconds }) as ReturnType<
        ProcessSources['issuerKeys']
      > extends Iterable<infer One>
        ? One
        : never;
    let issuers = [keys('login', 12), keys('partner', undefined)];
    const metrics = makeMetrics({ issuerKeys: () => issuers });
    assert.deepEqual(await samples(metrics, 'holdfast_issuer_keys_'), [
      'holdfast_issuer_keys_loaded{issuer="login"} 1',
      'holdfast_issuer_keys_loaded{issuer="partner"} 0',
      'holdfast_issuer_keys_age_seconds{issuer="login"} 12',
    ]);
    issuers = [keys('partner', 1)];
    assert.deepEqual(await samples(metrics, 'holdfast_issuer_keys_'), [
      'holdfast_issuer_keys_loaded{issuer="partner"} 1',
      'holdfast_issuer_keys_age_seconds{issuer="partner"} 1',
    ]);
  });

  test('the end of each server certificate; of two files with one name the earlier one', async () => {
    const listener = async (name: string, ...files: [string, number][]) => ({
      name,
      tls: {
        certificates: await Promise.all(
          files.map(async ([certFile, notAfter]) => ({ certFile, cert: (await makeCertificate({ notAfter })).cert })),
        ),
      },
    });
    const listeners = [
      await listener(
        'public',
        ['a/tls.crt', 1_900_000_000],
        ['b/tls.crt', 1_800_000_000],
        ['c/tls.crt', 1_950_000_000],
      ),
      { name: 'plain', tls: undefined },
    ];
    const metrics = makeMetrics({ policy: () => makePolicy(listeners) });
    assert.deepEqual(await samples(metrics, METRICS.certificateExpiry.name), [
      'holdfast_certificate_expiry_timestamp_seconds{listener="public",certificate="tls.crt"} 1800000000',
    ]);
  });
});

describe('several workers', () => {
  const counted = async (requests: number, connections: number) => {
    const traffic = createTrafficMetrics({ connections: () => [[PUBLIC, connections]], upstreams: () => [] });
    for (let nth = 0; nth < requests; nth++) traffic.countRequest(ORDERS, 'DPoP', 'dpop', 'forwarded', 0.004);
    return await traffic.snapshot();
  };
  const makeProcess = (workers: ProcessSources['workers'] = () => []) =>
    createProcessMetrics({
      version: '0.1.0',
      policy: () => makePolicy(),
      replay: () => ({ entries: 0, capacity: 0 }),
      issuerKeys: () => [],
      workers,
      reload: () => ({ result: 'adopted', adoptedAt: 0 }),
    });

  test('are added up: counters, histograms and what is open', async () => {
    const text = await makeProcess().text([await counted(2, 3), await counted(5, 1)]);
    for (const line of [
      'holdfast_requests_total{route="orders",scheme="DPoP",binding="dpop",outcome="forwarded"} 7',
      'holdfast_request_duration_seconds_count{route="orders"} 7',
      'holdfast_connections{listener="public"} 4',
    ]) {
      assert.ok(text.split('\n').includes(line), line);
    }
  });

  test('what a worker that died had counted goes on counting, so that no sum falls; what it had open is gone', async () => {
    const metrics = makeProcess();
    metrics.countLostWorker(await counted(2, 3));
    metrics.countLostWorker(await counted(4, 1));
    const text = await metrics.text([await counted(1, 1)]);
    for (const line of [
      'holdfast_requests_total{route="orders",scheme="DPoP",binding="dpop",outcome="forwarded"} 7',
      'holdfast_request_duration_seconds_bucket{le="0.005",route="orders"} 7',
      'holdfast_connections{listener="public"} 1',
      'holdfast_worker_restarts_total 2',
    ]) {
      assert.ok(text.split('\n').includes(line), line);
    }
  });

  test('are shown by state, and how busy each is', async () => {
    const metrics = makeProcess(() => [
      { index: 0, state: 'serving', utilization: 0.25 },
      { index: 1, state: 'gone', utilization: 0 },
    ]);
    const text = await metrics.text([]);
    for (const line of [
      'holdfast_workers{state="serving"} 1',
      'holdfast_workers{state="gone"} 1',
      'holdfast_workers{state="starting"} 0',
      'holdfast_worker_utilization_ratio{worker="0"} 0.25',
    ]) {
      assert.ok(text.split('\n').includes(line), line);
    }
  });
});

test('every metric of the table is exposed with its help, and none beside it', async () => {
  const metrics = makeMetrics();
  metrics.addStore();
  const text = await metrics.text();
  const exposed = [...text.matchAll(/^# HELP (?<name>holdfast_\w+) (?<help>.*)$/gm)].map(({ groups }) => ({
    ...groups,
  }));
  const table = Object.values(METRICS).map(({ name, help }) => ({ name, help }));
  const byName = (one: { name?: string }, other: { name?: string }) => (one.name ?? '').localeCompare(other.name ?? '');
  assert.deepEqual(exposed.toSorted(byName), table.toSorted(byName));
  assert.match(text, /^process_cpu_seconds_total /m);
});
