// One request on its way to an upstream: the target it goes to, and its retries.

import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Attempts } from '../../observe/log.ts';
import type { Reason, Rejection } from '../../rejection/rejection.ts';
import type { Outcome } from '../outcome.ts';
import { ConnectFailure, isShortage } from './connect.ts';
import { MASKED_CONTINUE } from './http1-socket.ts';
import { Closed, type Loss, OVERBURDENED, RefusedStream } from './loss.ts';
import type { Carried, Http1Connection } from './http1-pool.ts';
import type { FailureReason, OpenTarget } from './target.ts';

/** What a request needs of its upstream. */
export interface Targets {
  /** Of the upstream. */
  readonly name: string;
  readonly retries: number;
  /** @returns undefined: every circuit is open */
  choose(tried: readonly OpenTarget[]): OpenTarget | undefined;
  /** Why none may be called. */
  whyBlocked(): Rejection;
  retried(target: OpenTarget, after: Loss): void;
}

/** What is sent, but for its body. */
export type SendOptions = Required<Pick<Dispatcher.DispatchOptions, 'method' | 'path' | 'headers' | 'upgrade'>>;

/** Who sends. Reads no headers but the raw ones. */
export interface SendingOwner extends Omit<Dispatcher.DispatchHandler, 'onResponseStart' | 'onResponseEnd'> {
  onResponseStart(controller: Dispatcher.DispatchController, status: number): void;
  onResponseEnd(controller: Dispatcher.DispatchController): void;
  /** The body from its beginning, for one attempt; null: there is none. */
  attemptBody(): Readable | null;
  /** Whether the request can be sent again after that, and must not be answered yet. */
  mayResend(after: Loss): boolean;
  /** The request waits for another connection, and `timeouts.connect` begins again. */
  retried(): void;
}

/** Outcomes that are the target's fault; all others are the client's or ours. */
const FAULT: Partial<Readonly<Record<Reason, Exclude<FailureReason, 'broken'>>>> = {
  upstream_unreachable: 'unreachable',
  upstream_timed_out: 'timed_out',
  upstream_invalid: 'invalid',
};
const NO_REJECTION: { readonly reason?: Reason; readonly facts?: Rejection['facts'] } = {};
/** Times that a request is sent again after it was refused, whatever `retries` says but 0: upstreams that restart refuse in a row. */
const MOST_REFUSALS = 3;
/** Times after a connection was closed: the next attempt has a connection that nothing can have closed as idle (RFC 9110 §9.2.2). */
const MOST_CLOSED = 1;

const TIMED_OUT = /^(?:UND_ERR_CONNECT_TIMEOUT|ETIMEDOUT)$/;
/** How undici and Node say that a connection ended, and how it is marked when the upstream reset it (connect.ts). */
const CLOSED = /^(?:UND_ERR_SOCKET|UPSTREAM_RESET|ECONNRESET|EPIPE)$/;

/** Thrown, not aborted with: undici then gives the connection to the next request instead of closing it. */
const NO_LONGER_WANTED = new Error('the request ended while it waited for a connection');

/**
 * Sends one request. A connection that fails, or does not come in time, is tried `retries` times more, at another target where
 * there is one. A request that has been sent is sent again only where that cannot make it happen twice (loss.ts, docs/decisions/0063).
 */
export class Sending {
  readonly #targets: Targets;
  readonly #options: SendOptions;
  readonly #sender: SendingOwner;
  readonly #tried: OpenTarget[] = [];
  readonly #losses: Record<Loss, number> = { unconnected: 0, refused: 0, closed: 0, answered: 0 };
  #after: Loss | undefined;
  #attempt: Attempt | undefined;
  #pause: NodeJS.Timeout | undefined;

  constructor(targets: Targets, options: SendOptions, sender: SendingOwner) {
    this.#targets = targets;
    this.#options = options;
    this.#sender = sender;
  }

  /** undefined where the first attempt was the last. */
  get attempts(): Attempts | undefined {
    return this.#after === undefined ? undefined : { count: this.#tried.length, after: this.#after };
  }

