// The view of operators: true probes, closed label sets, one log line per request.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { STAGES } from '../../src/rejection/reason-row.ts';
import { REASON_NAMES } from '../../src/rejection/rejection.ts';
import { HOST, ISSUER_KEY, readSeries, startTestGateway, startUpstream, type TestGateway } from '../support/gateway.ts';
import { AUDIENCE, ISSUER } from '../support/tokens.ts';
import { CLIENT, dpop, issue, THIEF, TO_BOTH, TO_CERTIFICATE } from './credentials.ts';

const ROUTES = `
- { name: any, match: { path: /any/* }, upstream: orders, require: token, weaker_than_defaults: [require], shadow: { require: dpop } }
- { name: nonce, match: { path: /nonce/* }, upstream: orders, require: dpop, dpop: { nonce: required } }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
- { name: gone, match: { path: /gone/* }, upstream: gone, require: public, weaker_than_defaults: [require] }
`;
const WISHES = {
  routes: ROUTES,
  upstreams: 'gone: { targets: ["http://127.0.0.1:1"] }',
  listener: 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }',
};

const readiness = async ({ page }: TestGateway) => {
  const { status, body } = await page('/readyz');
  return { status, ...(JSON.parse(body) as { ready: boolean; state: string; issuers: Record<string, unknown>[] }) };
};

test('a gateway is not ready before the keys of its issuers were loaded once, and stays ready when they go away', async (t) => {
  const issuer = await startUpstream(t);
  let down = true;
  let later = 0;
  issuer.answer = (_request, response) =>
    response.writeHead(down ? 503 : 200).end(JSON.stringify({ keys: [ISSUER_KEY.jwk] }));
  const gateway = await startTestGateway(t, {
    ...WISHES,
    unready: true,
    now: () => Date.now() / 1000 + later,
    issuers: `login: { issuer: ${ISSUER}, audience: [${AUDIENCE}], keys: { jwks_uri: "${issuer.origin}/jwks" } }`,
  });
  await gateway.logged({ msg: 'keys could not be loaded', issuer: 'login' });
  const before = await readiness(gateway);
  assert.deepEqual([before.status, before.ready, before.state], [503, false, 'serving']);
  assert.deepEqual(before.issuers, [
    { issuer: 'login', keys_loaded: false, required: true, last_error: `${issuer.origin}/jwks: answered 503` },
  ]);
  assert.equal((await gateway.page('/livez')).status, 200);
  assert.equal((await gateway.request('GET', '/open/1')).status, 200, 'what needs no keys is served');
  assert.equal((await gateway.request('GET', '/any/1', { token: await issue(gateway) })).reason, 'issuer_unavailable');

  down = false;
  await gateway.logged({ msg: 'keys loaded', issuer: 'login', keys: 1 });
  assert.deepEqual((await readiness(gateway)).status, 200);
  assert.equal((await gateway.request('GET', '/any/1', { token: await issue(gateway) })).status, 200);

  down = true;
  later = 60; // so that an unknown kid may ask again
  const logged = gateway.log.length;
  const unknown = await gateway.request('GET', '/any/1', { token: await issue(gateway, {}, { kid: 'k2' }) });
  assert.equal(unknown.reason, 'token_key_unknown');
  assert.equal(gateway.log.slice(logged)[0]?.['msg'], 'keys could not be loaded');
  assert.equal((await readiness(gateway)).status, 200);
  assert.equal((await gateway.request('GET', '/any/1', { token: await issue(gateway) })).status, 200);
});

test('keys that are not required_for_ready do not hold a gateway back', async (t) => {
  const keys = 'keys: { jwks_uri: "http://127.0.0.1:1/jwks" }, required_for_ready: false';
  const issuers = `login: { issuer: ${ISSUER}, audience: [${AUDIENCE}], ${keys} }`;
  const gateway = await startTestGateway(t, { ...WISHES, unready: true, issuers });
  assert.equal((await readiness(gateway)).status, 200);
});

test('a gateway that drains is not ready, and still serves until the delay is over', async (t) => {
  const gateway = await startTestGateway(t, { ...WISHES, more: 'drain: { delay: 1h, grace: 5s }' });
  assert.equal((await readiness(gateway)).status, 200);
  void gateway.running.drain();
  const { status, state } = await readiness(gateway);
  assert.deepEqual([status, state], [503, 'draining']);
  assert.equal((await gateway.page('/livez')).status, 200);
  assert.equal((await gateway.request('GET', '/open/1')).status, 200);
});

