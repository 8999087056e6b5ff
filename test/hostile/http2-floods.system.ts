// HTTP/2 floods: each ends soon, memory is bounded, others are served.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import {
  block,
  ERROR,
  FLAG,
  FRAME,
  frame,
  GET,
  indexed,
  openHttp2,
  PREFACE,
  type RawHttp2,
  type RawWishes,
  request,
  reset,
  settings,
} from '../support/frames.ts';
import { portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';

const OPEN =
  '- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }';
const MIB = 1024 * 1024;
const POST = GET.map((line) => (line[0] === ':method' ? ([':method', 'POST'] as const) : line));

interface Rig {
  readonly gateway: TestGateway;
  readonly open: (wishes?: Partial<RawWishes>) => Promise<RawHttp2>;
}

async function rig(t: TestContext, limits = '', routes = OPEN): Promise<Rig> {
  const gateway = await startTestGateway(t, { routes, ...(limits && { listener: `limits: { ${limits} }` }) });
  const port = portOf(gateway.running.listeners[0]?.bind);
  return { gateway, open: (wishes) => openHttp2(t, port, { ca: SERVER_CA.cert, ...wishes }) };
}

/** Writes as long as the connection takes it, at most that many times. */
async function flood(raw: RawHttp2, times: number, part: (nth: number) => Buffer): Promise<number> {
  let nth = 0;
  for (; nth < times && !raw.closed && !raw.socket.destroyed; nth += 1) {
    if (raw.socket.write(part(nth))) continue;
    await new Promise((resolve) => {
      raw.socket.once('drain', resolve).once('close', resolve).once('end', resolve);
    });
  }
  return nth;
}

/** Runs an attack, during and after which a client on another connection is served. @returns how much memory grew at most */
async function survive({ gateway }: Rig, attack: () => Promise<unknown>): Promise<number> {
  globalThis.gc?.();
  const before = memory();
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, memory())), 5);
  const done = attack();
  assert.equal((await gateway.request('GET', '/open/other')).status, 200);
  await done;
  clearInterval(watch);
  most = Math.max(most, memory());
  assert.equal((await gateway.request('GET', '/open/other')).status, 200);
  return most - before;
}

/** Resident: nghttp2 allocates beside the heap. */
function memory(): number {
  return process.memoryUsage.rss();
}

test('rapid reset (CVE-2023-44487): hundreds of resets end the connection, before most of it reaches the upstream', async (t) => {
  const one = await rig(t);
  const raw = await one.open();
  const grown = await survive(one, async () => {
    await flood(raw, 50_000, (nth) => Buffer.concat([request(2 * nth + 1), reset(2 * nth + 1)]));
    await raw.end();
  });
  assert.ok((await one.gateway.count('holdfast_requests_total')) < 500);
  assert.ok(grown < 64 * MIB, `${grown / MIB} MiB`);
});

test('rapid reset by a patient client, each after its request was forwarded', async (t) => {
  const one = await rig(t);
  const raw = await one.open();
  one.gateway.upstream.answer = () => {};
  const started = performance.now();
  // So many resets are taken at once, and some more each second; a busy machine forwards hardly more than those.
  const taken = () => 200 + (33 * (performance.now() - started)) / 1000;
  let nth = 0;
  for (; nth < 1000 && nth < taken() + 100 && !raw.closed; nth += 8) {
    const streams = Array.from({ length: 8 }, (_, at) => 2 * (nth + at) + 1);
    let waiting = streams.length;
    const arrived = new Promise<void>((resolve) => {
      one.gateway.upstream.arrived = () => void (--waiting === 0 && resolve());
    });
    raw.write(Buffer.concat(streams.map((stream) => request(stream))));
    await Promise.race([arrived, raw.end()]);
    raw.write(Buffer.concat(streams.map((stream) => reset(stream))));
  }
  assert.ok(nth < taken() + 100, `${nth} requests`);
});

