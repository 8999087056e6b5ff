// A forwarder on real sockets for tests, with a scripted upstream.

import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { Permit, type PermitFacts } from '../../src/binding/permit.ts';
import { compileFieldRules, type FieldRules } from '../../src/edge/fields/fields.ts';
import { forward } from '../../src/edge/forward/forward.ts';
import type { ForwardExchange } from '../../src/edge/forward/forward-exchange.ts';
import { BodyMemory } from '../../src/edge/forward/body-memory.ts';
import { compileRouteAtWork, type RouteAtWork } from '../../src/edge/forward/route-at-work.ts';
import type { Outcome } from '../../src/edge/outcome.ts';
import { Http1Transaction } from '../../src/edge/transaction/http1.ts';
import { type OpenUpstream, openUpstream, type UpstreamOptions } from '../../src/edge/upstream/upstream.ts';
import type { Attempts } from '../../src/observe/log.ts';
import { compileManagedFields } from '../../src/policy/managed-fields.ts';
import type { ForwardRules, Route, Timeouts } from '../../src/policy/policy.ts';
import type { Upstream } from '../../src/policy/upstream.ts';

export const FORWARD: ForwardRules = {
  host: 'preserve',
  authorization: 'remove',
  exchange: undefined,
  identity: [],
  encoding: 'strict',
  remove: [],
  clientCertificate: [],
  assertion: undefined,
};

export function makePermit(over: Partial<PermitFacts> = {}): Permit {
  return Permit.grant({
    route: 'orders',
    scheme: 'DPoP',
    binding: 'dpop',
    accessToken: 'header.payload.signature',
    issuer: undefined,
    identity: [],
    certificate: undefined,
    freshNonce: undefined,
    nonceUsed: false,
    expiresAt: undefined,
    quota: undefined,
    client: 'address 192.0.2.7',
    claims: undefined,
    confirmed: undefined,
    unknownConfirmations: 0,
    ...over,
  });
}

export function makeUpstream(origin: string, over: Partial<Upstream> = {}): Upstream {
  return {
    name: 'orders',
    targets: [{ origin, socketPath: undefined }],
    http2: false,
    connections: 4,
    tunnels: 4,
    balance: 'least-pending',
    health: undefined,
    circuit: undefined,
    closeDelimited: false,
    retries: 1,
    tls: { ca: undefined, cert: undefined, key: undefined, serverName: undefined, subjectAltNames: undefined },
    ...over,
  };
}

export interface RuleWishes {
  readonly forward?: Partial<ForwardRules>;
  readonly requirement?: Route['demand']['requirement'];
  readonly cors?: Route['cors'];
  readonly upstream?: Partial<Upstream>;
  readonly rateLimit?: Route['rateLimit'];
  readonly edits?: Pick<Route, 'host' | 'requestFields' | 'responseFields'>;
}

export function makeRules(wishes: RuleWishes = {}): FieldRules {
  const { forward: over, requirement = 'dpop', cors, upstream, rateLimit } = wishes;
  const rules = { ...FORWARD, ...over };
  const route = {
    forward: rules,
    demand: { requirement },
    upstream: makeUpstream('http://127.0.0.1:9000', upstream),
    cors,
    rateLimit,
    ...wishes.edits,
  };
  return compileFieldRules(route, 'p01', compileManagedFields([{ forward: rules }], [], 'X-Request-Id'));
}

export const TIMEOUTS: Timeouts = { connect: 5, responseHeader: 5, idle: 5, total: undefined };

/** Of requests. */
export const UNLIMITED = { requestBody: Number.POSITIVE_INFINITY, uploadRate: 0, downloadRate: 0, rateGrace: 10 };

export interface ForwarderWishes extends RuleWishes {
  readonly permit?: Partial<PermitFacts>;
  readonly facts?: Partial<ForwardExchange['facts']>;
  readonly route?: Partial<RouteAtWork>;
  readonly timeouts?: Partial<Timeouts>;
  readonly open?: Partial<UpstreamOptions>;
  /** What the decision waits for. */
  readonly decided?: (response: ServerResponse) => Promise<unknown>;
}

/** Settled exchanges in order; those before anybody asked are kept. */
export class Outcomes {
  readonly all: Outcome[] = [];
  /** How often each was sent; undefined: once. */
  readonly attempts: (Attempts | undefined)[] = [];
  readonly #waiting: ((outcome: Outcome) => void)[] = [];
  #taken = 0;

