// The HTTP/2 connections to one target, with the interface of undici's Pool.

import { type ClientHttp2Session, type ClientSessionOptions, connect } from 'node:http2';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { buildConnector, Dispatcher } from 'undici';
import { LastingSession } from '../lasting-session.ts';
import { type Carrier, Http2Request } from './http2-request.ts';
import { ConnectFailure, NotHttp2 } from './connect.ts';
import { ResetBudget } from './resets.ts';

/** Bytes of an answer's fields and of its trailers, 32 more per line; longer ones are `upstream_invalid`. */
const MAX_ANSWER_FIELDS = 65_536;
/** Milliseconds after which a connection without requests is closed. */
const IDLE = 4000;
/** Milliseconds within which a connection that has not answered a request has to answer a PING. */
const PROBE = 5000;

/** Requests at once on a connection, however many its server takes: they share its fate, and the resets that it may send. */
const STREAMS = 100;

/** @types/node knows `strictSingleValueFields` of servers only; Node has it here too. Fields pass as the client wrote them. */
const SESSION: ClientSessionOptions & { strictSingleValueFields: boolean } = {
  settings: { enablePush: false, maxHeaderListSize: MAX_ANSWER_FIELDS },
  maxHeaderListPairs: MAX_ANSWER_FIELDS / 32,
  strictSingleValueFields: false,
};

export interface Http2PoolOptions {
  /** Connections at once that take requests. */
  readonly connections: number;
  /** Milliseconds after which a connection takes no more requests. */
  readonly connectionAge: number;
  /** Makes one; must have negotiated `h2` where it is TLS. */
  readonly connect: buildConnector.connector;
}

/** One connection and the requests on it. */
interface Open extends Carrier {
  readonly running: Set<Http2Request>;
  readonly idle: NodeJS.Timeout;
  /** Milliseconds on the monotonic clock from which it takes no more requests. */
  readonly until: number;
  probing: boolean;
}

/**
 * Opens connections when requests need them: another one where all are full. A request waits until there is one, and is sent once:
 * whoever dispatched it hears when it was not processed (loss.ts), and aborts it, since nothing is timed here but connections.
 */
export class Http2Pool {
  readonly #origin: URL;
  readonly #options: Http2PoolOptions;
  readonly #open = new Set<Open>();
  readonly #waiting = new Set<Http2Request>();
  readonly #greeting = new Set<ClientHttp2Session>();
  #connecting = 0;
  #streams = STREAMS;
  #closing: (() => void) | undefined;
  #ended = false;

  /** @param origin `https://orders.internal:8443`; with http the client's preface comes first (RFC 9113 §3.3) */
  constructor(origin: string, options: Http2PoolOptions) {
    this.#origin = new URL(origin);
    this.#options = options;
  }

