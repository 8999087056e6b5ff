// Forwarding: a permitted request to its upstream and the answer back, streamed.

import type { Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Permit } from '../../binding/permit.ts';
import type { RejectionFacts } from '../../rejection/facts.ts';
import { type Reason, type Rejection, reject } from '../../rejection/rejection.ts';
import { answerFields } from '../fields/answer-fields.ts';
import type { Outcome } from '../outcome.ts';
import { BodyDigest } from '../../http/body-digest.ts';
import { hasProof, requestFields } from '../fields/request-fields.ts';
import { answerTrailers } from '../fields/trailers.ts';
import { Deadline, type DeadlineOwner } from './deadline.ts';
import { lines } from './answer-framing.ts';
import { Collection, type Collector } from './collection.ts';
import { Credit } from './credit.ts';
import { NOT_SIGNED, reasonOf, tooLarge } from './failure.ts';
import { rewrittenTarget } from '../../policy/rewritten-target.ts';
import type { ForwardExchange } from './forward-exchange.ts';
import { type Copies, copiesOf } from './mirror.ts';
import { Interims } from './interim.ts';
import { pauseBefore } from './resending.ts';
import type { Phase } from './phase.ts';
import { Passage, type PassageOwner } from './passage.ts';
import type { Entrant, Place } from '../upstream/entrance.ts';
import { Upload, type UploadWatcher } from './upload.ts';
import { openTunnel } from './tunnel.ts';
import { verifySwitch } from '../transaction/upgrade.ts';
import { isIdempotent, type Loss } from '../upstream/loss.ts';
import type { SendingOwner, Sending } from '../upstream/sending.ts';

/**
 * Sends a permitted request on and streams the answer back. The path goes as received, byte for byte, but for a rewrite.
 * Rejections: `body_too_large` (announced, before anything is sent; or while streaming), `content_digest_mismatch`, `upstream_circuit_open`, `upstream_without_targets`,
 * `upstream_queue_full`, `upstream_unreachable`, `upstream_invalid`, `upstream_timed_out`, `request_timed_out` (the client stopped in the middle of its
 * body), `internal_error` (a field that undici refuses: identity.ts let something through).
 * A request for a WebSocket whose 101 is verified becomes a tunnel (tunnel.ts), and `tunnelOpened` is called.
 * A connection is taken when it can be used: a body is collected before, up to 64 KiB, if its length is announced; one without a
 * length waits a second at most, and not at all for HTTP/2, where streams may be talks. Without memory for that it goes on at once.
 * Who holds more than its share of the upstream waits (entrance.ts): `upstream_queue_full` after `connect`.
 * Timeouts: `connect` for that wait, then until there is a connection, and anew with each of
 * `retries`; `idle` while the body or the answer moves, either way; `response_header` from the end of the body; `total` from now.
 * A client that sends less than `upload_rate` of a body that it announced is `request_timed_out`; one that takes less than `download_rate` of what is there for it is cut off.
 * An answer that ends with its connection is complete when that is closed and broken when it is reset (RFC 9112 §8); over TLS,
 * where Node shows no difference, it is `upstream_invalid` unless the upstream has `insecure_close_delimited`.
 * Dropped: trailers of the request, 100 and interim answers beyond the eighth, the upstream's reason phrase. What was not processed is sent again where that
 * cannot make it happen twice, as long as no byte of an answer came and the body is still kept (upload.ts, docs/decisions/0063).
 * NOT done: any decision about the request, checks of its framing (facts.ts), rewriting of Location and cookies.
 */
export function forward(permit: Permit, exchange: ForwardExchange): void {
  new Forwarding(permit, exchange).start();
}

const ABORTED = new Error('the exchange ended');

/** Seconds in `Retry-After`: connections become free all the time. */
const RETRY_AFTER = 1;

class Forwarding implements SendingOwner, UploadWatcher, DeadlineOwner, Entrant, Collector, PassageOwner {
  readonly client: string;
  readonly route: string | undefined;
  readonly wantsTunnel: boolean;
  place: Place = 'outside';
  readonly #permit: Permit;
  readonly #exchange: ForwardExchange;
  readonly #deadline: Deadline;
  #phase: Phase = 'queued';
  #upload: Upload | undefined;
  #sending: Sending | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  /** The upstream has sent something that could be an answer. */
  #begun = false;
  #fields: string[] = [];
  #collection: Collection | undefined;
  #copies: Copies | undefined;
  /** Milliseconds on the monotonic clock from which the upstream alone was waited for. */
  #upstreamsTurn = 0;
  readonly #interims = new Interims();
  readonly #passage: Passage;

