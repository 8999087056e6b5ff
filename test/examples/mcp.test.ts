// Sessions, resumed streams, fields and browsers of MCP through the gateway.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type Client, SdkHttpError } from '@modelcontextprotocol/client';
import { portOf, type RequestWishes, startTestGateway } from '../support/gateway.ts';
import { startLoginServer, USER } from '../support/login-server.ts';
import { connectMcp, makeFetch, TestProvider, type Trace } from '../support/mcp-client.ts';
import { startMcpServer } from '../support/mcp-server.ts';
import { HOLDER, prove, TLS } from './example.ts';
import { MCP, said, startMcp } from './mcp.ts';

const APP = 'https://app.example.com';
const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'page', version: '1' } },
});

describe('a session', () => {
  test('goes on over all requests, with the version of the protocol, and ends by DELETE', async (t) => {
    const { connect, server } = await startMcp(t, TLS);
    const { client, transport } = await connect();
    await client.listTools();
    const id = transport.sessionId;
    assert.ok(id);
    const [, ...later] = server.seen.filter(({ method }) => method === 'POST');
    assert.deepEqual(new Set(later.map(({ headers }) => headers['mcp-session-id'])), new Set([id]));
    assert.deepEqual(new Set(later.map(({ headers }) => headers['mcp-protocol-version'])), new Set(['2025-11-25']));
    await transport.terminateSession();
    const last = server.seen.at(-1);
    assert.deepEqual([last?.method, last?.headers['mcp-session-id']], ['DELETE', id]);
  });

  test('is worth nothing to who knows its id and has no token', async (t) => {
    const { connect, server, call } = await startMcp(t, TLS);
    const { transport } = await connect();
    const fields = [
      ['Mcp-Session-Id', String(transport.sessionId)],
      ['X-Thief', 'yes'],
    ] as const;
    for (const method of ['POST', 'GET', 'DELETE']) {
      assert.equal((await call(method, '/mcp', { fields })).reason, 'credentials_missing');
    }
    assert.ok(server.seen.every(({ headers }) => headers['x-thief'] === undefined));
  });
});

describe('an event stream', () => {
  for (const [version, allowH2] of [
    ['HTTP/1.1', false],
    ['HTTP/2', true],
  ] as const) {
    test(`brings thousands of events in their order over ${version}, while other calls are answered`, async (t) => {
      const { connect, port, server } = await startMcp(t, TLS);
      const { client } = await connect(undefined, { fetch: makeFetch(t, port, [], allowH2) });
      const seen: number[] = [];
      const counted = client.callTool(
        { name: 'count', arguments: { to: 3000 } },
        { onprogress: ({ progress }) => seen.push(progress) },
      );
      assert.equal(said(await client.callTool({ name: 'add', arguments: { a: 2, b: 2 } })), '4');
      assert.match(server.seen.at(-1)?.headers.via ?? '', new RegExp(`^${version.slice(5)}\\S* `));
      assert.equal(said(await counted), '3000');
      assert.deepEqual(
        seen,
        Array.from({ length: 3000 }, (_, at) => at + 1),
      );
    });
  }

  test('that ends before the answer is taken up again by Last-Event-ID, with a proof for the GET', async (t) => {
    const { connect, server } = await startMcp(t, TLS);
    const { client } = await connect();
    const seen: number[] = [];
    const answer = await client.callTool(
      { name: 'interrupted' },
      { onprogress: ({ progress }) => seen.push(progress) },
    );
    assert.equal(said(answer), 'resumed');
    assert.deepEqual(seen, [1, 2]);
    assert.ok(server.seen.some(({ method, headers }) => method === 'GET' && headers['last-event-id'] !== undefined));
  });

  test('of the server itself stays open, and comes back after a cut with what was missed', async (t) => {
    const { connect, server } = await startMcp(t, TLS);
    const { client } = await connect();
    const heard = new EventEmitter();
    client.setNotificationHandler('notifications/tools/list_changed', () => void heard.emit('change'));
    const opened = () => server.seen.filter(({ method }) => method === 'GET').length;
    // The client opens it after the handshake, on its own.
    while (opened() === 0) await client.ping();
    for (const cut of [false, true, false]) {
      const change = once(heard, 'change');
      if (cut) server.cutStreams();
      server.announce();
      await change;
    }
    assert.equal(opened(), 2);
    assert.ok(server.seen.some(({ headers }) => headers['last-event-id'] !== undefined));
  });
});

test('the revision without sessions works too, and its fields pass', async (t) => {
  const { connect, server } = await startMcp(t, TLS);
  const { client, transport } = await connect(new TestProvider(HOLDER), { revision: 'stateless' });
  assert.equal(said(await client.callTool({ name: 'add', arguments: { a: 20, b: 1 } })), '21');
  assert.equal(transport.sessionId, undefined);
  const called = server.seen.at(-1)?.headers;
  assert.deepEqual(
    ['mcp-protocol-version', 'mcp-method', 'mcp-name', 'mcp-session-id'].map((name) => called?.[name]),
    ['2026-07-28', 'tools/call', 'add', undefined],
  );
});

