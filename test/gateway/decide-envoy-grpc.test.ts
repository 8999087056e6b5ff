// Hostile questions over gRPC (dialect envoy-grpc).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { describe, test, type TestContext } from 'node:test';
import protobuf from 'protobufjs';
import { HOST, portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { issue, prove, SUBJECT, TO_KEY } from './credentials.ts';

const ROUTES = `
- { name: dpop, match: { path: /dpop/* }, require: dpop }
- { name: page, match: { path: /page/* }, require: dpop, dpop: { nonce: required }, cors: { origins: [https://app.example.net] } }
- { name: open, match: { path: /open/* }, require: public, rate_limit: hourly, weaker_than_defaults: [require] }`;
const MORE = 'drain: { delay: 0s, grace: 5s }\nrate_limits: { hourly: { key: address, rate: 1/h, burst: 1 } }';
const CHECK = '/envoy.service.auth.v3.Authorization/Check';

/** By the published numbers of envoy.service.auth.v3, apart from the gateway's own table. */
const ROOT = protobuf.parse(`
  syntax = "proto3";
  message SocketAddress { string address = 2; }
  message Address { SocketAddress socket_address = 1; }
  message Peer { Address address = 1; string certificate = 5; }
  message HeaderValue { string key = 1; string value = 2; bytes raw_value = 3; }
  message HeaderMap { repeated HeaderValue headers = 1; }
  message Http { string method = 2; map<string, string> headers = 3; string path = 4; string host = 5; string scheme = 6; HeaderMap header_map = 13; }
  message Request { Http http = 2; }
  message Attributes { Peer source = 1; Request request = 4; }
  message CheckRequest { Attributes attributes = 1; }
  message BoolValue { bool value = 1; }
  message HeaderOption { HeaderValue header = 1; BoolValue append = 2; }
  message Status { int32 code = 1; }
  message Denied { Status status = 1; repeated HeaderOption headers = 2; string body = 3; }
  message Ok { repeated HeaderOption headers = 2; repeated string headers_to_remove = 5; repeated HeaderOption response_headers_to_add = 6; }
  message CheckResponse { Status status = 1; Denied denied_response = 2; Ok ok_response = 3; }
`).root;

type Lines = readonly (readonly [name: string, value: string])[];

interface Described {
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly scheme?: string;
  /** As the map of joined lines. */
  readonly joined?: Readonly<Record<string, string>>;
  /** As raw lines, which count where there are any. */
  readonly lines?: Lines;
  readonly address?: string;
}

function question({
  method = 'GET',
  path = '/open/1',
  host = HOST,
  scheme = 'https',
  joined = {},
  lines,
  address,
}: Described) {
  const headerMap = lines && {
    headers: lines.map(([key, value]) => ({ key, rawValue: Buffer.from(value, 'latin1') })),
  };
  const http = { method, path, host, scheme, headers: joined, headerMap };
  const source = address === undefined ? {} : { address: { socketAddress: { address } } };
  const type = ROOT.lookupType('CheckRequest');
  return Buffer.from(type.encode(type.fromObject({ attributes: { source, request: { http } } })).finish());
}

function framed(message: Buffer, { flag = 0, length = message.length } = {}): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}

interface Verdict {
  readonly permitted: boolean;
  readonly reason: string | undefined;
  /** Fields for the upstream, lower-cased names. */
  readonly set: ReadonlyMap<string, string>;
  readonly removed: readonly string[];
  /** For the client; `+` in front of what is added to the upstream's. */
  readonly said: Readonly<Record<string, string>>;
}

interface Front {
  readonly gateway: TestGateway;
  ask(bytes: Buffer, fields?: Record<string, string>): Promise<Verdict>;
}

async function start(
  t: TestContext,
  cidr = '127.0.0.0/8',
  forwarding = '',
  now = () => Date.now() / 1000,
): Promise<Front> {
  const listener = `mode: decide\ndialect: envoy-grpc\ntrusted_peers: [{ cidr: ${cidr}${forwarding} }]`;
  const gateway = await startTestGateway(t, { listener, routes: ROUTES, more: MORE, now });
  const session = connect(`https://127.0.0.1:${portOf(gateway.running.listeners[0]?.bind)}`, {
    ca: SERVER_CA.cert,
    servername: HOST,
  });
  session.on('error', () => {}); // its streams say it
  t.after(() => session.destroy());
  return { gateway, ask: (bytes, fields = {}) => ask(session, bytes, fields) };
}

async function ask(session: ClientHttp2Session, bytes: Buffer, fields: Record<string, string>): Promise<Verdict> {
  const stream = session.request({
    ':method': 'POST',
    ':path': CHECK,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...fields,
  });
  stream.end(bytes);
  const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  const pieces: Buffer[] = [];
  for await (const piece of stream as AsyncIterable<Buffer>) pieces.push(piece);
  const body = Buffer.concat(pieces);
  if (body.length === 0)
    return { permitted: false, reason: `grpc ${String(head['grpc-status'])}`, set: new Map(), removed: [], said: {} };
  return readVerdict(body.subarray(5));
}