  constructor(permit: Permit, exchange: ForwardExchange) {
    this.#permit = permit;
    this.#exchange = exchange;
    this.#passage = new Passage(exchange, this);
    this.client = permit.facts.client;
    this.route = exchange.route.share;
    // HTTP/2 has no Upgrade (RFC 9113 §8.6), and it may be ignored (RFC 9110 §7.8).
    this.wantsTunnel = exchange.transaction.upgrade !== undefined && !exchange.route.upstream.http2;
    this.#deadline = new Deadline(exchange.route.timeouts.total, this);
  }

  start(): void {
    const { transaction, route } = this.#exchange;
    const { upstream, bodyLimit } = route;
    if (transaction.gone) return this.#settle({ kind: 'client_gone', bytes: 0 });
    const length = transaction.bodyLength();
    if (length !== undefined && length > bodyLimit) return this.#reject('body_too_large', tooLarge(bodyLimit, length));
    transaction.onClose(() => this.#onClientClose());
    // A tunnel has no end at which it could be copied.
    this.#copies = this.wantsTunnel ? undefined : copiesOf(route.mirrors, this.#exchange, this.#permit.facts);
    const digest = this.#permit.facts.digests && new BodyDigest(this.#permit.facts.digests);
    if (length === 0 && digest?.matches() === false) return this.#reject('content_digest_mismatch', NOT_SIGNED);
    if (length === 0) {
      this.#copies?.whole();
      return this.#enter();
    }
    const { rate, grace } = route.upload;
    const credit = length !== undefined && rate > 0 ? new Credit(rate, grace) : undefined;
    this.#upload = new Upload(
      transaction,
      { limit: bodyLimit, keptFor: this.#keptFor(), credit, digest, copy: this.#copies },
      this,
    );
    if (transaction.expectsContinue) transaction.writeContinue();
    // Over HTTP/2 a client without a length may be one that speaks after it was spoken to; not one that has signed it all before.
    if (length === undefined && upstream.http2 && digest === undefined) return this.#enter();
    this.#phase = 'collecting';
    this.#collection = new Collection(this, route.bodies, length !== undefined);
    this.#upload.begin();
    this.#moved();
  }

  /** Enough of the body is here, or no more of it is waited for: the request goes on. */
  collected(): void {
    if (this.#phase === 'collecting') this.#enter();
  }

  #enter(): void {
    const { upstream, timeouts } = this.#exchange.route;
    if (upstream.blocked) return this.#settle({ kind: 'rejected', rejection: upstream.whyBlocked() });
    this.#phase = 'queued';
    const shortage = upstream.entrance.enter(this);
    if (shortage !== undefined) return this.#rejectQueued(shortage);
    if (this.#phase === 'queued') this.#deadline.allow(timeouts.connect);
  }

  #rejectQueued(what: string): void {
    this.#settle({ kind: 'rejected', rejection: reject('upstream_queue_full', { what, retryAfter: RETRY_AFTER }) });
  }

  admitted(): void {
    const { facts, route } = this.#exchange;
    const { timeouts, upstream, rules } = route;
    this.#phase = 'connecting';
    this.#upstreamsTurn = performance.now();
    this.#deadline.allow(timeouts.connect);
    this.#fields = requestFields(this.#exchange, rules, this.#permit.facts);
    const options = {
      method: facts.method,
      path: rewrittenTarget(facts.target, route.path),
      headers: this.#fields,
      upgrade: this.wantsTunnel ? 'websocket' : null,
    };
    this.#sending = upstream.sending(options, this);
    const rejection = this.#sending.start();
    this.#copies?.hasTurn();
    if (rejection !== undefined) this.#settle({ kind: 'rejected', rejection });
  }

  /** HTTP/1.1 says of no request that it was not processed: there only idempotent ones are ever sent again. */
  #keptFor(): string | undefined {
    const { upstream, resends } = this.#exchange.route;
    const isIdem = isIdempotent(this.#exchange.facts.method);
    const isKept = upstream.retries > 0 ? upstream.http2 || isIdem : resends !== undefined && isIdem;
    return isKept ? this.client : undefined;
  }

  attemptBody(): Readable | null {
    return this.#upload?.forAttempt() ?? null;
  }

  /** A proof passes once (RFC 9449 §11.1): an upstream that checks it would refuse the second copy of a request that it has read. */
  mayResend(after: Loss): boolean {
    if (this.#begun || (this.#phase !== 'sending' && this.#phase !== 'awaiting')) return false;
    if (this.#upload?.resendable === false) return false;
    return after !== 'closed' || this.#mayArriveTwice();
  }

  #mayArriveTwice(): boolean {
    return isIdempotent(this.#exchange.facts.method) && !hasProof(this.#fields);
  }

  /** The route asks for another attempt after this answer, of which the client gets nothing then. */
  #triesAgain(controller: Dispatcher.DispatchController, status: number): boolean {
    const { resends, timeouts } = this.#exchange.route;
    if (resends === undefined || this.#sending === undefined || !this.#mayArriveTwice()) return false;
    if (this.#upload?.resendable === false) return false;
    const pause = pauseBefore(resends, status, { sent: this.#sending.answered, left: this.#deadline.left });
    if (pause === undefined) return false;
    this.#phase = 'connecting';
    this.#begun = false;
    this.#deadline.allow(pause + timeouts.connect);
    this.#sending.again(status, pause);
    controller.abort(ABORTED);
    return true;
  }

  retried(): void {
    this.#phase = 'connecting';
    this.#deadline.allow(this.#exchange.route.timeouts.connect);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#phase !== 'connecting') return;
    this.#phase = 'sending';
    this.#collection?.end();
    this.#moved();
  }

  onRequestSent(): void {
    if (this.#phase !== 'sending') return;
    this.#phase = 'awaiting';
    this.#upstreamsTurn = performance.now();
    this.#deadline.allow(this.#exchange.route.timeouts.responseHeader);
  }

  onResponseStarted(): void {
    this.#begun = true;
  }

  /** What it throws, for a status or value that Node does not write, undici hands to onResponseError. */
  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    // RFC 9110 §7.8: a 101 without Upgrade, which is why it comes here, or one that nobody asked for.
    if (status === 101) return this.#reject('upstream_invalid', { code: 'Upgrade' });
    if (status < 100 || status > 599) return this.#reject('upstream_invalid', { code: `HTTP ${status}` });
    const waits = this.#phase === 'sending' || this.#phase === 'awaiting';
    if (status < 200)
      return waits ? this.#interims.pass(this.#exchange, status, lines(controller.rawHeaders)) : undefined;
    if (this.#phase === 'settled') return;
    if (this.#triesAgain(controller, status)) return;
    const undelimited = this.#passage.begin(controller, status, this.#permit.facts);
    if (undelimited !== undefined) return this.#reject('upstream_invalid', { code: undelimited });
    this.#upload?.forget();
    this.#phase = 'answering';
    process.nextTick(flushFields, this);
    this.#moved();
  }

  /** undici gives the connection away, out of its pool. What this throws comes back to onResponseError, and ends the connection. */
  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    upstream: Duplex,
  ): void {
    if (this.#phase === 'settled') return void upstream.destroy();
    const { transaction, route, own, owner } = this.#exchange;
    const { upgrade } = transaction;
    const received = status === 101 ? lines(controller.rawHeaders) : [];
    if (upgrade === undefined || !verifySwitch(received, upgrade.key)) {
      upstream.destroy();
      return this.#reject('upstream_invalid', { code: 'Upgrade' });
    }
    const client = upgrade.open(answerFields(received, route.rules, own, this.#permit.facts));
    this.#phase = 'tunnelling';
    route.upstream.entrance.becameTunnel(this);
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
        route.upstream.entrance.leave(this);
        owner.settled(outcome, this.#sending);
      },
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#phase === 'answering') this.#passage.pass(controller, chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#phase !== 'answering') return;
    this.#phase = 'flushing';
    this.#exchange.route.upstream.entrance.leave(this);
    this.#deadline.allow(this.#exchange.route.timeouts.idle);
    this.#upload?.destroy();
    this.#passage.end(answerTrailers(lines(controller.rawTrailers), this.#exchange.route.rules));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: NodeJS.ErrnoException): void {
    const code = error.code ?? error.name;
    if (this.#phase === 'answering') return this.#breakOff(this.#brokenBy(code));
    this.#reject(reasonOf(code, this.#begun), { code });
  }

  uploadProgressed(bytes: number): void {
    if (this.#phase === 'sending' || this.#phase === 'answering') return this.#moved();
    if (this.#phase !== 'collecting') return;
    const hasMemory = this.#collection?.add(bytes) === true;
    if (this.#upload?.isCollected || !hasMemory) this.#enter();
    else this.#moved();
  }

  /** Something moved: the next thing has `idle`, or less where the client has no more credit. */
  #moved(): void {
    const { idle } = this.#exchange.route.timeouts;
    const patience = Math.min(this.#upload?.patience ?? idle, this.#passage.patience);
    this.#deadline.allow(Math.min(idle, patience));
  }

  answerMoved(): void {
    this.#moved();
  }

  uploadRefused(rejection: Rejection): void {
    if (this.#phase === 'answering')
      this.#breakOff({ kind: 'cut_off', status: this.#passage.status, bytes: this.#passage.bytes, rejection });
    else if (this.#phase !== 'flushing') this.#settle({ kind: 'rejected', rejection });
  }

  /** An answer whose body does not follow at once (server-sent events) must not wait for it. */
  flushFields(): void {
    if (this.#phase === 'answering' && this.#passage.bytes === 0) this.#exchange.transaction.flushHead();
  }

  #onClientClose(): void {
    if (this.#phase === 'tunnelling') return;
    const { finished } = this.#exchange.transaction;
    const bytes = this.#passage.bytes;
    this.#settle(
      finished ? { kind: 'forwarded', status: this.#passage.status, bytes } : { kind: 'client_gone', bytes },
    );
  }

  deadlinePassed(): void {
    switch (this.#phase) {
      case 'collecting':
        return this.#rejectLate();
      case 'queued':
        return this.#rejectQueued('connections');
      case 'connecting':
        if (this.#deadline.left > 0 && this.#sending?.giveUp()) return;
        return this.#rejectTimedOut();
      case 'sending':
        return this.#upload?.waitsForClient ? this.#rejectLate() : this.#rejectTimedOut();
      case 'answering': {
        const late = this.#upload !== undefined && this.#upload.patience <= 0;
        if (!this.#controller?.paused && !late) return this.#breakOff(this.#brokenBy('ETIMEDOUT'));
        return this.#breakOff({ kind: 'client_gone', bytes: this.#passage.bytes });
      }
      case 'flushing':
        return this.#breakOff({ kind: 'client_gone', bytes: this.#passage.bytes });
      default:
        return this.#rejectTimedOut();
    }
  }

  #rejectLate(): void {
    const slow = this.#upload !== undefined && this.#upload.patience <= 0;
    this.#reject('request_timed_out', { what: slow ? 'upload rate' : 'body' });
  }

  /** The end of `total` is the upstream's doing only where it had most of that time: the rest was the client's, or ours. */
  #rejectTimedOut(): void {
    const { total } = this.#exchange.route.timeouts;
    const its = (performance.now() - this.#upstreamsTurn) / 1000;
    const isClients = total !== undefined && this.#deadline.left <= 0 && its < total / 2;
    this.#reject(isClients ? 'request_timed_out' : 'upstream_timed_out', isClients ? { what: 'total' } : {});
  }

  #brokenBy(code: string): Outcome {
    return { kind: 'upstream_broke', status: this.#passage.status, bytes: this.#passage.bytes, code };
  }

  #reject(reason: Reason, facts: RejectionFacts): void {
    this.#settle({ kind: 'rejected', rejection: reject(reason, facts) });
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
    this.#collection?.end();
    this.#copies?.end();
    this.#sending?.end(outcome);
    this.#exchange.route.upstream.entrance.leave(this);
    this.#controller?.abort(ABORTED);
    this.#upload?.destroy();
    if (outcome.kind === 'forwarded') this.#exchange.transaction.discard();
    this.#exchange.owner.settled(outcome, this.#sending);
  }
}

function flushFields(forwarding: Forwarding): void {
  forwarding.flushFields();
}