describe('a client in a browser', () => {
  test('may send the fields of the protocol and read its session and its nonce', async (t) => {
    const { connect, call, server } = await startMcp(t, TLS);
    const provider = new TestProvider(HOLDER);
    await connect(provider);
    const token = provider.saved?.access_token ?? '';
    const names =
      'authorization,content-type,dpop,last-event-id,mcp-method,mcp-name,mcp-protocol-version,mcp-session-id';
    for (const method of ['POST', 'GET', 'DELETE']) {
      const { status, fields } = await call('OPTIONS', '/mcp', {
        fields: [
          ['Origin', APP],
          ['Access-Control-Request-Method', method],
          ['Access-Control-Request-Headers', names],
        ],
      });
      assert.equal(status, 204);
      const allowed = fields.one('Access-Control-Allow-Headers')?.toLowerCase().split(', ').toSorted().join(',');
      assert.deepEqual([fields.one('Access-Control-Allow-Origin'), allowed], [APP, names]);
      assert.ok(fields.one('Access-Control-Allow-Methods')?.split(', ').includes(method));
    }
    const send = async (nonce?: string) => {
      const fields: RequestWishes['fields'] = [
        ['Origin', APP],
        ['Accept', 'application/json, text/event-stream'],
        ['Content-Type', 'application/json'],
      ];
      return await call('POST', '/mcp', {
        ...(await prove(token, 'POST', '/mcp', { nonce })),
        fields,
        body: INITIALIZE,
      });
    };
    const first = await send();
    const answer = first.status === 401 ? await send(first.fields.one('DPoP-Nonce')) : first;
    assert.equal(answer.status, 200);
    assert.ok(answer.fields.one('Mcp-Session-Id'));
    assert.equal(
      answer.fields.one('Access-Control-Expose-Headers'),
      'DPoP-Nonce, WWW-Authenticate, Mcp-Session-Id, X-Request-Id',
    );
    assert.equal(server.seen.at(-1)?.headers.origin, undefined);
  });

  test('of another origin is refused at its preflight, and may read the metadata of the resource', async (t) => {
    const { call, server } = await startMcp(t, TLS);
    const evil = ['Origin', 'https://evil.example'] as const;
    const preflight = await call('OPTIONS', '/mcp', { fields: [evil, ['Access-Control-Request-Method', 'POST']] });
    assert.deepEqual([preflight.status, preflight.reason], [403, 'preflight_refused']);
    const refused = await call('POST', '/mcp', { fields: [evil], body: INITIALIZE });
    assert.deepEqual([refused.status, refused.fields.one('Access-Control-Allow-Origin')], [401, undefined]);
    const document = await call('GET', '/.well-known/oauth-protected-resource/mcp', { fields: [evil] });
    assert.deepEqual([document.status, document.fields.one('Access-Control-Allow-Origin')], [200, '*']);
    assert.equal(server.seen.length, 0);
  });
});

test('what the server itself refuses reaches the client as it is', async (t) => {
  const { connect } = await startMcp(t, TLS);
  const { client, transport } = await connect();
  await transport.terminateSession();
  await assert.rejects(client.ping(), (error) => error instanceof SdkHttpError && error.status === 400);
});

test('with nonces demanded the client repeats one request with the nonce, and none after it', async (t) => {
  const server = await startMcpServer(t);
  const login = await startLoginServer(t, { resources: { [MCP]: ['mcp:tools'] } });
  const { running } = await startTestGateway(t, {
    issuers: `login: { issuer: "${login.issuer}", audience: ["${MCP}"] }`,
    upstreams: `mcp: { targets: ["${server.url}"] }`,
    routes: `- name: mcp
  match: { path: /mcp }
  upstream: mcp
  require: dpop
  scope: [mcp:tools]
  dpop: { nonce: required }
  forward: { host: upstream }
  resource: { identifier: "${MCP}" }`,
  });
  const trace: Trace = [];
  const fetch = makeFetch(t, portOf(running.listeners[0]?.bind), trace);
  const provider = new TestProvider(HOLDER);
  const { client } = await connectMcp(t, { url: MCP, fetch, provider, browser: login.browse() });
  for (const a of [1, 2, 3]) {
    assert.equal(said(await client.callTool({ name: 'add', arguments: { a, b: 1 } })), String(a + 1));
  }
  const refused = trace.filter(({ status }) => status === 401).map(({ headers }) => headers.get('WWW-Authenticate'));
  assert.equal(refused.length, 2);
  assert.match(refused[0] ?? '', /^DPoP algs=/);
  assert.match(refused[1] ?? '', /^DPoP error="use_dpop_nonce"/);
});

test('the server and the client of docs/mcp.md find one another through the gateway', async (t) => {
  const folder = join(import.meta.dirname, '../../docs/mcp');
  const child = spawn(process.execPath, [join(folder, 'server.mjs')], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill());
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const { fetch, login, count } = await startMcp(t, TLS, { url: line });
  const browser = login.browse();
  const { connect } = (await import(pathToFileURL(join(folder, 'client.mjs')).href)) as {
    connect: (url: string, open: (address: URL) => void, by: typeof fetch) => Promise<Client>;
  };
  const signIn = async (address: URL) => void (await globalThis.fetch(await browser.authorize(address)));
  const client = await connect(MCP, (address) => void signIn(address), fetch);
  t.after(() => client.close());
  assert.equal(said(await client.callTool({ name: 'whoami' })), USER);
  assert.equal(said(await client.callTool({ name: 'add', arguments: { a: 20, b: 22 } })), '42');
  assert.ok((await count('holdfast_requests_total', { route: 'mcp', outcome: 'forwarded' })) >= 2);
});
