// HTTP/2 peers that leave in the middle of field lines: the process of the gateway goes on.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { sessionsWait } from '../../src/edge/lasting-session.ts';
import { listen } from '../support/forwarding.ts';
import {
  answer,
  block,
  FLAG,
  FRAME,
  frame,
  GET,
  type Line,
  openHttp2,
  type RawHttp2,
  request,
  serveHttp2,
} from '../support/frames.ts';
import { portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const POST = GET.map(([name, value]) => [name, name === ':method' ? 'POST' : value] as const);
const HALF = block([
  ['x-one', 'a value that Node does not know'],
  ['x-two', 'x'.repeat(100)],
]);
const OPEN = 'require: public, weaker_than_defaults: [require]';
const PIECE = Buffer.alloc(65_536);

async function serveWell(raw: RawHttp2): Promise<void> {
  for (let nth = 1; !raw.closed; nth += 1) {
    const stream = await raw.request(nth).catch(() => 0);
    if (stream > 0) raw.write(answer(stream, [], FLAG.endStream));
  }
}

async function serveHalf(raw: RawHttp2): Promise<void> {
  raw.write(frame(FRAME.headers, 0, await raw.request(), Buffer.concat([block([[':status', '200']]), HALF])));
  raw.socket.end();
}

async function start(t: TestContext, threads: boolean): Promise<TestGateway> {
  await becomes(false); // other tests of this process
  const big = createServer((_request, response) => {
    response.on('error', () => {});
    for (let nth = 0; nth < 512; nth += 1) response.write(PIECE);
    response.end();
  });
  const well = await serveHttp2(t, (raw) => void serveWell(raw));
  const half = await serveHttp2(t, (raw) => void serveHalf(raw));
  return await startTestGateway(t, {
    threads,
    upstreams: [
      `big: { targets: ["http://127.0.0.1:${await listen(t, big)}"] }`,
      `well: { targets: ["${well}"], http2: true }`,
      `half: { targets: ["${half}"], http2: true }`,
    ].join('\n'),
    routes: ['big', 'well', 'half']
      .map((name) => `- { name: ${name}, match: { path: /${name}/* }, upstream: ${name}, ${OPEN} }`)
      .join('\n'),
    more: threads ? 'log: { level: fatal }\nworkers: 1\ndrain: { delay: 0s, grace: 1s }' : '',
  });
}

const to = (path: string, of: readonly Line[] = POST) =>
  of.map(([name, value]) => [name, name === ':path' ? path : value] as const);

async function open(t: TestContext, { running }: TestGateway): Promise<RawHttp2> {
  const raw = await openHttp2(t, portOf(running.listeners[0]?.bind), {
    ca: SERVER_CA.cert,
    settings: [[4, 0x7fff_ffff]],
  });
  raw.write(frame(FRAME.windowUpdate, 0, 0, Buffer.from([0x7f, 0, 0, 0])));
  return raw;
}

/** Reads some of an answer and leaves, with half of the trailers sent. */
async function leave(t: TestContext, gateway: TestGateway): Promise<void> {
  const raw = await open(t, gateway);
  const body = frame(FRAME.data, 0, 1, Buffer.from('x'));
  raw.write(request(1, to('/big/1'), 0), body, frame(FRAME.headers, FLAG.endStream, 1, HALF));
  while (raw.socket.bytesRead < 1024 * 1024 && !raw.closed) await turn();
  raw.socket.destroy();
}

async function becomes(waiting: boolean): Promise<void> {
  while (sessionsWait() !== waiting) {
    if (!waiting) collect();
    await turn();
  }
}

test('a client and an upstream that end well: nothing waits', async (t) => {
  const gateway = await start(t, false);
  const raw = await open(t, gateway);
  raw.write(request(1, to('/well/1', GET)));
  assert.equal(await raw.ending(1), 'ended');
  raw.write(request(3, to('/well/3'), 0), frame(FRAME.data, FLAG.endStream, 3, Buffer.from('x')));
  assert.equal(await raw.ending(3), 'ended');
  raw.socket.destroy();
  await gateway.close();
  assert.equal(sessionsWait(), false);
});

test('clients that leave: they are collected, and nothing is held for ever', async (t) => {
  await leave(t, await start(t, false));
  await becomes(true);
  await becomes(false);
});

test('upstreams that leave: they are collected, and nothing is held for ever', async (t) => {
  const gateway = await start(t, false);
  assert.equal((await gateway.request('GET', '/half/1')).status, 502);
  await becomes(true);
  await becomes(false);
});

test('a thread that ends before they are collected', async (t) => {
  const gateway = await start(t, true);
  await leave(t, gateway);
  await gateway.close();
});
