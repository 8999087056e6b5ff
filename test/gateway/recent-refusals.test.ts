// Refusals where people look: the status page, /refusals.json and `holdfast why`.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { why } from '../../src/cli/why.ts';
import { portOf, readPage, startTestGateway } from '../support/gateway.ts';
import { dpop } from './credentials.ts';

const ROUTES = '- { name: any, match: { path: /any/* }, upstream: orders, require: dpop }';

interface Refusals {
  readonly refusals: readonly Readonly<Record<string, unknown>>[];
  readonly last_refusals: readonly Readonly<Record<string, unknown>>[];
}

async function refuseOnce(t: TestContext, threads: boolean) {
  const gateway = await startTestGateway(t, { routes: ROUTES, threads });
  const refused = await dpop(gateway, 'GET', '/any/1?secret', {
    proving: { claims: { htu: 'https://other.example.com/any/1' } },
  });
  assert.equal(refused.reason, 'proof_uri_mismatch');
  const admin = portOf(gateway.running.admin);
  const refusals = async () => JSON.parse((await readPage(admin, '/refusals.json')).body) as Refusals;
  const { request_id: id } = JSON.parse(refused.body) as { request_id: string };
  return { gateway, admin, refusals, id };
}

test('a refusal is listed in full, without its query, and counted by reason with what to look at', async (t) => {
  const { refusals, id } = await refuseOnce(t, false);
  const { refusals: counted, last_refusals: last } = await refusals();
  assert.deepEqual(
    counted.map(({ reason, route, last_five_minutes: recently, look_at: lookAt }) => [reason, route, recently, lookAt]),
    [
      [
        'proof_uri_mismatch',
        'any',
        1,
        'If htu is what the client called, have the balancer pass on Host and compare listeners[].origins; one client, 127.0.0.1',
      ],
    ],
  );
  const [only] = last;
  assert.deepEqual(
    ['request_id', 'method', 'path', 'status', 'received'].map((name) => only?.[name]),
    [id, 'GET', '/any/1', 401, 'https://other.example.com/any/1'],
  );
  assert.doesNotMatch(JSON.stringify(last), /secret/);
});

test('refusals of worker threads are on the page as well', async (t) => {
  const { admin, id } = await refuseOnce(t, true);
  const { body } = await readPage(admin, '/status');
  assert.ok(body.includes(`title="${id}"`));
});

test('why prints the refusal by its id or the first characters of it, and says so where it is not known', async (t) => {
  const { admin, id } = await refuseOnce(t, false);
  const origin = `http://127.0.0.1:${admin}`;
  const { exit, stdout } = await why(id.slice(0, 8), origin);
  assert.equal(exit, 0);
  assert.match(stdout, /^proof_uri_mismatch \(401\)\n {2}why {7}The htu of the DPoP proof has another host\n/);
  assert.match(stdout, /client {4}Set htu to the host that the client calls/);
  assert.match(stdout, /operator {2}If htu is what the client called/);
  assert.match(stdout, /received {2}https:\/\/other\.example\.com\/any\/1\n/);
  const { reason } = JSON.parse((await why(id, origin, true)).stdout) as { reason: string };
  assert.equal(reason, 'proof_uri_mismatch');
  const unknown = await why('00000000-0000', origin);
  assert.deepEqual([unknown.exit, unknown.stdout], [1, '']);
  assert.match(unknown.stderr, /no refusal 00000000-0000 among the last 1\nOlder ones are in the log/);
});

test('why refuses what is no id, and says what to do where no admin port answers', async () => {
  for (const wrong of ['', 'abc', 'x'.repeat(129), '?status=1', 'abcd efgh', '<script>'])
    await assert.rejects(why(wrong), /takes the request_id/);
  await assert.rejects(why('00000000', 'nowhere'), /--admin is not a URL/);
  const { exit, stderr } = await why('00000000', 'http://127.0.0.1:1');
  assert.equal(exit, 1);
  assert.match(stderr, /does not answer; --admin URL says where admin.bind is/);
});
