// Routes that answer by themselves: behind the decision, in the log and the metrics.

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { startTestGateway } from '../support/gateway.ts';
import { dpop, issue } from './credentials.ts';

const OPEN = 'require: public, weaker_than_defaults: [require]';
const ROUTES = `
- { name: down, match: { path: /down/* }, respond: { status: 503, body: later }, ${OPEN}, cors: { origins: ["https://app.example.com"] } }
- { name: secret, match: { path: /secret }, respond: { status: 200, body: "{}", content_type: application/json }, require: dpop, scope: [read], dpop: { nonce: required } }
- { name: moved, match: { path: /old/* }, redirect: { prefix: /new, status: 308 }, require: token, weaker_than_defaults: [require], response_fields: { set: { X-Moved: "yes" } } }
- { name: limited, match: { path: /limited }, respond: { status: 204 }, ${OPEN}, rate_limit: one }
`;
const start = (t: TestContext) =>
  startTestGateway(t, { routes: ROUTES, more: 'rate_limits: { one: { key: address, rate: 1/h, burst: 1 } }' });

describe('a fixed answer', () => {
  it('is given to what is permitted, with its type, and read by pages that may', async (t) => {
    const gateway = await start(t);
    const answer = await gateway.request('GET', '/down/x', { fields: [['Origin', 'https://app.example.com']] });
    assert.deepEqual([answer.status, answer.body], [503, 'later']);
    assert.equal(answer.fields.one('content-type'), 'text/plain; charset=utf-8');
    assert.equal(answer.fields.one('cache-control'), 'no-store');
    assert.equal(answer.fields.one('access-control-allow-origin'), 'https://app.example.com');
    assert.equal(answer.fields.one('vary'), 'Origin');
    assert.equal(gateway.upstream.seen.length, 0);
    const line = await gateway.logged({ route: 'down' });
    assert.deepEqual([line['outcome'], line['status'], line['scheme']], ['answered', 503, 'none']);
    assert.equal(
      await gateway.count('holdfast_requests_total', { route: 'down', outcome: 'answered', status: '5xx' }),
      1,
    );
  });

  it('is kept from what the route refuses: no token, a bearer token, too little scope', async (t) => {
    const gateway = await start(t);
    assert.equal((await gateway.request('GET', '/secret')).reason, 'credentials_missing');
    const token = await issue(gateway);
    assert.equal((await gateway.request('GET', '/secret', { token })).reason, 'binding_required');
    assert.equal((await gateway.request('POST', '/secret')).reason, 'credentials_missing');
    const refused = await dpop(gateway, 'GET', '/secret', { claims: { scope: 'read' } });
    assert.equal(refused.reason, 'nonce_required');
    const nonce = refused.fields.one('dpop-nonce') ?? assert.fail();
    assert.equal(
      (await dpop(gateway, 'GET', '/secret', { claims: { scope: 'other' }, proving: { claims: { nonce } } })).reason,
      'scope_insufficient',
    );
    const permitted = await dpop(gateway, 'GET', '/secret', {
      claims: { scope: 'read' },
      proving: { claims: { nonce } },
    });
    assert.deepEqual([permitted.status, permitted.body], [200, '{}']);
    assert.equal(permitted.fields.one('content-type'), 'application/json');
  });

  it('tells HEAD all but the body, takes any body, and counts against the rate', async (t) => {
    const gateway = await start(t);
    const head = await gateway.request('HEAD', '/down/x');
    assert.deepEqual([head.status, head.body, head.fields.one('content-length')], [503, '', '5']);
    const posted = await gateway.request('POST', '/down/x', { body: 'a'.repeat(100_000) });
    assert.deepEqual([posted.status, posted.body], [503, 'later']);
    assert.equal((await gateway.request('GET', '/limited')).status, 204);
    assert.equal((await gateway.request('GET', '/limited')).reason, 'rate_limited');
  });
});

describe('a redirect', () => {
  it('is given to what is permitted, with the path of the request, and leaves credentials out', async (t) => {
    const gateway = await start(t);
    assert.equal((await gateway.request('GET', '/old/x?y=1')).reason, 'credentials_missing');
    const answer = await gateway.request('GET', '/old/x?y=1', { token: await issue(gateway) });
    assert.equal(answer.status, 308);
    assert.match(answer.fields.one('location') ?? '', /^https:\/\/api\.example\.com(?::\d+)?\/new\/x\?y=1$/);
    assert.deepEqual(
      [answer.fields.one('x-moved'), answer.fields.one('cache-control'), answer.body],
      ['yes', 'no-store', ''],
    );
    assert.equal(gateway.upstream.seen.length, 0);
  });
});