/** Requests of every kind, among them some that would make labels of their own if they could. */
async function sendEverything(gateway: TestGateway): Promise<void> {
  const answers = [
    gateway.request('GET', '/open/1'),
    gateway.request('GET', '/gone/1'),
    gateway.request('BREW', '/open/1'),
    gateway.request('BREW', '/nowhere-1'),
    gateway.request('GET', '/nowhere-2', { scheme: 'Bearer\t"x', token: 'y' }),
    gateway.request('OPTIONS', '*'),
    ...['Basic', 'bearer', 'Invented'].map((scheme) => gateway.request('GET', '/any/1', { scheme, token: 'x' })),
    gateway.request('GET', '/any/1', { host: 'strange.example' }),
    gateway.raw('CONNECT strange.example:443 HTTP/1.1\r\n\r\n'),
    gateway.raw('NONSENSE\r\n\r\n'),
    gateway.request('GET', '/any/1', { token: await issue(gateway) }),
    gateway.request('GET', '/any/1', { token: await issue(gateway, TO_CERTIFICATE), client: CLIENT }),
    gateway.request('GET', '/any/1', { token: await issue(gateway, { iss: 'https://strange.example' }) }),
    dpop(gateway, 'GET', '/any/1'),
    dpop(gateway, 'GET', '/any/1', { claims: TO_BOTH, client: CLIENT }),
    dpop(gateway, 'GET', '/any/1', { proving: { key: THIEF } }),
    dpop(gateway, 'GET', '/nonce/1'),
  ];
  await Promise.all(answers);
}

const NAMES = ['any', 'nonce', 'open', 'gone', 'none'];
/** What the labels of issue 2, point 7 may say. */
const LABELS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  holdfast_requests_total: {
    route: NAMES,
    scheme: ['Bearer', 'DPoP', 'other', 'none'],
    binding: ['none', 'dpop', 'mtls', 'dpop+mtls'],
    outcome: ['forwarded', 'rejected', 'challenged', 'upstream_failed', 'answered', 'client_gone', 'stopped'],
    status: ['1xx', '2xx', '3xx', '4xx', '5xx', 'none'],
  },
  holdfast_rejections_total: { route: NAMES, reason: REASON_NAMES, stage: STAGES, mode: ['enforced', 'shadow'] },
  holdfast_issuer_requests_total: {
    issuer: ['login'],
    outcome: ['forwarded', 'rejected', 'challenged', 'upstream_failed', 'client_gone'],
  },
  holdfast_nonce_challenges_total: { route: NAMES },
  holdfast_nonce_recoveries_total: { route: NAMES },
  holdfast_tls_handshakes_total: { listener: ['public'], version: ['1.2', '1.3'], resumed: ['yes', 'no'] },
  holdfast_cache_lookups_total: { cache: ['token', 'proof_key'], result: ['hit', 'miss'] },
  holdfast_verification_duration_seconds_count: {
    stage: ['token', 'certificate', 'proof', 'signature', 'policy', 'replay'],
  },
  holdfast_client_clock_offset_seconds_count: { result: ['accepted', 'refused'] },
  holdfast_upstream_duration_seconds_count: { upstream: ['orders'] },
  holdfast_worker_event_loop_delay_seconds_count: { worker: ['0'] },

  holdfast_request_duration_seconds_count: { route: NAMES },
  holdfast_replay_entries: { store: ['memory', 'redis'] },
  holdfast_issuer_keys_age_seconds: { issuer: ['login'] },
  holdfast_certificate_expiry_timestamp_seconds: { listener: ['public'], certificate: ['tls.crt'] },
};

test('the metrics are there, and whatever clients send, labels take values of closed sets only', async (t) => {
  const gateway = await startTestGateway(t, WISHES);
  await sendEverything(gateway);
  await gateway.logged({ msg: 'request', route: 'any', binding: 'dpop+mtls' });
  const series = readSeries((await gateway.page('/metrics')).body);
  for (const [metric, labels] of Object.entries(LABELS)) {
    const found = series.filter(({ name }) => name === metric);
    assert.ok(found.length > 0, `${metric} is missing`);
    for (const { labels: said } of found) {
      assert.deepEqual(Object.keys(said).toSorted(), Object.keys(labels).toSorted(), metric);
      for (const [label, value] of Object.entries(said))
        assert.ok(labels[label]?.includes(value), `${label}="${value}"`);
    }
  }
  const text = JSON.stringify(series.filter(({ name }) => name.startsWith('holdfast_')));
  for (const strange of ['strange', 'nowhere', 'BREW', 'Invented', 'NONSENSE', HOST]) {
    assert.ok(!text.includes(strange), `${strange} became a label`);
  }
  const namesOf = (all: ReturnType<typeof readSeries>) =>
    new Set(all.map(({ name, labels }) => JSON.stringify([name, labels])));
  const before = namesOf(series);
  for (let nth = 0; nth < 3; nth += 1) {
    const words = { host: `h${nth}.example`, scheme: `Scheme${nth}`, token: `t${nth}` };
    await Promise.all([`M${nth}`, 'GET'].map((method) => gateway.request(method, `/any/${nth}?q=${nth}`, words)));
    await dpop(gateway, 'GET', `/any/${nth}`, { claims: { iss: `https://i${nth}.example`, client_id: `c${nth}` } });
  }
  const more = namesOf(readSeries((await gateway.page('/metrics')).body)).difference(before);
  assert.deepEqual([...more], [], 'other words of clients made further series');
});