  get stats(): { readonly connected: number } {
    return { connected: this.#open.size };
  }

  /** Requests that one connection carries at once; of the newest one. */
  get streamsPerConnection(): number {
    return this.#streams;
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const request = new Http2Request(
      {
        method: options.method,
        path: options.path,
        scheme: this.#origin.protocol.slice(0, -1),
        authority: this.#origin.host,
        fields: options.headers as readonly string[],
        body: (options.body ?? undefined) as Readable | undefined,
      },
      handler,
    );
    if (this.#ended) request.fail(new Error('the pool is closed'));
    else {
      this.#waiting.add(request);
      this.#assign();
    }
    return true;
  }

  /** Settles when the requests that it has are answered and every connection is closed. */
  async close(): Promise<void> {
    this.#ended = true;
    for (const { session, running } of this.#open) if (running.size === 0) session.close();
    if (this.#open.size + this.#connecting + this.#waiting.size === 0) return;
    await new Promise<void>((resolve) => {
      const before = this.#closing;
      this.#closing = () => {
        before?.();
        resolve();
      };
    });
  }

  /** Ends everything at once. */
  async destroy(): Promise<void> {
    this.#ended = true;
    const gone = new Error('the pool is closed');
    for (const request of this.#waiting) request.fail(gone);
    this.#waiting.clear();
    for (const session of this.#greeting) session.destroy();
    for (const { session } of this.#open) session.destroy();
  }

  #assign(): void {
    for (const request of this.#waiting) {
      const open = this.#free();
      if (open === undefined) break;
      this.#waiting.delete(request);
      this.#send(open, request);
    }
    const taking = [...this.#open].filter(({ session }) => !session.closed).length;
    const room = this.#options.connections - taking;
    if (this.#waiting.size > 0 && this.#connecting === 0 && room > 0) this.#connect();
    if (this.#ended && this.#waiting.size === 0) {
      for (const { session, running } of this.#open) if (running.size === 0) session.close();
      if (this.#open.size + this.#connecting === 0) this.#closing?.();
    }
  }

  #free(): Open | undefined {
    const now = performance.now();
    for (const open of this.#open) {
      const { session, running } = open;
      if (now >= open.until) session.close(); // when its requests are answered
      const most = streamsOf(session);
      if (!session.closed && !session.destroyed && running.size < most) return open;
    }
    return undefined;
  }

  #send(open: Open, request: Http2Request): void {
    open.running.add(request);
    request.send(open, (silent) => {
      open.running.delete(request);
      if (silent) this.#probe(open);
      if (open.running.size === 0) open.idle.refresh();
      this.#assign();
    });
  }

  #connect(): void {
    this.#connecting += 1;
    const { hostname, host, port, protocol } = this.#origin;
    this.#options.connect({ hostname, host, port, protocol }, (error, socket) => {
      if (error !== null) this.#connected(error);
      else if (this.#ended && this.#waiting.size === 0) this.#connected(socket.destroy());
      else this.#greet(socket);
    });
  }

  /** Nothing is sent before the server's preface, its SETTINGS, has come (RFC 9113 §3.4): it says how much may be sent. */
  #greet(socket: Socket): void {
    const open = () => connect(this.#origin, { ...SESSION, createConnection: () => socket });
    const lasting = new LastingSession(socket, open);
    const { session } = lasting;
    let failure: NodeJS.ErrnoException = new NotHttp2();
    const gone = () => {
      this.#greeting.delete(session);
      this.#connected(new ConnectFailure(failure));
    };
    this.#greeting.add(session);
    session.on('error', (error) => (failure = error));
    session.once('close', gone);
    session.once('remoteSettings', () => {
      session.off('close', gone);
      this.#greeting.delete(session);
      this.#admit(lasting);
      this.#connected();
    });
  }

  /** Whoever waits, waits for the connection that has failed. */
  #connected(failure?: unknown): void {
    this.#connecting -= 1;
    if (failure instanceof Error) {
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      for (const request of waiting) request.fail(failure);
    }
    this.#assign();
  }

  #admit(lasting: LastingSession<ClientHttp2Session>): void {
    const { session } = lasting;
    const idle = setTimeout(() => {
      if (open.running.size === 0) session.close();
    }, IDLE);
    const until = performance.now() + this.#options.connectionAge;
    const open: Open = {
      lasting,
      session,
      resets: new ResetBudget(),
      running: new Set(),
      idle,
      until,
      probing: false,
      lastStream: Number.POSITIVE_INFINITY,
      answered: false,
    };
    this.#streams = Math.max(1, streamsOf(session));
    this.#open.add(open);
    // A server may send two: the first one ends new requests, the second says which of them it took (RFC 9113 §6.8).
    session.on('goaway', (_code: number, lastStream: number) => {
      open.lastStream = Math.min(open.lastStream, lastStream);
      process.nextTick(() => this.#assign());
    });
    session.once('close', () => {
      clearTimeout(idle);
      this.#open.delete(open);
      this.#assign();
    });
  }

  /** A connection whose other end is gone without a word would swallow requests for ever. */
  #probe(open: Open): void {
    const { session } = open;
    if (open.probing || session.destroyed || session.closed) return;
    open.probing = true;
    const timer = setTimeout(() => session.destroy(), PROBE);
    session.ping(() => {
      clearTimeout(timer);
      open.probing = false;
    });
  }
}

function streamsOf({ remoteSettings }: ClientHttp2Session): number {
  return Math.min(remoteSettings.maxConcurrentStreams ?? 0, STREAMS);
}
