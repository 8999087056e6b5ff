// Mode decide over gRPC, called by grpc-js with messages of the published protocol: permits, refusals, and everything malformed.

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { portOf, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { CLIENT, issue, prove, SUBJECT, TO_CERTIFICATE, TO_KEY } from './credentials.ts';

/** envoy.service.auth.v3, the part that is used here, as its .proto files have it. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message HeaderValue { string key = 1; string value = 2; bytes raw_value = 3; }
  message BoolValue { bool value = 1; }
  message HeaderMap { repeated HeaderValue headers = 1; }
  message HeaderValueOption { HeaderValue header = 1; BoolValue append = 2; }
  message SocketAddress { string address = 2; }
  message Address { SocketAddress socket_address = 1; }
  message Peer { Address address = 1; string certificate = 5; }
  message HttpRequest { string method = 2; map<string, string> headers = 3; string path = 4; string host = 5; string scheme = 6; HeaderMap header_map = 13; }
  message Request { HttpRequest http = 2; }
  message AttributeContext { Peer source = 1; Request request = 4; }
  message CheckRequest { AttributeContext attributes = 1; }
  message Status { int32 code = 1; }
  message Denied { Status status = 1; repeated HeaderValueOption headers = 2; string body = 3; }
  message Ok { repeated HeaderValueOption headers = 2; repeated string headers_to_remove = 5; repeated HeaderValueOption response_headers_to_add = 6; }
  message CheckResponse { Status status = 1; Denied denied_response = 2; Ok ok_response = 3; }
`);
const CHECK = '/envoy.service.auth.v3.Authorization/Check';

const ROUTES = `
- { name: dpop, match: { path: /dpop/* }, require: dpop }
- name: mtls
  match: { path: /mtls/* }
  require: mtls
  forward: { client_certificate: [{ format: rfc9440, field: Client-Cert }] }
- { name: open, match: { path: /open/* }, require: public, weaker_than_defaults: [require] }
`;

const start = (t: TestContext, cidr = '127.0.0.0/8') =>
  startTestGateway(t, {
    listeners: `- name: public
  bind: "127.0.0.1:0"
  origins: ["https://api.example.com"]
  mode: decide
  dialect: envoy-grpc
  trusted_peers: [{ cidr: ${cidr} }]
  client_certificate: { ca_file: clients.pem }
  client_certificate_from: { format: envoy-attribute }`,
    routes: ROUTES,
  });

const asIs = (bytes: Buffer) => bytes;

function call(t: TestContext, gateway: TestGateway, method: string, bytes: Uint8Array): Promise<Buffer> {
  const client = new Client(`127.0.0.1:${portOf(gateway.running.listeners[0]?.bind)}`, credentials.createInsecure());
  t.after(() => client.close());
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(method, asIs, asIs, Buffer.from(bytes), (error, value) =>
      error === null ? resolve(value ?? Buffer.of()) : reject(error),
    );
  });
}

interface Checked {
  readonly status: { readonly code: number };
  readonly deniedResponse?: {
    status: { code: number };
    headers: { header: { key: string; value: string } }[];
    body: string;
  };
  readonly okResponse?: { headers: { header: { key: string; value: string } }[]; headersToRemove: string[] };
}

async function check(t: TestContext, gateway: TestGateway, http: object, source: object = {}): Promise<Checked> {
  const type = root.lookupType('CheckRequest');
  const whole = { method: 'GET', scheme: 'https', host: 'api.example.com', path: '/open/1', ...http };
  const message = type.fromObject({ attributes: { source, request: { http: whole } } });
  const answer = await call(t, gateway, CHECK, type.encode(message).finish());
  const response = root.lookupType('CheckResponse');
  return response.toObject(response.decode(answer), { defaults: true }) as Checked;
}

const reasonOf = ({ deniedResponse }: Checked) => /"reason":"(\w+)"/.exec(deniedResponse?.body ?? '')?.[1];

describe('dialect envoy-grpc', () => {
  test('permits the holder, sets its identity and names what must go', async (t) => {
    const gateway = await start(t);
    const token = await issue(gateway, TO_KEY);
    const headers = { authorization: `DPoP ${token}`, dpop: await prove(gateway, token, 'GET', '/dpop/1') };
    const { status: told, okResponse } = await check(t, gateway, { path: '/dpop/1', headers });
    assert.equal(told.code, 0);
    const set = Object.fromEntries(
      okResponse?.headers.map(({ header }) => [header.key.toLowerCase(), header.value]) ?? [],
    );
    assert.equal(set['x-auth-subject'], SUBJECT);
    for (const name of ['authorization', 'dpop', 'client-cert', 'x-original-url'])
      assert.ok(okResponse?.headersToRemove.includes(name), name);
  });

  test('takes raw field lines before joined ones, and refuses two proofs in either', async (t) => {
    const gateway = await start(t);
    const token = await issue(gateway, TO_KEY);
    const proof = await prove(gateway, token, 'GET', '/dpop/1');
    const raw = (...lines: readonly [string, string][]) => ({
      headerMap: { headers: lines.map(([key, value]) => ({ key, rawValue: Buffer.from(value) })) },
    });
    const authorization = ['authorization', `DPoP ${token}`] as [string, string];
    const twice = await check(t, gateway, { path: '/dpop/1', ...raw(authorization, ['dpop', proof], ['dpop', proof]) });
    assert.equal(reasonOf(twice), 'proof_repeated');
    const joined = { authorization: `DPoP ${token}`, dpop: `${proof},${proof}` };
    assert.equal(reasonOf(await check(t, gateway, { path: '/dpop/1', headers: joined })), 'proof_repeated');
    assert.equal((await check(t, gateway, { path: '/dpop/1', ...raw(authorization, ['dpop', proof]) })).status.code, 0);
  });

  test('takes the certificate from the attributes alone: no field of a client is one', async (t) => {
    const gateway = await start(t);
    const token = await issue(gateway, TO_CERTIFICATE);
    const certificate = encodeURIComponent(CLIENT.cert);
    const http = { path: '/mtls/1', headers: { authorization: `Bearer ${token}` } };
    assert.equal((await check(t, gateway, http, { certificate })).status.code, 0);
    assert.equal(reasonOf(await check(t, gateway, http)), 'certificate_missing');
    const forged = { ...http, headers: { ...http.headers, ':source-certificate': certificate } };
    assert.equal(reasonOf(await check(t, gateway, forged)), 'certificate_missing');
  });

  test('refuses with status, challenge and problem', async (t) => {
    const gateway = await start(t);
    const checked = await check(t, gateway, { path: '/dpop/1' });
    assert.equal(checked.status.code, status.PERMISSION_DENIED);
    assert.equal(checked.deniedResponse?.status.code, 401);
    assert.equal(reasonOf(checked), 'credentials_missing');
    const fields = checked.deniedResponse?.headers.map(({ header }) => header.key) ?? [];
    assert.ok(fields.includes('WWW-Authenticate') && fields.includes('X-Holdfast-Reason'));
  });

  test('refuses a description without scheme, method or host, and paths that proxy mode refuses', async (t) => {
    const gateway = await start(t);
    assert.equal((await check(t, gateway, {})).status.code, 0);
    for (const part of ['scheme', 'method', 'host'])
      assert.equal(reasonOf(await check(t, gateway, { [part]: '' })), 'request_malformed', part);
    for (const path of ['', 'open/1', '/open/../dpop/1', '/open//1', '/open/%00'])
      assert.equal(reasonOf(await check(t, gateway, { path })), 'request_malformed', path);
  });

  test('refuses what is not a message, and a stranger', async (t) => {
    const gateway = await start(t);
    const response = root.lookupType('CheckResponse');
    const answer = response.decode(await call(t, gateway, CHECK, Buffer.from([0xff, 0xff, 0xff])));
    assert.equal(reasonOf(response.toObject(answer, { defaults: true }) as Checked), 'request_malformed');
    const strange = await start(t, '192.0.2.0/24');
    assert.equal(reasonOf(await check(t, strange, {})), 'peer_unknown');
  });

  test('says that it serves, to anybody, and nothing about other methods', async (t) => {
    const gateway = await start(t, '192.0.2.0/24');
    assert.deepEqual([...(await call(t, gateway, '/grpc.health.v1.Health/Check', Buffer.of()))], [8, 1]);
    await assert.rejects(call(t, gateway, '/envoy.service.auth.v3.Authorization/Other', Buffer.of()), (error) => {
      return (error as ServiceError).code === status.UNIMPLEMENTED;
    });
  });
});
