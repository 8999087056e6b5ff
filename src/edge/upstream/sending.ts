// One request on its way to an upstream: which target it goes to, and to which other one while nothing of it was sent.

import type { Dispatcher } from 'undici';
import { type Reason, type Rejection, reject } from '../../rejection/rejection.ts';
import type { Outcome } from '../outcome.ts';
import { ConnectFailure } from './connect.ts';
import type { FailureReason, OpenTarget } from './target.ts';

/** What a request needs of its upstream. */
export interface Targets {
  readonly retries: number;
  /** @returns undefined: every circuit is open */
  choose(tried: readonly OpenTarget[]): OpenTarget | undefined;
  /** Seconds until a circuit lets a trial through. */
  opensIn(): number;
  retried(target: OpenTarget): void;
}

/** Who sends. `retried`: the request waits for another connection, and `timeouts.connect` begins anew. */
export type Sender = Dispatcher.DispatchHandler & { retried(): void };

/** Outcomes that are the target's fault; all others are the client's or ours. */
const FAULT: Partial<Readonly<Record<Reason, Exclude<FailureReason, 'broken'>>>> = {
  upstream_unreachable: 'unreachable',
  upstream_timed_out: 'timed_out',
  upstream_invalid: 'invalid',
};
const TIMED_OUT = /^(?:UND_ERR_CONNECT_TIMEOUT|ETIMEDOUT)$/;

/** Thrown, not aborted with: undici then gives the connection to the next request instead of closing it. */
const NO_LONGER_WANTED = new Error('the request ended while it waited for a connection');

/**
 * Sends one request. A connection that fails, or does not come in time, is tried `retries` times more, at another target where
 * there is one. Nothing is tried again once a connection is there, since what the upstream has read cannot be known (RFC 9110 §9.2.2).
 */
export class Sending {
  readonly #targets: Targets;
  readonly #options: Dispatcher.DispatchOptions;
  readonly #sender: Sender;
  readonly #tried: OpenTarget[] = [];
  #attempt: Attempt | undefined;

  constructor(targets: Targets, options: Dispatcher.DispatchOptions, sender: Sender) {
    this.#targets = targets;
    this.#options = options;
    this.#sender = sender;
  }

  /** @returns `upstream_circuit_open` where no target may be called; else the sender hears of everything */
  start(): Rejection | undefined {
    const target = this.#targets.choose(this.#tried);
    if (target === undefined) return reject('upstream_circuit_open', { retryAfter: this.#targets.opensIn() });
    this.#send(target);
    return undefined;
  }

  /** No connection came in time. @returns whether another one is waited for */
  giveUp(): boolean {
    const attempt = this.#attempt;
    if (attempt === undefined) return false;
    attempt.end();
    // A target whose connections are all busy answers; one without any does not.
    if (attempt.target.pool.stats.connected === 0) attempt.target.pause();
    attempt.target.failed('timed_out', attempt.isTrial);
    return this.#retry('timed_out');
  }

  /** @returns whether there is another attempt; else the sender is to hear of the failure */
  connectFailed(attempt: Attempt, { code }: ConnectFailure): boolean {
    attempt.end();
    const reason = TIMED_OUT.test(code) ? 'timed_out' : 'unreachable';
    attempt.target.failed(reason, attempt.isTrial);
    return this.#retry(reason);
  }

  /** The exchange ended, for this reason or another. Nothing more is sent. */
  end(outcome: Outcome): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    this.#attempt = undefined;
    attempt.end();
    const fault = outcome.kind === 'rejected' ? FAULT[outcome.rejection.reason] : undefined;
    if (fault !== undefined) attempt.target.failed(fault, attempt.isTrial);
    else if (outcome.kind === 'upstream_broke') attempt.target.tell({ kind: 'failed', reason: 'broken' });
  }

  /** The same target again where there is no other: a name may have more addresses. Not to wait there twice as long, though. */
  #retry(after: FailureReason): boolean {
    this.#attempt = undefined;
    const target = this.#tried.length > this.#targets.retries ? undefined : this.#targets.choose(this.#tried);
    if (target === undefined || (after === 'timed_out' && this.#tried.includes(target))) return false;
    this.#targets.retried(target);
    this.#sender.retried();
    this.#send(target);
    return true;
  }

  #send(target: OpenTarget): void {
    this.#tried.push(target);
    this.#attempt = new Attempt(this, target, this.#sender);
    const options: Dispatcher.DispatchOptions & { servername: string } = {
      ...this.#options,
      servername: target.serverName,
    };
    target.pool.dispatch(options, this.#attempt);
  }
}

/** One attempt: what undici reports of it goes to the sender, until it has ended. */
class Attempt implements Dispatcher.DispatchHandler {
  readonly target: OpenTarget;
  readonly isTrial: boolean;
  readonly #sending: Sending;
  #sender: Sender | undefined;
  #started = false;
  #released = false;

  constructor(sending: Sending, target: OpenTarget, sender: Sender) {
    this.#sending = sending;
    this.#sender = sender;
    this.target = target;
    this.isTrial = target.take();
  }

  end(): void {
    this.#sender = undefined;
    this.#release();
  }

  #release(): void {
    if (!this.#released) this.target.release();
    this.#released = true;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    if (this.#sender === undefined) throw NO_LONGER_WANTED;
    this.#started = true;
    this.target.connected();
    this.#sender.onRequestStart?.(controller, context);
  }

  onRequestSent(): void {
    this.#sender?.onRequestSent?.();
  }

  onResponseStarted(): void {
    this.#sender?.onResponseStarted?.();
  }

  /** A tunnel is with its target until the exchange ends. */
  onRequestUpgrade(...answer: Parameters<Answering['onRequestUpgrade']>): void {
    if (this.#sender === undefined) return void answer[3].destroy();
    this.#sender.onRequestUpgrade?.(...answer);
    if (this.#sender !== undefined) this.target.succeeded(this.isTrial);
  }

  onResponseStart(...[controller, status, ...rest]: Parameters<Answering['onResponseStart']>): void {
    this.#sender?.onResponseStart?.(controller, status, ...rest);
    // Not where the sender found the answer invalid, or could not pass it on.
    if (status >= 200 && this.#sender !== undefined) this.target.succeeded(this.isTrial);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#sender?.onResponseData?.(controller, chunk);
  }

  onResponseEnd(...answer: Parameters<Answering['onResponseEnd']>): void {
    this.#release();
    this.#sender?.onResponseEnd?.(...answer);
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#sender === undefined) return;
    const unsent = !this.#started && error instanceof ConnectFailure;
    const sender = this.#sender;
    if (unsent && this.#sending.connectFailed(this, error)) return;
    sender.onResponseError?.(controller, error);
  }
}

type Answering = Required<Dispatcher.DispatchHandler>;
