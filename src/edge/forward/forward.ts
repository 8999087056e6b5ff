// Forwarding: one permitted request to its upstream and the answer back, streamed both ways, ended in exactly one outcome.

import type { Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Permit } from '../../binding/permit.ts';
import type { Attempts } from '../../observe/log.ts';
import { type Reason, reject } from '../../rejection/rejection.ts';
import type { RequestFacts } from '../../request-facts.ts';
import { answerFields } from '../fields/answer-fields.ts';
import type { Outcome } from '../outcome.ts';
import { withoutNamed } from '../fields/fields.ts';
import { readBodyLength, readFraming } from '../../http/framing.ts';
import { Http2Request } from '../upstream/http2-request.ts';
import { type Peer, requestFields } from '../fields/request-fields.ts';
import { answerTrailers } from '../fields/trailers.ts';
import type { Rest, Transaction } from '../transaction/transaction.ts';
import { countPiece } from './body-garbage.ts';
import { Deadline, type DeadlineOwner } from './deadline.ts';
import type { RouteAtWork } from './route-at-work.ts';
import { forwardedTarget } from './forwarded-target.ts';
import { Interims } from './interim.ts';
import { Upload, type UploadWatcher } from './upload.ts';
import { openTunnel } from './tunnel.ts';
import { verifySwitch } from '../transaction/upgrade.ts';
import { isIdempotent, type Loss } from '../upstream/loss.ts';
import type { Sender, Sending } from '../upstream/sending.ts';

/** One permitted request, and who is told how it went. */
export interface ForwardExchange {
  readonly transaction: Transaction;
  readonly facts: Pick<RequestFacts, 'method' | 'origin' | 'target' | 'matchPath'> & { readonly peer: Peer };
  readonly route: RouteAtWork;
  /** Our CORS fields, names and values in turn, without `Vary`; empty where the route has no `cors`. */
  readonly cors: readonly string[];
  readonly owner: ExchangeOwner;
}

export interface ExchangeOwner {
  /** Called when a tunnel opens. @returns seconds from now for which the permit is good */
  tunnelOpened(): number;
  /** Called exactly once, perhaps before `forward` returns. */
  settled(outcome: Outcome, attempts: Attempts | undefined): void;
}

/**
 * Sends a permitted request on and streams the answer back. The path goes as received, byte for byte, but for `stripPrefix`.
 * Rejections: `body_too_large` (announced, before anything is sent; or while streaming), `upstream_circuit_open`,
 * `upstream_unreachable`, `upstream_invalid`, `upstream_timed_out`, `request_timed_out` (the client stopped in the middle of its
 * body), `internal_error` (a field that undici refuses: identity.ts let something through).
 * A request for a WebSocket whose 101 is verified becomes a tunnel (tunnel.ts), and `tunnelOpened` is called.
 * Timeouts: `connect` until there is a connection for this request, a free one of the pool or a new one, and anew with each of
 * `retries`; `idle` while the body or the answer moves, either way; `response_header` from the end of the body; `total` from now.
 * An answer that ends with its connection is complete when that is closed and broken when it is reset (RFC 9112 §8); over TLS,
 * where Node shows no difference, it is `upstream_invalid`.
 * Dropped: trailers of the request, 100 and interim answers beyond the eighth, the upstream's reason phrase. What was not processed is sent again where that
 * cannot make it happen twice, as long as no byte of an answer came and the body is still kept (upload.ts, docs/decisions/0921).
 * Does not decide anything about the request: the permit says that it was decided. Does not check its framing (facts.ts), and
 * does not rewrite Location or cookies.
 */
export function forward(permit: Permit, exchange: ForwardExchange): void {
  new Forwarding(permit, exchange).start();
}

/** Codes that say what went wrong whenever they come; others are read by how far the answer had got. */
const REASON_OF_CODE: Readonly<Record<string, Reason>> = {
  UND_ERR_CONNECT_TIMEOUT: 'upstream_timed_out',
  ETIMEDOUT: 'upstream_timed_out',
  UND_ERR_INVALID_ARG: 'internal_error',
  UND_ERR_NOT_SUPPORTED: 'internal_error',
};

