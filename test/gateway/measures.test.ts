// Measures of requests: recoveries, clocks, caches, stages, preflights, versions of TLS.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ORIGIN, readSeries, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { startCollector } from '../support/collector.ts';
import { visit } from '../tls/clients.ts';
import { dpop, HOLDER, issue, THIEF, TO_KEY } from './credentials.ts';

const APP = 'https://app.example.com';
const ROUTES = `
- { name: shop, match: { path: /shop/* }, upstream: orders, require: dpop, cors: { origins: [${APP}] } }
- { name: required, match: { path: /required/* }, upstream: orders, require: dpop, dpop: { nonce: required } }
- { name: skew, match: { path: /skew/* }, upstream: orders, require: dpop, dpop: { nonce: on-skew } }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require], cors: { origins: [${APP}] } }
- { name: plain, match: { path: /plain/* }, upstream: orders, require: dpop }
`;

/** All numbers of one scrape: between two of them a gateway rests. */
async function scrape(gateway: TestGateway) {
  const series = readSeries((await gateway.page('/metrics')).body);
  return (name: string, labels: Readonly<Record<string, string>> = {}) =>
    series
      .filter((one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value))
      .reduce((sum, { value }) => sum + value, 0);
}

test('a challenge that is met is counted as a recovery and as no refusal, one that is not met as none', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const token = await issue(gateway, TO_KEY);
  const nonce = (await dpop(gateway, 'GET', '/required/1', { token })).fields.one('dpop-nonce');
  const proving = { claims: { nonce } };
  assert.equal((await dpop(gateway, 'GET', '/required/1', { token, proving })).status, 200);
  // A client that keeps its nonce meets no challenge, and one that never comes back neither.
  assert.equal((await dpop(gateway, 'GET', '/required/2', { token, proving })).status, 200);
  const lost = await issue(gateway, { ...TO_KEY, sub: 'somebody else' });
  await dpop(gateway, 'GET', '/required/1', { token: lost });
  const count = await scrape(gateway);
  const route = 'required';
  assert.deepEqual(
    [
      count('holdfast_nonce_challenges_total', { route }),
      count('holdfast_nonce_recoveries_total', { route }),
      count('holdfast_requests_total', { route, outcome: 'challenged', status: '4xx' }),
      count('holdfast_requests_total', { route, outcome: 'rejected' }),
      count('holdfast_requests_total', { route, outcome: 'forwarded', status: '2xx' }),
    ],
    [2, 1, 2, 0, 2],
  );
});

/** Longer than the rest between two requests that are watched. */
const pause = () => new Promise((resolve) => setTimeout(resolve, 15));

test('the clock of a client is measured where its signature is good, whether it is accepted or refused', async (t) => {
  const clock = { now: Date.now() / 1000 };
  const gateway = await startTestGateway(t, { routes: ROUTES, now: () => clock.now });
  clock.now += 60;
  const at = (offset: number) => ({ claims: { iat: gateway.now() + offset } });
  const { kid: _kid, alg: _alg, ...jwk } = HOLDER.jwk;
  const forged = { ...at(-3600), key: THIEF, header: { jwk } };
  for (const [path, proving, status] of [
    ['/plain/1', at(-7), 200],
    ['/plain/1', at(-3600), 401],
    ['/skew/1', at(3600), 401],
    ['/plain/1', forged, 401],
  ] as const) {
    assert.equal((await dpop(gateway, 'GET', path, { proving })).status, status);
    await pause();
  }
  const count = await scrape(gateway);
  const bucket = (result: string, le: string) => count('holdfast_client_clock_offset_seconds_bucket', { result, le });
  assert.deepEqual([bucket('accepted', '-10'), bucket('accepted', '-5'), bucket('accepted', '+Inf')], [0, 1, 1]);
  assert.deepEqual([bucket('refused', '-300'), bucket('refused', '300'), bucket('refused', '+Inf')], [1, 1, 2]);
  assert.equal(count('holdfast_client_clock_offset_seconds_sum'), 0, 'a sum that can fall is no counter');
});

test('the time of each stage that was passed is measured, and what was looked for in caches', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const token = await issue(gateway, TO_KEY);
  for (let nth = 0; nth < 3; nth += 1) {
    assert.equal((await dpop(gateway, 'GET', '/plain/1', { token })).status, 200);
    await pause();
  }
  assert.equal((await gateway.request('GET', '/plain/1')).status, 401);
  const count = await scrape(gateway);
  const passed = (stage: string) => count('holdfast_verification_duration_seconds_count', { stage });
  assert.deepEqual(['token', 'certificate', 'proof', 'policy', 'replay'].map(passed), [3, 0, 3, 3, 3]);
  const looked = (cache: string, result: string) => count('holdfast_cache_lookups_total', { cache, result });
  assert.deepEqual([looked('token', 'miss'), looked('token', 'hit')], [1, 2]);
  assert.deepEqual([looked('proof_key', 'miss'), looked('proof_key', 'hit')], [1, 2]);
  assert.equal(count('holdfast_upstream_answers_total', { upstream: 'orders', status: '2xx' }), 3);
  assert.equal(count('holdfast_upstream_duration_seconds_count', { upstream: 'orders' }), 3);
});

