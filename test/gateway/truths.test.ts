// Refusals as client and operator read them: answer, challenge and log agree.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { type Answered, HOST, ORIGIN, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { dpop, issue, prove, TO_CERTIFICATE, TO_KEY } from './credentials.ts';

const POLICY = {
  listener: 'client_certificate: { request: optional, ca_file: clients.pem }\nexplain_to_clients: true',
  routes: `
- { name: any, match: { path: /any/* }, upstream: orders, require: token, weaker_than_defaults: [require] }
- { name: mtls, match: { path: /mtls/* }, upstream: orders, require: mtls }
- { name: dpop, match: { path: /dpop/* }, upstream: orders, require: dpop }
- { name: either, match: { path: /either/* }, upstream: orders, require: sender-constrained }
`,
};

/** The facts that the log has of a refusal. */
async function factsOf(gateway: TestGateway, { body }: Answered): Promise<unknown> {
  const { request_id } = JSON.parse(body);
  return (await gateway.logged({ msg: 'request', request_id }))['facts'];
}

const texts = ({ body, fields }: Answered) => {
  const { title, detail } = JSON.parse(body);
  return { title, detail, challenges: fields.all('www-authenticate').join() };
};

test('a proof for another scheme, host or port names it, with both URIs, in answer and log alike', async (t) => {
  const gateway = await startTestGateway(t, POLICY);
  const expected = `${ORIGIN}/dpop/1`;
  for (const [htu, received, differs] of [
    [`http://${HOST}/dpop/1`, `http://${HOST}/dpop/1`, 'scheme'],
    ['https://gateway.internal/dpop/1', 'https://gateway.internal/dpop/1', 'host'],
    [`${ORIGIN}:8443/dpop/1`, `${ORIGIN}:8443/dpop/1`, 'port'],
    [`${ORIGIN}/dpop/2?secret=1#secret`, `${ORIGIN}/dpop/2`, 'path'],
    [`https://secret@${HOST}/dpop/1`, `https://***@${HOST}/dpop/1`, 'userinfo'],
    [`${ORIGIN}/dpop/1/`, `${ORIGIN}/dpop/1/`, 'trailing slash'],
    [`${ORIGIN}/DPOP/1`, `${ORIGIN}/DPOP/1`, 'case'],
    [`${ORIGIN}/dpop/1%3Fsecond=2`, `${ORIGIN}/dpop/1%3Fsecond=2`, 'query'],
    ['/dpop/1', '/dpop/1', 'form'],
  ] as const) {
    const answer = await dpop(gateway, 'GET', '/dpop/1', { proving: { claims: { htu } } });
    assert.equal(answer.reason, 'proof_uri_mismatch');
    const facts = { what: 'htu', differs, expected, received };
    assert.partialDeepStrictEqual(JSON.parse(answer.body), facts);
    assert.deepEqual(await factsOf(gateway, answer), facts);
  }
  assert.doesNotMatch(JSON.stringify(gateway.log), /secret/);
});

