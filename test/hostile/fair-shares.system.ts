// Clients that want an upstream for themselves, and one that is served as before.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { assertUnharmed, serviceOf } from '../support/bystander.ts';
import { type GatewayWishes, portOf, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';

const LISTENER = '- { name: public, bind: "127.0.0.1:0", origins: ["http://api.example.com"] }';
const route = (name: string, upstream = 'orders') =>
  `- { name: ${name}, match: { path: /${name}/* }, upstream: ${upstream}, require: public, weaker_than_defaults: [require] }`;
const HOST = 'Host: api.example.com\r\n';
/** Who attacks, and who is served beside it. */
const GREEDY = '127.0.0.2';
const OTHER = '127.0.0.3';
/** More than is collected before a body goes on. */
const COLLECTED = 'x'.repeat(70_000);

interface Rig {
  readonly gateway: TestGateway;
  readonly port: number;
  /** Requests that the upstream holds without an answer, or in the middle of one. */
  readonly held: ServerResponse[];
  readonly sockets: Socket[];
}

async function start(t: TestContext, wishes: GatewayWishes = {}): Promise<Rig> {
  const gateway = await startTestGateway(t, {
    listeners: LISTENER,
    routes: `${route('open')}\n${route('else')}`,
    ...wishes,
  });
  const rig: Rig = { gateway, port: portOf(gateway.running.listeners[0]?.bind), held: [], sockets: [] };
  gateway.upstream.arrived = (arrived, response) => answer(arrived, response, rig);
  gateway.upstream.answer = ({ url = '' }, response) => {
    if (!url.includes('stream') && !url.includes('large')) response.end('served');
  };
  t.after(() => {
    for (const socket of rig.sockets) socket.destroy();
    for (const response of rig.held) response.destroy();
  });
  return rig;
}

/** `stream` begins an answer that never ends, `large` one that does not fit into what the system holds for a client. */
function answer({ url = '' }: IncomingMessage, response: ServerResponse, { held }: Rig): void {
  if (url.includes('stream')) response.write('data: 1\n\n');
  else if (url.includes('large')) response.end(Buffer.alloc(8 * 1024 * 1024));
  else if (!url.includes('slow')) return;
  held.push(response);
}

/** A connection of the greedy client on which `bytes` were written. */
async function open({ port, sockets }: Rig, bytes: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: GREEDY });
  socket.on('error', () => socket.destroy());
  sockets.push(socket);
  await once(socket, 'connect');
  socket.write(bytes);
  return socket;
}

/** One byte after the other, slowly, on each of them. */
function drip(t: TestContext, sockets: readonly Socket[], byte: string): void {
  const timer = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write(byte);
  }, 200);
  t.after(() => clearInterval(timer));
}

/** A client that asks one thing after the other on a connection that it keeps. @returns whether it was served */
function client(t: TestContext, { port }: Rig, from: string): (nth: number) => Promise<boolean> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  return async (nth) => {
    const headers = { Host: 'api.example.com' };
    const asked = get({ port, host: '127.0.0.1', path: `/open/${nth}`, headers, agent, localAddress: from });
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return response.statusCode === 200;
  };
}

/** Another client's requests before the attack and during it. */
async function assertServedBeside(t: TestContext, rig: Rig, greed: () => Promise<unknown>): Promise<void> {
  const ask = client(t, rig, OTHER);
  const before = await serviceOf(100, ask);
  await greed();
  await assertUnharmed(200, ask, before);
}

const times = <T>(count: number, make: (nth: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, nth) => make(nth)));

test('256 uploads that come byte by byte take no connection of the upstream', async (t) => {
  const rig = await start(t);
  await assertServedBeside(t, rig, async () => {
    const fields = `POST /open/upload HTTP/1.1\r\n${HOST}Content-Length: 1000\r\n\r\n.`;
    drip(t, await times(256, () => open(rig, fields)), '.');
  });
  assert.equal(rig.gateway.upstream.seen.filter(({ target }) => target === '/open/upload').length, 0);
});

test('256 of them in chunks take at most the share of one client', async (t) => {
  const rig = await start(t);
  await assertServedBeside(t, rig, async () => {
    const fields = `POST /open/upload HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n1\r\n.\r\n`;
    drip(t, await times(256, () => open(rig, fields)), '1\r\n.\r\n');
  });
});

test('200 slow uploads that are larger than what is collected', async (t) => {
  const rig = await start(t);
  await assertServedBeside(t, rig, async () => {
    const fields = `POST /open/slow HTTP/1.1\r\n${HOST}Content-Length: 1000000\r\n\r\n${COLLECTED}`;
    drip(t, await times(200, () => open(rig, fields)), '.'.repeat(300));
    await until(() => rig.held.length === 200);
  });
});

test('150 event streams', async (t) => {
  const rig = await start(t);
  await assertServedBeside(t, rig, async () => {
    await times(150, () => open(rig, `GET /open/stream HTTP/1.1\r\n${HOST}\r\n`));
    await until(() => rig.held.length === 150);
  });
});

/** As many as fit into a pool that is as small as it was when they held all of it. */
const NARROW = (upstream: string) => `narrow: { targets: ["${upstream}"], connections: 64 }`;

async function startNarrow(t: TestContext): Promise<Rig> {
  const rig = await start(t);
  await rig.gateway.reload({
    listeners: LISTENER,
    upstreams: NARROW(rig.gateway.upstream.origin),
    routes: `${route('open', 'narrow')}\n${route('else', 'narrow')}`,
  });
  return rig;
}