test('preflights are counted by result, and pages whose browser keeps the answer from them', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const ask = (path: string, origin: string, method = 'GET') =>
    gateway.request('OPTIONS', path, {
      fields: [
        ['Origin', origin],
        ['Access-Control-Request-Method', method],
      ],
    });
  await ask('/shop/1', APP);
  await ask('/shop/1', 'https://evil.example');
  await ask('/shop/1', APP, 'CONNECT');
  await ask('/plain/1', APP);
  for (const origin of [APP, ORIGIN, 'https://evil.example', 'null']) {
    await gateway.request('POST', '/open/1', { fields: [['Origin', origin]] });
  }
  await gateway.request('GET', '/open/1');
  const count = await scrape(gateway);
  const preflights = (result: string) => count('holdfast_preflights_total', { result });
  assert.deepEqual(['allowed', 'origin', 'method', 'no_cors'].map(preflights), [1, 1, 1, 1]);
  assert.equal(count('holdfast_preflights_total', { route: 'shop', result: 'allowed' }), 1);
  assert.equal(count('holdfast_cors_refused_total', { route: 'open' }), 2);
});

test('a request is counted for the issuer of its token once that is verified, refused or not, and for none that it claims', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  await dpop(gateway, 'GET', '/plain/1');
  await dpop(gateway, 'GET', '/plain/1', { proving: { key: THIEF } });
  await dpop(gateway, 'GET', '/required/1');
  await gateway.request('GET', '/plain/1', { token: `${(await issue(gateway, TO_KEY)).slice(0, -9)}AAAAAAAAA` });
  await gateway.request('GET', '/plain/1');
  await gateway.request('GET', '/open/1');
  const count = await scrape(gateway);
  const requests = (outcome: string) => count('holdfast_issuer_requests_total', { issuer: 'login', outcome });
  assert.deepEqual(['forwarded', 'rejected', 'challenged'].map(requests), [1, 1, 1]);
  assert.equal(count('holdfast_issuer_requests_total'), 3);
});

test('handshakes are counted by version, and a resumed session is told from a new one', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const first = await visit(gateway, { path: '/open/1', version: 'TLSv1.3' });
  assert.ok(first.session !== undefined);
  await visit(gateway, { path: '/open/1', version: 'TLSv1.3', session: first.session });
  await visit(gateway, { path: '/open/1', version: 'TLSv1.2' });
  const count = await scrape(gateway);
  const handshakes = (version: string, resumed: string) =>
    count('holdfast_tls_handshakes_total', { listener: 'public', version, resumed });
  assert.deepEqual([handshakes('1.3', 'no'), handshakes('1.3', 'yes'), handshakes('1.2', 'no')], [1, 1, 1]);
});

test('every series of a policy is there at zero before anything happens, so that the first event is an increase', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const series = readSeries((await gateway.page('/metrics')).body);
  const zero = (name: string, labels: Readonly<Record<string, string>>) => {
    const found = series.filter(
      (one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value),
    );
    assert.ok(found.length > 0 && found.every(({ value }) => value === 0), `${name} ${JSON.stringify(labels)}`);
  };
  zero('holdfast_rejections_total', { route: 'shop', reason: 'proof_replayed', stage: 'replay', mode: 'enforced' });
  zero('holdfast_rejections_total', { route: 'none', reason: 'route_not_found' });
  zero('holdfast_requests_total', {
    route: 'shop',
    scheme: 'DPoP',
    binding: 'dpop',
    outcome: 'forwarded',
    status: '5xx',
  });
  zero('holdfast_requests_total', { route: 'plain', outcome: 'challenged' });
  zero('holdfast_nonce_recoveries_total', { route: 'required' });
  zero('holdfast_preflights_total', { route: 'shop', result: 'origin' });
  zero('holdfast_request_duration_seconds_count', { route: 'open' });
  zero('holdfast_tls_handshake_failures_total', { listener: 'public', reason: 'version' });
  zero('holdfast_upstream_failures_total', { upstream: 'orders', reason: 'timed_out' });
  zero('holdfast_reloads_total', { result: 'refused' });
  assert.equal(
    series.some(({ name, labels }) => /rejections/.test(name) && labels['mode'] === 'shadow'),
    false,
  );
});

test('Prometheus is answered in OpenMetrics, and everybody else in the text format', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const { host, port } = gateway.running.telemetry as { readonly host: string; readonly port: number };
  const asked = async (accept: string) => {
    const answer = await fetch(`http://${host}:${port}/metrics`, { headers: { Accept: accept } });
    return { type: answer.headers.get('content-type'), text: await answer.text() };
  };
  const open = await asked('application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1');
  assert.equal(open.type, 'application/openmetrics-text; version=1.0.0; charset=utf-8');
  assert.match(open.text, /\n# EOF\n$/);
  const plain = await asked('*/*');
  assert.equal(plain.type, 'text/plain; version=0.0.4; charset=utf-8');
  assert.doesNotMatch(plain.text, /# EOF/);
});

test('a refusal and a duration show the trace of their newest request, and only one that is recorded', async (t) => {
  const { origin } = await startCollector(t);
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  const examples = async (sampled: '00' | '01') => {
    const gateway = await startTestGateway(t, {
      routes: ROUTES,
      listener: 'trusted_peers: [{ cidr: 127.0.0.0/8 }]',
      more: `tracing: { otlp_endpoint: "${origin}", sample: 1, trust: peers }`,
    });
    const fields = [['traceparent', `00-${trace}-00f067aa0ba902b7-${sampled}`]] as const;
    await gateway.request('GET', '/plain/1', { fields });
    await gateway.logged({ msg: 'request', trace_id: trace });
    const { host, port } = gateway.running.telemetry as { readonly host: string; readonly port: number };
    const answer = await fetch(`http://${host}:${port}/metrics`, {
      headers: { Accept: 'application/openmetrics-text' },
    });
    const lines = (await answer.text()).split('\n').filter((line) => line.includes(`# {trace_id="${trace}"}`));
    return lines.map((line) => /^\w+/.exec(line)?.[0]).toSorted((one = '', other = '') => one.localeCompare(other));
  };
  assert.deepEqual(await examples('01'), ['holdfast_rejections_total', 'holdfast_request_duration_seconds_bucket']);
  assert.deepEqual(await examples('00'), []);
});