test('CONTINUATION without end (CVE-2024-27983): the connection ends after a few frames', async (t) => {
  const one = await rig(t);
  const raw = await one.open();
  const grown = await survive(one, async () => {
    raw.write(frame(FRAME.headers, FLAG.endStream, 1, block(GET)));
    const part = frame(FRAME.continuation, 0, 1, block([['x-a', 'a'.repeat(16_000)]]));
    await flood(raw, 10_000, () => part);
    await raw.end();
  });
  assert.ok(grown < 32 * MIB, `${grown / MIB} MiB`);
  assert.equal(one.gateway.upstream.seen.filter(({ target }) => target === '/open/1').length, 0);
});

test('empty CONTINUATION frames without end', async (t) => {
  const one = await rig(t);
  const raw = await one.open();
  const grown = await survive(one, async () => {
    raw.write(frame(FRAME.headers, FLAG.endStream, 1, block(GET)));
    await flood(raw, 1_000_000, () => frame(FRAME.continuation, 0, 1));
    await raw.end();
  });
  assert.ok(grown < 32 * MIB, `${grown / MIB} MiB`);
});

test('a header section that is not continued and then closed: the connection ends with header_timeout', async (t) => {
  const one = await rig(t, 'header_timeout: 1s');
  const raw = await one.open();
  raw.write(frame(FRAME.headers, FLAG.endStream, 1, block(GET)));
  await raw.end();
});

test('a client that never says anything, or nothing but its preface, is gone after header_timeout', async (t) => {
  const one = await rig(t, 'header_timeout: 1s');
  const silent = await one.open();
  await silent.end();
});

for (const silent of [false, true]) {
  test(`HPACK bombs, settings ${silent ? 'never ' : ''}acknowledged: the streams are reset or answered, and nothing is kept`, async (t) => {
    const one = await rig(t);
    const raw = await one.open({ silent });
    const grown = await survive(one, async () => {
      const bomb = Buffer.concat([block(GET), indexed(['x-bomb', 'a'.repeat(4000)]), Buffer.alloc(10_000, 0x80 | 62)]);
      await flood(raw, 2000, (nth) => {
        const head = frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, 2 * nth + 1, bomb.subarray(0, 16_384));
        return head;
      });
      if (!raw.closed) raw.write(frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
      await Promise.race([raw.end(), raw.until(({ type }) => type === FRAME.ping).catch(() => {})]);
    });
    assert.equal(one.gateway.upstream.seen.filter(({ target }) => target === '/open/1').length, 0);
    assert.ok(grown < 96 * MIB, `${grown / MIB} MiB`);
    t.diagnostic(`${grown / MIB} MiB, ${raw.closed ? 'closed' : 'open'}`);
  });
}

for (const [what, part] of [
  ['SETTINGS', settings([[3, 100]])],
  ['PING', frame(FRAME.ping, 0, 0, Buffer.alloc(8))],
] as const) {
  test(`a flood of ${what} whose acknowledgements nobody reads ends the connection, or is bounded`, async (t) => {
    const one = await rig(t);
    const raw = await one.open();
    raw.socket.pause();
    const grown = await survive(one, async () => {
      const many = Buffer.concat(Array.from({ length: 1000 }, () => part));
      for (let nth = 0; nth < 2000 && !raw.socket.destroyed; nth += 1) {
        if (raw.socket.write(many)) continue;
        const stuck = AbortSignal.timeout(500);
        await new Promise((resolve) => {
          raw.socket.once('drain', resolve).once('close', resolve);
          stuck.addEventListener('abort', resolve);
        });
        if (stuck.aborted) break;
      }
    });
    raw.socket.resume();
    await Promise.race([raw.end(), raw.until(({ type }) => type === FRAME.goaway).catch(() => {})]);
    assert.ok(grown < 64 * MIB, `${grown / MIB} MiB`);
    t.diagnostic(`${grown / MIB} MiB, ${raw.closed ? 'closed' : 'open'}`);
  });
}

test('a flood of empty DATA frames ends the connection', async (t) => {
  const one = await rig(t);
  const raw = await one.open();
  const grown = await survive(one, async () => {
    raw.write(request(1, POST, 0));
    await flood(raw, 100_000, () => frame(FRAME.data, 0, 1));
    await raw.end();
  });
  assert.ok(grown < 32 * MIB, `${grown / MIB} MiB`);
});

