// One target of an upstream at work: connections, pending requests and its circuit.

import type { Dispatcher } from 'undici';
import { formatTarget } from '../../policy/addresses.ts';
import type { CircuitRules, Target, Upstream } from '../../policy/upstream.ts';
import { Http1Pool } from './http1-pool.ts';
import { Http2Pool } from './http2-pool.ts';
import { type Connector, isShortage } from './connect.ts';

/** Milliseconds after which a target to which connecting failed is tried again; doubled each time it fails then. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 30_000;

/** `broken`: the answer ended before its end; the others are the rejections without their prefix. */
export type FailureReason = 'unreachable' | 'timed_out' | 'invalid' | 'broken';

/** What happened at a target, for log and metrics. */
export type TargetEvent =
  /** `seconds` from the connection of the attempt to the header section. */
  | { readonly kind: 'answered'; readonly status: number; readonly seconds: number }
  | { readonly kind: 'failed'; readonly reason: FailureReason }
  | { readonly kind: 'circuit_opened'; readonly failures: number }
  | { readonly kind: 'circuit_closed' }
  /** `what`: a code of Node or undici, or `HTTP 503`. */
  | { readonly kind: 'unhealthy'; readonly what: string }
  | { readonly kind: 'healthy' };

export interface TargetTerms {
  readonly upstream: Pick<Upstream, 'connections' | 'circuit' | 'http2'>;
  readonly connector: Connector;
  /** Name that TLS verifies; undici is told it in place of the client's Host, for which it would reconnect. */
  readonly serverName: string;
  /** Milliseconds after which a connection takes no more requests. */
  readonly connectionAge: number;
  readonly tell: (event: TargetEvent) => void;
}

/**
 * Left alone, in three ways that end in three ways: while its health checks fail (health.ts); for a growing time after a
 * connection failed; for `circuit.open` after too many failures in a row. After the latter two one request is let through at a
 * time as a trial, and its success ends the pause; until the next trial passes the same time again, so that a trial that hangs,
 * or whose client goes away, holds nobody up.
 */
export class OpenTarget {
  /** As configured: `http://127.0.0.1:9000` or `unix:/run/orders.sock`. */
  readonly name: string;
  readonly pool: Pick<Dispatcher, 'dispatch' | 'close' | 'destroy'> & {
    readonly stats: { readonly connected: number };
    readonly streamsPerConnection: number;
  };
  readonly #connections: number;
  readonly serverName: string;
  readonly tell: TargetTerms['tell'];
  /** By its health checks; stays true where there are none. */
  healthy = true;
  /** Requests that wait for it, or for their answer. */
  pending = 0;
  /** Of these, tunnels: their connections are no longer among those of the pool. */
  tunnels = 0;
  readonly #circuit: CircuitRules | undefined;
  /** Failures in a row. */
  #failures = 0;
  #circuitOpen = false;
  /** Pauses in a row after failed connections. */
  #strikes = 0;
  /** Milliseconds on the monotonic clock; 0: not paused. */
  #pausedUntil = 0;

  constructor(target: Target, { upstream, connector, serverName, connectionAge, tell }: TargetTerms) {
    this.name = formatTarget(target);
    this.serverName = serverName;
    this.tell = tell;
    this.#circuit = upstream.circuit;
    const connect: Connector = (options, callback) => {
      connector(options, (...result) => {
        const [error] = result;
        if (error !== null && !isShortage('code' in error ? String(error.code) : '')) this.pause();
        callback(...result);
      });
    };
    const { connections } = upstream;
    this.#connections = connections;
    const options = { connections, connectionAge, connect };
    this.pool = upstream.http2 ? new Http2Pool(target.origin, options) : new Http1Pool(target.origin, options);
  }

  get circuitOpen(): boolean {
    return this.#circuitOpen;
  }

  /** Whether it is not left alone for any reason, or is due for a trial. */
  get ready(): boolean {
    return this.healthy && (this.#pausedUntil === 0 || performance.now() >= this.#pausedUntil);
  }

  /** Requests that would find a connection, or a stream of one, without waiting for others. */
  get room(): number {
    return this.#connections * this.pool.streamsPerConnection - this.pending + this.tunnels;
  }

  /** Milliseconds until it may be called at all; 0 for all but open circuits. */
  get blockedFor(): number {
    return this.#circuitOpen ? Math.max(0, this.#pausedUntil - performance.now()) : 0;
  }

  /** A request goes to it. @returns whether it is the trial */
  take(): boolean {
    this.pending += 1;
    const now = this.#pausedUntil === 0 ? 0 : performance.now();
    if (now === 0 || now < this.#pausedUntil) return false;
    this.#pauseFrom(now);
    return true;
  }

  release(): void {
    this.pending -= 1;
  }

  /** Connecting failed. One pause is not made longer by the many connections that fail in it, but by the trial after it. */
  pause(): void {
    if (this.#pausedUntil === 0) this.#pauseFrom(performance.now());
  }

  #pauseFrom(now: number): void {
    if (this.#circuitOpen && this.#circuit !== undefined) {
      this.#pausedUntil = now + this.#circuit.open * 1000;
      return;
    }
    this.#pausedUntil = now + Math.min(FIRST_PAUSE * 2 ** this.#strikes, LONGEST_PAUSE);
    this.#strikes += 1;
  }

  /** A request has a connection. */
  connected(): void {
    if (this.#pausedUntil === 0 || this.#circuitOpen) return;
    this.#pausedUntil = 0;
    this.#strikes = 0;
  }

  /** It answered, whatever: 502, 503 and 504 are answers (docs/decisions/0030). */
  succeeded(isTrial: boolean): void {
    if (!this.#circuitOpen) this.#failures = 0;
    else if (isTrial) {
      this.#circuitOpen = false;
      this.#failures = 0;
      this.#strikes = 0;
      this.#pausedUntil = 0;
      this.tell({ kind: 'circuit_closed' });
    }
  }

  /** It failed in a way that clients can bring about, as by a body that it does not want: counted, and nothing follows from it. */
  failedOnce(reason: FailureReason): void {
    this.tell({ kind: 'failed', reason });
  }

  /** An open circuit is no longer open for requests that were sent before, but for a trial that fails. */
  failed(reason: Exclude<FailureReason, 'broken'>, isTrial: boolean): void {
    this.tell({ kind: 'failed', reason });
    if (this.#circuit === undefined) return;
    this.#failures += 1;
    if (this.#circuitOpen ? !isTrial : this.#failures < this.#circuit.failures) return;
    if (!this.#circuitOpen) this.tell({ kind: 'circuit_opened', failures: this.#failures });
    this.#circuitOpen = true;
    this.#pauseFrom(performance.now());
  }
}
