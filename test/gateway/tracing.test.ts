// Traces through a whole gateway, to a real collector over HTTP.

import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startTestGateway, type TestGateway } from '../support/gateway.ts';
import { type Collector, startCollector } from '../support/collector.ts';
import { until } from '../support/until.ts';
import { issue, prove, TO_KEY } from './credentials.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const PARENT = `00-${TRACE}-${SPAN}-01`;
const ROUTES = `
- { name: dpop, match: { path: /dpop/* }, upstream: orders, require: dpop }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
`;
const TRUSTING = 'trusted_peers: [{ cidr: 127.0.0.0/8 }]';
const DRAIN = 'drain: { delay: 0s, grace: 5s }';

interface Wishes {
  readonly listener?: string;
  readonly keys?: string;
  readonly files?: Readonly<Record<string, string>>;
}

function start(t: TestContext, { origin }: Pick<Collector, 'origin'>, wishes: Wishes = {}): Promise<TestGateway> {
  const { listener = '', keys = '', files = {} } = wishes;
  const more = `tracing: { otlp_endpoint: "${origin}", sample: 1${keys} }\n${DRAIN}`;
  return startTestGateway(t, { listener, routes: ROUTES, more, files });
}

const parent = (value: string, ...states: string[]) => ({
  fields: [['traceparent', value], ...states.map((state) => ['tracestate', state])] as const as readonly (readonly [
    string,
    string,
  ])[],
});
const seenBy = (gateway: TestGateway, name: string) => gateway.upstream.seen.at(-1)?.fields.all(name);
const FORMAT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-0([0-3])$/;

describe('without tracing', () => {
  test('traceparent and tracestate pass as they are, whatever is in them', async (t) => {
    const gateway = await startTestGateway(t, { routes: ROUTES });
    await gateway.request('GET', '/open/1', parent('of-the-client', 'any=thing'));
    assert.deepEqual(
      [seenBy(gateway, 'traceparent'), seenBy(gateway, 'tracestate')],
      [['of-the-client'], ['any=thing']],
    );
    const line = await gateway.logged({ msg: 'request', path: '/open/1' });
    assert.equal(line['trace_id'], undefined);
  });
});