test('a route for certificates says certificate to a DPoP token and to an unbound one', async (t) => {
  const gateway = await startTestGateway(t, POLICY);
  const answers = [
    await dpop(gateway, 'GET', '/mtls/1'),
    await gateway.request('GET', '/mtls/1', { token: await issue(gateway) }),
  ];
  for (const answer of answers) {
    assert.deepEqual([answer.status, answer.reason], [401, 'binding_required']);
    const { title, detail, challenges } = texts(answer);
    assert.match(title, /client certificate/);
    assert.match(detail, /client certificate \(cnf\.x5t#S256\), and connect with that certificate/);
    assert.match(challenges, /error_description="A token that is bound to a client certificate is required here"/);
    assert.deepEqual(await factsOf(gateway, answer), { what: 'x5t#S256' });
  }
});

test('a route for DPoP says key and not certificate, one for either kind names both', async (t) => {
  const gateway = await startTestGateway(t, POLICY);
  const token = await issue(gateway);
  const toKey = texts(await gateway.request('GET', '/dpop/1', { token }));
  assert.match(`${toKey.title} ${toKey.detail}`, /DPoP key.*cnf\.jkt/);
  assert.doesNotMatch(`${toKey.title} ${toKey.detail} ${toKey.challenges}`, /certificate/);
  const either = texts(await gateway.request('GET', '/either/1', { token }));
  assert.match(either.detail, /key or certificate/);
});

test('a token that is bound to a certificate and presented as DPoP is told to come as Bearer', async (t) => {
  const gateway = await startTestGateway(t, POLICY);
  const token = await issue(gateway, TO_CERTIFICATE);
  const proof = await prove(gateway, token, 'GET', '/either/1');
  const answer = await gateway.request('GET', '/either/1', { token, proof });
  assert.equal(answer.reason, 'binding_required');
  assert.match(texts(answer).detail, /^Present this token as Bearer/);
  assert.deepEqual(await factsOf(gateway, answer), { what: 'scheme' });
});

test('a body that stops is no header section that is late', async (t) => {
  const routes = `${POLICY.routes}
- { name: open, match: { path: /open/* }, upstream: orders, require: public, timeouts: { idle: 200ms }, weaker_than_defaults: [require] }`;
  const gateway = await startTestGateway(t, { ...POLICY, routes });
  const answer = await gateway.raw(`POST /open/1 HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 9\r\n\r\nhalf`);
  assert.deepEqual([answer.status, answer.reason], [408, 'request_timed_out']);
  assert.match(texts(answer).title, /^The request body/);
  assert.doesNotMatch(texts(answer).detail, /header/);
  assert.deepEqual(await factsOf(gateway, answer), { what: 'body' });
});

test('a client that is cut off for its body after the answer had begun did not go away by itself', async (t) => {
  const routes = `${POLICY.routes}
- { name: small, match: { path: /small/* }, upstream: orders, require: public, limits: { request_body: 8B }, weaker_than_defaults: [require] }`;
  const gateway = await startTestGateway(t, { ...POLICY, routes });
  gateway.upstream.arrived = (_request, response) => void response.write('begun');
  const socket = await gateway.connect();
  socket.write(`POST /small/1 HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n`);
  await once(socket, 'data');
  socket.write('8\r\ntoo much\r\n');
  const line = await gateway.logged({ msg: 'request', path: '/small/1' });
  assert.deepEqual([line['outcome'], line['status'], line['reason']], ['rejected', 200, 'body_too_large']);
  assert.equal(await gateway.count('holdfast_rejections_total', { reason: 'body_too_large' }), 1);
  assert.equal(await gateway.count('holdfast_requests_total', { outcome: 'client_gone' }), 0);
});

test('a token in the query is multiple methods only beside another one', async (t) => {
  const gateway = await startTestGateway(t, POLICY);
  const token = await issue(gateway, TO_KEY);
  const alone = await gateway.request('GET', `/any/1?access_token=${token}`);
  assert.deepEqual([alone.status, alone.reason], [400, 'credentials_in_query']);
  assert.match(texts(alone).challenges, /^DPoP error="invalid_request", error_description="The access token was sent/);
  assert.doesNotMatch(alone.body, /ultiple/);
  const both = await gateway.request('GET', '/any/1?access_token=x', { token: await issue(gateway) });
  assert.deepEqual([both.status, both.reason], [400, 'credentials_repeated']);
  assert.match(texts(both).title, /^Multiple methods/);
});

test('a token without a scheme is told to bring one, a foreign scheme that others are accepted', async (t) => {
  const gateway = await startTestGateway(t, POLICY);
  const bare = await gateway.request('GET', '/any/1', { fields: [['Authorization', await issue(gateway)]] });
  assert.deepEqual([bare.status, bare.reason], [400, 'credentials_malformed']);
  assert.match(texts(bare).detail, /^Send the scheme, one space and the token/);
  assert.deepEqual(await factsOf(gateway, bare), { what: 'scheme' });
  const foreign = await gateway.request('GET', '/any/1', { fields: [['Authorization', 'Token abc']] });
  assert.deepEqual([foreign.status, foreign.reason], [401, 'scheme_not_accepted']);
});