  /** Name of the upstream. */
  get upstream(): string {
    return this.#targets.name;
  }

  /** As configured, the one that was tried last; undefined: none was. */
  get target(): string | undefined {
    return this.#tried.at(-1)?.name;
  }

  /** How often it was sent, or tried to. */
  get count(): number {
    return this.#tried.length;
  }

  /** @returns `upstream_circuit_open` or `upstream_without_targets` where no target may be called; else the sender hears of everything */
  start(): Rejection | undefined {
    const target = this.#targets.choose(this.#tried);
    if (target === undefined) return this.#targets.whyBlocked();
    this.#send(target);
    return undefined;
  }

  /** No connection came in time. @returns whether another one is waited for */
  giveUp(): boolean {
    const attempt = this.#attempt;
    if (attempt === undefined) return false;
    attempt.end();
    // A target that has connections answers; one without any does not.
    if (attempt.target.pool.stats.connected > 0) attempt.target.failedOnce('timed_out');
    else {
      attempt.target.pause();
      attempt.target.failed('timed_out', attempt.isTrial);
    }
    return this.#retry('unconnected', 'timed_out');
  }

  /** @returns whether there is another attempt; else the sender is to hear of the failure */
  lost(attempt: Attempt, loss: Loss, code: string): boolean {
    if (loss !== 'unconnected') {
      if (!this.#sender.mayResend(loss)) return false;
      attempt.end();
      return this.#retry(loss, 'unreachable');
    }
    attempt.end();
    const reason = TIMED_OUT.test(code) ? 'timed_out' : 'unreachable';
    if (isShortage(code)) attempt.target.failedOnce(reason);
    else attempt.target.failed(reason, attempt.isTrial);
    return this.#retry(loss, reason);
  }

  /** How often it was sent again after an answer. */
  get answered(): number {
    return this.#losses.answered;
  }

  /** Drops the answer that has begun, and sends the request again. @param seconds until then */
  again(status: number, seconds: number): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    this.#attempt = undefined;
    this.#losses.answered += 1;
    this.#after = 'answered';
    attempt.discard(status);
    this.#pause = setTimeout(() => {
      const target = this.#targets.choose(this.#tried) ?? attempt.target;
      this.#targets.retried(target, 'answered');
      this.#sender.retried();
      this.#send(target);
    }, seconds * 1000);
  }

  /** The exchange ended, for this reason or another. Nothing more is sent. */
  end(outcome: Outcome): void {
    clearTimeout(this.#pause);
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    this.#attempt = undefined;
    attempt.end();
    const { reason, facts } = outcome.kind === 'rejected' ? outcome.rejection : NO_REJECTION;
    const fault = reason && FAULT[reason];
    // A server that closes while it is still being sent a body may have had enough of that body: no client opens a circuit so, nor by
    // what it does to a connection.
    const isOfClients = (fault === 'unreachable' && attempt.isUploading) || facts?.what === OVERBURDENED;
    if (fault !== undefined && isOfClients) attempt.target.failedOnce(fault);
    else if (fault !== undefined) attempt.target.failed(fault, attempt.isTrial);
    else if (outcome.kind === 'upstream_broke') attempt.target.failedOnce('broken');
  }

  /** The same target again where there is no other: a name may have more addresses. Not to wait there twice as long, though. */
  #retry(loss: Loss, reason: FailureReason): boolean {
    this.#attempt = undefined;
    this.#losses[loss] += 1;
    const target = this.#losses[loss] > this.#most(loss) ? undefined : this.#targets.choose(this.#tried);
    if (target === undefined || (reason === 'timed_out' && this.#tried.includes(target))) return false;
    this.#after = loss;
    this.#targets.retried(target, loss);
    this.#sender.retried();
    this.#send(target);
    return true;
  }

  #most(loss: Loss): number {
    const { retries } = this.#targets;
    if (loss === 'unconnected' || retries === 0) return retries;
    return loss === 'refused' ? MOST_REFUSALS : MOST_CLOSED;
  }

  #send(target: OpenTarget): void {
    this.#tried.push(target);
    const attempt = new Attempt(this, target, this.#sender, this.#losses.closed > 0);
    this.#attempt = attempt;
    const { method, path, headers, upgrade } = this.#options;
    const body = this.#sender.attemptBody();
    const options: SendOptions & Pick<Dispatcher.DispatchOptions, 'body'> & { servername: string } = {
      method,
      path,
      headers,
      upgrade,
      body,
      servername: target.serverName,
    };
    target.pool.dispatch(options, attempt);
  }
}