test('event streams of one client get two thirds of a narrow upstream; the rest wait, are told why, and are counted', async (t) => {
  const rig = await startNarrow(t);
  const sockets: Socket[] = [];
  await assertServedBeside(t, rig, async () => {
    sockets.push(...(await times(64, () => open(rig, `GET /open/stream HTTP/1.1\r\n${HOST}\r\n`))));
    await until(() => rig.held.length === 43);
  });
  const refusal = await rig.gateway.logged({ reason: 'upstream_queue_full' });
  assert.deepEqual([refusal['outcome'], refusal['status'], refusal['client']], ['rejected', 503, GREEDY]);
  assert.equal(rig.held.length, 43);
  assert.ok((await rig.gateway.count('holdfast_upstream_queue_wait_seconds_count')) >= 21);
  assert.equal(await rig.gateway.count('holdfast_upstream_failures_total'), 0);
});

test('clients that do not read hold no more than their share either', async (t) => {
  const rig = await startNarrow(t);
  await assertServedBeside(t, rig, async () => {
    const asked = await times(60, () => open(rig, `GET /open/large HTTP/1.1\r\n${HOST}\r\n`));
    for (const socket of asked) socket.pause();
    await until(() => rig.held.length >= 43);
  });
});

test('another address is another client; the one that holds its share is still refused', async (t) => {
  const rig = await startNarrow(t);
  await times(50, () => open(rig, `GET /open/stream HTTP/1.1\r\n${HOST}\r\n`));
  await until(() => rig.held.length === 43);
  assert.equal((await serviceOf(5, client(t, rig, '127.0.0.4'))).share, 1);
  // A near miss: the same client again is still refused.
  const again = await open(rig, `GET /open/1 HTTP/1.1\r\n${HOST}\r\n`);
  const [head] = (await once(again, 'data')) as [Buffer];
  assert.match(head.toString(), /^HTTP\/1\.1 503 [^]*\r\nRetry-After: 1\r\n/);
});

test('a body that comes slower than upload_rate is refused with 408; one as fast, and one without a length, pass', async (t) => {
  const rig = await start(t, {
    listeners: LISTENER.replace(' }', ', limits: { upload_rate: 100B, rate_grace: 3s } }'),
  });
  const head = (framing: string) => `POST /open/upload HTTP/1.1\r\n${HOST}${framing}\r\n\r\n`;
  const slow = await open(rig, head('Content-Length: 1000'));
  const fast = await open(rig, head('Content-Length: 100'));
  const free = await open(rig, head('Transfer-Encoding: chunked'));
  const answers = [slow, fast, free].map(async (socket) => String((await once(socket, 'data'))[0]));
  drip(t, [slow], '.');
  drip(t, [fast], '.'.repeat(50));
  const refused = await answers[0];
  free.write('1\r\n.\r\n0\r\n\r\n'); // as long without a byte as the one that is refused
  const [, passed, alsoPassed] = await Promise.all(answers);
  assert.match(refused ?? '', /^HTTP\/1\.1 408 [^]*"title":"The request body comes too slowly"/);
  assert.match(passed ?? '', /^HTTP\/1\.1 200 /);
  assert.match(alsoPassed ?? '', /^HTTP\/1\.1 200 /);
});

test('a client that takes less than download_rate is cut off; an event stream whose upstream is slow is not', async (t) => {
  const rig = await start(t, {
    listeners: LISTENER.replace(' }', ', limits: { download_rate: 1GiB, rate_grace: 200ms } }'),
  });
  const stream = await open(rig, `GET /open/stream HTTP/1.1\r\n${HOST}\r\n`);
  await once(stream, 'data');
  const stalled = await open(rig, `GET /open/large HTTP/1.1\r\n${HOST}\r\n`);
  stalled.pause();
  assert.equal((await rig.gateway.logged({ outcome: 'client_gone' }))['path'], '/open/large');
  rig.held[0]?.write('data: 2\n\n');
  assert.match(String((await once(stream, 'data'))[0]), /data: 2/);
});

test('clients that abort do not have an HTTP/2 upstream break off the long answers of others', async (t) => {
  const long: ServerHttp2Stream[] = [];
  let [sessions, short, resets] = [0, 0, 0];
  const server = createHttp2Server({ streamResetBurst: 100, streamResetRate: 5 });
  server.on('session', () => void (sessions += 1));
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    stream.on('close', () => void (resets += Number(stream.rstCode !== 0)));
    if (headers[':path']?.includes('long')) {
      stream.respond({ ':status': 200 });
      stream.write('begun');
      long.push(stream);
    } else {
      short += 1;
      setTimeout(() => !stream.destroyed && stream.respond({ ':status': 204 }, { endStream: true }), 200);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const upstreams = `modern: { targets: ["http://127.0.0.1:${(server.address() as AddressInfo).port}"], http2: true }`;
  const rig = await start(t, { upstreams, routes: route('open', 'modern') });
  const longs = await times(3, () => open(rig, `GET /open/long HTTP/1.1\r\n${HOST}\r\n`));
  const texts = longs.map(async (socket) => {
    let text = '';
    for await (const chunk of socket) {
      text += String(chunk);
      if (text.endsWith('0\r\n\r\n')) break;
    }
    return text;
  });
  await until(() => long.length === 3);
  for (let nth = 20; nth <= 1200; nth += 20) {
    const aborting = await times(20, () => open(rig, `GET /open/short HTTP/1.1\r\n${HOST}\r\n`));
    await until(() => short === nth);
    for (const socket of aborting) socket.resetAndDestroy();
  }
  for (const stream of long) stream.end('ended');
  for (const text of await Promise.all(texts)) assert.match(text, /begun[^]*ended/);
  assert.ok(resets > 0 && resets < 400, `${resets} resets in ${sessions} sessions`);
});