function readVerdict(message: Buffer): Verdict {
  interface Options {
    readonly headers?: readonly Option[];
  }
  interface Option {
    readonly header: { readonly key: string; readonly value: string };
    readonly append: { readonly value: boolean };
  }
  const decoded = ROOT.lookupType('CheckResponse').decode(message) as unknown as {
    readonly status: { readonly code: number };
    readonly deniedResponse?: Options & { readonly body: string };
    readonly okResponse?: Options & {
      readonly headersToRemove: readonly string[];
      readonly responseHeadersToAdd: readonly Option[];
    };
  };
  const { status, deniedResponse, okResponse } = decoded;
  const permitted = status.code === 0;
  assert.equal(permitted, okResponse !== null && okResponse !== undefined, 'the code and the answer say the same');
  const set = new Map((okResponse?.headers ?? []).map(({ header: { key, value } }) => [key.toLowerCase(), value]));
  const reason = /"reason":"(\w+)"/.exec(deniedResponse?.body ?? '')?.[1];
  const told = [...(deniedResponse?.headers ?? []), ...(okResponse?.responseHeadersToAdd ?? [])].map(
    ({ header: { key, value }, append }) => [key.toLowerCase(), `${append.value ? '+' : ''}${value}`] as const,
  );
  return { permitted, reason, set, removed: okResponse?.headersToRemove ?? [], said: Object.fromEntries(told) };
}

