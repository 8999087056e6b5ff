// Targets for tests of upstreams: real servers that are killed and restarted.

import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { TlsOptions } from 'node:tls';
import type { UpstreamEvent } from '../../src/edge/upstream/upstream.ts';
import type { Upstream } from '../../src/policy/upstream.ts';
import { type Forwarder, type ForwarderWishes, openForwarder } from './forwarding.ts';
import { freePort } from './programs.ts';

/** A server that can be killed, with all its connections, and started again on the same port. */
export class TestTarget {
  /** Paths of the requests that it got, but for health checks. */
  readonly seen: string[] = [];
  /** Called when a request is complete. */
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void = (_request, response, body) => {
    response.end(`${this.name} ${body}`);
  };
  checked: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) => response.end();
  readonly name: string;
  port = 0;
  readonly #host: string;
  readonly #tls: TlsOptions | undefined;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  constructor(name: string, host: string, tls?: TlsOptions) {
    this.name = name;
    this.#host = host;
    this.#tls = tls;
  }

  /** At the port that it had, which no other program takes while it is down. */
  async start(port = this.port): Promise<void> {
    const server = this.#tls === undefined ? createServer() : createTlsServer(this.#tls);
    // Connections that a slow machine leaves idle stay.
    server.keepAliveTimeout = 60_000;
    server.on('request', (incoming: IncomingMessage, response: ServerResponse) => this.#take(incoming, response));
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
    });
    server.listen(port || (await freePort()), this.#host);
    await once(server, 'listening');
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  #take(incoming: IncomingMessage, response: ServerResponse): void {
    if (incoming.url === '/healthz') return this.checked(incoming, response);
    this.seen.push(incoming.url ?? '');
    let body = '';
    incoming.setEncoding('latin1').on('data', (chunk: string) => (body += chunk));
    incoming.on('end', () => this.answer(incoming, response, body));
  }

  /** Refuses connections from now on, and ends those that it has. */
  kill(): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Open connections. */
  get connections(): number {
    return this.#sockets.size;
  }

  get origin(): string {
    return `${this.#tls === undefined ? 'http' : 'https'}://${this.#host}:${this.port}`;
  }
}

/** Servers on loopback named a, b, c …; they go with the test. */
export function openTargets(t: TestContext, count: number): Promise<TestTarget[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => openTarget(t, 'abcdef'[index] ?? '')));
}

export async function openTarget(
  t: TestContext,
  name: string,
  { host = '127.0.0.1', port = 0, tls }: { host?: string; port?: number; tls?: TlsOptions } = {},
): Promise<TestTarget> {
  const target = new TestTarget(name, host, tls);
  await target.start(port);
  t.after(() => target.kill());
  return target;
}

/** What an upstream told, now or later. */
export class Events {
  readonly all: UpstreamEvent[] = [];
  readonly #waiting = new Set<() => void>();

  add(event: UpstreamEvent): void {
    this.all.push(event);
    for (const look of this.#waiting) look();
  }

  /** Reasons of the failures told so far. */
  get failures(): readonly string[] {
    return this.all.flatMap((event) => (event.kind === 'failed' ? [event.reason] : []));
  }

  /** All but answers, which say nothing of a fault. */
  get troubles(): readonly UpstreamEvent[] {
    return this.all.filter(({ kind }) => kind !== 'answered');
  }

  count(kind: UpstreamEvent['kind']): number {
    return this.all.filter((event) => event.kind === kind).length;
  }

  until(kind: UpstreamEvent['kind']): Promise<UpstreamEvent> {
    return new Promise((resolve) => {
      const look = () => {
        const found = this.all.find((event) => event.kind === kind);
        if (found === undefined) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }
}

export interface Answered {
  readonly status: number;
  readonly body: string;
}

export interface Balanced extends Forwarder {
  readonly events: Events;
  /** A request through the forwarder; POST where there is a body, which is sent in chunks. */
  ask(path: string, body?: string): Promise<Answered>;
}

/** A forwarder in front of these targets, as origins or servers. */
export async function openBalanced(
  t: TestContext,
  targets: readonly (TestTarget | string)[],
  upstream: Partial<Upstream> = {},
  wishes: ForwarderWishes = {},
): Promise<Balanced> {
  const events = new Events();
  const origins = targets.map((target) => (typeof target === 'string' ? target : target.origin));
  const forwarder = await openForwarder(t, '', {
    ...wishes,
    upstream: { targets: origins.map((origin) => ({ origin, socketPath: undefined })), ...upstream },
    open: { onEvent: (event) => events.add(event), ...wishes.open },
  });
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  return { ...forwarder, events, ask: (path, body) => ask(forwarder.port, agent, path, body) };
}

function ask(port: number, agent: Agent, path: string, body?: string): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const method = body === undefined ? 'GET' : 'POST';
    const asking = request({ host: '127.0.0.1', port, path, method, agent, signal: AbortSignal.timeout(30_000) });
    asking.once('error', reject);
    asking.once('response', (response) => {
      let text = '';
      response.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
      response.once('error', reject);
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    if (body !== undefined) asking.write(body.slice(0, 3));
    asking.end(body?.slice(3));
  });
}