/** One attempt: what undici reports of it goes to the sender, until it has ended. */
class Attempt implements Carried {
  readonly target: OpenTarget;
  readonly isTrial: boolean;
  readonly fresh: boolean;
  connection: Http1Connection | undefined;
  readonly #sending: Sending;
  #sender: SendingOwner | undefined;
  #started = false;
  #reused = false;
  #begun = false;
  #sent = false;
  #tunnel = false;
  #released = false;
  /** When it had a connection, on the monotonic clock. */
  #connected = 0;

  constructor(sending: Sending, target: OpenTarget, sender: SendingOwner, fresh: boolean) {
    this.fresh = fresh;
    this.#sending = sending;
    this.#sender = sender;
    this.target = target;
    this.isTrial = target.take();
  }

  /** It has a connection, and the request is not sent as a whole. */
  get isUploading(): boolean {
    return this.#started && !this.#sent;
  }

  /** Its answer counts for the target, and goes no further. */
  discard(status: number): void {
    this.#answered(status);
    this.end();
  }

  end(): void {
    this.#sender = undefined;
    this.#release();
  }

  #release(): void {
    if (this.#released) return;
    this.#released = true;
    this.target.release();
    if (this.#tunnel) this.target.tunnels -= 1;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    if (this.#sender === undefined) throw NO_LONGER_WANTED;
    this.#started = true;
    this.#connected = performance.now();
    this.#reused = this.connection?.begin() ?? false;
    this.target.connected();
    this.#sender.onRequestStart?.(controller, context);
  }

  onRequestSent(): void {
    this.#sent = true;
    this.#sender?.onRequestSent?.();
  }

  onResponseStarted(): void {
    this.#begun = true;
    this.#sender?.onResponseStarted?.();
  }

  /** A tunnel is with its target until the exchange ends. */
  onRequestUpgrade(...answer: Parameters<Answering['onRequestUpgrade']>): void {
    if (this.#sender === undefined) return void answer[3].destroy();
    this.#tunnel = true;
    this.target.tunnels += 1;
    this.#sender.onRequestUpgrade?.(...answer);
    if (this.#sender !== undefined) this.#answered(101);
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status === MASKED_CONTINUE) return;
    this.#sender?.onResponseStart(controller, status);
    // Not where the sender found the answer invalid, or could not pass it on.
    if (status >= 200 && this.#sender !== undefined) this.#answered(status);
  }

  #answered(status: number): void {
    this.target.tell({ kind: 'answered', status, seconds: (performance.now() - this.#connected) / 1000 });
    this.target.succeeded(this.isTrial);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#sender?.onResponseData?.(controller, chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#release();
    this.#sender?.onResponseEnd(controller);
  }

  onResponseError(controller: Dispatcher.DispatchController, error: NodeJS.ErrnoException): void {
    const sender = this.#sender;
    if (sender === undefined) return;
    const loss = this.#lossBy(error);
    if (loss !== undefined && this.#sending.lost(this, loss, error.code ?? error.name)) return;
    sender.onResponseError?.(controller, error);
  }

  #lossBy(error: NodeJS.ErrnoException): Loss | undefined {
    if (!this.#started) return error instanceof ConnectFailure ? 'unconnected' : undefined;
    if (this.#begun) return undefined;
    if (error instanceof RefusedStream) return 'refused';
    const closed = error instanceof Closed || (this.#reused && CLOSED.test(error.code ?? ''));
    return closed ? 'closed' : undefined;
  }
}

type Answering = Required<Dispatcher.DispatchHandler>;
