// Listeners for tests of the edge, a fixed server behind, and raw clients.

import { UNLIMITED } from './forwarding.ts';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { answer } from '../../src/edge/transaction/answer.ts';
import type { Connection } from '../../src/edge/listen/connection.ts';
import { compileIntake, type EdgeFacts, readFacts } from '../../src/edge/intake/facts.ts';
import { Http1Transaction } from '../../src/edge/transaction/http1.ts';
import type { OpenListener } from '../../src/edge/listen/generations.ts';
import { openListener } from '../../src/edge/listen/listener.ts';
import type { ConnectionRefusal } from '../../src/observe/labels.ts';
import type { HandshakeRefusal, Serve } from '../../src/edge/listen/serve.ts';
import type { Transaction } from '../../src/edge/transaction/transaction.ts';
import { compileManagedFields } from '../../src/policy/managed-fields.ts';
import type { Bind, Listener } from '../../src/policy/policy.ts';
import { type Reason, Rejection } from '../../src/rejection/rejection.ts';
import { type Answer, rejectionAnswer } from '../../src/rejection/answer.ts';

export const HTTPS_ORIGIN = {
  scheme: 'https',
  authority: 'api.example.com',
  pathPrefix: '',
  wildcard: false,
} as const;
export const HTTP_ORIGIN = { ...HTTPS_ORIGIN, scheme: 'http' } as const;

/** A plain HTTP listener on a free loopback port for http://api.example.com. */
export function makeListener(over: Partial<Listener> = {}): Listener {
  return {
    name: 'public',
    bind: { host: '127.0.0.1', port: 0 },
    origins: [over.tls === undefined ? HTTP_ORIGIN : HTTPS_ORIGIN],
    tls: undefined,
    http2: true,
    clientCertificate: { request: 'none', verify: 'chain', ca: undefined, crl: undefined },
    trustedPeers: [],
    clientCertificateFrom: undefined,
    proxyProtocol: false,
    explainToClients: false,
    decides: undefined,
    ...over,
    limits: {
      headerSize: 32_768,
      urlLength: 8192,
      ...UNLIMITED,
      connections: 100,
      streamsPerConnection: 100,
      headerTimeout: 10,
      idleTimeout: 10,
      ...over.limits,
    },
  };
}

/** The answer to a refusal as the gateway makes it. */
export function refusal(rejection: Rejection): Answer {
  return rejectionAnswer(rejection, {
    requestId: 'r1',
    challenge: undefined,
    presented: 'none',
    realm: '',
    nonce: () => '',
    explain: false,
  });
}

export interface Served {
  readonly transaction: Transaction;
  readonly method: string;
  readonly url: string;
  readonly connection: Connection;
  readonly facts: EdgeFacts | Rejection;
  readonly expectsContinue: boolean;
}

export interface Secured {
  readonly version: string | null;
  readonly resumed: boolean;
}

/** A listener at work, and what it saw. */
export interface TestListener {
  readonly open: OpenListener;
  readonly port: number;
  readonly served: readonly Served[];
  readonly refused: readonly Reason[];
  readonly handshakes: readonly (readonly [HandshakeRefusal, string])[];
  /** Handshakes that succeeded, in their order. */
  readonly secured: readonly Secured[];
  /** Of connections, each when it came and when requests may follow. */
  readonly came: readonly ('accepted' | 'connected')[];
  /** Of connections that were closed at once. */
  readonly closed: readonly ConnectionRefusal[];
  /** Resolves at the next refused handshake. */
  handshakeRefused(): Promise<void>;
}

type Respond = (request: IncomingMessage, response: ServerResponse, served: Served) => void;

/** Opens a listener that reads facts, answers refusals, and gives everything else to `respond`. Closed when the test ends. */
export async function serveListener(
  context: Pick<TestContext, 'after'>,
  listener: Listener,
  respond: Respond = (request, response) => void request.resume().once('end', () => response.end('ok')),
  ticketSecret?: Uint8Array,
  respondHttp2: (transaction: Transaction) => void = () => {},
): Promise<TestListener> {
  const served: Served[] = [];
  const refused: Reason[] = [];
  const handshakes: (readonly [HandshakeRefusal, string])[] = [];
  const secured: Secured[] = [];
  const closed: ConnectionRefusal[] = [];
  const came: ('accepted' | 'connected')[] = [];
  const refusals = new EventTarget();
  const rules = compileIntake(listener, compileManagedFields([], [listener]), 'holdfast-test');
  const serve: Serve = {
    request(transaction, connection) {
      const facts = readFacts(transaction, connection, rules, Date.now() / 1000);
      const { method, target: url, expectsContinue } = transaction;
      const seen = { transaction, method, url, connection, facts, expectsContinue };
      served.push(seen);
      if (facts instanceof Rejection) answer(transaction, refusal(facts));
      else if (transaction instanceof Http1Transaction) respond(transaction.request, transaction.response, seen);
      else respondHttp2(transaction);
    },
    refused(rejection) {
      refused.push(rejection.reason);
      return refusal(rejection);
    },
    accepted: () => came.push('accepted'),
    connected: () => came.push('connected'),
    handshake(version, resumed) {
      secured.push({ version, resumed });
    },
    refusedHandshake(reason, code) {
      handshakes.push([reason, code]);
      refusals.dispatchEvent(new Event('refused'));
    },
    refusedConnection(reason) {
      closed.push(reason);
      refusals.dispatchEvent(new Event('closed'));
    },
  };
  const open = await openListener(listener, serve, false, ticketSecret);
  open.begin();
  context.after(() => open.close());
  return {
    open,
    port: portOf(open.bind),
    served,
    refused,
    handshakes,
    secured,
    closed,
    came,
    handshakeRefused: async () => void (await once(refusals, 'refused')),
  };
}

function portOf(bind: Bind): number {
  return 'port' in bind ? bind.port : 0;
}

/** Sends bytes as they are and collects everything until the other end closes the connection. */
export async function sendRaw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(Buffer.from(bytes, 'latin1'));
  return await readAll(socket);
}

/** Everything that comes until the connection ends, however it ends. */
export async function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => (text += chunk));
  socket.on('error', () => socket.destroy());
  await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

/** A TLS connection after its handshake; rejects where that fails. */
export async function openTls(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({ port, host: '127.0.0.1', servername: 'api.example.com', ...options });
  await once(socket, 'secureConnect');
  return socket;
}

/** One request on a TLS connection of its own; '' where the server closed without an answer. */
export async function requestTls(port: number, options: ConnectionOptions, target = '/'): Promise<string> {
  const socket = await openTls(port, options);
  socket.write(`GET ${target} HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n`);
  return await readAll(socket);
}

/** Status of a raw answer; 0: none. */
export function statusOf(raw: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(raw)?.[1] ?? 0);
}

/** `reason` of the problem document in a raw answer. */
export function reasonOf(raw: string): string | undefined {
  return /"reason":"(\w+)"/.exec(raw)?.[1];
}
