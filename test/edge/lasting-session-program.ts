// A program whose HTTP/2 peers leave amid field lines, before its garbage is collected.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect,
  type Http2Session,
  type Http2Stream,
  performServerHandshake,
} from 'node:http2';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { LastingSession, sessionsWait } from '../../src/edge/lasting-session.ts';
import { block, FLAG, FRAME, frame, GET, type Line, PREFACE, request, settings } from '../support/frames.ts';

/** `lasting` or `plain` sessions; the peers are `clients` or `upstreams`; they `reset` their connections or send what is `broken`. */
const [kind, side, end] = process.argv.slice(2);
assert.ok(global.gc);

const POST = GET.map(([name, value]): Line => [name, name === ':method' ? 'POST' : value]);
/** So many of them are more than the buffers of sockets take. */
const PIECE = Buffer.alloc(65_536);
const PIECES = 512;
const WINDOWS = Buffer.concat([
  settings([[4, 0x7fff_ffff]]),
  frame(FRAME.settings, FLAG.ack, 0),
  frame(FRAME.windowUpdate, 0, 0, Buffer.from([0x7f, 0, 0, 0])),
]);
const HALF = block([
  ['x-one', 'a value that Node does not know'],
  ['x-two', 'x'.repeat(100)],
]);
const CLIENT = Buffer.concat([PREFACE, WINDOWS, request(1, POST, 0), frame(FRAME.headers, FLAG.endStream, 1, HALF)]);
const UPSTREAM = frame(FRAME.headers, 0, 1, Buffer.concat([block([[':status', '200']]), HALF]));

interface Pair {
  readonly ours: Socket;
  readonly theirs: Socket;
}

const server: Server = createServer();
await once(server.listen(0, '127.0.0.1'), 'listening');
const address = server.address();
assert.ok(typeof address === 'object' && address);
const { port } = address;

async function pair(): Promise<Pair> {
  const accepted = once(server, 'connection');
  const theirs = connectTcp(port, '127.0.0.1').on('error', () => {});
  const [ours] = (await accepted) as [Socket];
  return { ours, theirs };
}

/** `once` would fail with the error before. */
function closeOf({ ours }: Pair): Promise<void> {
  return new Promise((resolve) => ours.once('close', () => resolve()));
}

function open<Session extends Http2Session>(socket: Socket, make: () => Session): LastingSession<Session> | Session {
  return kind === 'lasting' ? new LastingSession(socket, make) : make();
}

/** A stream of ours for which the other end has sent half of its field lines. */
async function begin({ ours, theirs }: Pair): Promise<Http2Stream> {
  const make = (): Http2Session =>
    side === 'clients' ? performServerHandshake(ours) : connect('http://localhost', { createConnection: () => ours });
  const opened = open(ours, make);
  const session = opened instanceof LastingSession ? opened.session : opened;
  session.on('error', () => {});
  const stream = side === 'clients' ? await asked(session, theirs) : await ask(session as ClientHttp2Session, theirs);
  stream.on('error', () => {});
  if (opened instanceof LastingSession) opened.hold(stream, () => false);
  const sent = theirs.bytesWritten;
  while (ours.bytesRead < sent) await turn();
  return stream;
}

async function asked(session: Http2Session, theirs: Socket): Promise<Http2Stream> {
  const stream = once(session, 'stream');
  theirs.write(CLIENT);
  return ((await stream) as [Http2Stream])[0];
}

async function ask(session: ClientHttp2Session, theirs: Socket): Promise<Http2Stream> {
  const known = once(session, 'remoteSettings');
  theirs.write(WINDOWS);
  await known;
  const stream = session.request({ ':method': 'POST' });
  await once(theirs, 'data');
  theirs.write(UPSTREAM);
  return stream;
}

/** What Node has to write is more than is read when the connection ends. */
async function reset(): Promise<void> {
  const one = await pair();
  const stream = await begin(one);
  const closed = closeOf(one);
  if ('respond' in stream && typeof stream.respond === 'function') stream.respond();
  for (let nth = 0; nth < PIECES; nth += 1) stream.write(PIECE);
  const before = one.theirs.bytesRead;
  one.theirs.resume();
  while (one.theirs.bytesRead < before + 1024 * 1024) await turn();
  one.theirs.pause();
  one.theirs.resetAndDestroy();
  await closed;
}

/** Garbage is collected in the turn of the loop in which sessions end, before Node frees what it destroyed in that turn. */
async function broken(): Promise<void> {
  const pairs: (Pair & { readonly collector: Pair })[] = [];
  for (let nth = 0; nth < 8; nth += 1) {
    const [one, collector] = [await pair(), await pair()];
    collector.ours.on('data', () => gc?.()).resume();
    await begin(one);
    pairs.push({ ...one, collector });
  }
  const closed = Promise.all(pairs.map(closeOf));
  for (const { theirs, collector } of pairs) {
    theirs.resume().write(frame(FRAME.data, 0, 1, Buffer.from('x')));
    collector.theirs.write('now');
  }
  await closed;
  for (const { collector } of pairs) collector.theirs.destroy();
}

await (end === 'reset' ? reset() : broken());
await turn();
const waited = sessionsWait();
for (let rounds = 0; rounds < 5 || (sessionsWait() && rounds < 100); rounds += 1) {
  gc?.();
  await turn();
}
server.close();
process.stdout.write(`${waited ? 'waited' : 'did not wait'}, ${sessionsWait() ? 'waits' : 'waits no more'}\n`);
