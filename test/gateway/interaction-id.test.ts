// Interaction ids: only the client's one UUID comes back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestGateway } from '../support/gateway.ts';
import { assertProblems } from '../support/policies.ts';

const FIELD = 'X-FAPI-Interaction-Id';
const ID = '73cac523-d3ae-4289-b106-330a6218710d';
const LISTENER = `interaction_id: ${FIELD}`;
const ROUTES = `
- { name: dpop, match: { path: /dpop/* }, upstream: orders, require: dpop }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
`;
const lines = (...values: string[]) => ({ fields: values.map((value) => [FIELD, value] as const) });

test('a refusal repeats the id of its request, at every stage, and the log has it', async (t) => {
  const gateway = await startTestGateway(t, { listener: LISTENER, routes: ROUTES });
  for (const [path, reason] of [
    ['/dpop/1', 'credentials_missing'],
    ['/nowhere', 'route_not_found'],
    ['/dpop/../1', 'request_malformed'],
  ] as const) {
    const refused = await gateway.request('GET', path, lines(ID));
    assert.deepEqual([refused.reason, refused.fields.all(FIELD)], [reason, [ID]]);
    await gateway.logged({ msg: 'request', reason, interaction_id: ID });
  }
});

test('without one UUID of the client the request_id of the answer is there', async (t) => {
  const gateway = await startTestGateway(t, { listener: LISTENER, routes: ROUTES });
  for (const values of [[], [''], [ID, ID], [`${ID}, ${ID}`], [`${ID}0`], ['<script>MARK'], [`{${ID}}`]]) {
    const refused = await gateway.request('GET', '/dpop/1', lines(...values));
    const { request_id: requestId } = JSON.parse(refused.body);
    assert.deepEqual(refused.fields.all(FIELD), [requestId], values.join());
    const line = await gateway.logged({ msg: 'request', request_id: requestId });
    assert.equal(line['interaction_id'], requestId);
  }
});

test('answers of the upstream have it, too: as the upstream says it, else the id of the request', async (t) => {
  const gateway = await startTestGateway(t, { listener: LISTENER, routes: ROUTES });
  assert.deepEqual((await gateway.request('GET', '/open/1', lines(ID))).fields.all(FIELD), [ID]);
  assert.equal(gateway.upstream.seen.at(-1)?.fields.one(FIELD), ID);
  await gateway.logged({ msg: 'request', path: '/open/1', interaction_id: ID });
  gateway.upstream.answer = (_request, response) => response.writeHead(200, { [FIELD]: 'of-the-upstream' }).end();
  assert.deepEqual((await gateway.request('GET', '/open/1', lines(ID))).fields.all(FIELD), ['of-the-upstream']);
});

test('without one the upstream gets the id that answer and log have', async (t) => {
  const gateway = await startTestGateway(t, { listener: LISTENER, routes: ROUTES });
  const answer = await gateway.request('GET', '/open/1');
  const made = answer.fields.one(FIELD);
  assert.match(made ?? '', /^[0-9a-f-]{36}$/);
  assert.equal(gateway.upstream.seen.at(-1)?.fields.one(FIELD), made);
  await gateway.logged({ msg: 'request', interaction_id: made });
});

test('bytes that are no request are answered with an id of their own', async (t) => {
  const gateway = await startTestGateway(t, { listener: LISTENER, routes: ROUTES });
  const answer = await gateway.raw('GET / HTTP/1.1\r\nBad Field: x\r\n\r\n');
  assert.equal(answer.status, 400);
  assert.equal(answer.fields.one(FIELD), answer.fields.one('X-Request-Id'));
});

test('where no listener names the field, it means nothing', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const refused = await gateway.request('GET', '/dpop/1', lines(ID));
  assert.deepEqual(refused.fields.all(FIELD), []);
  const line = await gateway.logged({ msg: 'request', request_id: JSON.parse(refused.body).request_id });
  assert.equal(line['interaction_id'], undefined);
});

test('a name that frames the message, or that the gateway sets, is refused at the start', () => {
  const named = (name: string) => ({
    listeners: `- { name: a, bind: "127.0.0.1:0", origins: ["http://a.example"], interaction_id: «${name} }`,
  });
  assertProblems(named('Content-Length'), [
    'listeners[0].interaction_id: frames or routes the message itself, expected another field name',
  ]);
  assertProblems(named('DPoP'), [
    'listeners[0].interaction_id: is what the gateway sets itself, expected another field name',
  ]);
  assertProblems(named('x-request-id'), [
    'listeners[0].interaction_id: is the field of request_id, expected another field name, or another one there',
  ]);
});
