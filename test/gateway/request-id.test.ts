// Request ids: one per request, in log, answer and upstream, and not of the client's choice.

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { why } from '../../src/cli/why.ts';
import { type Answered, portOf, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { assertProblems, policyOf } from '../support/policies.ts';

const FIELD = 'X-Request-Id';
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const APP = 'https://app.example.com';
const ROUTES = `
- name: dpop
  match: { path: /dpop/* }
  upstream: orders
  require: dpop
  cors: { origins: ["${APP}"] }
  resource: { identifier: "https://api.example.com/dpop" }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
`;
const TRUSTING = 'trusted_peers: [{ cidr: 127.0.0.0/8 }]';
const start = (t: TestContext, listener = '', more = '') => startTestGateway(t, { listener, routes: ROUTES, more });
const named = (...values: string[]) => ({ fields: values.map((value) => [FIELD, value] as const) });
const idOf = ({ fields }: Answered): string => fields.one(FIELD) ?? '';
const upstreamsId = (gateway: TestGateway) => gateway.upstream.seen.at(-1)?.fields.all(FIELD);

describe('a client', () => {
  test('does not choose the id: its own never reaches log, answer or upstream', async (t) => {
    const gateway = await start(t);
    for (const values of [['of-the-client-1'], ['of-the-client-1', 'of-the-client-2'], ['']]) {
      const answer = await gateway.request('GET', '/open/1', named(...values));
      assert.match(idOf(answer), UUID);
      assert.deepEqual(upstreamsId(gateway), [idOf(answer)]);
      await gateway.logged({ msg: 'request', request_id: idOf(answer), outcome: 'forwarded' });
    }
  });

  test('imitates the field in vain', async (t) => {
    const gateway = await start(t);
    for (const name of ['X_Request_Id', 'x.request.id', 'XRequestId']) {
      const refused = await gateway.request('GET', '/open/1', { fields: [[name, 'of-the-client-1']] });
      assert.equal(refused.reason, 'field_forbidden', name);
    }
    const refused = await gateway.request('GET', '/open/1', { fields: [['Connection', 'x-request-id']] });
    assert.equal(refused.reason, 'field_forbidden');
  });
});

describe('every answer has the id', () => {
  test('refusals at every stage: that of the problem and of the log', async (t) => {
    const gateway = await start(t);
    for (const [method, path, status] of [
      ['GET', '/dpop/1', 401],
      ['GET', '/nowhere', 404],
      ['GET', '/dpop/../1', 400],
    ] as const) {
      const refused = await gateway.request(method, path, named('of-the-client-1'));
      assert.equal(refused.status, status);
      assert.equal(JSON.parse(refused.body).request_id, idOf(refused));
      await gateway.logged({ msg: 'request', request_id: idOf(refused), status });
    }
  });

  test('what never became a request, preflights, metadata and OPTIONS *', async (t) => {
    const gateway = await start(t);
    const raw = await gateway.raw('GET / HTTP/1.1\r\nBad Field: x\r\n\r\n');
    assert.deepEqual([raw.status, JSON.parse(raw.body).request_id], [400, idOf(raw)]);
    const connect = await gateway.raw('CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n');
    assert.deepEqual([connect.status, JSON.parse(connect.body).request_id], [405, idOf(connect)]);
    const asked = [
      ['Origin', APP],
      ['Access-Control-Request-Method', 'GET'],
    ] as const;
    const preflight = await gateway.request('OPTIONS', '/dpop/1', { fields: asked });
    assert.deepEqual([preflight.status, UUID.test(idOf(preflight))], [204, true]);
    const metadata = await gateway.request('GET', '/.well-known/oauth-protected-resource/dpop');
    assert.deepEqual([metadata.status, UUID.test(idOf(metadata))], [200, true]);
    const server = await gateway.request('OPTIONS', '*');
    assert.deepEqual([server.status, UUID.test(idOf(server))], [204, true]);
  });

  test('answers of the upstream, in place of its own; interim answers have none', async (t) => {
    const gateway = await start(t);
    gateway.upstream.answer = (_request, response) => {
      response.writeEarlyHints({ link: '</a>; rel=preload', 'x-request-id': 'of-the-upstream' });
      response.writeHead(200, { 'x-request-ID': 'of-the-upstream' }).end();
    };
    const socket = await gateway.connect();
    socket.write('GET /open/1 HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n');
    let text = '';
    for await (const chunk of socket) text += chunk;
    assert.match(text, /^HTTP\/1\.1 103 /);
    assert.equal(text.includes('of-the-upstream'), false);
    assert.equal([...text.matchAll(/^x-request-id: (.*)\r$/gim)].length, 1);
    assert.equal(/^x-request-id: (.*)\r$/im.exec(text)?.[1], upstreamsId(gateway)?.[0]);
  });

  test('and pages may read it, of refusals too', async (t) => {
    const gateway = await start(t);
    const { fields } = await gateway.request('GET', '/dpop/1', { fields: [['Origin', APP]] });
    assert.match(fields.one('Access-Control-Expose-Headers') ?? '', /\bX-Request-Id\b/);
  });
});

describe('a trusted peer', () => {
  test('names the request, and everybody hears that name', async (t) => {
    const gateway = await start(t, TRUSTING);
    const id = '7F000001:8B3A_7F000001:1F90_5F5E100';
    assert.equal(idOf(await gateway.request('GET', '/open/1', named(id))), id);
    assert.deepEqual(upstreamsId(gateway), [id]);
    const refused = await gateway.request('GET', '/dpop/1', named(id));
    assert.deepEqual([idOf(refused), JSON.parse(refused.body).request_id], [id, id]);
    await gateway.logged({ msg: 'request', request_id: id, reason: 'credentials_missing' });
    const admin = `http://127.0.0.1:${portOf(gateway.running.admin)}`;
    assert.match((await why(id, admin)).stdout, /credentials_missing/);
  });

  test('that sends no id, two, or something else gets a new one', async (t) => {
    const gateway = await start(t, TRUSTING);
    for (const values of [[], ['12345678', '12345678'], ['short'], ['"><script>alert(1)'], ['a'.repeat(129)]]) {
      assert.match(idOf(await gateway.request('GET', '/dpop/1', named(...values))), UUID);
    }
  });
});

describe('request_id', () => {
  test('of another name: that field is ours, and X-Request-Id is like any other, both ways', async (t) => {
    const gateway = await start(t, '', 'request_id: X-Gateway-Id\ndrain: { delay: 0s, grace: 5s }');
    gateway.upstream.answer = (_request, response) => response.writeHead(200, { [FIELD]: 'of-the-upstream' }).end();
    const { fields } = await gateway.request('GET', '/open/1', named('of-the-client'));
    assert.equal(fields.one(FIELD), 'of-the-upstream');
    assert.match(fields.one('X-Gateway-Id') ?? '', UUID);
    assert.deepEqual(upstreamsId(gateway), ['of-the-client']);
  });

  test('none: no field, and the id is in problem and log all the same', async (t) => {
    const gateway = await start(t, '', 'request_id: none\ndrain: { delay: 0s, grace: 5s }');
    await gateway.request('GET', '/open/1', named('of-the-client'));
    assert.deepEqual(upstreamsId(gateway), ['of-the-client']);
    const refused = await gateway.request('GET', '/dpop/1', { fields: [['Origin', APP]] });
    assert.deepEqual(refused.fields.all(FIELD), []);
    assert.equal(refused.fields.one('Access-Control-Expose-Headers'), 'DPoP-Nonce, WWW-Authenticate');
    await gateway.logged({ msg: 'request', request_id: JSON.parse(refused.body).request_id });
  });

  test('that another key sets, or that frames messages, is refused at the start', () => {
    const identity = 'defaults: { forward: { identity: { x-request-ID: «sub } } }';
    assertProblems({ more: identity }, [
      'defaults.forward.identity.x-request-ID: is the field of request_id, expected another field name, or another one there',
    ]);
    assertProblems({ more: 'request_id: «Content-Length' }, [
      'request_id: frames or routes the message itself, expected another field name',
    ]);
    assert.equal(policyOf({ more: 'request_id: none' }).managedFields.requestId, undefined);
  });
});

for (const dialect of ['forwarded', 'envoy-http'] as const) {
  test(`mode decide, dialect ${dialect}: the answer names the request for the front, permit or refusal`, async (t) => {
    const listener = `mode: decide\ndialect: ${dialect}\n${dialect === 'envoy-http' ? 'path_prefix: /decide\n' : ''}${TRUSTING}`;
    const gateway = await start(t, listener);
    const ask = (path: string, ...values: string[]) => {
      const described = [
        ['X-Forwarded-Method', 'GET'],
        ['X-Forwarded-Proto', 'https'],
        ['X-Forwarded-Host', 'api.example.com'],
        ['X-Forwarded-Uri', path],
      ] as const;
      const fields = dialect === 'forwarded' ? described : ([['X-Forwarded-Proto', 'https']] as const);
      const at = dialect === 'forwarded' ? '/auth' : `/decide${path}`;
      return gateway.request('GET', at, { fields: [...fields, ...named(...values).fields] });
    };
    for (const [path, status] of [
      ['/open/1', 200],
      ['/dpop/1', 401],
    ] as const) {
      const taken = await ask(path, 'of-the-front-1');
      assert.deepEqual([taken.status, taken.fields.all(FIELD)], [status, ['of-the-front-1']]);
      const made = await ask(path);
      assert.match(idOf(made), UUID);
      await gateway.logged({ msg: 'request', request_id: idOf(made) });
    }
  });
}
