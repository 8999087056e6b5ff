// Tunnels on real sockets: every end, slow readers, and the clocks that end both sides.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { openTunnel, permitLasts, type Tunnel } from '../../../src/edge/forward/tunnel.ts';
import type { TunnelFacts } from '../../../src/observe/log.ts';

/** Both ends of a connection: ours, half-open or not, and the peer's. */
async function pair(t: TestContext, allowHalfOpen: boolean): Promise<[ours: Socket, theirs: Socket]> {
  const server = createServer({ allowHalfOpen });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const theirs = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  const [ours] = (await once(server, 'connection')) as [Socket];
  theirs.on('error', () => {});
  t.after(() => {
    ours.destroy();
    theirs.destroy();
    server.close();
  });
  return [ours, theirs];
}

type Ended = TunnelFacts & { readonly sent: number };

/** A tunnel between a client's socket as node:http has it and an upstream's as undici has it. */
async function tunnelled(t: TestContext, wishes: Partial<Tunnel> = {}) {
  const [[ours, client], [own, upstream]] = [await pair(t, true), await pair(t, false)];
  const { promise: ended, resolve } = Promise.withResolvers<Ended>();
  openTunnel({
    client: ours,
    upstream: own,
    idle: 60,
    lasts: [Number.POSITIVE_INFINITY, 'expired'],
    ended: (sent, facts) => resolve({ sent, ...facts }),
    ...wishes,
  });
  return { client, upstream, ours, own, ended };
}

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket.setEncoding('latin1')) text += String(chunk);
  return text;
}

test('bytes go both ways and are counted each way', async (t) => {
  const { client, upstream, ended } = await tunnelled(t);
  client.write('to the upstream');
  assert.equal(String((await once(upstream, 'data'))[0]), 'to the upstream');
  upstream.write('to the client');
  assert.equal(String((await once(client, 'data'))[0]), 'to the client');
  upstream.end();
  await once(client, 'end');
  client.end();
  assert.deepEqual(await ended, { end: 'upstream', sent: 13, received: 15 });
});

test('what a side sent before it ended is delivered, then the other ends', async (t) => {
  const large = 'x'.repeat(5_000_000);
  for (const end of ['client', 'upstream'] as const) {
    const { client, upstream, ended } = await tunnelled(t);
    const [from, to] = end === 'client' ? [client, upstream] : [upstream, client];
    from.end(large);
    assert.equal((await readAll(to)).length, large.length);
    to.end();
    assert.equal((await ended).end, end);
  }
});

test('a client that has ended its half still gets what the upstream says to that', async (t) => {
  const { client, upstream, ended } = await tunnelled(t);
  upstream.resume().once('end', () => upstream.end('goodbye'));
  client.end('bye');
  assert.equal(await readAll(client), 'goodbye');
  assert.equal((await ended).end, 'client');
});

test('what a client sends to an upstream that has ended is thrown away, and disturbs nothing', async (t) => {
  const { client, upstream, ended } = await tunnelled(t);
  upstream.end('last words');
  assert.equal(String((await once(client, 'data'))[0]), 'last words');
  await once(client, 'end');
  client.end('too late');
  assert.deepEqual(await ended, { end: 'upstream', sent: 10, received: 0 });
});

test('a side that says no more after the other has ended is waited for two seconds, not for the idle time', async (t) => {
  const { client, upstream, ended } = await tunnelled(t);
  upstream.resume();
  const [started, gone] = [performance.now(), once(client.resume(), 'end')];
  client.end('bye');
  await once(upstream, 'end');
  assert.equal((await ended).end, 'client');
  assert.ok(performance.now() - started < 30_000);
  await gone;
});

test('a reset of one side cuts the other', async (t) => {
  for (const [side, end] of [
    ['client', 'client'],
    ['upstream', 'upstream_broke'],
  ] as const) {
    const ends = await tunnelled(t);
    const other = side === 'client' ? ends.upstream : ends.client;
    const reset = once(other.resume(), 'error');
    ends[side].resetAndDestroy();
    assert.equal(((await reset)[0] as NodeJS.ErrnoException).code, 'ECONNRESET');
    assert.equal((await ends.ended).end, end);
  }
});

test('a connection that the gateway closes takes the other with it', async (t) => {
  const { client, upstream, ours, ended } = await tunnelled(t);
  ours.destroy();
  await Promise.all([once(client.resume(), 'end'), once(upstream.resume(), 'end')]);
  assert.equal((await ended).end, 'stopped');
});

