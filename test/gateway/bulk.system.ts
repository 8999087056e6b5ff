// Large bodies through `holdfast serve`: memory that does not grow with them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request as requestTls } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { HOST, SERVER_CA, writePolicy } from '../support/gateway.ts';
import { Command } from './command.ts';

const MIB = 1024 * 1024;
/** `BULK_MIB=1024` is the size of the bar; a quarter of it says the same sooner. */
const SIZE = Number(process.env['BULK_MIB'] ?? 256) * MIB;
/** Bytes by which resident memory may grow, from a gateway that has passed on 1 MiB each way to its highest point. */
const MOST = 32 * MIB;
const TEST = { timeout: 60_000 + SIZE / 1000 };
const ROUTES =
  '- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require], limits: { request_body: none } }';

type Send = (method: string, path: string, body: Readable | undefined, into: Writable) => Promise<void>;

interface Rig {
  readonly pid: number;
  readonly send: Readonly<Record<'HTTP/1.1' | 'HTTP/2', Send>>;
}

/** The gateway is a process of its own; client and upstream are in the one of the test. */
async function start(t: TestContext, upstreamSlow: boolean): Promise<Rig> {
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      const size = request.url === '/small' ? MIB : SIZE;
      response.setHeader('Content-Length', size);
      void pipeline(source(size), response).catch(() => {});
    } else {
      const counting = counter();
      void pipeline(request, ...(upstreamSlow ? [slowly()] : []), counting).then(() =>
        response.end(`${counting.bytes}`),
      );
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close().closeAllConnections());
  const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const more = 'workers: 2\nlog: { level: info }\ndrain: { delay: 0s, grace: 5s }';
  const command = new Command(t, ['serve', '--config', writePolicy(t, { routes: ROUTES, more }, upstream)]);
  const [listener = ''] = (await command.logged('serving'))['listeners'] as string[];
  const port = Number(/:(\d+)$/.exec(listener)?.[1]);
  return { pid: command.pid, send: { 'HTTP/1.1': overHttp1(port), 'HTTP/2': overHttp2(port) } };
}

const overHttp1 =
  (port: number): Send =>
  async (method, path, body, into) => {
    const tls = { host: '127.0.0.1', port, servername: HOST, ca: SERVER_CA.cert };
    const request = requestTls({ ...tls, method, path, headers: { host: HOST }, agent: false });
    const sent = body === undefined ? void request.end() : pipeline(body, request);
    const [response] = await once(request, 'response');
    assert.equal(response.statusCode, 200);
    await pipeline(response, into);
    await sent;
  };

const overHttp2 =
  (port: number): Send =>
  async (method, path, body, into) => {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { servername: HOST, ca: SERVER_CA.cert });
    const stream = session.request({ ':method': method, ':path': path, ':authority': HOST }, { endStream: !body });
    const sent = body === undefined ? undefined : pipeline(body, stream, { end: true });
    sent?.catch(() => {});
    const [head] = await once(stream, 'response');
    assert.equal(head[':status'], 200);
    for await (const chunk of stream) if (!into.write(chunk)) await once(into, 'drain');
    into.end();
    session.close();
  };

const BLOCK = Buffer.alloc(65_536, 'holdfast ');

function source(size: number): Readable {
  return Readable.from(
    (function* () {
      for (let left = size; left > 0; left -= BLOCK.length) yield BLOCK;
    })(),
  );
}

/** Passes everything on; for some seconds in the middle hardly anything. */
function slowly(): Transform {
  let passed = 0;
  return new Transform({
    async transform(chunk: Buffer, _encoding, done) {
      passed += chunk.length;
      if (passed > 32 * MIB && passed < 33 * MIB) await pause(50);
      done(null, chunk);
    },
  });
}

class Counter extends Writable {
  bytes = 0;
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.bytes += chunk.length;
    if (this.bytes < 100) this.text += chunk.toString();
    done();
  }
}
const counter = () => new Counter();

/** Bytes by which the highest point of a process's resident memory is above what it was at first. */
async function growth(pid: number, run: () => Promise<void>): Promise<number> {
  const memory = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
  writeFileSync(`/proc/${pid}/clear_refs`, '5'); // the highest point is counted from here (proc(5))
  const before = memory('VmRSS');
  await run();
  return memory('VmHWM') - before;
}

for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
  for (const slow of [false, true]) {
    const what = `${SIZE / MIB} MiB down and up over ${version}${slow ? ', to a reader that is slow in the middle' : ''}`;
    test(`${what}, grow resident memory by less than 32 MiB`, TEST, async (t) => {
      const { pid, send } = await start(t, slow);
      // What is loaded and compiled for the first body is no matter of its size.
      await send[version]('GET', '/small', undefined, counter());
      await send[version]('PUT', '/small', source(MIB), counter());
      const down = counter();
      const into = slow ? slowly() : down;
      if (slow) into.on('error', () => {});
      if (into instanceof Transform) into.pipe(down);
      const grownDown = await growth(pid, () => send[version]('GET', '/large', undefined, into));
      const up = counter();
      const grownUp = await growth(pid, () => send[version]('PUT', '/large', source(SIZE), up));
      t.diagnostic(`down ${(grownDown / MIB).toFixed(1)} MiB, up ${(grownUp / MIB).toFixed(1)} MiB`);
      assert.equal(down.bytes, SIZE);
      assert.equal(up.text, String(SIZE));
      assert.ok(grownDown < MOST, `${grownDown / MIB} MiB down`);
      assert.ok(grownUp < MOST, `${grownUp / MIB} MiB up`);
    });
  }
}
