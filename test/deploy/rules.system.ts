// The rules of deploy/prometheus under promtool: each alert fires, a near miss does not.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { parseAllDocuments, stringify } from 'yaml';
import { ROOT } from '../../scripts/generate.ts';
import { startTestGateway } from '../support/gateway.ts';
import { findProgram, INSTALLING } from '../support/programs.ts';
import { alerts, recorded, RULES } from './expressions.ts';

/** A series as promtool writes it, and its values, a minute apart: `0+6x30` begins at 0 and grows by 6. */
type Series = Readonly<Record<string, string>>;

interface Case {
  readonly fires: Series;
  /** Minutes after which it must fire; and must not at a near miss. */
  readonly after: number;
  /** Just what must wake nobody, by what it is. */
  readonly near: Readonly<Record<string, Series>>;
}

const requests = (labels: string, perMinute: number): Series => ({
  [`holdfast_requests_total{instance="a",route="orders",scheme="DPoP",binding="dpop",${labels}}`]: `0+${perMinute}x60`,
});
const GOOD = 'outcome="forwarded",status="2xx"';
const bucket = (name: string, labels: string, le: string, perMinute: number): Series => ({
  [`${name}_bucket{instance="a",${labels},le="${le}"}`]: `0+${perMinute}x60`,
});
const latency = (within1: number, all: number): Series => ({
  ...requests(GOOD, all),
  ...bucket('holdfast_request_duration_seconds', 'route="orders"', '1', within1),
  ...bucket('holdfast_request_duration_seconds', 'route="orders"', '2.5', all),
  ...bucket('holdfast_request_duration_seconds', 'route="orders"', '+Inf', all),
});
const delay = (within100: number, all: number): Series => ({
  ...bucket('holdfast_worker_event_loop_delay_seconds', 'worker="0"', '0.1', within100),
  ...bucket('holdfast_worker_event_loop_delay_seconds', 'worker="0"', '0.25', all),
  ...bucket('holdfast_worker_event_loop_delay_seconds', 'worker="0"', '+Inf', all),
});
const target = (answered: number, failed: number): Series => ({
  'holdfast_upstream_answers_total{upstream="orders",target="http://a",status="2xx"}': `0+${answered}x60`,
  'holdfast_upstream_answers_total{upstream="orders",target="http://a",status="5xx"}': '0x60',
  'holdfast_upstream_failures_total{upstream="orders",target="http://a",reason="unreachable"}': `0+${failed}x60`,
});
const nonces = (challenges: number, met: number): Series => ({
  'holdfast_nonce_challenges_total{route="orders"}': `0+${challenges}x60`,
  'holdfast_nonce_recoveries_total{route="orders"}': `0+${met}x60`,
});
const rejections = (reason: string, values: string, mode = 'enforced'): Series => ({
  [`holdfast_rejections_total{route="orders",reason="${reason}",stage="token",mode="${mode}"}`]: values,
});
const gauge = (series: string, values: string): Series => ({ [series]: values });

