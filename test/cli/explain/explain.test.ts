// Explanations: the verdict, all that is wrong, edge refusals, what a balancer sends.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { readCommandLine } from '../../../src/cli/arguments.ts';
import { explain } from '../../../src/cli/explain/explain.ts';
import { ISSUER_KEY, ORIGIN, writePolicy } from '../../support/gateway.ts';
import { makeProof, makeToken } from '../../support/tokens.ts';
import { HOLDER, TO_KEY } from '../../gateway/credentials.ts';

const ROUTES = `
- { name: orders, match: { path: /orders/* }, upstream: orders, require: dpop, scope: [orders:write], dpop: { max_age: 30s }, limits: { request_body: 10B } }
- { name: open, match: { path: /open/*, methods: [GET] }, upstream: orders, require: public, weaker_than_defaults: [require], cors: { origins: ["https://app.example.com"] } }
`;
const PUBLIC = 'require: public, weaker_than_defaults: [require]';
const PEERS = 'trusted_peers: [{ cidr: 10.0.0.0/8, forwarding: x-forwarded }]';

async function explained(t: TestContext, ...args: string[]) {
  const config = writePolicy(t, { routes: ROUTES, listener: PEERS });
  const { stdout, exit } = await explain(readCommandLine(['explain', '-c', config, ...args, '--json']));
  const told = JSON.parse(stdout);
  const failed = told.checks.filter(({ outcome }: { outcome: string }) => outcome === 'failed');
  return { ...told, exit, failed: failed.map(({ check }: { check: string }) => check) };
}

const BY_MATCH = [
  'path: /orders/*',
  'path: /orders/*, headers: { X-Env: canary }',
  'path: /orders/*, query: { version: "2" }',
]
  .map((match, at) => `- { name: ${['rest', 'canary', 'two'][at]}, match: { ${match} }, upstream: orders, ${PUBLIC} }`)
  .join('\n');

async function byMatch(t: TestContext, target: string, header: string) {
  const config = writePolicy(t, {
    listener: 'fall_through: true',
    routes: `${BY_MATCH}
- { name: writes, match: { path: /orders/*, methods: [POST] }, upstream: orders, ${PUBLIC} }
- { name: moved, match: { path: /moved/* }, redirect: { prefix: /new }, ${PUBLIC} }
- { name: only, match: { path: /only/*, headers: { X-Env: canary } }, upstream: orders, ${PUBLIC} }`,
  });
  const args = ['explain', '-c', config, '--method', 'GET', '--url', `${ORIGIN}${target}`, '--header', header];
  const { stdout: text } = await explain(readCommandLine(args));
  const { stdout } = await explain(readCommandLine([...args, '--json']));
  return { ...JSON.parse(stdout), text };
}

async function raw(t: TestContext, lines: readonly string[], ...args: string[]) {
  const file = join(dirname(writePolicy(t, {})), 'request.http');
  writeFileSync(file, `${lines.join('\r\n')}\r\n\r\n`);
  return explained(t, file, ...args);
}

const HOST = `Host: ${new URL(ORIGIN).host}`;

