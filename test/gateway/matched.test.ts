// Routes by fields and fixed answers with gRPC, fronts that ask, and WebSockets.

import assert from 'node:assert/strict';
import { Metadata, status } from '@grpc/grpc-js';
import { describe, it } from 'node:test';
import { startTestGateway } from '../support/gateway.ts';
import { startGrpc, unary } from './grpc-rig.ts';

const OPEN = 'require: public, weaker_than_defaults: [require]';

const metadataWith = (fields: Readonly<Record<string, string>>) => {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
  return metadata;
};

describe('a gRPC call', () => {
  it('goes by its metadata, and ends with UNIMPLEMENTED where no route takes it', async (t) => {
    const rig = await startGrpc(t, {
      listener: 'fall_through: true',
      routes: `- { name: canary, match: { path: /only/*, methods: [POST], headers: { X-Env: canary } }, upstream: echo, ${OPEN} }
- { name: down, match: { path: /down/* }, respond: { status: 503, body: "Back at 12:00, 100 %" }, ${OPEN} }
- { name: missing, match: { path: /missing/* }, respond: { status: 500 }, ${OPEN} }`,
    });
    const client = rig.client();
    const call = async (path: string, fields = {}) => (await unary(client, metadataWith(fields), { path })).status;
    const path = '/only/test.Echo/Unary';
    // The server behind knows no such path, and says so itself.
    assert.doesNotMatch((await call(path, { 'x-env': 'canary' })).details, /route/);
    const other = await call(path, { 'x-env': 'prod' });
    assert.deepEqual([other.code, /route_not_found/.test(other.details)], [status.UNIMPLEMENTED, true]);
    const down = await call('/down/test.Echo/Unary');
    assert.deepEqual([down.code, down.details], [status.UNAVAILABLE, 'Back at 12:00, 100 %']);
    assert.equal((await call('/missing/x')).code, status.INTERNAL);
    const line = await rig.gateway.logged({ route: 'down' });
    assert.deepEqual([line['outcome'], line['status'], line['grpc_status']], ['answered', 200, 14]);
  });
});

describe('a front that asks', () => {
  const ROUTES = `- { name: strict, match: { path: /* } }
- { name: open, match: { path: /*, headers: { X-Env: test }, query: { open: "1" } }, ${OPEN} }`;
  const LISTENER = 'mode: decide\ndialect: forwarded\ntrusted_peers: [{ cidr: 127.0.0.0/8 }]';

  it('is answered by the fields and the query of the request that it describes', async (t) => {
    const gateway = await startTestGateway(t, { listener: LISTENER, routes: ROUTES });
    const ask = async (uri: string, fields: readonly (readonly [string, string])[] = [], at = '/auth') => {
      const described = [
        ['X-Forwarded-Method', 'GET'],
        ['X-Forwarded-Proto', 'https'],
        ['X-Forwarded-Host', 'api.example.com'],
        ['X-Forwarded-Uri', uri],
        ...fields,
      ] as const;
      const { reason, status: code } = await gateway.request('GET', at, {
        host: 'holdfast.internal',
        fields: described,
      });
      return reason ?? code;
    };
    assert.equal(await ask('/a?open=1', [['X-Env', 'test']]), 200);
    assert.equal(await ask('/a?open=1'), 'credentials_missing');
    assert.equal(await ask('/a', [['X-Env', 'test']]), 'credentials_missing');
    assert.equal(
      await ask('/a', [['X-Env', 'test']], '/auth?open=1'),
      'credentials_missing',
      "the question's own query is nobody's",
    );
    assert.equal(await ask('/a?open=1', [['X_Env', 'test']]), 'field_forbidden');
  });
});

describe('the opening of a WebSocket', () => {
  it('is answered as any request by a route that answers by itself, and its connection ends', async (t) => {
    const gateway = await startTestGateway(t, {
      routes: `- { name: down, match: { path: /down }, respond: { status: 503, body: later }, ${OPEN} }
- { name: moved, match: { path: /old }, redirect: { path: /new }, ${OPEN} }`,
    });
    const open = (path: string) =>
      gateway.raw(
        `GET ${path} HTTP/1.1\r\nHost: api.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      );
    const down = await open('/down');
    assert.deepEqual([down.status, down.body], [503, 'later']);
    const moved = await open('/old');
    assert.deepEqual([moved.status, moved.fields.one('location')], [302, 'https://api.example.com/new']);
  });
});