describe('the trace of a caller', () => {
  test('who is not trusted is begun anew, with a link to what it said, and its state goes no further', async (t) => {
    const collector = await startCollector(t);
    const gateway = await start(t, collector);
    await gateway.request('GET', '/open/1', parent(PARENT, 'vendor=secret'));
    const [sent = ''] = seenBy(gateway, 'traceparent') ?? [];
    const [, traceId, spanId] = FORMAT.exec(sent) ?? [];
    assert.notEqual(traceId, TRACE);
    assert.deepEqual(seenBy(gateway, 'tracestate'), []);
    await gateway.logged({ msg: 'request', trace_id: traceId });
    await gateway.close();
    const server = collector.spanOf('SERVER');
    assert.deepEqual(
      [server.traceId, server.parentSpanId, server.links],
      [traceId, '', [{ traceId: TRACE, spanId: SPAN }]],
    );
    const client = collector.spanOf('CLIENT');
    assert.deepEqual([client.traceId, client.spanId, client.parentSpanId], [traceId, spanId, server.spanId]);
  });

  test('who is trusted goes on: its sampling, its state, our span as the parent of the upstream', async (t) => {
    const collector = await startCollector(t);
    const gateway = await start(t, collector, { listener: TRUSTING, keys: ', trust: peers' });
    await gateway.request('GET', '/open/1', parent(PARENT, 'a=1', 'b=2'));
    const [, traceId, spanId, flags] = FORMAT.exec(seenBy(gateway, 'traceparent')?.[0] ?? '') ?? [];
    assert.deepEqual([traceId, flags, seenBy(gateway, 'tracestate')], [TRACE, '1', ['a=1,b=2']]);
    await gateway.request('GET', '/open/2', parent(`00-${TRACE}-${SPAN}-00`));
    assert.match(seenBy(gateway, 'traceparent')?.[0] ?? '', new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
    await gateway.close();
    const server = collector.spanOf('SERVER');
    assert.deepEqual([server.traceId, server.parentSpanId, server.links], [TRACE, SPAN, []]);
    assert.equal(collector.spanOf('CLIENT').spanId, spanId);
    assert.equal(collector.spans.filter(({ kind }) => kind === 'SERVER').length, 1);
  });

  test('that is malformed is begun anew, from trusted peers too', async (t) => {
    const gateway = await start(t, await startCollector(t), { listener: TRUSTING });
    for (const value of [
      PARENT.toUpperCase(),
      `ff${PARENT.slice(2)}`,
      `00-${'0'.repeat(32)}-${SPAN}-01`,
      `${PARENT}-x`,
      '',
    ]) {
      await gateway.request('GET', '/open/1', parent(value, 'a=1'));
      const [, traceId] = FORMAT.exec(seenBy(gateway, 'traceparent')?.[0] ?? '') ?? [];
      assert.ok(traceId !== undefined && traceId !== TRACE, value);
      assert.deepEqual(seenBy(gateway, 'tracestate'), []);
    }
    await gateway.request('GET', '/open/1', {
      fields: [
        ['traceparent', PARENT],
        ['Traceparent', PARENT],
      ],
    });
    assert.equal(seenBy(gateway, 'traceparent')?.length, 1);
    assert.doesNotMatch(seenBy(gateway, 'traceparent')?.[0] ?? '', new RegExp(TRACE));
  });

  test('of anybody goes on under trust: all', async (t) => {
    const gateway = await start(t, await startCollector(t), { keys: ', trust: all' });
    await gateway.request('GET', '/open/1', parent(PARENT));
    assert.match(seenBy(gateway, 'traceparent')?.[0] ?? '', new RegExp(TRACE));
  });
});

describe('spans', () => {
  test('of a permitted request have its steps and its upstream, and nothing secret', async (t) => {
    const collector = await startCollector(t);
    const gateway = await start(t, collector);
    const token = await issue(gateway, TO_KEY);
    const proof = await prove(gateway, token, 'GET', '/dpop/1');
    const { status, fields } = await gateway.request('GET', '/dpop/1?key=SECRET', { token, proof });
    assert.equal(status, 200);
    await gateway.close();
    const server = collector.spanOf('SERVER');
    assert.equal(server.name, 'GET /dpop/*');
    const {
      'http.route': route,
      'url.path': path,
      'http.response.status_code': code,
      ...attributes
    } = server.attributes;
    assert.deepEqual([route, path, code], ['/dpop/*', '/dpop/1', 200]);
    assert.equal(attributes['holdfast.request_id'], fields.one('X-Request-Id'));
    assert.deepEqual([attributes['server.address'], attributes['holdfast.outcome']], ['api.example.com', 'forwarded']);
    assert.equal(attributes['client.address'], undefined);
    const steps = collector.spans.filter(({ kind }) => kind === 'INTERNAL');
    assert.deepEqual(
      steps.map(({ name }) => name),
      ['route', 'token', 'proof', 'policy', 'replay'],
    );
    for (const { parentSpanId } of steps) assert.equal(parentSpanId, server.spanId);
    const client = collector.spanOf('CLIENT');
    assert.equal(client.attributes['holdfast.upstream'], 'orders');
    assert.equal(
      `http://${client.attributes['server.address']}:${client.attributes['server.port']}`,
      gateway.upstream.origin,
    );
    assert.ok(client.from >= server.from && client.to <= server.to);
    for (const secret of [token.slice(0, 30), proof.slice(0, 30), 'SECRET', 'alice']) {
      assert.equal(
        collector.received.some((bytes) => bytes.includes(secret)),
        false,
        secret,
      );
    }
    assert.equal(collector.resource['service.name'], 'holdfast');
  });

  test('of a refusal say why, and no error: the client was wrong', async (t) => {
    const collector = await startCollector(t);
    const gateway = await start(t, collector, {
      keys: ', client_address: true, resource: { service.name: edge, a.b: c }',
    });
    assert.equal((await gateway.request('GET', '/dpop/1')).status, 401);
    await gateway.close();
    const { attributes, failed } = collector.spanOf('SERVER');
    assert.deepEqual(
      [attributes['holdfast.reason'], attributes['error.type'], failed],
      ['credentials_missing', undefined, false],
    );
    assert.equal(attributes['client.address'], '127.0.0.1');
    assert.equal(
      collector.spans.some(({ kind }) => kind === 'CLIENT'),
      false,
    );
    assert.deepEqual([collector.resource['service.name'], collector.resource['a.b']], ['edge', 'c']);
  });

  test('of an upstream that fails are errors', async (t) => {
    const collector = await startCollector(t);
    const gateway = await start(t, collector);
    gateway.upstream.answer = (request) => request.socket.destroy();
    assert.equal((await gateway.request('POST', '/open/1', { body: 'x' })).status, 502);
    await gateway.close();
    const server = collector.spanOf('SERVER');
    assert.deepEqual([server.failed, server.attributes['error.type']], [true, 'upstream_unreachable']);
    const client = collector.spanOf('CLIENT');
    assert.deepEqual([client.failed, client.attributes['error.type']], [true, 'upstream_unreachable']);
  });

  test('of methods that a client made up do not name them', async (t) => {
    const collector = await startCollector(t);
    const gateway = await start(t, collector);
    await gateway.request('PROPFIND', '/open/1');
    await gateway.close();
    const { name, attributes } = collector.spanOf('SERVER');
    assert.deepEqual([name, attributes['http.request.method']], ['HTTP /open/*', '_OTHER']);
  });

  test('of requests that are not sampled are not there, and the upstream is told so', async (t) => {
    const collector = await startCollector(t);
    const gateway = await startTestGateway(t, {
      routes: ROUTES,
      more: `tracing: { otlp_endpoint: "${collector.origin}", sample: 0 }\n${DRAIN}`,
    });
    for (let nth = 0; nth < 20; nth += 1) await gateway.request('GET', '/open/1');
    assert.match(seenBy(gateway, 'traceparent')?.[0] ?? '', /-02$/);
    await gateway.close();
    assert.deepEqual(collector.spans, []);
    assert.equal(collector.requests, 0);
  });
});

describe('a collector', () => {
  test('gets the fields of header_files, at /v1/traces where no path is given', async (t) => {
    const collector = await startCollector(t);
    const gateway = await start(t, collector, {
      keys: ', header_files: { Authorization: otlp-token }',
      files: { 'otlp-token': 'Bearer of-the-collector\n' },
    });
    await gateway.request('GET', '/open/1');
    await gateway.close();
    assert.deepEqual(
      [collector.last?.url, collector.last?.headers.authorization],
      ['/v1/traces', 'Bearer of-the-collector'],
    );
    assert.equal(collector.last?.headers['content-type'], 'application/x-protobuf');
  });

  test('that is not there costs no request, and its spans are counted and told of once', async (t) => {
    const gateway = await start(t, { origin: 'http://127.0.0.1:9' }, { keys: ', timeout: 100ms, queue: 64' });
    for (let nth = 0; nth < 40; nth += 1) assert.equal((await gateway.request('GET', '/open/1')).status, 200);
    const line = await gateway.logged({ msg: 'spans were not taken by the collector' });
    assert.deepEqual([line['endpoint'], line['error']], ['http://127.0.0.1:9/v1/traces', 'ECONNREFUSED']);
    await until(async () => (await gateway.count('holdfast_trace_spans_total', { outcome: 'failed' })) > 0);
  });

  test('that is overloaded is asked again after Retry-After, and gets its spans', async (t) => {
    const collector = await startCollector(t);
    for (const status of [429, 503])
      collector.answers.push((response) => response.writeHead(status, { 'retry-after': '0' }).end());
    const gateway = await start(t, collector, { keys: ', queue: 64' });
    for (let nth = 0; nth < 20; nth += 1) await gateway.request('GET', '/open/1');
    await collector.until(() => collector.spans.length > 0);
    assert.ok(collector.requests >= 3);
    await until(async () => (await gateway.count('holdfast_trace_spans_total', { outcome: 'exported' })) > 0);
    assert.equal(await gateway.count('holdfast_trace_spans_total', { outcome: 'failed' }), 0);
  });

  for (const [what, lost, answer] of [
    ['says nothing', 'dropped', () => {}],
    ['says too much', 'failed', pour],
  ] as const) {
    test(`that ${what} holds back no request and no end of the gateway`, async (t) => {
      const collector = await startCollector(t);
      collector.otherwise = answer;
      const gateway = await start(t, collector, { keys: ', queue: 64' });
      for (let nth = 0; nth < 60; nth += 1) assert.equal((await gateway.request('GET', '/open/1')).status, 200);
      while ((await gateway.count('holdfast_trace_spans_total', { outcome: lost })) === 0) await pause(20);
      await gateway.close();
    });
  }
});

/** An answer without an end. */
function pour(response: ServerResponse): void {
  while (!response.destroyed && response.write(Buffer.alloc(65_536)));
  response.once('drain', () => pour(response));
}

test('a reload begins, changes and ends tracing; spans of before are sent', async (t) => {
  const [first, second] = [await startCollector(t), await startCollector(t)];
  const wishes = (collector: Collector) => ({
    routes: ROUTES,
    more: `tracing: { otlp_endpoint: "${collector.origin}", sample: 1 }\n${DRAIN}`,
  });
  const gateway = await startTestGateway(t, wishes(first));
  await gateway.request('GET', '/open/1');
  await gateway.reload(wishes(second));
  await first.until(() => first.spans.length === 3);
  await gateway.request('GET', '/open/2');
  await gateway.reload({ routes: ROUTES });
  await second.until(() => second.spans.length > 0);
  await gateway.request('GET', '/open/3', parent('as-it-is'));
  assert.deepEqual(seenBy(gateway, 'traceparent'), ['as-it-is']);
});

test('real worker threads send what they have before they end', async (t) => {
  const collector = await startCollector(t);
  const more = `workers: 2\nlog: { level: fatal }\ntracing: { otlp_endpoint: "${collector.origin}", sample: 1 }\n${DRAIN}`;
  const gateway = await startTestGateway(t, { routes: ROUTES, more, threads: true });
  for (let nth = 0; nth < 10; nth += 1) await gateway.request('GET', '/open/1');
  await gateway.running.drain();
  assert.equal(collector.spans.filter(({ kind }) => kind === 'SERVER').length, 10);
});
