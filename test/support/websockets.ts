// A real ws server behind the gateway, and a real ws client in front.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import { Fields, HOST, portOf, SERVER_CA, type TestGateway } from './gateway.ts';
import type { TestCertificate } from './pki.ts';

type Closing = { after(done: () => unknown): void };

export interface WebSocketUpstream {
  readonly server: Server;
  readonly sockets: WebSocketServer;
  /** As a target of the configuration. */
  readonly target: string;
  /** Fields of the opening handshakes, in order. */
  readonly seen: Fields[];
  /** The next connection, as the server has it. */
  next(): Promise<WebSocket>;
}

export interface UpstreamWishes {
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly path?: string;
  /** Bounces every message; otherwise nobody listens. */
  readonly echo?: boolean;
}

/** A ws server with permessage-deflate and the subprotocol `chat`. Closes with the test. */
export async function startWebSockets(t: Closing, wishes: UpstreamWishes = {}): Promise<WebSocketUpstream> {
  const { tls, path, echo = true } = wishes;
  const server = tls === undefined ? createServer() : createTlsServer(tls);
  const sockets = new WebSocketServer({
    server,
    perMessageDeflate: true,
    handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false),
  });
  const seen: Fields[] = [];
  sockets.on('connection', (socket, { rawHeaders }) => {
    seen.push(new Fields(rawHeaders));
    socket.on('error', () => {});
    if (echo) socket.on('message', (message, binary) => socket.send(message, { binary }));
  });
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  t.after(async () => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  const { port } = (path === undefined ? server.address() : { port: 0 }) as AddressInfo;
  const scheme = tls === undefined ? 'http' : 'https';
  return {
    server,
    sockets,
    target: path === undefined ? `${scheme}://127.0.0.1:${port}` : `unix:${path}`,
    seen,
    next: async () => ((await once(sockets, 'connection')) as [WebSocket])[0],
  };
}

export interface ClientWishes extends ClientOptions {
  readonly client?: TestCertificate;
  readonly protocols?: string[];
  /** Where it connects, if not to the gateway. */
  readonly port?: number;
}

/** A ws client on a connection of its own; nothing is awaited. */
export function openWebSocket(t: Closing, gateway: TestGateway, path: string, wishes: ClientWishes = {}): WebSocket {
  const { client, protocols = [], headers, port = portOf(gateway.running.listeners[0]?.bind), ...options } = wishes;
  const socket = new WebSocket(`wss://127.0.0.1:${port}${path}`, protocols, {
    ca: SERVER_CA.cert,
    servername: HOST,
    headers: { Host: HOST, ...headers },
    ...(client && { cert: client.chain, key: client.key }),
    ...options,
  } as ClientOptions);
  socket.on('error', () => {});
  t.after(() => socket.terminate());
  return socket;
}

/** Sends a message and gives the next one that comes. */
export async function say(socket: WebSocket, message: string | Buffer): Promise<string> {
  const answered = once(socket, 'message');
  socket.send(message);
  return String(((await answered) as [Buffer])[0]);
}

/** Status of the answer that was none of 101, with its fields and its body. */
export async function refusal(socket: WebSocket): Promise<{ status: number; fields: Fields; body: string }> {
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
  let body = '';
  for await (const chunk of response.setEncoding('latin1')) body += String(chunk);
  return { status: response.statusCode ?? 0, fields: new Fields(response.rawHeaders), body };
}

/** Code with which it closed: 1006 where the connection ended without a word (RFC 6455 §7.1.5). */
export async function closed(socket: WebSocket): Promise<number> {
  if (socket.readyState === WebSocket.CLOSED) return 0;
  return Number((await once(socket, 'close'))[0]);
}
