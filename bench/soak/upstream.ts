// The upstreams of a soak run in one process, one of which gives invalid answers.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createTcpServer, type Server } from 'node:net';
import { WebSocketServer } from 'ws';
import { content, SMALL, writable } from './content.ts';

/** Bytes of a broken answer: announced, and sent before it breaks. */
const ANNOUNCED = 1024 * 1024;
const SENT = 256 * 1024;

const ANSWERS: Readonly<Record<string, (url: URL, request: IncomingMessage, response: ServerResponse) => void>> = {
  bytes: (url, _request, response) => void sendBytes(url, response),
  upload: (_url, request, response) => void receive(request, response),
  cut: (url, _request, response) => cut(url, response),
  introspect: (_url, request, response) => void introspect(request, response),
  hang: () => {},
  stream: (_url, _request, response) => stream(response),
};

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://upstream');
  const answer = ANSWERS[/^\/[a-z]+\/([a-z]+)/.exec(url.pathname)?.[1] ?? ''];
  if (answer !== undefined) return answer(url, request, response);
  request.resume();
  response.setHeader('Content-Type', 'application/json').end(SMALL);
});

async function sendBytes({ searchParams }: URL, response: ServerResponse): Promise<void> {
  const bytes = Number(searchParams.get('bytes'));
  response.setHeader('Content-Length', bytes);
  for (const block of content(searchParams.get('name') ?? '', bytes)) {
    if (response.destroyed) return;
    if (!response.write(block)) await writable(response);
  }
  response.end();
}

/** Answers with the digest of what came; nothing where the rest never comes. */
async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of request) hash.update(chunk as Buffer);
    response.end(hash.digest('hex'));
  } catch {
    response.destroy();
  }
}

/** An issuer that calls tokens active whose text begins with `good` (RFC 7662). */
async function introspect(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += String(chunk);
  const active = new URLSearchParams(body).get('token')?.startsWith('good') === true;
  const answer = active ? { active, token_type: 'Bearer', sub: 'alice', client_id: 'shop' } : { active };
  response.setHeader('Content-Type', 'application/json').end(JSON.stringify(answer));
}

/** Resets its connection in the middle of an answer, however that is delimited. */
function cut({ searchParams }: URL, response: ServerResponse): void {
  const framing = searchParams.get('framing');
  if (framing === 'length') response.setHeader('Content-Length', ANNOUNCED);
  if (framing === 'close') response.useChunkedEncodingByDefault = response.shouldKeepAlive = false;
  response.write(Buffer.alloc(SENT, 'x'), () => setTimeout(() => response.socket?.resetAndDestroy(), 20));
}

/** Server-sent events, without an end. */
function stream(response: ServerResponse): void {
  response.setHeader('Content-Type', 'text/event-stream');
  const timer = setInterval(() => response.write(`data: ${Date.now()}\n\n`), 500);
  response.once('close', () => clearInterval(timer));
}

/** One that speaks HTTP/2 and defends itself against clients that reset streams. */
const modern = createHttp2Server((request, response) => {
  const delay = request.url.includes('slow') ? 200 : 0;
  setTimeout(() => {
    if (!response.stream.destroyed) response.writeHead(200, { 'Content-Type': 'application/json' }).end(SMALL);
  }, delay);
});
modern.on('sessionError', () => {});

const sockets = new WebSocketServer({ server, maxPayload: 1024 * 1024 });
sockets.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (message, binary) => socket.send(message, { binary }));
});

const INVALID = [
  'HTTP/1.1 2000 OK\r\n\r\n',
  'no answer at all\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n',
];
let given = 0;
const invalid = createTcpServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', () => socket.end(INVALID[given++ % INVALID.length] ?? ''));
});

async function listen(one: Server | typeof server | typeof modern): Promise<number> {
  one.listen(0, '127.0.0.1');
  await once(one, 'listening');
  const address = one.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

process.on('SIGINT', () => {}); // Ctrl-C is the parent's, which ends us when it has looked at everything
process.once('disconnect', () => process.exit());
process.send?.({ serving: await listen(server), invalid: await listen(invalid), modern: await listen(modern) });
