// Requests sent again after an answer, where the route asks for it and it does no harm.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startTestGateway } from '../support/gateway.ts';
import { openTargets } from '../support/targets.ts';
import { dpop } from './credentials.ts';

const PUBLIC = 'require: public, weaker_than_defaults: [require]';

/** A gateway whose upstream answers with these statuses in turn, and with 200 afterwards. */
async function start(t: TestContext, statuses: readonly number[], rest = PUBLIC, retries = '') {
  const gateway = await startTestGateway(t, {
    routes: `- { name: again, match: { path: /* }, upstream: orders, retries: { codes: [503, 502], ${retries || 'attempts: 2, backoff: 1ms'} }, ${rest} }`,
  });
  const left = [...statuses];
  gateway.upstream.answer = (_request, response) => {
    const status = left.shift() ?? 200;
    response.writeHead(status, { 'X-Nth': String(gateway.upstream.seen.length) }).end(`${status}`);
  };
  return gateway;
}

test('a client hears of the attempt that was good, log and metrics of all', async (t) => {
  const gateway = await start(t, [503, 502]);
  const answer = await gateway.request('GET', '/1');
  assert.deepEqual([answer.status, answer.body, answer.fields.all('X-Nth')], [200, '200', ['3']]);
  const line = await gateway.logged({ msg: 'request', route: 'again' });
  assert.deepEqual([line['attempts'], line['resent_after'], line['status']], [3, 'answered', 200]);
  assert.equal(await gateway.count('holdfast_upstream_retries_total', { reason: 'answered' }), 2);
  assert.equal(await gateway.count('holdfast_upstream_answers_total', { status: '5xx' }), 2);
  assert.equal(await gateway.count('holdfast_upstream_pending_requests'), 0);
});

test('the last attempt is answered as it comes, and other statuses are none of this', async (t) => {
  const gateway = await start(t, [503, 503, 503, 500]);
  assert.deepEqual((({ status, body }) => [status, body])(await gateway.request('GET', '/1')), [503, '503']);
  assert.equal(gateway.upstream.seen.length, 3);
  assert.equal((await gateway.request('GET', '/2')).status, 500);
});

test('a body comes again as a whole where the method is idempotent, and is kept for that', async (t) => {
  const gateway = await start(t, [503, 200, 503, 503]);
  const body = 'a'.repeat(100_000);
  assert.equal((await gateway.request('PUT', '/1', { body })).status, 200);
  assert.deepEqual(
    gateway.upstream.seen.map((seen) => seen.body === body),
    [true, true],
  );
  const large = 'b'.repeat(400_000);
  assert.equal((await gateway.request('PUT', '/2', { body: large })).status, 503);
  assert.equal((await gateway.request('POST', '/3', { body: 'x' })).status, 503);
  assert.equal(gateway.upstream.seen.length, 4);
});

test('a proof that the upstream may have read is not sent twice', async (t) => {
  const rest = 'require: dpop, forward: { authorization: as-received }, weaker_than_defaults: [authorization]';
  const gateway = await start(t, [503], rest);
  assert.equal((await dpop(gateway, 'GET', '/1')).status, 503);
  const without = await start(t, [503], 'require: dpop');
  assert.equal((await dpop(without, 'GET', '/1')).status, 200);
});

test('no pause is begun that the exchange has no time for', async (t) => {
  const gateway = await start(t, [503], `${PUBLIC}, timeouts: { total: 2s }`, 'attempts: 3, backoff: 10s');
  assert.equal((await gateway.request('GET', '/1')).status, 503);
});

test('another target gets the next attempt, and an answer without end is not waited for', async (t) => {
  const [sick, well] = await openTargets(t, 2);
  assert.ok(sick && well);
  sick.answer = (_request, response) => {
    response.writeHead(503, { 'Content-Length': '100' }).flushHeaders();
  };
  const gateway = await startTestGateway(t, {
    upstreams: `pair: { targets: ["${sick.origin}", "${well.origin}"] }`,
    routes: `- { name: again, match: { path: /* }, upstream: pair, retries: { codes: [503], backoff: 1ms }, ${PUBLIC} }`,
  });
  for (let nth = 0; nth < 6; nth += 1) assert.equal((await gateway.request('GET', `/${nth}`)).status, 200);
  assert.ok(sick.seen.length > 0 && well.seen.length === 6);
});