test('each number is what happened', async (t) => {
  const gateway = await startTestGateway(t, WISHES);
  const certificate = new X509Certificate(gateway.policy.listeners[0]?.tls?.certificates[0]?.cert ?? '');
  await dpop(gateway, 'GET', '/any/1');
  await dpop(gateway, 'GET', '/any/1');
  await dpop(gateway, 'GET', '/nonce/1');
  await gateway.request('GET', '/gone/1');
  await gateway.request('OPTIONS', '*');
  await gateway.logged({ msg: 'request', outcome: 'forwarded' });
  const numbers = [
    await gateway.count('holdfast_requests_total', {
      route: 'any',
      scheme: 'DPoP',
      binding: 'dpop',
      outcome: 'forwarded',
    }),
    await gateway.count('holdfast_requests_total', {
      route: 'nonce',
      scheme: 'DPoP',
      binding: 'none',
      outcome: 'challenged',
    }),
    await gateway.count('holdfast_requests_total', { route: 'gone', outcome: 'upstream_failed' }),
    await gateway.count('holdfast_requests_total', { route: 'none', outcome: 'answered' }),
    await gateway.count('holdfast_rejections_total', { route: 'nonce', reason: 'nonce_required', stage: 'proof' }),
    await gateway.count('holdfast_nonce_challenges_total'),
    await gateway.count('holdfast_request_duration_seconds_count'),
    await gateway.count('holdfast_replay_entries'),
    await gateway.count('holdfast_issuer_keys_loaded', { issuer: 'login' }),
    await gateway.count('holdfast_certificate_expiry_timestamp_seconds'),
  ];
  assert.deepEqual(numbers, [2, 1, 1, 1, 1, 1, 5, 2, 1, certificate.validToDate.getTime() / 1000]);
});

test('each request has one line, which says what came of it', async (t) => {
  const gateway = await startTestGateway(t, WISHES);
  await dpop(gateway, 'GET', '/any/1?query');
  const refused = await gateway.request('GET', '/any/2');
  const forwarded = await gateway.logged({ path: '/any/1' });
  assert.deepEqual(
    [
      'msg',
      'level',
      'listener',
      'route',
      'method',
      'host',
      'status',
      'scheme',
      'binding',
      'outcome',
      'reason',
      'client',
    ].map((name) => forwarded[name]),
    ['request', 'info', 'public', 'any', 'GET', HOST, 200, 'DPoP', 'dpop', 'forwarded', undefined, '127.0.0.1'],
  );
  assert.equal(typeof forwarded['duration_ms'], 'number');
  assert.equal(forwarded['sent_bytes'], 'from the upstream'.length);
  const line = await gateway.logged({ path: '/any/2' });
  assert.equal(line['request_id'], JSON.parse(refused.body).request_id);
  assert.equal(gateway.log.filter(({ msg }) => msg === 'request').length, 2);
});

test('of successes a sample is logged, of refusals every one', async (t) => {
  const more = 'drain: { delay: 0s }\nlog: { sample_successes: 0 }';
  const gateway = await startTestGateway(t, { ...WISHES, more });
  await gateway.request('GET', '/open/1');
  await gateway.request('GET', '/any/1');
  await gateway.logged({ reason: 'credentials_missing' });
  assert.deepEqual(
    gateway.log.filter(({ msg }) => msg === 'request').map(({ path }) => path),
    ['/any/1'],
  );
});

test('two gateways in one process know nothing of each other', async (t) => {
  const [one, other] = [await startTestGateway(t, WISHES), await startTestGateway(t, WISHES)];
  const answer = await dpop(one, 'GET', '/any/1');
  assert.equal(answer.status, 200);
  assert.deepEqual([await one.count('holdfast_replay_entries'), await other.count('holdfast_replay_entries')], [1, 0]);
  await one.close();
  assert.equal((await dpop(other, 'GET', '/any/1')).status, 200);
});