test('more streams than allowed end the connection of a client that knows the limit', async (t) => {
  const one = await rig(t, 'streams_per_connection: 10');
  const raw = await one.open();
  for (let nth = 0; nth < 11; nth += 1) raw.write(request(2 * nth + 1, POST, 0));
  assert.equal(await raw.goaway(), ERROR.protocol);
  await raw.end();
});

test('more streams than allowed are refused to a client that did not acknowledge the limit, and not for long', async (t) => {
  const one = await rig(t, 'streams_per_connection: 10');
  const raw = await one.open({ silent: true });
  for (let nth = 0; nth < 12; nth += 1) raw.write(request(2 * nth + 1, POST, 0));
  assert.equal(await raw.ending(23), ERROR.refused);
  await survive(one, async () => {
    await flood(raw, 5000, (nth) => request(2 * nth + 25, POST, 0));
    await raw.end();
  });
});

test('streams that are never finished are freed by the idle timeout', async (t) => {
  const routes = OPEN.replace('require: public', 'require: public, timeouts: { idle: 300ms }');
  const one = await rig(t, '', routes);
  const raw = await one.open();
  for (let nth = 0; nth < 100; nth += 1) raw.write(request(2 * nth + 1, POST, 0));
  for (let nth = 0; nth < 100; nth += 1) assert.equal(await raw.reason(2 * nth + 1), 'request_timed_out');
});

test('a client that opens no window is freed by the idle timeouts, streams and connection', async (t) => {
  const routes = OPEN.replace('require: public', 'require: public, timeouts: { idle: 300ms }');
  const one = await rig(t, 'idle_timeout: 500ms', routes);
  one.gateway.upstream.answer = (_request, response) => response.end(Buffer.alloc(MIB));
  const raw = await one.open({ settings: [[4, 0]] });
  for (let nth = 0; nth < 20; nth += 1) raw.write(request(2 * nth + 1));
  for (let nth = 0; nth < 20; nth += 1) assert.equal(await raw.ending(2 * nth + 1), ERROR.internal);
  await raw.end();
  await until(async () => (await one.gateway.count('holdfast_connections', { listener: 'public' })) === 0);
});

test('a client that opens no window for refusals is freed as well', async (t) => {
  const one = await rig(t, 'idle_timeout: 500ms');
  const raw = await one.open({ settings: [[4, 0]] });
  const elsewhere = GET.map((line) => (line[0] === ':path' ? ([':path', '/nowhere'] as const) : line));
  raw.write(request(1, elsewhere));
  assert.equal(await raw.ending(1), ERROR.internal);
  await raw.end();
});

test('a client that reads nothing at all is freed', async (t) => {
  const routes = OPEN.replace('require: public', 'require: public, timeouts: { idle: 300ms }');
  const one = await rig(t, 'idle_timeout: 500ms', routes);
  one.gateway.upstream.answer = (_request, response) => response.end(Buffer.alloc(16 * MIB));
  const raw = await one.open({ settings: [[4, 2 ** 31 - 1]] });
  raw.socket.pause();
  const window = Buffer.alloc(4);
  window.writeUInt32BE(2 ** 31 - 65_536);
  raw.write(frame(FRAME.windowUpdate, 0, 0, window));
  for (let nth = 0; nth < 10; nth += 1) raw.write(request(2 * nth + 1));
  while ((await one.gateway.count('holdfast_connections', { listener: 'public' })) > 0) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
});

test('PING does not keep a connection without requests open', async (t) => {
  const one = await rig(t, 'idle_timeout: 500ms');
  const raw = await one.open();
  raw.write(request(1));
  assert.equal(await raw.ending(1), 'ended');
  const ping = setInterval(() => raw.write(frame(FRAME.ping, 0, 0, Buffer.alloc(8))), 50);
  t.after(() => clearInterval(ping));
  assert.equal(await raw.goaway(), ERROR.none);
  await raw.end();
});

test('a preface that is cut in pieces, and one that never ends', async (t) => {
  const one = await rig(t, 'header_timeout: 1s');
  const raw = await one.open();
  raw.write(PREFACE);
  await raw.end();
  assert.equal((await one.gateway.request('GET', '/open/1')).status, 200);
});