describe('explain', () => {
  test('goes on after the first failure: everything else that is wrong, each by the decision of the gateway', async (t) => {
    const now = Date.now() / 1000;
    const token = await makeToken(ISSUER_KEY, now, { claims: { ...TO_KEY, aud: ['urn:other'], exp: now - 1000 } });
    const proof = await makeProof(HOLDER, now - 500, { method: 'POST', url: `${ORIGIN}/orders/2`, token });
    const lines = ['GET /orders/1 HTTP/1.1', HOST, `Authorization: DPoP ${token}`, `DPoP: ${proof}`];
    const { decision, reason, also, exit, failed } = await raw(t, lines);
    assert.deepEqual([decision, reason, exit, failed], ['refused', 'token_expired', 1, ['token is valid now']]);
    assert.deepEqual(
      also.map((one: { reason: string }) => one.reason),
      ['token_audience_mismatch', 'proof_method_mismatch', 'proof_uri_mismatch', 'proof_stale', 'scope_insufficient'],
    );
    const text = await explain(
      readCommandLine([
        'explain',
        '-c',
        writePolicy(t, { routes: ROUTES }),
        '--url',
        `${ORIGIN}/orders/1`,
        '--method',
        'GET',
      ]),
    );
    assert.match(text.stdout, /^REFUSED: credentials_missing\nlistener public, route orders, require: dpop\n {2}why /);
  });
  test('a signature that is wrong ends the list: nothing behind it can be believed', async (t) => {
    const now = Date.now() / 1000;
    const token = await makeToken(HOLDER, now, { claims: { ...TO_KEY, aud: ['urn:other'] } });
    const { also } = await raw(t, ['GET /orders/1 HTTP/1.1', HOST, `Authorization: Bearer ${token}`]);
    assert.deepEqual(also, []);
  });
  test('refusals of edge and route are checks too', async (t) => {
    const cases: readonly (readonly [reason: string, check: string, ...lines: string[]])[] = [
      ['request_malformed', 'framing, Host and target of the request', 'GET /open/1 HTTP/1.1'],
      ['request_malformed', 'framing, Host and target of the request', 'GET /open/../1 HTTP/1.1', HOST],
      [
        'request_malformed',
        'framing, Host and target of the request',
        'GET / HTTP/1.1',
        HOST,
        'Content-Length: 1',
        'Transfer-Encoding: chunked',
      ],
      ['header_too_large', 'size of the fields', 'GET /open/1 HTTP/1.1', HOST, `X: ${'a'.repeat(40_000)}`],
      ['method_unknown', 'method', 'FROB /open/1 HTTP/1.1', HOST],
      ['uri_too_long', 'length of the URL', `GET /open/${'a'.repeat(9000)} HTTP/1.1`, HOST],
      ['expectation_failed', 'Expect', 'GET /open/1 HTTP/1.1', HOST, 'Expect: wonders'],
      ['field_forbidden', 'no imitation of fields of the gateway', 'GET /open/1 HTTP/1.1', HOST, 'X_Auth_Subject: eve'],
      ['misdirected', 'origin', 'GET /open/1 HTTP/1.1', 'Host: other.example'],
      ['route_not_found', 'route of the path', 'GET /elsewhere HTTP/1.1', HOST],
      ['method_not_allowed', 'method of the route', 'DELETE /open/1 HTTP/1.1', HOST],
      [
        'preflight_refused',
        'CORS preflight',
        'OPTIONS /open/1 HTTP/1.1',
        HOST,
        'Origin: https://evil.example',
        'Access-Control-Request-Method: GET',
      ],
    ];
    for (const [wanted, check, ...lines] of cases) {
      const { reason, failed, exit } = await raw(t, lines);
      assert.deepEqual([reason, failed, exit], [wanted, [check], 1], lines.join(' '));
    }
  });
  test('what the gateway answers by itself is no refusal', async (t) => {
    const page = ['Origin: https://app.example.com', 'Access-Control-Request-Method: GET'];
    const { decision, answer, exit } = await raw(t, ['OPTIONS /open/1 HTTP/1.1', HOST, ...page]);
    assert.deepEqual([decision, answer.status, exit], ['answered', 204, 0]);
  });
  test('a body beyond the limit of the route is refused', async (t) => {
    const now = Date.now() / 1000;
    const token = await makeToken(ISSUER_KEY, now, { claims: { ...TO_KEY, scope: 'orders:write' } });
    const proof = await makeProof(HOLDER, now, { method: 'POST', url: `${ORIGIN}/orders/1`, token });
    const sent = (body: string) =>
      explained(
        t,
        '--curl',
        `curl ${ORIGIN}/orders/1 -H 'Authorization: DPoP ${token}' -H 'DPoP: ${proof}' -d '${body}'`,
      );
    assert.equal((await sent('0123456789')).decision, 'permitted');
    const { reason, refused } = await sent('0123456789a');
    assert.deepEqual([reason, refused.expected, refused.received], ['body_too_large', 'at most 10 bytes', '11 bytes']);
  });
  test('behind a balancer what it sends counts, if the listener trusts it, and a stranger is not believed', async (t) => {
    const { host, protocol } = new URL(ORIGIN);
    const balanced = [
      '--header',
      `X-Forwarded-Host: ${host}`,
      '--header',
      `X-Forwarded-Proto: ${protocol.slice(0, -1)}`,
    ];
    const lines = ['GET /open/1 HTTP/1.1', 'Host: 10.0.0.9:8080'];
    const trusted = await raw(t, lines, '--peer', '10.0.0.5', ...balanced);
    assert.deepEqual([trusted.decision, trusted.route], ['permitted', 'open']);
    const stranger = await raw(t, lines, '--peer', '192.0.2.1', ...balanced);
    assert.deepEqual([stranger.reason, stranger.failed], ['misdirected', ['origin']]);
    const broken = await raw(t, lines, '--peer', '10.0.0.5', '--header', 'X-Forwarded-Proto: gopher');
    assert.deepEqual([broken.reason, broken.failed], ['request_malformed', ['what the proxy in front says']]);
  });
  test('routes of the same path that came first are shown with the part of their match that did not fit', async (t) => {
    const { text, ...told } = await byMatch(t, '/orders/1?version=3', 'X-Env: prod');
    assert.deepEqual([told.decision, told.route], ['permitted', 'rest']);
    assert.deepEqual(told.skipped, [
      { route: 'writes', what: 'method', expected: 'POST', received: 'GET' },
      { route: 'canary', what: 'x-env', expected: 'canary', received: 'prod' },
      { route: 'two', what: '?version', expected: '2', received: '3' },
    ]);
    assert.match(text, /^not taken {2}route canary: x-env expected canary, received prod$/m);
    const none = await byMatch(t, '/only/1', 'X-Other: a');
    assert.deepEqual([none.reason, none.facts.expected], ['route_not_found', 'x-env']);
    assert.deepEqual(none.skipped, [{ route: 'only', what: 'x-env', expected: 'canary', received: 'absent' }]);
    const other = await byMatch(t, '/only/1', 'X-Env: canary');
    assert.deepEqual([other.route, other.skipped], ['only', []]);
  });
  test('a route that answers by itself is told with its answer, behind the same checks', async (t) => {
    const told = await byMatch(t, '/moved/x?y=1', 'X-Env: prod');
    assert.deepEqual([told.decision, told.route, told.answer.status], ['answered', 'moved', 302]);
    assert.deepEqual(told.answer.fields, [['Location', `${ORIGIN}/new/x?y=1`]]);
    assert.match(told.text, /^ANSWERED by the gateway itself$/m);
  });
  test('one description of a request, and options that fit it', async (t) => {
    const wrong = (message: RegExp, ...args: string[]) => assert.rejects(explained(t, ...args), message);
    await wrong(/--curl and --url both describe/, '--curl', 'curl a', '--url', 'http://a');
    await wrong(/--entry is a number of --har/, '--url', 'http://a', '--method', 'GET', '--entry', '1');
    await wrong(/--peer must be an IP address/, '--url', ORIGIN, '--method', 'GET', '--peer', 'lb');
    await wrong(/--listener must be one of: public/, '--url', ORIGIN, '--method', 'GET', '--listener', 'x');
    await wrong(/--header must be a field/, '--url', ORIGIN, '--method', 'GET', '--header', 'x');
    await wrong(/needs a request: REQUEST, --url with --method, --curl or --har/);
    await wrong(/the request not-there.http cannot be read \(ENOENT\)/, 'not-there.http');
  });
});
