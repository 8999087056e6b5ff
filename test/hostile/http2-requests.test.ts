// Ambiguous requests over HTTP/2: each is refused, the connection goes on.

import assert from 'node:assert/strict';
import { describe, it, test, type TestContext } from 'node:test';
import {
  block,
  ERROR,
  FLAG,
  FRAME,
  frame,
  GET,
  type Line,
  openHttp2,
  type RawHttp2,
  request,
} from '../support/frames.ts';
import { portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';

const OPEN =
  '- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }';

async function open(t: TestContext, listener = ''): Promise<{ raw: RawHttp2; gateway: TestGateway }> {
  const gateway = await startTestGateway(t, { routes: OPEN, listener });
  const raw = await openHttp2(t, portOf(gateway.running.listeners[0]?.bind), { ca: SERVER_CA.cert });
  return { raw, gateway };
}

const line = (name: string, value: string): Line => [name, value];
const without = (name: string) => GET.filter(([other]) => other !== name);
const replaced = (name: string, value: string) => GET.map((one) => (one[0] === name ? line(name, value) : one));

describe('a request that is malformed (RFC 9113 §8.1.1) ends in RST_STREAM, and its connection goes on:', () => {
  for (const [what, lines] of [
    ['an uppercase field name', [...GET, line('X-Upper', 'a')]],
    ['Connection', [...GET, line('connection', 'keep-alive')]],
    ['Keep-Alive', [...GET, line('keep-alive', '5')]],
    ['Proxy-Connection', [...GET, line('proxy-connection', 'keep-alive')]],
    ['Transfer-Encoding', [...GET, line('transfer-encoding', 'chunked')]],
    ['Upgrade', [...GET, line('upgrade', 'websocket')]],
    ['TE that is not trailers', [...GET, line('te', 'gzip')]],
    ['no :method', without(':method')],
    ['no :path', without(':path')],
    ['an empty :path', replaced(':path', '')],
    ['no :scheme', without(':scheme')],
    ['no authority at all', without(':authority')],
    ['an empty :authority', replaced(':authority', '')],
    [':path twice', [...GET, line(':path', '/open/2')]],
    [':authority twice', [...GET, line(':authority', 'api.example.com')]],
    ['a late :path', [...without(':path'), line('x-a', 'b'), line(':path', '/open/1')]],
    ['an unknown pseudo-header field', [...GET, line(':x', 'a')]],
    [':status', [...GET, line(':status', '200')]],
    [':protocol, extended CONNECT', [...replaced(':method', 'CONNECT'), line(':protocol', 'websocket')]],
    ['two lengths', [...GET, line('content-length', '0'), line('content-length', '1')]],
    ['a length that is no number', [...GET, line('content-length', '+1')]],
    ['a length where there is no body', [...GET, line('content-length', '3')]],
    ['a method that is no token', replaced(':method', 'GE T')],
    ['a line break in :path', replaced(':path', '/open/1\r\nX: y')],
    ['userinfo in :authority', replaced(':authority', 'a@api.example.com')],
    [':path in absolute form', replaced(':path', 'https://api.example.com/open/1')],
    ['two Host lines', [...GET, line('host', 'api.example.com'), line('host', 'api.example.com')]],
  ] as const) {
    it(what, async (t) => {
      const { raw, gateway } = await open(t);
      raw.write(request(1, lines));
      const ending = await raw.ending(1);
      if (ending === 'ended') assert.equal(await raw.reason(1), 'request_malformed');
      else assert.equal(ending, ERROR.protocol);
      raw.write(request(3));
      assert.equal(await raw.ending(3), 'ended');
      assert.deepEqual(
        gateway.upstream.seen.map(({ target }) => target),
        ['/open/1'],
      );
      assert.equal(gateway.upstream.seen.length, 1);
    });
  }
});

describe('a request that is well-formed and still says two things is answered:', () => {
  for (const [what, lines, reason] of [
    ['Host beside another :authority', [...GET, line('host', 'other.example.com')], 'request_malformed'],
    [':scheme of another listener', replaced(':scheme', 'http'), 'request_malformed'],
    [':scheme that is none', replaced(':scheme', 'ftp'), 'request_malformed'],
    ['a fragment', replaced(':path', '/open/1#a'), 'request_malformed'],
    ['dot segments', replaced(':path', '/open/../closed'), 'request_malformed'],
    ['another authority', replaced(':authority', 'other.example.com'), 'misdirected'],
    ['an imitation of a managed field', [...GET, line('client_cert', 'a')], 'field_forbidden'],
    ['a :path beyond url_length', replaced(':path', `/open/${'a'.repeat(9000)}`), 'uri_too_long'],
    ['another expectation', [...GET, line('expect', '200-ok')], 'expectation_failed'],
    ['TRACE', replaced(':method', 'TRACE'), 'method_not_allowed'],
    ['CONNECT', [line(':method', 'CONNECT'), line(':authority', 'api.example.com:443')], 'method_not_allowed'],
    ['field lines beyond header_size', [...GET, line('x-a', 'a'.repeat(33_000))], 'header_too_large'],
  ] as const) {
    it(`${what} is ${reason}`, async (t) => {
      const { raw, gateway } = await open(t);
      const bytes = block(lines);
      raw.write(frame(FRAME.headers, FLAG.endStream, 1, bytes.subarray(0, 10)));
      for (let at = 10; at < bytes.length; at += 16_384) {
        raw.write(
          frame(
            FRAME.continuation,
            at + 16_384 < bytes.length ? 0 : FLAG.endHeaders,
            1,
            bytes.subarray(at, at + 16_384),
          ),
        );
      }
      assert.equal(await raw.reason(1), reason);
      await gateway.logged({ reason });
      assert.ok((await gateway.count('holdfast_rejections_total', { reason })) >= 1);
      raw.write(request(3));
      assert.equal(await raw.ending(3), 'ended');
      assert.equal(gateway.upstream.seen.length, 1);
    });
  }
});

test('a field value with a forbidden byte does not reach the upstream', async (t) => {
  const { raw, gateway } = await open(t);
  for (const [at, value] of ['a\0b', 'a\rb', 'a\nb', ' a', 'a\t'].entries()) {
    raw.write(request(2 * at + 1, [...GET, line('x-value', value)]));
    await raw.ending(2 * at + 1);
  }
  for (const { fields } of gateway.upstream.seen) assert.equal(fields.one('x-value')?.trim() ?? 'a', 'a');
});

test('Host that says the same as :authority, and Host alone, are taken', async (t) => {
  const { raw, gateway } = await open(t);
  raw.write(request(1, [...GET, line('host', 'API.example.com:443')]));
  raw.write(request(3, [...without(':authority'), line('host', 'api.example.com')]));
  assert.equal(await raw.ending(1), 'ended');
  assert.equal(await raw.ending(3), 'ended');
  for (const { fields } of gateway.upstream.seen) assert.deepEqual(fields.all('host'), ['api.example.com']);
  assert.equal(gateway.upstream.seen.length, 2);
});

test('cookies become one line, other fields stay lines in their order, and pseudo-header fields are gone', async (t) => {
  const { raw, gateway } = await open(t);
  const more = ['a', 'cookie', 'b', 'cookie', 'a'].map((name, at) =>
    line(name === 'cookie' ? name : `x-${name}`, `${at}=`),
  );
  raw.write(request(1, [...GET, ...more]));
  assert.equal(await raw.ending(1), 'ended');
  const fields = gateway.upstream.seen[0]?.fields;
  assert.deepEqual(fields?.all('cookie'), ['1=; 3=']);
  assert.deepEqual(fields.all('x-a'), ['0=', '4=']);
  assert.deepEqual(fields.all('via'), [`2.0 holdfast-${gateway.policy.id}`]);
  assert.deepEqual(
    fields.lines.filter(([name]) => name.startsWith(':')),
    [],
  );
});

test('two Authorization lines are two, as in HTTP/1.1', async (t) => {
  const gateway = await startTestGateway(t, {
    routes: '- { name: orders, match: { path: /orders/* }, upstream: orders }',
  });
  const raw = await openHttp2(t, portOf(gateway.running.listeners[0]?.bind), { ca: SERVER_CA.cert });
  raw.write(
    request(1, [
      ...replaced(':path', '/orders/1'),
      line('authorization', 'Bearer a'),
      line('authorization', 'Bearer b'),
    ]),
  );
  assert.equal(await raw.reason(1), 'credentials_repeated');
});

for (const [what, body] of [
  ['longer', 'abcd'],
  ['shorter', 'ab'],
] as const) {
  test(`a body that is ${what} than its length ends in an error, and the upstream gets no whole request`, async (t) => {
    const { raw, gateway } = await open(t);
    const post = [...replaced(':method', 'POST'), line('content-length', '3')];
    raw.write(request(1, post, 0), frame(FRAME.data, FLAG.endStream, 1, Buffer.from(body)));
    await raw.until(({ type, payload }) => type === FRAME.goaway || (type === FRAME.rstStream && payload[3] !== 0));
    await gateway.request('POST', '/open/2', { body: 'abc' });
    assert.deepEqual(
      gateway.upstream.seen.filter((seen) => seen.body.length === 3).map(({ target }) => target),
      ['/open/2'],
    );
  });
}

test('request trailers are dropped, and no pseudo-header field in them counts', async (t) => {
  const { raw, gateway } = await open(t);
  raw.write(
    request(1, replaced(':method', 'POST'), 0),
    frame(FRAME.data, 0, 1, Buffer.from('abc')),
    frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, 1, block([line('x-auth-subject', 'root')])),
  );
  assert.equal(await raw.ending(1), 'ended');
  assert.equal(gateway.upstream.seen[0]?.body, 'abc');
  assert.equal(gateway.upstream.seen[0]?.fields.one('x-auth-subject'), undefined);
  raw.write(
    request(3, replaced(':method', 'POST'), 0),
    frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, 3, block([line(':path', '/open/2')])),
  );
  assert.equal(await raw.ending(3), ERROR.protocol);
});