const CASES: Readonly<Record<string, Case>> = {
  HoldfastRefusals: {
    fires: { ...requests(GOOD, 80), ...requests('outcome="rejected",status="4xx"', 20) },
    after: 20,
    near: {
      'a tenth': { ...requests(GOOD, 90), ...requests('outcome="rejected",status="4xx"', 10) },
      'challenges for a nonce': { ...requests(GOOD, 50), ...requests('outcome="challenged",status="4xx"', 50) },
      'a request every minute': { ...requests(GOOD, 0), ...requests('outcome="rejected",status="4xx"', 1) },
      'scanners that find no route': {
        'holdfast_requests_total{route="none",scheme="none",binding="none",outcome="rejected",status="4xx"}':
          '0+600x60',
      },
      'refusals of the upstream': { ...requests(GOOD, 50), ...requests('outcome="forwarded",status="4xx"', 50) },
    },
  },
  HoldfastServerErrors: {
    fires: { ...requests(GOOD, 95), ...requests('outcome="forwarded",status="5xx"', 5) },
    after: 12,
    near: {
      'one in a hundred': { ...requests(GOOD, 99), ...requests('outcome="rejected",status="5xx"', 1) },
      refusals: { ...requests(GOOD, 50), ...requests('outcome="rejected",status="4xx"', 50) },
    },
  },
  HoldfastSlow: { fires: latency(900, 1000), after: 20, near: { 'one in a hundred': latency(995, 1000) } },
  HoldfastUpstreamFails: { fires: target(80, 20), after: 12, near: { 'one in twenty': target(96, 4) } },
  HoldfastTargetUnhealthy: {
    fires: gauge('holdfast_upstream_target_healthy{upstream="orders",target="http://a"}', '0x60'),
    after: 6,
    near: {
      'for three minutes': gauge('holdfast_upstream_target_healthy{upstream="orders",target="http://a"}', '0 0 0 1x60'),
    },
  },
  HoldfastDown: {
    fires: {},
    after: 6,
    near: { 'one of two answers': gauge('holdfast_build_info{instance="a",version="1"}', '1x60') },
  },
  HoldfastInstanceDown: {
    fires: gauge('up{job="holdfast",instance="a"}', '0x60'),
    after: 3,
    near: {
      'one scrape is lost': gauge('up{job="holdfast",instance="a"}', '1 0 1 0 1x60'),
      'another job': gauge('up{job="node",instance="a"}', '0x60'),
    },
  },
  HoldfastReloadRefused: {
    fires: gauge('holdfast_last_reload_successful{instance="a"}', '0x60'),
    after: 11,
    near: { 'mended within nine minutes': gauge('holdfast_last_reload_successful{instance="a"}', '0x8 1x60') },
  },
  HoldfastCertificateExpires: {
    // promtool begins at the epoch: 13 days, and 15.
    fires: gauge(
      'holdfast_certificate_expiry_timestamp_seconds{listener="public",certificate="tls.crt"}',
      '1123200x90',
    ),
    after: 65,
    near: {
      'fifteen days': gauge(
        'holdfast_certificate_expiry_timestamp_seconds{listener="public",certificate="tls.crt"}',
        '1296000x90',
      ),
    },
  },
  HoldfastIssuerKeysMissing: {
    fires: gauge('holdfast_issuer_keys_loaded{issuer="login"}', '0x60'),
    after: 6,
    near: { 'loaded after four minutes': gauge('holdfast_issuer_keys_loaded{issuer="login"}', '0x3 1x60') },
  },
  HoldfastIssuerKeysOld: {
    fires: gauge('holdfast_issuer_keys_age_seconds{issuer="login"}', '21700x10'),
    after: 2,
    near: { 'six hours': gauge('holdfast_issuer_keys_age_seconds{issuer="login"}', '21600x10') },
  },
  HoldfastProofMemoryFilling: {
    fires: { ...gauge('holdfast_replay_entries', '81x20'), ...gauge('holdfast_replay_capacity', '100x20') },
    after: 3,
    near: {
      'four fifths': { ...gauge('holdfast_replay_entries', '80x20'), ...gauge('holdfast_replay_capacity', '100x20') },
    },
  },
  HoldfastProofMemoriesApart: {
    fires: {
      ...gauge('holdfast_replay_capacity{job="holdfast",instance="a",store="memory"}', '100x20'),
      ...gauge('holdfast_replay_capacity{job="holdfast",instance="b",store="memory"}', '100x20'),
    },
    after: 3,
    near: {
      'one that is replaced': {
        ...gauge('holdfast_replay_capacity{job="holdfast",instance="a",store="memory"}', '100x4 stale'),
        ...gauge('holdfast_replay_capacity{job="holdfast",instance="b",store="memory"}', '_x4 100x15'),
      },
      'two with Redis': {
        ...gauge('holdfast_replay_capacity{job="holdfast",instance="a",store="redis"}', '100x20'),
        ...gauge('holdfast_replay_capacity{job="holdfast",instance="b",store="redis"}', '100x20'),
      },
      'two of different jobs': {
        ...gauge('holdfast_replay_capacity{job="holdfast",instance="a",store="memory"}', '100x20'),
        ...gauge('holdfast_replay_capacity{job="other",instance="b",store="memory"}', '100x20'),
      },
    },
  },
  HoldfastProofStoreAway: {
    fires: gauge('holdfast_replay_store_up', '0x20'),
    after: 2,
    near: { 'a moment': gauge('holdfast_replay_store_up', '1 0 1 0 1x20') },
  },
  HoldfastChallengesUnmet: {
    fires: nonces(30, 10),
    after: 32,
    near: { 'most are met': nonces(30, 16), 'a client every ten minutes': nonces(1, 0) },
  },
  HoldfastWorkersDie: {
    fires: gauge('holdfast_worker_restarts_total{instance="a"}', '0x5 1x20'),
    after: 10,
    near: { 'one died long ago': gauge('holdfast_worker_restarts_total{instance="a"}', '3x60') },
  },
  HoldfastWorkersLate: { fires: delay(500, 600), after: 20, near: { 'now and then': delay(597, 600) } },
  HoldfastConnectionsRefused: {
    fires: gauge('holdfast_refused_connections_total{instance="a",listener="public",reason="limit"}', '0x5 4x20'),
    after: 8,
    near: {
      'some time ago': gauge(
        'holdfast_refused_connections_total{instance="a",listener="public",reason="limit"}',
        '4x60',
      ),
    },
  },
  HoldfastRejections: {
    fires: rejections('internal_error', '0 1+1x60'),
    after: 12,
    near: {
      'a replay in a minute': rejections('proof_replayed', '0+1x60'),
      'expired tokens': rejections('token_expired', '0+600x60'),
      'what a shadow would refuse': rejections('proof_replayed', '0+600x60', 'shadow'),
    },
  },
};