const ABORTED = new Error('the exchange ended');

type Phase = 'waiting' | 'connecting' | 'sending' | 'awaiting' | 'answering' | 'flushing' | 'tunnelling' | 'settled';

class Forwarding implements Sender, UploadWatcher, DeadlineOwner {
  readonly #permit: Permit;
  readonly #exchange: ForwardExchange;
  readonly #deadline: Deadline;
  #phase: Phase = 'connecting';
  #upload: Upload | undefined;
  #sending: Sending | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  /** The upstream has sent something that could be an answer. */
  #begun = false;
  #fields: string[] = [];
  #status = 0;
  #bytes = 0;
  /** Content-Length of the answer, if it has one. */
  #announced: number | undefined;
  #drains = false;
  #continued = false;
  readonly #interims = new Interims();

  constructor(permit: Permit, exchange: ForwardExchange) {
    this.#permit = permit;
    this.#exchange = exchange;
    this.#deadline = new Deadline(exchange.route.timeouts.total, this);
  }

  start(): void {
    const { transaction, route } = this.#exchange;
    const { timeouts, upstream, bodyLimit } = route;
    if (transaction.gone) return this.#settle({ kind: 'client_gone', bytes: 0 });
    const length = transaction.bodyLength();
    if (length !== undefined && length > bodyLimit) return this.#reject('body_too_large');
    if (length !== 0) this.#upload = new Upload(transaction, { limit: bodyLimit, keep: this.#keepsBody() }, this);
    transaction.onClose(() => this.#onClientClose());
    // undici sends nothing over HTTP/1.1 before the first byte of a body: a connection would wait for it, and be closed as idle.
    const waits = this.#upload !== undefined && !transaction.expectsContinue && !upstream.upstream.http2;
    if (!waits) return this.#send();
    this.#phase = 'waiting';
    this.#deadline.allow(timeouts.idle);
    this.#upload?.begin();
  }

  #send(): void {
    const { transaction, facts, route } = this.#exchange;
    const { timeouts, upstream, rules } = route;
    this.#phase = 'connecting';
    this.#deadline.allow(timeouts.connect);
    this.#fields = requestFields(this.#exchange, rules, this.#permit.facts);
    const options = {
      method: facts.method,
      path: forwardedTarget(facts, route.stripPrefix),
      headers: this.#fields,
      upgrade: transaction.upgrade === undefined ? null : 'websocket',
    };
    this.#sending = upstream.sending(options, this);
    const rejection = this.#sending.start();
    if (rejection !== undefined) this.#settle({ kind: 'rejected', rejection });
  }

