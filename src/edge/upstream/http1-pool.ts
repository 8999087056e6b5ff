// The HTTP/1.1 connections to one target: undici's Pool, and new ones for retries.

import type { Socket } from 'node:net';
import { Client, type Dispatcher, Pool } from 'undici';
import type { Connector } from './connect.ts';
import { type InterimAnswers, prepareSocket } from './http1-socket.ts';

/** Bytes of an answer's fields; longer ones are `upstream_invalid`. */
const MAX_ANSWER_FIELDS = 65_536;

export interface Http1PoolOptions {
  /** Connections at once; those for requests that lost theirs come on top. */
  readonly connections: number;
  /** Milliseconds after which a connection takes no more requests. */
  readonly connectionAge: number;
  readonly connect: Connector;
}

/** Who dispatches to this pool. */
export interface Carried extends Dispatcher.DispatchHandler {
  /** Set before `onRequestStart`: what carries the request. */
  connection: Http1Connection | undefined;
  /** The request wants a connection that carried none before. */
  readonly fresh: boolean;
}

const CLIENT: Client.Options = {
  pipelining: 1,
  allowH2: false,
  maxHeaderSize: MAX_ANSWER_FIELDS,
  headersTimeout: 0,
  bodyTimeout: 0,
  strictContentLength: true,
};

const NONE = { connected: 0 };

/**
 * Like undici's Pool, which it is, but for the age of connections: undici's would look at the clock for every busy connection, twice a request.
 * A request that is `fresh` has a connection to itself: of those that wait in the pool the target may
 * have closed every one (RFC 9112 §9.3.1). Does not time anything but connections.
 */
export class Http1Pool {
  /** Requests that one connection carries at once. */
  readonly streamsPerConnection = 1;
  readonly #origin: string;
  readonly #options: Http1PoolOptions;
  /** From the first request on: it takes 20 KB, and there may be ten thousand targets that hardly any request is for. */
  #pool: Pool | undefined;
  #ended = false;
  /** Each with its end. */
  readonly #single = new Map<Client, Promise<void>>();

  /** @param origin `https://orders.internal:8443` */
  constructor(origin: string, options: Http1PoolOptions) {
    this.#origin = origin;
    this.#options = options;
  }

  get stats(): { readonly connected: number } {
    return this.#pool?.stats ?? NONE;
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Carried): boolean {
    this.#pool ??= this.#open();
    if (!handler.fresh) return this.#pool.dispatch(options, handler);
    const single = new Http1Connection(this.#origin, this.#options);
    const taken = single.dispatch({ ...options, reset: true }, handler);
    const ended = single.close().finally(() => this.#single.delete(single));
    this.#single.set(single, ended);
    return taken;
  }

  #open(): Pool {
    const { connections } = this.#options;
    const factory = (to: URL) => new Http1Connection(to.origin, this.#options);
    const pool = new Pool(this.#origin, { ...CLIENT, connections, factory });
    // It refuses what comes too late, as one that had been opened before does.
    if (this.#ended) void pool.close();
    return pool;
  }

  /** Settles when the requests that it has are answered and every connection is closed. */
  async close(): Promise<void> {
    this.#ended = true;
    await Promise.all([this.#pool?.close(), ...this.#single.values()]);
  }

  /** Ends everything at once. */
  async destroy(): Promise<void> {
    this.#ended = true;
    await Promise.all([this.#pool?.destroy(), ...[...this.#single.keys()].map((single) => single.destroy())]);
  }
}

/** One connection after another to the same target; undici opens the next one when the one before has ended. */
export class Http1Connection extends Client {
  readonly #age: number;
  #used = false;
  #interim: InterimAnswers | undefined;
  #socket: Socket | undefined;
  /** When the connection is too old, on the monotonic clock. */
  #oldAt = Number.POSITIVE_INFINITY;

  constructor(origin: string, { connectionAge, connect }: Pick<Http1PoolOptions, 'connectionAge' | 'connect'>) {
    super(origin, {
      ...CLIENT,
      connect: (options, callback) => {
        connect(options, (...result) => {
          const [, socket] = result;
          if (socket !== null) this.#opened(socket);
          callback(...result);
        });
      },
    });
    this.#age = connectionAge;
  }

  #opened(socket: Socket): void {
    this.#used = false;
    this.#interim = prepareSocket(socket);
    this.#socket = socket;
    this.#oldAt = performance.now() + this.#age;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Carried): boolean {
    handler.connection = this;
    // Nothing is under way on it: undici opens the next one.
    if (performance.now() >= this.#oldAt && this.stats.size === 0) this.#socket?.destroy();
    return super.dispatch(options, handler);
  }

  /** A request goes out on it. @returns whether another one did before */
  begin(): boolean {
    const used = this.#used;
    this.#used = true;
    this.#interim?.begin();
    return used;
  }
}
