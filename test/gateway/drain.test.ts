// A drain as clients see it: everything served, and each told in time.

import assert from 'node:assert/strict';
import { Agent } from 'node:https';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ERROR, FRAME, openHttp2, request } from '../support/frames.ts';
import { portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';

const OPEN =
  '- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }';

/** A gateway whose delay is longer than any test, so that only the test ends it. */
const start = (t: TestContext) => startTestGateway(t, { routes: OPEN, more: 'drain: { delay: 1h, grace: 5s }' });
const openStreams = (t: TestContext, gateway: TestGateway) =>
  openHttp2(t, portOf(gateway.running.listeners[0]?.bind), { ca: SERVER_CA.cert });

function drain(gateway: TestGateway): void {
  void gateway.running.drain();
}

test('an HTTP/1.1 connection gets its next answer with Connection: close, and one more can be opened', async (t) => {
  const gateway = await start(t);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  assert.equal((await gateway.request('GET', '/1', { agent })).fields.one('connection'), 'keep-alive');
  drain(gateway);
  for (const path of ['/2', '/3']) {
    const { status, fields } = await gateway.request('GET', path, { agent });
    assert.deepEqual([status, fields.one('connection')], [200, 'close']);
  }
});

test('an answer that was on its way says it too, as long as it has not begun', async (t) => {
  const gateway = await start(t);
  const held = Promise.withResolvers<() => void>();
  gateway.upstream.answer = (_request, response) => held.resolve(() => response.end('at last'));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const answered = gateway.request('GET', '/slow', { agent });
  const release = await held.promise;
  drain(gateway);
  release();
  const { body, fields } = await answered;
  assert.deepEqual([body, fields.one('connection')], ['at last', 'close']);
});

test('an HTTP/2 client is served through the delay, and told when it is over which streams still are', async (t) => {
  const gateway = await startTestGateway(t, { routes: OPEN, more: 'drain: { delay: 1500ms, grace: 5s }' });
  const raw = await openStreams(t, gateway);
  const drained = gateway.running.drain();
  raw.write(request(1));
  assert.equal(await raw.ending(1), 'ended');
  const held = Promise.withResolvers<() => void>();
  gateway.upstream.answer = (_request, response) => held.resolve(() => response.end('at last'));
  raw.write(request(3));
  const release = await held.promise;
  const { payload } = await raw.until(({ type }) => type === FRAME.goaway);
  assert.deepEqual([payload.readUInt32BE(0), payload.readUInt32BE(4)], [3, ERROR.none]);
  raw.write(request(5));
  release();
  assert.equal(await raw.ending(3), 'ended');
  assert.equal(raw.data(3), 'at last');
  await raw.end();
  await drained;
  assert.equal(gateway.upstream.seen.length, 2, 'a stream that the client may repeat elsewhere was served');
});

test('one that connects while the gateway drains is served as ever', async (t) => {
  const gateway = await start(t);
  drain(gateway);
  const raw = await openStreams(t, gateway);
  for (const stream of [1, 3]) {
    raw.write(request(stream));
    assert.equal(await raw.ending(stream), 'ended');
    assert.equal(raw.data(stream), 'from the upstream');
  }
});

test('when the delay is over, that one is told too, and its connection ends behind the last answer', async (t) => {
  const gateway = await startTestGateway(t, { routes: OPEN, more: 'drain: { delay: 1500ms, grace: 5s }' });
  const held = Promise.withResolvers<() => void>();
  gateway.upstream.answer = (_request, response) => held.resolve(() => response.end('at last'));
  const drained = gateway.running.drain();
  const raw = await openStreams(t, gateway);
  raw.write(request(1));
  const release = await held.promise;
  assert.equal(await raw.goaway(), ERROR.none);
  release();
  assert.equal(await raw.ending(1), 'ended');
  assert.equal(raw.data(1), 'at last');
  await raw.end();
  await drained;
});

test('a listener that becomes another while the gateway drains goes on telling its clients', async (t) => {
  const gateway = await start(t);
  drain(gateway);
  await gateway.reload({ routes: OPEN, listener: 'limits: { idle_timeout: 30s }' });
  const { status, fields } = await gateway.request('GET', '/1', { agent: new Agent({ keepAlive: true }) });
  assert.deepEqual([status, fields.one('connection')], [200, 'close']);
});

test('a worker that takes the place of a dead one during the drain tells its clients too', async (t) => {
  const more = 'drain: { delay: 1h, grace: 5s }\nlog: { level: fatal }';
  const gateway = await startTestGateway(t, { routes: OPEN, more, threads: true });
  drain(gateway);
  gateway.running.kill(0);
  while (gateway.running.workers[0]?.restarts === 0 || gateway.running.workers[0]?.state !== 'serving') {
    await gateway.page('/livez');
  }
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const { status, fields } = await gateway.request('GET', '/1', { agent });
  assert.deepEqual([status, fields.one('connection')], [200, 'close']);
});

const PLAIN = '- { name: public, bind: "127.0.0.1:0", origins: ["http://api.example.com"] }';

for (const [what, listeners] of Object.entries({ TLS: undefined, 'no TLS': PLAIN }))
  test(`checks that connect and say nothing do not prolong the delay of a listener with ${what}`, async (t) => {
    const more = 'drain: { delay: 1s, grace: 1h }';
    const gateway = await startTestGateway(t, { routes: OPEN, more, ...(listeners && { listeners }) });
    const port = portOf(gateway.running.listeners[0]?.bind);
    const over = new AbortController();
    const drained = gateway.running.drain().then(() => over.abort());
    let checks = 0;
    while (!over.signal.aborted) {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => (checks += 1));
      await new Promise((resolve) => socket.once('connect', resolve).once('error', resolve));
      socket.destroy();
    }
    await drained;
    assert.ok(checks > 0);
    assert.equal(gateway.log.filter(({ msg }) => msg === 'drain prolonged').length, 0);
  });

test('while new connections come, the delay is not over, and it is when they stop', async (t) => {
  const more = 'drain: { delay: 1s, grace: 1h }\nlog: { level: fatal }';
  const gateway = await startTestGateway(t, { routes: OPEN, more, threads: true });
  const enough = new AbortController();
  // Several, so that none has to wait for another one within the second that is looked at.
  const clients = [1, 2, 3].map(async () => {
    while (!enough.signal.aborted) assert.equal((await gateway.request('GET', '/1')).status, 200);
  });
  const drained = gateway.running.drain();
  await Promise.race([pause(3000), ...clients]);
  assert.equal((await gateway.request('GET', '/2')).status, 200, 'a new connection after the delay');
  enough.abort();
  await Promise.all(clients);
  await drained;
  await assert.rejects(gateway.request('GET', '/3'), { code: 'ECONNREFUSED' });
});
