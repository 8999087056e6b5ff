// Soak clients that want an upstream for themselves, all from one address.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Kind, Load } from './kind.ts';

/** The address that they call from. */
const ADDRESS = '127.0.0.2';
/** Milliseconds for which each stays, and between two of its bytes. */
const STAY = 10_000;
const BETWEEN = 250;
/** More than the gateway collects before a body goes on. */
const BEGINNING = 'x'.repeat(70_000);

export function greedyKinds(): Kind[] {
  const kind = (name: string, perSecond: number, run: Kind['run']): Kind => ({
    name,
    perSecond,
    atOnce: perSecond * 20,
    run,
  });
  return [
    kind('uploads byte by byte', 25, (load) => drip(load, post('Content-Length: 1000', '.'), '.')),
    kind('uploads in chunks of a byte', 10, (load) => drip(load, post('Transfer-Encoding: chunked', ''), '1\r\n.\r\n')),
    kind('large uploads, slowly', 10, (load) =>
      drip(load, post('Content-Length: 1000000', BEGINNING), '.'.repeat(300)),
    ),
    kind('event streams', 15, stream),
    kind('does not read', 5, readNothing),
    kind('aborts to an HTTP/2 upstream', 40, abort),
  ];
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: HOST\r\n\r\n`;
const post = (framing: string, begin: string) =>
  `POST /public/upload HTTP/1.1\r\nHost: HOST\r\n${framing}\r\n\r\n${begin}`;

async function open({ setting: { port, ca } }: Load, bytes: string): Promise<TLSSocket> {
  const plain = connect({ port, host: '127.0.0.1', localAddress: ADDRESS });
  const socket = connectTls({ socket: plain, ca, servername: 'localhost' });
  await once(socket, 'secureConnect');
  socket.on('error', () => {});
  socket.write(bytes.replace('HOST', `localhost:${port}`));
  return socket;
}

async function drip(load: Load, request: string, piece: string): Promise<void> {
  const socket = await open(load, request);
  socket.resume();
  for (let stayed = 0; stayed < STAY && socket.writable; stayed += BETWEEN) {
    await pause(BETWEEN);
    socket.write(piece);
  }
  socket.destroy();
}

/** A stream that is open gets what its upstream sends, however many there are; one beyond the share is told so. */
async function stream(load: Load): Promise<void> {
  const socket = await open(load, get('/public/stream'));
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  await pause(STAY);
  const isOpen = text.startsWith('HTTP/1.1 200 ') && text.split('data: ').length > 5;
  socket.destroy();
  if (!isOpen && !text.includes('"reason":"upstream_queue_full"')) throw new Error(`"${text.slice(0, 80)}"`);
}

async function readNothing(load: Load): Promise<void> {
  const socket = await open(load, get(`/public/bytes?name=${randomUUID()}&bytes=${16 * 1024 * 1024}`));
  socket.pause();
  await pause(STAY);
  socket.destroy();
}

async function abort(load: Load): Promise<void> {
  const socket = await open(load, get('/modern/slow'));
  await pause(30);
  socket.destroy();
}
