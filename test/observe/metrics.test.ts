// The metrics: names and labels of the table, closed label sets, live gauges.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { METRICS } from '../../src/observe/metric-table.ts';
import { createTrafficMetrics, type TrafficSources } from '../../src/observe/metrics.ts';
import type { ExpositionFormat } from '../../src/observe/exposition.ts';
import type { Snapshot } from '../../src/observe/instruments.ts';
import { createProcessMetrics, type ProcessMetrics, type ProcessSources } from '../../src/observe/process-metrics.ts';
import type { Listener } from '../../src/policy/policy.ts';
import { reject } from '../../src/rejection/rejection.ts';
import { makeCertificate } from '../support/pki.ts';

const ORDERS = { name: 'orders' };
const PUBLIC = { name: 'public' };

const NOTHING: ProcessSources = {
  version: '0.1.0',
  policy: () => makePolicy(),
  replay: () => ({ entries: 0, capacity: 0 }),
  issuerKeys: () => [],
  workers: () => [],
  reload: () => ({ result: 'adopted', adoptedAt: 0 }),
};

const textOf = async (
  metrics: ProcessMetrics,
  snapshots: readonly Snapshot[],
  format: ExpositionFormat = 'prometheus',
) => await (await metrics.collect(snapshots))(format);

const makePolicy = (listeners: readonly unknown[] = []) => ({
  listeners: listeners as Listener[],
  issuers: [],
  upstreams: [],
  routes: [],
  replay: { redis: undefined },
});

const FORWARDED = { route: ORDERS, scheme: 'DPoP', binding: 'dpop', outcome: 'forwarded', status: 200 } as const;
const REFUSED = { route: undefined, scheme: 'none', binding: 'none', outcome: 'rejected', status: 404 } as const;
const TRACE = '0af7651916cd43dd8448eb211c80319c';

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
  const text = async (format: ExpositionFormat = 'prometheus') =>
    await (await process.collect([await traffic.snapshot()]))(format);
  return { ...process, ...traffic, text };
};

/** Lines of series that are not at zero. */
async function samples(metrics: { text(): Promise<string> }, name: string): Promise<string[]> {
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith(name));
  return lines.filter((line) => !line.endsWith('} 0') || /keys|healthy|circuit/.test(name));
}