  /** HTTP/1.1 says of no request that it was not processed: there only idempotent ones are ever sent again. */
  #keepsBody(): boolean {
    const { facts, route } = this.#exchange;
    return route.upstream.retries > 0 && (route.upstream.http2 || isIdempotent(facts.method));
  }

  attemptBody(): Readable | null {
    return this.#upload?.forAttempt() ?? null;
  }

  /** A proof passes once (RFC 9449 §11.1): an upstream that checks it would refuse the second copy of a request that it has read. */
  mayResend(after: Loss): boolean {
    if (this.#begun || (this.#phase !== 'sending' && this.#phase !== 'awaiting')) return false;
    if (this.#upload?.resendable === false) return false;
    return after !== 'closed' || (isIdempotent(this.#exchange.facts.method) && !hasProof(this.#fields));
  }

  retried(): void {
    this.#phase = 'connecting';
    this.#deadline.allow(this.#exchange.route.timeouts.connect);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#phase !== 'connecting') return;
    this.#phase = 'sending';
    const { transaction, route } = this.#exchange;
    if (transaction.expectsContinue && !this.#continued) transaction.writeContinue();
    this.#continued = true;
    this.#deadline.allow(route.timeouts.idle);
  }

  onRequestSent(): void {
    if (this.#phase !== 'sending') return;
    this.#phase = 'awaiting';
    this.#deadline.allow(this.#exchange.route.timeouts.responseHeader);
  }

  onResponseStarted(): void {
    this.#begun = true;
  }

  /** What it throws, for a status or value that Node does not write, undici hands to onResponseError. */
  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    // RFC 9110 §7.8: a 101 without Upgrade, which is why it comes here, or one that nobody asked for.
    if (status === 101) return this.#reject('upstream_invalid', 'Upgrade');
    if (status < 100 || status > 599) return this.#reject('upstream_invalid', `HTTP ${status}`);
    const waits = this.#phase === 'sending' || this.#phase === 'awaiting';
    if (status < 200)
      return waits ? this.#interims.pass(this.#exchange, status, lines(controller.rawHeaders)) : undefined;
    if (this.#phase === 'settled') return;
    const { transaction, route, cors } = this.#exchange;
    const { rules } = route;
    const received = lines(controller.rawHeaders);
    const { freshNonce, quota } = this.#permit.facts;
    if (!this.#isDelimited(status, received)) return this.#reject('upstream_invalid', 'Transfer-Encoding');
    const fields = answerFields(received, rules, freshNonce, cors, quota);
    // RFC 9110 §8.6: none with 204, of which a client that goes by it would wait for the next answer's bytes.
    const passed = status === 204 ? withoutNamed(fields, 'content-length') : fields;
    transaction.writeHead(status, passed, this.#restOf(controller, received));
    this.#upload?.forget();
    this.#phase = 'answering';
    this.#status = status;
    this.#announced = readBodyLength(received);
    process.nextTick(flushFields, this);
    this.#deadline.allow(this.#exchange.route.timeouts.idle);
  }

  /** undici gives the connection away, out of its pool. What this throws comes back to onResponseError, and ends the connection. */
  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    upstream: Duplex,
  ): void {
    if (this.#phase === 'settled') return void upstream.destroy();
    const { transaction, route, cors, owner } = this.#exchange;
    const { upgrade } = transaction;
    const received = status === 101 ? lines(controller.rawHeaders) : [];
    if (upgrade === undefined || !verifySwitch(received, upgrade.key)) {
      upstream.destroy();
      return this.#reject('upstream_invalid', 'Upgrade');
    }
    const { freshNonce, quota } = this.#permit.facts;
    const client = upgrade.open(answerFields(received, route.rules, freshNonce, cors, quota));
    this.#phase = 'tunnelling';
    this.#deadline.end();
    const [total, good] = [this.#deadline.left, owner.tunnelOpened()];
    openTunnel({
      client,
      upstream: upstream as Socket,
      idle: route.timeouts.idle,
      lasts: total < good ? [total, 'total'] : [good, 'expired'],
      ended: (bytes, tunnel) => {
        const outcome: Outcome = { kind: 'tunnelled', status: 101, bytes, tunnel };
        this.#sending?.end(outcome);
        owner.settled(outcome, this.#sending?.attempts);
      },
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#phase !== 'answering') return;
    const { transaction, route } = this.#exchange;
    this.#bytes += chunk.length;
    countPiece(chunk.length);
    this.#deadline.allow(route.timeouts.idle);
    // Behind the last byte undici must not be held: it would miss the end, and take the upstream's closing for a broken answer.
    if (transaction.write(chunk) || this.#bytes === this.#announced) return;
    controller.pause();
    if (this.#drains) return;
    this.#drains = true;
    transaction.onDrain(() => {
      this.#deadline.allow(route.timeouts.idle);
      controller.resume();
    });
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#phase !== 'answering') return;
    this.#phase = 'flushing';
    this.#deadline.allow(this.#exchange.route.timeouts.idle);
    this.#upload?.destroy();
    this.#exchange.transaction.end(answerTrailers(lines(controller.rawTrailers), this.#exchange.route.rules));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: NodeJS.ErrnoException): void {
    const code = error.code ?? error.name;
    if (this.#phase === 'answering') return this.#breakOff(this.#brokenBy(code));
    this.#reject(REASON_OF_CODE[code] ?? (this.#begun ? 'upstream_invalid' : 'upstream_unreachable'), code);
  }

  uploadProgressed(): void {
    if (this.#phase === 'waiting') return this.#send();
    if (this.#phase === 'sending' || this.#phase === 'answering')
      this.#deadline.allow(this.#exchange.route.timeouts.idle);
  }

  uploadExceeded(): void {
    const rejection = reject('body_too_large');
    if (this.#phase === 'answering')
      this.#breakOff({ kind: 'cut_off', status: this.#status, bytes: this.#bytes, rejection });
    else if (this.#phase !== 'flushing') this.#settle({ kind: 'rejected', rejection });
  }

  /** An answer whose body does not follow at once (server-sent events) must not wait for it. */
  flushFields(): void {
    if (this.#phase === 'answering' && this.#bytes === 0) this.#exchange.transaction.flushHead();
  }

  #onClientClose(): void {
    if (this.#phase === 'tunnelling') return;
    const { finished } = this.#exchange.transaction;
    const bytes = this.#bytes;
    this.#settle(finished ? { kind: 'forwarded', status: this.#status, bytes } : { kind: 'client_gone', bytes });
  }

  deadlinePassed(): void {
    switch (this.#phase) {
      case 'connecting':
        if (this.#deadline.left > 0 && this.#sending?.giveUp()) return;
        return this.#reject('upstream_timed_out');
      case 'waiting':
        return this.#reject('request_timed_out', 'body');
      case 'sending':
        return this.#upload?.waitsForClient
          ? this.#reject('request_timed_out', 'body')
          : this.#reject('upstream_timed_out');
      case 'answering':
        if (!this.#controller?.paused) return this.#breakOff(this.#brokenBy('ETIMEDOUT'));
        return this.#breakOff({ kind: 'client_gone', bytes: this.#bytes });
      case 'flushing':
        return this.#breakOff({ kind: 'client_gone', bytes: this.#bytes });
      default:
        return this.#reject('upstream_timed_out');
    }
  }

  /**
   * Node does not tell a TLS connection that was closed from one that was cut (RFC 9112 §9.8), so that an answer which ends
   * with its connection could be a half one. A transfer coding for which nobody asked is not undone.
   */
  #isDelimited(status: number, received: readonly string[]): boolean {
    const { upstream } = this.#exchange.route;
    if (upstream.http2) return true;
    const framing = readFraming(received);
    if (framing !== 'none' || !upstream.secure) return framing !== 'unsupported';
    return status === 204 || status === 304 || this.#exchange.facts.method === 'HEAD';
  }

  #restOf(controller: Dispatcher.DispatchController, received: readonly string[]): Rest {
    if (controller instanceof Http2Request) return controller.bodyless ? 'nothing' : 'trailers';
    const announced = received.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'trailer');
    return announced && readFraming(received) === 'chunked' ? 'trailers' : 'body';
  }

  #brokenBy(code: string): Outcome {
    return { kind: 'upstream_broke', status: this.#status, bytes: this.#bytes, code };
  }

  #reject(reason: Reason, code?: string): void {
    this.#settle({ kind: 'rejected', rejection: reject(reason, code === undefined ? {} : { what: code }) });
  }

  /** What has begun cannot be answered otherwise any more; a client must not take it for the whole. */
  #breakOff(outcome: Outcome): void {
    this.#settle(outcome);
    this.#exchange.transaction.breakOff();
  }

  #settle(outcome: Outcome): void {
    if (this.#phase === 'settled') return;
    this.#phase = 'settled';
    this.#deadline.end();
    this.#sending?.end(outcome);
    this.#controller?.abort(ABORTED);
    this.#upload?.destroy();
    if (outcome.kind === 'forwarded') this.#exchange.transaction.discard();
    this.#exchange.owner.settled(outcome, this.#sending?.attempts);
  }
}

/** undici hands out field lines as bytes, in types that leave it open. */
function lines(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  return Array.isArray(raw) ? raw.map((text) => (typeof text === 'string' ? text : text.toString('latin1'))) : [];
}

function hasProof(fields: readonly string[]): boolean {
  return fields.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'dpop');
}

function flushFields(forwarding: Forwarding): void {
  forwarding.flushFields();
}
