// Mutated bytes on the wire, a gateway with real workers, and peers that send them.

import { createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { listen } from '../support/forwarding.ts';
import { answer, block, FLAG, FRAME, frame, indexed, PREFACE, request, reset, settings } from '../support/frames.ts';
import { HOST, portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';

/** What a peer writes, in pieces, and how it ends. */
export interface Script {
  readonly pieces: readonly Buffer[];
  readonly end: 'end' | 'reset' | 'stay';
}

const pick = fc.constantFrom;
const text = (value: string) => Buffer.from(value, 'latin1');

/** Samples in a row with octets cut out and put in, written in pieces. */
export function scripts(samples: readonly Buffer[]): fc.Arbitrary<Script> {
  const put = fc.oneof(
    fc.uint8Array({ maxLength: 4 }),
    pick(...samples).map((sample) => sample.subarray(0, 40)),
  );
  const edits = fc.array(fc.tuple(fc.nat(), fc.nat(8), put), { maxLength: 3 });
  const bytes = fc.tuple(fc.array(pick(...samples), { minLength: 1, maxLength: 4 }), edits).map(([parts, splices]) =>
    splices.reduce<Buffer>((before, [at, cut, octets]) => {
      const from = at % (before.length + 1);
      return Buffer.concat([before.subarray(0, from), octets, before.subarray(from + cut)]);
    }, Buffer.concat(parts)),
  );
  const pieces = fc.tuple(bytes, fc.array(fc.nat(), { maxLength: 3 })).map(([all, cuts]) => {
    const places = [0, ...cuts.map((cut) => cut % (all.length + 1)).toSorted((a, b) => a - b), all.length];
    return places.slice(1).map((to, index) => all.subarray(places[index], to));
  });
  return fc.record({ pieces, end: pick('end', 'reset', 'stay') });
}

export async function play(socket: Socket, { pieces, end }: Script): Promise<void> {
  socket.setNoDelay();
  for (const piece of pieces) {
    if (socket.destroyed) return;
    socket.write(piece);
    await new Promise(setImmediate);
  }
  if (end === 'end') socket.end();
  if (end === 'reset') socket.destroy();
}

const BODY = 'Content-Length: 2\r\n\r\nok';
const CHUNKS = 'Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n';

/** Answers over HTTP/1.1, good and nearly so. */
export const ANSWERS: readonly Buffer[] = [
  `HTTP/1.1 200 OK\r\n${BODY}`,
  `HTTP/1.1 200 OK\r\n${CHUNKS}`,
  `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n`,
  `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n${BODY}`,
  `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n`,
  `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  `HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n`,
  `HTTP/1.1 413 Too Large\r\nConnection: close\r\n${BODY}`,
  `HTTP/1.0 599 x\r\nVary: *\r\nCache-Control: no-store\r\nDPoP-Nonce: n\r\nX-L: caf\xe9\r\n\r\nrest`,
].map(text);

const STATUS = (status: string) => [[':status', status] as const];

/** Frames of a server: the stream is 1, as it is for the first request of a connection. */
export const SERVER_FRAMES: readonly Buffer[] = [
  Buffer.concat([settings(), frame(FRAME.settings, FLAG.ack, 0)]),
  answer(1, [['content-length', '2']]),
  answer(1, [], FLAG.endStream),
  frame(FRAME.headers, FLAG.endHeaders, 1, block(STATUS('103'))),
  frame(FRAME.headers, FLAG.endHeaders, 1, block(STATUS('100'))),
  frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, block([['x-trailer', '1']])),
  frame(FRAME.data, 0, 1, text('ok')),
  frame(FRAME.data, FLAG.endStream, 1, text('ok')),
  frame(FRAME.headers, FLAG.endStream, 1, block([['x-trailer', 'of which more was to come']])),
  reset(1),
  reset(1, 7),
  frame(FRAME.goaway, 0, 0, Buffer.alloc(8)),
  frame(FRAME.goaway, 0, 0, Buffer.from([0, 0, 0, 1, 0, 0, 0, 11])),
  frame(FRAME.windowUpdate, 0, 1, Buffer.from([0, 0, 1, 0])),
  frame(FRAME.ping, 0, 0, Buffer.alloc(8)),
  settings([[3, 0]]),
  settings([[4, 0]]),
  frame(FRAME.pushPromise, FLAG.endHeaders, 1, Buffer.concat([Buffer.from([0, 0, 0, 2]), block([[':path', '/']])])),
  frame(FRAME.continuation, FLAG.endHeaders, 1, block([['x', 'y']])),
];

const line = (method: string, path: string) =>
  [
    [':method', method],
    [':scheme', 'https'],
    [':path', path],
    [':authority', HOST],
  ] as const;

/** Frames of a client, behind its preface. */
export const CLIENT_FRAMES: readonly Buffer[] = [
  request(1, line('GET', '/open/1')),
  request(3, line('POST', '/open/2'), 0),
  request(5, [...line('GET', '/open/3'), ['cookie', 'a=b'], ['te', 'trailers'], ['host', HOST]]),
  request(7, [...line('OPTIONS', '*'), ['expect', '100-continue']]),
  request(9, [...line('BREW', '/open/../x%2f')]),
  request(11, [
    [':method', 'CONNECT'],
    [':authority', HOST],
  ]),
  frame(FRAME.headers, FLAG.endStream, 13, indexed(['x', 'y'])),
  frame(FRAME.continuation, FLAG.endHeaders, 13, block([...line('GET', '/open/4')])),
  frame(FRAME.data, 0, 3, text('body')),
  frame(FRAME.data, FLAG.endStream, 3, text('body')),
  frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 3, block([['x-trailer', '1']])),
  frame(FRAME.headers, FLAG.endStream, 3, block([['x-trailer', 'of which more was to come']])),
  reset(1),
  reset(3, 0),
  frame(FRAME.windowUpdate, 0, 0, Buffer.from([0, 0, 1, 0])),
  frame(FRAME.priority, 0, 1, Buffer.from([0, 0, 0, 0, 1])),
  frame(FRAME.ping, 0, 0, Buffer.alloc(8)),
  frame(FRAME.goaway, 0, 0, Buffer.alloc(8)),
  settings([
    [1, 0],
    [4, 0],
    [6, 10],
  ]),
  PREFACE,
];

export interface Rig {
  readonly gateway: TestGateway;
  /** What the upstreams do from now on, in turn; without a script they answer well. */
  over1: Script[];
  over2: Script[];
  /** From now on the upstreams answer well, on new connections. */
  readonly heal: () => void;
  readonly connect: (wishes?: ConnectionOptions) => Promise<TLSSocket | undefined>;
}

const ROUTE = 'require: public, weaker_than_defaults: [require], timeouts: { response_header: 300ms, idle: 300ms }';

/** A gateway with real worker threads in front of two upstreams that play scripts. */
export async function startRig(t: TestContext): Promise<Rig> {
  const rig: Pick<Rig, 'over1' | 'over2'> = { over1: [], over2: [] };
  const sockets = new Set<Socket>();
  const one = createServer((socket) => {
    socket
      .on('error', () => {})
      .on('data', () => {
        void play(socket, rig.over1.shift() ?? { pieces: ANSWERS.slice(0, 1), end: 'stay' });
      });
  });
  const two = createServer((socket) => {
    const hello = Buffer.concat([settings(), frame(FRAME.settings, FLAG.ack, 0)]);
    socket.on('error', () => {}).write(hello);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // The preface and the settings come first, and then the request.
    let got = 0;
    socket.on('data', (chunk: Buffer) => {
      got += chunk.length;
      if (got < 60) return;
      got = Number.NEGATIVE_INFINITY;
      void play(socket, rig.over2.shift() ?? { pieces: [answer(1, [], FLAG.endStream)], end: 'stay' });
    });
  });
  const ports = await Promise.all([listen(t, one), listen(t, two)]);
  const gateway = await startTestGateway(t, {
    threads: true,
    listener: 'client_certificate: { request: optional, verify: possession }',
    upstreams: `one: { targets: ["http://127.0.0.1:${ports[0]}"] }\ntwo: { targets: ["http://127.0.0.1:${ports[1]}"], http2: true }`,
    routes: [
      `- { name: one, match: { path: /open/* }, upstream: one, ${ROUTE} }`,
      `- { name: two, match: { path: /two/* }, upstream: two, ${ROUTE} }`,
    ].join('\n'),
    more: 'log: { level: fatal }\nworkers: 1\ndrain: { delay: 0s, grace: 1s }',
  });
  const port = portOf(gateway.running.listeners[0]?.bind);
  const heal = () => {
    [rig.over1, rig.over2] = [[], []];
    for (const socket of sockets) socket.destroy();
  };
  return Object.assign(rig, { gateway, heal, connect: (wishes?: ConnectionOptions) => open(t, port, wishes) });
}

/** undefined: the handshake failed. */
function open(t: TestContext, port: number, wishes: ConnectionOptions = {}): Promise<TLSSocket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', servername: HOST, ca: SERVER_CA.cert, ...wishes });
    t.after(() => socket.destroy());
    socket.once('secureConnect', () => resolve(socket)).on('error', () => resolve(undefined));
    socket.once('close', () => resolve(undefined));
  });
}

/** The first octets of what comes back; resolves when the connection ends or has answered. */
export function answered(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let all = '';
    socket.on('data', (chunk: Buffer) => (all += chunk.toString('latin1')));
    socket.once('close', () => resolve(all));
  });
}
