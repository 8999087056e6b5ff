// Browser applications: preflights without credentials, readable answers and refusals.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answered, startTestGateway } from '../support/gateway.ts';
import { dpop, issue } from './credentials.ts';

const ROUTES = `
- name: shop
  match: { path: /shop/*, methods: [GET, POST] }
  upstream: orders
  require: dpop
  dpop: { nonce: required }
  cors: { origins: [https://app.example.com, https://two.example.com], expose: [X-Total], max_age: 5m, credentials: true }
- { name: plain, match: { path: /plain/* }, upstream: orders, require: token, weaker_than_defaults: [require] }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
`;
const APP = 'https://app.example.com';
const preflight = (method: string, origin = APP) => ({
  fields: [
    ['Origin', origin],
    ['Access-Control-Request-Method', method],
    ['Access-Control-Request-Headers', 'content-type, dpop'],
  ] as const,
});
const corsOf = ({ fields }: Answered) =>
  Object.fromEntries(
    fields.lines
      .map(([name, value]) => [name.toLowerCase(), value] as const)
      .filter(([name]) => name.startsWith('access-control-') || name === 'vary'),
  );
const READABLE = {
  'access-control-allow-origin': APP,
  'access-control-allow-credentials': 'true',
  'access-control-expose-headers': 'DPoP-Nonce, WWW-Authenticate, X-Total, X-Request-Id',
  vary: 'Origin',
};

test('a preflight is answered before credentials and methods are looked at, and never forwarded', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const answer = await gateway.request('OPTIONS', '/shop/1', preflight('POST'));
  assert.deepEqual([answer.status, answer.body], [204, '']);
  assert.equal(answer.fields.one('cache-control'), 'no-store');
  assert.deepEqual(corsOf(answer), {
    'access-control-allow-origin': APP,
    'access-control-allow-credentials': 'true',
    'access-control-allow-methods': 'GET, HEAD, POST',
    'access-control-allow-headers': 'Authorization, DPoP, content-type',
    'access-control-max-age': '300',
    vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
  });
  assert.equal(await gateway.count('holdfast_requests_total', { outcome: 'answered' }), 1);
});

test('a preflight that is refused looks so: 403, counted and logged as a refusal, and no field that grants anything', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  for (const [method, origin, what] of [
    ['DELETE', APP, 'Access-Control-Request-Method'],
    ['POST', 'https://evil.example', 'Origin'],
    ['POST', 'null', 'Origin'],
  ] as const) {
    const denied = await gateway.request('OPTIONS', '/shop/1', preflight(method, origin));
    assert.deepEqual([denied.status, denied.reason, corsOf(denied)], [403, 'preflight_refused', {}]);
    const { request_id } = JSON.parse(denied.body);
    const line = await gateway.logged({ msg: 'request', request_id });
    assert.deepEqual([line['outcome'], line['status']], ['rejected', 403]);
    const received = what === 'Origin' ? origin : method;
    assert.partialDeepStrictEqual(line['facts'], { what, received });
  }
  assert.equal(gateway.upstream.seen.length, 0);
  assert.equal(await gateway.count('holdfast_requests_total', { outcome: 'answered' }), 0);
  assert.equal(await gateway.count('holdfast_rejections_total', { reason: 'preflight_refused' }), 3);
});

test('where no route of the path has cors, a preflight is refused as one, and OPTIONS is else a request like any other', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const refused = await gateway.request('OPTIONS', '/plain/1', preflight('GET'));
  assert.deepEqual([refused.status, refused.reason], [403, 'preflight_refused']);
  assert.match(refused.body, /No page of another origin may call this path/);
  // No preflight: those have no credentials, and name an origin and a method.
  const plain = [['Origin', APP]] as const;
  assert.equal((await gateway.request('OPTIONS', '/plain/1', { fields: plain })).reason, 'credentials_missing');
  const token = await issue(gateway);
  assert.equal((await gateway.request('OPTIONS', '/plain/1', { ...preflight('GET'), token })).status, 200);
  assert.equal((await gateway.request('OPTIONS', '/open/1', preflight('GET'))).status, 200);
  assert.equal(gateway.upstream.seen.at(-1)?.method, 'OPTIONS');
});

test('a page reads challenges and nonces of refusals, so that it can try again', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const fields = [['Origin', APP]] as const;
  const nonceless = await dpop(gateway, 'GET', '/shop/1', { fields });
  assert.equal(nonceless.reason, 'nonce_required');
  assert.deepEqual(corsOf(nonceless), READABLE);
  const claims = { nonce: nonceless.fields.one('dpop-nonce') };
  const again = await dpop(gateway, 'GET', '/shop/1', { fields, proving: { claims } });
  assert.equal(again.status, 200);
  assert.deepEqual(corsOf(again), READABLE);

  const noRoute = await gateway.request('DELETE', '/shop/1', { fields });
  assert.equal(noRoute.reason, 'method_not_allowed');
  assert.deepEqual(corsOf(noRoute), READABLE);
  const noCors = await gateway.request('GET', '/plain/1', { fields });
  assert.deepEqual(corsOf(noCors), {});
});

test('the upstream has no say in it, and pages of other origins learn nothing', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  gateway.upstream.answer = (_request, response) =>
    response
      .writeHead(200, { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': 'x', Vary: 'Accept' })
      .end();
  const nonce = (await dpop(gateway, 'GET', '/shop/1')).fields.one('dpop-nonce');
  const ask = (origin: string) =>
    dpop(gateway, 'GET', '/shop/1', { fields: [['Origin', origin]], proving: { claims: { nonce } } });
  assert.deepEqual(corsOf(await ask(APP)), { ...READABLE, vary: 'Accept, Origin' });
  assert.deepEqual(corsOf(await ask('https://evil.example')), { vary: 'Accept, Origin' });
  const plain = await gateway.request('GET', '/plain/1', { token: await issue(gateway), fields: [['Origin', APP]] });
  assert.equal(plain.fields.one('access-control-allow-origin'), '*', 'a route without cors leaves it to the upstream');
});