describe('what is counted', () => {
  test('requests by route, scheme, binding, outcome and class of status, and how long they took', async () => {
    const metrics = makeMetrics();
    metrics.countRequest(FORWARDED, 0.004);
    metrics.countRequest(FORWARDED, 0.004);
    metrics.countRequest({ ...FORWARDED, status: 503 }, 0.004);
    metrics.countRequest({ ...FORWARDED, outcome: 'client_gone', status: undefined }, 0.004);
    metrics.countRequest({ ...FORWARDED, status: 999 }, 0.004);
    metrics.countRequest(REFUSED, 0.0001);
    assert.deepEqual((await samples(metrics, METRICS.requests.name)).toSorted(), [
      'holdfast_requests_total{route="none",scheme="none",binding="none",outcome="rejected",status="4xx"} 1',
      'holdfast_requests_total{route="orders",scheme="DPoP",binding="dpop",outcome="client_gone",status="none"} 1',
      'holdfast_requests_total{route="orders",scheme="DPoP",binding="dpop",outcome="forwarded",status="2xx"} 2',
      'holdfast_requests_total{route="orders",scheme="DPoP",binding="dpop",outcome="forwarded",status="5xx"} 1',
      'holdfast_requests_total{route="orders",scheme="DPoP",binding="dpop",outcome="forwarded",status="none"} 1',
    ]);
    const duration = (await metrics.text()).split('\n');
    assert.ok(duration.includes('holdfast_request_duration_seconds_bucket{le="0.0025",route="orders"} 0'));
    assert.ok(duration.includes('holdfast_request_duration_seconds_bucket{le="0.005",route="orders"} 5'));
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
    metrics.countNonceChallenge(ORDERS, undefined);
    metrics.countUnknownConfirmations(2);
    metrics.countKeyRefresh({ issuer: 'login', result: 'failed', error: 'https://login.example.com/jwks: ENOTFOUND' });
    assert.deepEqual(await samples(metrics, METRICS.nonceChallenges.name), [
      'holdfast_nonce_challenges_total{route="orders"} 1',
    ]);
    assert.deepEqual(await samples(metrics, METRICS.unknownConfirmations.name), [
      'holdfast_unknown_confirmations_total 2',
    ]);
    assert.deepEqual(await samples(metrics, METRICS.issuerKeyRefreshes.name), [
      'holdfast_issuer_key_refreshes_total{issuer="login",result="failed"} 1',
    ]);
  });

  test('preflights by result, and pages whose browsers keep the answer from them', async () => {
    const metrics = makeMetrics();
    metrics.countPreflight(ORDERS, 'allowed');
    metrics.countPreflight(undefined, 'method');
    metrics.countCorsRefusal(ORDERS);
    assert.deepEqual(await samples(metrics, METRICS.preflights.name), [
      'holdfast_preflights_total{route="orders",result="allowed"} 1',
      'holdfast_preflights_total{route="none",result="method"} 1',
    ]);
    assert.deepEqual(await samples(metrics, METRICS.corsRefused.name), [
      'holdfast_cors_refused_total{route="orders"} 1',
    ]);
  });

  test('handshakes by version, and nothing that a peer could name', async () => {
    const metrics = makeMetrics();
    metrics.countHandshake(PUBLIC, 'TLSv1.3', false);
    metrics.countHandshake(PUBLIC, 'TLSv1.3', true);
    metrics.countHandshake(PUBLIC, 'TLSv9', false);
    metrics.countHandshake(PUBLIC, null, false);
    assert.deepEqual(await samples(metrics, METRICS.handshakes.name), [
      'holdfast_tls_handshakes_total{listener="public",version="1.3",resumed="no"} 1',
      'holdfast_tls_handshakes_total{listener="public",version="1.3",resumed="yes"} 1',
      'holdfast_tls_handshakes_total{listener="public",version="other",resumed="no"} 2',
    ]);
  });

  test('answers of targets by class of status, their failures by reason, and retries', async () => {
    const metrics = makeMetrics();
    metrics.countUpstreamAnswer('orders', 'http://127.0.0.1:9000', 200, 0.02);
    metrics.countUpstreamAnswer('orders', 'http://127.0.0.1:9000', 101, 0.02);
    assert.deepEqual(await samples(metrics, METRICS.upstreamAnswers.name), [
      'holdfast_upstream_answers_total{upstream="orders",target="http://127.0.0.1:9000",status="2xx"} 1',
      'holdfast_upstream_answers_total{upstream="orders",target="http://127.0.0.1:9000",status="1xx"} 1',
    ]);
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
      'holdfast_replay_entries{store="memory"} 7',
      'holdfast_replay_capacity{store="memory"} 1000',
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
    for (let nth = 0; nth < requests; nth++) traffic.countRequest(FORWARDED, 0.004);
    return await traffic.snapshot();
  };
  const makeProcess = (workers: ProcessSources['workers'] = () => []) => createProcessMetrics({ ...NOTHING, workers });

  test('are added up: counters, histograms and what is open', async () => {
    const text = await textOf(makeProcess(), [await counted(2, 3), await counted(5, 1)]);
    for (const line of [
      'holdfast_requests_total{route="orders",scheme="DPoP",binding="dpop",outcome="forwarded",status="2xx"} 7',
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
    const text = await textOf(metrics, [await counted(1, 1)]);
    for (const line of [
      'holdfast_requests_total{route="orders",scheme="DPoP",binding="dpop",outcome="forwarded",status="2xx"} 7',
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
    const text = await textOf(metrics, []);
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
  metrics.addTraces();
  const text = await metrics.text();
  const exposed = [...text.matchAll(/^# HELP (?<name>holdfast_\w+) (?<help>.*)$/gm)].map(({ groups }) => ({
    ...groups,
  }));
  const table = Object.values(METRICS).map(({ name, help }) => ({ name, help }));
  const byName = (one: { name?: string }, other: { name?: string }) => (one.name ?? '').localeCompare(other.name ?? '');
  assert.deepEqual(exposed.toSorted(byName), table.toSorted(byName));
  assert.match(text, /^process_cpu_seconds_total /m);
});

describe('OpenMetrics', () => {
  test('shows a request as an example of a refusal and of a duration, by nothing but the digits of its trace', async () => {
    const metrics = makeMetrics();
    metrics.countRejection(ORDERS, reject('proof_stale'), 'enforced', TRACE);
    metrics.countRejection(ORDERS, reject('proof_replayed'), 'enforced', '"} 1\nevil_total 1');
    metrics.countRejection(ORDERS, reject('token_expired'), 'enforced');
    metrics.countRequest(FORWARDED, 0.004, TRACE);
    const text = await metrics.text('openmetrics');
    const example = String.raw`# \{trace_id="${TRACE}"\}`;
    assert.match(text, new RegExp(String.raw`reason="proof_stale",.*\} 1 ${example} 1 \d+\.\d+$`, 'm'));
    assert.match(text, new RegExp(String.raw`_bucket\{le="0.005",route="orders"\} 1 ${example} 0.004 \d+\.\d+$`, 'm'));
    assert.doesNotMatch(text, /evil|reason="(?:proof_replayed|token_expired)".*#/);
    assert.doesNotMatch(await metrics.text(), /trace_id/);
  });

  test('names a counter without its suffix where it is described, and with one where it is counted', async () => {
    const metrics = makeMetrics();
    metrics.countRequest(FORWARDED, 0.004);
    const text = await metrics.text('openmetrics');
    assert.match(text, /^# TYPE holdfast_requests counter\n(?:holdfast_requests_total\{.*\} \d\n)+# HELP/m);
    assert.doesNotMatch(text, /_total_total|\n\n/);
    assert.match(text, /^process_cpu_seconds_total /m);
    assert.match(text, /\n# EOF\n$/);
    // The other format is of the same moment, and its names are whole.
    assert.match(await metrics.text(), /^# TYPE holdfast_requests_total counter$/m);
  });

  test('of several workers shows the newest example', async () => {
    const worker = async (trace: string) => {
      const traffic = createTrafficMetrics({ connections: () => [], upstreams: () => [] });
      traffic.countRejection(ORDERS, reject('proof_stale'), 'enforced', trace);
      await new Promise((resolve) => setTimeout(resolve, 2));
      return structuredClone(await traffic.snapshot());
    };
    const [older, newer] = [await worker('a'.repeat(32)), await worker('b'.repeat(32))];
    for (const snapshots of [
      [older, newer],
      [newer, older],
    ]) {
      const text = await textOf(createProcessMetrics(NOTHING), snapshots, 'openmetrics');
      assert.match(text, /reason="proof_stale",.*\} 2 # \{trace_id="b{32}"\}/);
    }
    const metrics = createProcessMetrics(NOTHING);
    metrics.countLostWorker(newer);
    assert.match(await textOf(metrics, [older], 'openmetrics'), /\} 2 # \{trace_id="b{32}"\}/);
  });
});