test('a reader that stands still holds the writer back: of 64 MiB next to nothing waits in memory, and nothing is lost', async (t) => {
  const size = 64 * 1024 * 1024;
  for (const side of ['client', 'upstream'] as const) {
    const { client, upstream, ours, own, ended } = await tunnelled(t);
    const [writer, reader, to] = side === 'client' ? [client, upstream, own] : [upstream, client, ours];
    reader.pause();
    const chunk = Buffer.alloc(1024 * 1024, side);
    const writing = (async () => {
      for (let left = size; left > 0; left -= chunk.length) if (!writer.write(chunk)) await once(writer, 'drain');
      writer.end();
    })();
    await stalled(to);
    // The last chunk goes above the mark; the rest stays in the kernel, and then with the writer.
    assert.ok(to.writableLength <= 256 * 1024, `${to.writableLength} bytes wait`);
    assert.ok(to.bytesWritten < size / 2, 'the kernel cannot have taken all of it');
    let got = 0;
    for await (const part of reader) got += (part as Buffer).length;
    await writing;
    assert.equal(got, size);
    reader.end();
    const { sent, received } = await ended;
    assert.equal(side === 'client' ? received : sent, size);
  }
});

/** Resolves when a socket could not write for a while: there is no event for nothing happening. */
async function stalled(socket: Socket): Promise<void> {
  for (let [before, same] = [-1, 0]; same < 5; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    same = before === socket.bytesWritten && socket.writableNeedDrain ? same + 1 : 0;
    before = socket.bytesWritten;
  }
}

/** A hang is told before the runner gives up. */
const onceWithin = (socket: Socket, event: string) => once(socket, event, { signal: AbortSignal.timeout(20_000) });

test('a tunnel in which nothing moves ends after idle, and any byte either way counts as movement', async (t) => {
  const idle = 1500;
  const { client, upstream, ended } = await tunnelled(t, { idle: idle / 1000 });
  let [sent, received, moved] = [0, 0, performance.now()];
  // Longer than it may stand still, with pauses that are short against that.
  for (const end = moved + 1.3 * idle; moved < end; ) {
    client.write('.');
    await onceWithin(upstream, 'data');
    received += 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
    moved = performance.now(); // and no later: the pause below may be a long one
    upstream.write('.');
    await onceWithin(client, 'data');
    sent += 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(await ended, { end: 'idle', sent, received });
  assert.ok(performance.now() - moved >= idle - 50, 'the last byte began the time again');
});

test('a reader that stands still is idle too', async (t) => {
  const { client, upstream, ended } = await tunnelled(t, { idle: 0.3 });
  client.pause();
  const chunk = Buffer.alloc(1024 * 1024);
  for (let left = 32; left > 0; left -= 1) upstream.write(chunk);
  assert.equal((await ended).end, 'idle');
});

test('a tunnel ends when its time is over, whatever moves in it', async (t) => {
  for (const end of ['expired', 'total'] as const) {
    const { client, upstream, ended } = await tunnelled(t, { lasts: [0.2, end] });
    client.on('data', (chunk) => client.write(chunk));
    upstream.on('data', (chunk) => upstream.write(chunk));
    client.write('.');
    assert.equal((await ended).end, end);
  }
});

test('a tunnel whose time is over already is cut at once', async (t) => {
  const { ended } = await tunnelled(t, { lasts: [-5, 'expired'] });
  assert.deepEqual(await ended, { end: 'expired', sent: 0, received: 0 });
});

test('times beyond what a timer of Node can hold do not end a tunnel', async (t) => {
  const { client, upstream, ended } = await tunnelled(t, { idle: 1e9, lasts: [1e9, 'expired'] });
  client.write('x');
  await once(upstream, 'data');
  client.end();
  upstream.end();
  assert.equal((await ended).received, 1);
});

test('a permit lasts until the access token or a certificate that was verified expires', () => {
  const certificate = (verify: 'chain' | 'possession') =>
    ({ verify, trusted: true, facts: { notAfter: 150 } }) as unknown as NonNullable<
      Parameters<typeof permitLasts>[0]['certificate']
    >;
  const lasts = (expiresAt: number | undefined, verify?: 'chain' | 'possession') =>
    permitLasts({ expiresAt, certificate: verify && certificate(verify) }, 100);
  assert.equal(lasts(undefined), Number.POSITIVE_INFINITY);
  assert.equal(lasts(200), 100);
  assert.equal(lasts(200, 'chain'), 50);
  assert.equal(lasts(120, 'chain'), 20);
  assert.equal(lasts(undefined, 'chain'), 50);
  assert.equal(lasts(200, 'possession'), 100);
});
