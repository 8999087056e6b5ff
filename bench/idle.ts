// Idle TLS connections: memory that each takes, in the gateway and in servers of Node alone.
//
// npm run bench:idle [-- --connections N]

import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { parseArgs } from 'node:util';
import { makeCredentials, type Credentials } from './credentials.ts';
import { startGateway } from './gateway.ts';
import { freePort } from '../test/support/programs.ts';
import { type Program, startProgram, startUpstream } from './peers.ts';

/** Connections that come and go first: what a server allocates once is there then. */
const BEFORE = 300;
/** Milliseconds after which a wave is over for the gateway: it looks every five seconds. */
const EBB = 13_000;

/** What a server of Node does with a connection, without a gateway. */
const BARE = {
  'TLS of Node alone': `require('node:tls').createServer(options, (socket) => socket.on('data', () => socket.write(ANSWER)).on('error', () => {}))`,
  'HTTPS server of Node alone': `Object.assign(require('node:https').createServer(options, (_, answer) => answer.end('x')), { keepAliveTimeout: 600000 })`,
};

/** One that collects its garbage once a second, so that what is measured is in use. */
async function startBare(server: string, made: Credentials): Promise<Program> {
  const port = await freePort();
  const code = `const fs = require('node:fs');
    const ANSWER = 'HTTP/1.1 200 OK\\r\\nContent-Length: 1\\r\\n\\r\\nx';
    const options = { cert: fs.readFileSync(process.argv[1]), key: fs.readFileSync(process.argv[2]) };
    (${server}).listen(${port}, '127.0.0.1');
    setInterval(() => gc({ type: 'major', flavor: 'last-resort' }), 1000);`;
  return startProgram(process.execPath, ['--expose-gc', '-e', code, made.server.cert, made.server.key], port);
}

/** KiB that are no file. */
export function anonymousOf(pid: number): number {
  return Number(/^Anonymous:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]);
}

async function openOne(port: number, asks: boolean): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  if (asks) {
    socket.write(`GET /public/x HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`);
    await once(socket, 'data');
  }
  return socket.on('error', () => {});
}

/** Connections by TLS, all open at once. @param asks whether each has one request */
export async function openWave(port: number, count: number, asks: boolean): Promise<TLSSocket[]> {
  const open: TLSSocket[] = [];
  while (open.length < count) {
    open.push(...(await Promise.all(Array.from({ length: 50 }, () => openOne(port, asks)))));
  }
  return open;
}

/** KiB for each connection: while they are open, and when all have ended. */
async function measure({ pid, port }: Program, count: number, asks: boolean): Promise<readonly [number, number]> {
  for (const socket of await openWave(port, BEFORE, asks)) socket.destroy();
  await pause(EBB);
  const before = anonymousOf(pid);
  const wave = await openWave(port, count, asks);
  await pause(2500);
  const open = anonymousOf(pid);
  for (const socket of wave) socket.destroy();
  await pause(EBB);
  return [(open - before) / count, (anonymousOf(pid) - before) / count];
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { connections: { type: 'string', default: '1500' } } });
  const count = Number(values.connections);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-idle-'));
  const upstream = await startUpstream(folder);
  try {
    const made = makeCredentials(folder);
    const servers: readonly (readonly [string, () => Promise<Program>])[] = [
      ...Object.entries(BARE).map(([name, server]) => [name, () => startBare(server, made)] as const),
      ['Holdfast', () => startGateway(folder, upstream, made)],
    ];
    console.log(`| KiB per connection, of ${count} | open | when all have ended |`);
    console.log('| --- | ---: | ---: |');
    for (const [name, start] of servers) {
      for (const asks of [false, true]) {
        const program = await start();
        try {
          const [open, ended] = await measure(program, count, asks);
          const what = asks ? 'after one request' : 'handshake alone';
          console.log(`| ${name}, ${what} | ${open.toFixed(1)} | ${ended.toFixed(1)} |`);
        } finally {
          await program.stop();
        }
      }
    }
  } finally {
    await upstream.stop();
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) await main();