test('a refusal does not wait for the body: the answer, then RST_STREAM with NO_ERROR', async (t) => {
  const { raw, gateway } = await open(t, 'limits: { request_body: 1KiB }');
  raw.write(request(1, [...replaced(':method', 'POST'), line('content-length', '100000000')], 0));
  assert.equal(await raw.reason(1), 'body_too_large');
  const rst = await raw.until(({ type, stream }) => type === FRAME.rstStream && stream === 1);
  assert.equal(rst.payload.readUInt32BE(), ERROR.none);
  raw.write(frame(FRAME.data, 0, 1, Buffer.alloc(16_000)));
  raw.write(request(3, replaced(':method', 'POST'), 0), frame(FRAME.data, 0, 3, Buffer.alloc(2000)));
  assert.equal(await raw.reason(3), 'body_too_large');
  await raw.until(({ type, stream }) => type === FRAME.rstStream && stream === 3);
  raw.write(request(5));
  assert.equal(await raw.ending(5), 'ended');
  assert.equal(gateway.upstream.seen.at(-1)?.method, 'GET');
});

test('HTTP/1.1 is spoken to clients that offer it alone, and alone where http2 is false', async (t) => {
  const { gateway } = await open(t);
  assert.equal((await gateway.request('GET', '/open/1')).status, 200);
  await assert.rejects(open(t, 'http2: false'), /no application protocol/);
});

test('bytes that are no HTTP/2 end the connection', async (t) => {
  const { raw, gateway } = await open(t);
  raw.write(Buffer.from('GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n'));
  await raw.end();
  assert.equal((await gateway.request('GET', '/open/1')).status, 200);
});