describe('a question over gRPC', () => {
  test('about a good request sets identity and removes credentials, whether its lines are raw or joined', async (t) => {
    const front = await start(t);
    const token = await issue(front.gateway, TO_KEY);
    for (const form of ['lines', 'joined'] as const) {
      const fields = { authorization: `DPoP ${token}`, dpop: await prove(front.gateway, token, 'GET', '/dpop/1') };
      const described = form === 'lines' ? { lines: Object.entries(fields) } : { joined: fields };
      const { permitted, set, removed } = await front.ask(framed(question({ path: '/dpop/1?a=b', ...described })));
      assert.equal(permitted, true, form);
      assert.equal(set.get('x-auth-subject'), SUBJECT);
      for (const name of ['authorization', 'dpop', 'x-forwarded-client-cert', 'remote-user'])
        assert.ok(removed.includes(name), name);
    }
  });

  test('about a good request with an aged nonce has a fresh one for the client, and leaves the Vary of the upstream', async (t) => {
    const clock = { now: Math.floor(Date.now() / 1000) };
    const front = await start(t, undefined, undefined, () => clock.now);
    const token = await issue(front.gateway, TO_KEY);
    const send = async (claims: Record<string, string>) => {
      const proof = await prove(front.gateway, token, 'GET', '/page/1', { claims });
      const lines = { authorization: `DPoP ${token}`, dpop: proof, origin: 'https://app.example.net' };
      return front.ask(framed(question({ path: '/page/1', lines: Object.entries(lines) })));
    };
    const challenged = await send({});
    const { 'dpop-nonce': nonce = '', vary } = challenged.said;
    assert.deepEqual([challenged.reason, vary], ['nonce_required', 'Origin']);
    const young = await send({ nonce });
    assert.deepEqual(
      [young.permitted, young.said['dpop-nonce'], young.said['cache-control']],
      [true, undefined, undefined],
    );
    clock.now += 61;
    const aged = await send({ nonce });
    assert.deepEqual([aged.permitted, aged.said['cache-control'], aged.said['vary']], [true, 'no-store', '+Origin']);
    assert.ok(![undefined, '', nonce].includes(aged.said['dpop-nonce']));
    assert.equal(aged.said['access-control-allow-origin'], 'https://app.example.net');
  });

  test('with two credentials or two proofs is refused, raw and joined', async (t) => {
    const front = await start(t);
    const token = await issue(front.gateway, TO_KEY);
    const proof = await prove(front.gateway, token, 'GET', '/dpop/1');
    const [credentials, proofs] = [`DPoP ${token}`, proof];
    const reasonOf = async (described: Described) =>
      (await front.ask(framed(question({ path: '/dpop/1', ...described })))).reason;
    const raw = (...lines: Lines) => reasonOf({ lines });
    assert.equal(await raw(['authorization', credentials], ['DPoP', proofs], ['dpop', proofs]), 'proof_repeated');
    assert.equal(
      await raw(['authorization', credentials], ['Authorization', credentials], ['dpop', proofs]),
      'credentials_repeated',
    );
    assert.equal(
      await reasonOf({ joined: { authorization: credentials, dpop: `${proofs},${proofs}` } }),
      'proof_repeated',
    );
    assert.equal(
      await reasonOf({ joined: { authorization: `${credentials},${credentials}`, dpop: proofs } }),
      'credentials_malformed',
    );
  });

  test('is about its attributes: pseudo-fields, Host and forwarding fields among the client’s lines count for nothing', async (t) => {
    const front = await start(t);
    for (const lines of [
      [[':path', '/open/1']],
      [
        ['x-forwarded-uri', '/open/1'],
        ['x-original-url', '/open/1'],
      ],
      [
        [':method', 'OPTIONS'],
        ['max-forwards', '1'],
      ],
      [[':source-certificate', 'x']],
    ] as const)
      assert.equal((await front.ask(framed(question({ path: '/dpop/1', lines })))).reason, 'credentials_missing');
    const host = [
      ['host', HOST],
      ['x-forwarded-host', HOST],
      [':authority', HOST],
    ] as const;
    assert.equal((await front.ask(framed(question({ host: 'evil.example', lines: host })))).reason, 'misdirected');
    assert.equal(
      (await front.ask(framed(question({ scheme: 'http', lines: [['x-forwarded-proto', 'https']] })))).reason,
      'misdirected',
    );
  });

  for (const forwarding of ['', ', forwarding: x-forwarded', ', forwarding: forwarded']) {
    test(`counts its client by the address of the attributes alone${forwarding}`, async (t) => {
      const front = await start(t, '127.0.0.0/8', forwarding);
      const from = async (address: string, ...lines: Lines) =>
        (await front.ask(framed(question({ address, lines: [['x', 'y'], ...lines] })))).reason ?? 'permitted';
      assert.equal(await from('198.51.100.1'), 'permitted');
      assert.equal(await from('198.51.100.1', ['forwarded', 'for=203.0.113.1']), 'rate_limited');
      assert.equal(await from('198.51.100.1', ['X-Forwarded-For', '203.0.113.2']), 'rate_limited');
      assert.equal(await from('198.51.100.2', ['forwarded', 'for=198.51.100.1']), 'permitted');
    });
  }

  test('that is no such message permits nothing', async (t) => {
    const front = await start(t);
    const good = question({});
    for (const [what, bytes] of [
      ['nothing', Buffer.alloc(0)],
      ['compressed', framed(good, { flag: 1 })],
      ['shorter than it says', framed(good, { length: good.length + 1 })],
      ['longer than it says', framed(good, { length: good.length - 1 })],
      ['two messages', Buffer.concat([framed(good), framed(good)])],
      ['cut off', framed(good.subarray(0, -3))],
      ['no protobuf', framed(Buffer.from('GET /open/1 HTTP/1.1'))],
      ['empty', framed(Buffer.alloc(0))],
      ['more than a mebibyte', framed(question({ joined: { x: 'y'.repeat(1024 * 1024) } }))],
      ['without method', framed(question({ method: '' }))],
      ['with a method that is none', framed(question({ method: 'GE T' }))],
      ['with CONNECT', framed(question({ method: 'CONNECT' }))],
      ['without host', framed(question({ host: '' }))],
      ['with another scheme', framed(question({ scheme: 'ftp' }))],
      ['without path', framed(question({ path: '' }))],
      ['with dot segments', framed(question({ path: '/open/../open/1' }))],
      ['with OPTIONS *', framed(question({ method: 'OPTIONS', path: '*' }))],
      ['OPTIONS that goes no further', framed(question({ method: 'OPTIONS', lines: [['Max-Forwards', '0']] }))],
    ] as const)
      assert.equal((await front.ask(bytes)).permitted, false, what);
    assert.equal((await front.ask(framed(good))).permitted, true);
  });

  test('of a stranger, or to another service, permits nothing', async (t) => {
    const strange = await start(t, '192.0.2.0/24');
    assert.equal((await strange.ask(framed(question({})))).reason, 'peer_unknown');
    const front = await start(t);
    assert.equal((await front.ask(framed(question({})), { ':path': `${CHECK}2` })).reason, 'grpc 12');
    assert.equal((await front.ask(framed(question({})), { ':path': '/open/1' })).permitted, false);
  });
});

test('field lines count against the limit of the listener, as they would if the client had come here', async (t) => {
  const front = await start(t);
  const limit = 32 * 1024;
  const value = 'x'.repeat(limit - 1000);
  const described = (length: number): Lines => [
    ['x-large', value],
    ['x-more', 'x'.repeat(length)],
  ];
  assert.equal((await front.ask(framed(question({ lines: described(500) })))).permitted, true);
  const { permitted, reason } = await front.ask(framed(question({ lines: described(1100) })));
  assert.deepEqual([permitted, reason], [false, 'header_too_large']);
});
