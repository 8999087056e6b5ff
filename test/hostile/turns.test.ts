// Requests that wait for their turn, and what becomes of them meanwhile.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { openHttp2, type Line, request, reset } from '../support/frames.ts';
import { ISSUER_KEY, ORIGIN, portOf, SERVER_CA, startTestGateway } from '../support/gateway.ts';
import { makeKey, makeProof, makeToken } from '../support/tokens.ts';
import { HOST, reasonOf, startRig, statusOf } from './rig.ts';

const ROUTES = '- { name: strict, match: { path: /strict/* }, upstream: orders, require: dpop }';
/** Requests that fit into one TLS record, so that the gateway reads them together. */
const TOGETHER = 8;

const HOLDER = await makeKey();

async function start(t: TestContext) {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const token = await makeToken(ISSUER_KEY, gateway.now(), { claims: { cnf: { jkt: HOLDER.jkt } } });
  const asking = async (_: unknown, nth: number): Promise<Line[]> => {
    const path = `/strict/${nth}`;
    return [
      [':method', 'GET'],
      [':scheme', 'https'],
      [':path', path],
      [':authority', 'api.example.com'],
      ['authorization', `DPoP ${token}`],
      ['dpop', await makeProof(HOLDER, gateway.now(), { method: 'GET', url: `${ORIGIN}${path}`, token })],
    ];
  };
  const open = () => openHttp2(t, portOf(gateway.running.listeners[0]?.bind), { ca: SERVER_CA.cert });
  return { gateway, open, requests: await Promise.all(Array.from({ length: TOGETHER }, asking)) };
}

const stream = (nth: number) => 2 * nth + 1;

test('a request that is cancelled before its turn is not verified, and its proof is not used up; those next to it are served', async (t) => {
  const { gateway, open, requests } = await start(t);
  const raw = await open();
  const last = requests.length - 1;
  raw.write(
    ...requests.flatMap((lines, nth) => [request(stream(nth), lines), ...(nth === last ? [] : [reset(stream(nth))])]),
  );
  assert.equal(await raw.ending(stream(last)), 'ended');
  await gateway.logged({ outcome: 'client_gone', path: `/strict/${last - 1}` });
  assert.equal(await gateway.count('holdfast_requests_total', { outcome: 'client_gone' }), last);
  assert.equal(await gateway.count('holdfast_cache_lookups_total', { cache: 'proof_key' }), 1);
  assert.equal(await gateway.count('holdfast_replay_entries'), 1);
  assert.deepEqual(
    gateway.upstream.seen.map(({ target }) => target),
    [`/strict/${last}`],
  );

  const again = await open();
  again.write(...requests.map((lines, nth) => request(stream(nth), lines)));
  const reasons = await Promise.all(requests.map((_, nth) => again.reason(stream(nth))));
  assert.deepEqual(reasons, [...requests.slice(1).map(() => undefined), 'proof_replayed']);
  assert.equal(gateway.upstream.seen.length, requests.length);
});

test('requests with one new token that come together cost one verification of it', async (t) => {
  const { gateway, open, requests } = await start(t);
  const raw = await open();
  raw.write(...requests.map((lines, nth) => request(stream(nth), lines)));
  await Promise.all(requests.map((_, nth) => raw.ending(stream(nth))));
  const lookups = (result: string) => gateway.count('holdfast_cache_lookups_total', { cache: 'token', result });
  assert.deepEqual([await lookups('miss'), await lookups('hit')], [1, requests.length - 1]);
  assert.equal(gateway.upstream.seen.length, requests.length);
});

test('a body that breaks before the turn of its request is answered once, and its proof is not used up', async (t) => {
  const rig = await startRig(t);
  const credentials = await rig.credentials('POST', '/admin/1');
  const head = `POST /admin/1 HTTP/1.1\r\n${HOST}${credentials}Transfer-Encoding: chunked\r\n\r\n`;
  assert.deepEqual((await rig.answersTo(`${head}5\r\nhello\r\nzz\r\n`)).map(reasonOf), ['request_malformed']);
  await rig.gateway.logged({ outcome: 'client_gone' });
  assert.equal(await rig.gateway.count('holdfast_replay_entries'), 0);
  assert.equal(rig.upstream.text, '');

  const whole = await rig.open(`${head}5\r\nhello\r\n0\r\n\r\n`);
  assert.equal(statusOf((await whole.answers(1))[0] ?? assert.fail()), 200);
  assert.equal(await rig.gateway.count('holdfast_replay_entries'), 1);
});