const folder = mkdtempSync(join(tmpdir(), 'holdfast-rules-'));

async function promtool(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = spawnSync(await findProgram('promtool'), args, { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  return stdout;
}

/** Whether the alert fires, as promtool is to find it. */
function question(alert: string, minutes: number, fires: boolean) {
  const expr = `count(ALERTS{alertname="${alert}",alertstate="firing"}) > bool 0 or vector(0)`;
  return { expr, eval_time: `${minutes}m`, exp_samples: [{ labels: '{}', value: fires ? 1 : 0 }] };
}

async function run(name: string, series: Series, asked: object): Promise<void> {
  const input = Object.entries(series).map(([one, values]) => ({ series: one, values }));
  const file = join(folder, `${name}.yaml`);
  const tests = [{ interval: '1m', input_series: input, promql_expr_test: [asked] }];
  writeFileSync(file, stringify({ rule_files: [RULES], evaluation_interval: '1m', tests }));
  await promtool('test', 'rules', file);
}

describe('the alerts under promtool', () => {
  before(() => findProgram('promtool'), INSTALLING);

  test('every one has a case that fires and one that does not', () => {
    assert.deepEqual(Object.keys(CASES).toSorted(), [...alerts().keys()].toSorted());
    for (const [name, { near }] of Object.entries(CASES)) assert.ok(Object.keys(near).length > 0, name);
  });

  for (const [alert, { fires, after, near }] of Object.entries(CASES)) {
    test(`${alert} fires`, () => run(alert, fires, question(alert, after, true)));
    for (const [what, series] of Object.entries(near)) {
      test(`${alert} stays quiet: ${what}`, () => run(`${alert}-not`, series, question(alert, after, false)));
    }
  }

  test('a first event is an increase, because its series was there at 0', () =>
    run('first', rejections('internal_error', '0x30 1x30'), {
      expr: 'increase(holdfast_rejections_total{reason="internal_error"}[5m]) > bool 0',
      eval_time: '32m',
      exp_samples: [{ labels: '{route="orders",reason="internal_error",stage="token",mode="enforced"}', value: 1 }],
    }));

  test('what is recorded is what its name says', async () => {
    assert.equal(recorded().size, 7);
    const expr = 'round(upstream:holdfast_upstream_failed:ratio_rate5m, 0.01)';
    const exp_samples = [{ labels: '{upstream="orders"}', value: 0.2 }];
    await run('recorded', target(80, 20), { expr, eval_time: '12m', exp_samples });
  });

  test('the metrics of a gateway pass its check', async (t) => {
    const gateway = await startTestGateway(t, {
      routes: '- { name: any, match: { path: /* }, upstream: orders, require: dpop }',
    });
    await gateway.request('GET', '/1');
    const { body: input } = await gateway.page('/metrics');
    const { status, stdout, stderr } = spawnSync(await findProgram('promtool'), ['check', 'metrics'], {
      input,
      encoding: 'utf8',
    });
    assert.deepEqual([status, stdout, stderr], [0, '', '']);
  });

  test('the files of rules pass its check: that of deploy/prometheus, and that of the chart', async () => {
    await promtool('check', 'rules', RULES);
    const golden = readFileSync(join(ROOT, 'test/helm/golden/monitoring.yaml'), 'utf8');
    const objects = parseAllDocuments(golden).map((one) => one.toJS() as { kind: string; spec: object } | null);
    const rules = objects.find((one) => one?.kind === 'PrometheusRule') ?? assert.fail('no rules in the chart');
    const file = join(folder, 'chart.yaml');
    writeFileSync(file, stringify(rules.spec));
    await promtool('check', 'rules', file);
    rmSync(folder, { recursive: true });
  });
});