  add(outcome: Outcome): void {
    this.all.push(outcome);
    const next = this.#waiting.shift();
    if (next !== undefined) next(outcome);
  }

  /** The next outcome that nobody took yet. */
  next(): Promise<Outcome> {
    const outcome = this.all[this.#taken];
    this.#taken += 1;
    if (outcome !== undefined) return Promise.resolve(outcome);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}

export interface Forwarder {
  readonly port: number;
  readonly outcomes: Outcomes;
  readonly upstream: OpenUpstream;
}

/** Answers rejections with their status and reason, as the gateway's own answers do. All closes with the test. */
export async function openForwarder(t: TestContext, origin: string, wishes: ForwarderWishes = {}): Promise<Forwarder> {
  const outcomes = new Outcomes();
  const timeouts = { ...TIMEOUTS, ...wishes.timeouts };
  const upstream = openUpstream(makeUpstream(origin, wishes.upstream), { connect: timeouts.connect, ...wishes.open });
  const terms = { rules: makeRules(wishes), upstream, bodies: new BodyMemory(), shared: false };
  const route = {
    ...compileRouteAtWork({ name: 'orders', timeouts, limits: {} }, UNLIMITED, terms),
    ...wishes.route,
  };
  const take = async (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => {
    await wishes.decided?.(response);
    // Each connection is another client, unless the test says who it is.
    forward(makePermit({ client: `port ${request.socket.remotePort}`, ...wishes.permit }), {
      transaction: new Http1Transaction(request, response, expectsContinue),
      upstreamToken: undefined,
      facts: {
        path: '/',
        now: 0,
        method: request.method ?? '',
        origin: { scheme: 'https', authority: 'api.example.com', pathPrefix: '' },
        target: request.url ?? '',
        matchPath: (request.url ?? '').split('?')[0] ?? '',
        peer: { address: '192.0.2.7', trusted: false },
        ...wishes.facts,
      },
      route,
      correlation: { requestId: 'test', requestField: undefined, interaction: undefined },
      own: { fields: [] },
      owner: {
        tunnelOpened: () => Number.POSITIVE_INFINITY,
        settled: (outcome, sending) => {
          outcomes.attempts.push(sending?.attempts);
          if (outcome.kind === 'rejected') answer(response, outcome.rejection.status, outcome.rejection.reason);
          outcomes.add(outcome);
        },
      },
    });
  };
  const server = createHttpServer((request, response) => void take(request, response, false));
  server.keepAliveTimeout = 60_000; // Node's own timeout must not end what ours should
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    void take(request, response, true);
  });
  const port = await listen(t, server);
  t.after(() => upstream.destroy());
  return { port, outcomes, upstream };
}

function answer(response: ServerResponse, status: number, reason: string): void {
  response.writeHead(status, { 'content-length': reason.length }).end(reason);
}

/** Port of a server that closes, with its connections, at the end of the test. */
export async function listen(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => sockets.delete(socket)).on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return (server.address() as AddressInfo).port;
}

/** An upstream that does on each connection what the script says; its origin. */
export async function script(t: TestContext, onConnection: (socket: Socket) => void): Promise<string> {
  return `http://127.0.0.1:${await listen(t, createServer({ allowHalfOpen: true }, onConnection))}`;
}

/** Everything that a socket receives, as latin1 text. */
export class Received {
  text = '';
  readonly socket: Socket;
  #changed = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1');
      this.#changed();
    });
    for (const event of ['end', 'close', 'error']) socket.on(event, () => this.#changed());
  }

  /** Resolves with the text as soon as it matches; rejects when the socket closes before. */
  until(pattern: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#changed = () => {
        if (pattern.test(this.text)) resolve(this.text);
        else if (this.socket.readableEnded || this.socket.destroyed)
          reject(new Error(`closed before ${pattern}: ${this.text.slice(0, 300)}`));
      };
      this.#changed();
    });
  }

  /** The text when the peer has ended or broken the connection. */
  async toEnd(): Promise<string> {
    if (!this.socket.readableEnded && !this.socket.destroyed) {
      await new Promise((resolve) => this.socket.once('end', resolve).once('close', resolve));
    }
    return this.text;
  }
}

/** A client connection on which `text` has been written. */
export function send(t: TestContext, port: number, text: string): Received {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.write(text, 'latin1');
  return new Received(socket);
}

export const GET = 'GET /orders/1 HTTP/1.1\r\nHost: api.example.com\r\n\r\n';
