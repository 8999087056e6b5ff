// Copies of requests to mirrors: sent next to the request itself, and out of its way.

import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { PermitFacts } from '../../binding/permit.ts';
import { rewrittenTarget } from '../../policy/rewritten-target.ts';
import { reject } from '../../rejection/rejection.ts';
import { requestFields } from '../fields/request-fields.ts';
import type { Outcome } from '../outcome.ts';
import type { SendOptions, Sending, SendingOwner } from '../upstream/sending.ts';
import type { OpenUpstream } from '../upstream/upstream.ts';
import { BodyMemory } from './body-memory.ts';
import { reasonOf } from './failure.ts';
import type { ForwardExchange } from './forward-exchange.ts';
import type { MirrorWay } from './mirror-way.ts';
import { KeptPieces } from './kept-pieces.ts';

/** Milliseconds that a copy may take, whatever it waits for. */
const PATIENCE = 10_000;
/** Bytes of its answer that are read, so that the connection can be used again; with more it is closed. */
const READ = 65_536;
const ABORTED = new Error('the copy ended');

/** Of one worker, beside that for bodies of requests themselves: mirrors that hang take nothing from these. */
const memory = new BodyMemory();

/**
 * The copies of one request, if it is one of the share that is copied. They are sent when the request has its turn and its body is here as a
 * whole; a body of more than 256 KiB, or for which there is no memory, makes none (docs/decisions/0114). Nothing of what becomes of them
 * is heard by the request.
 * @returns undefined: there are none
 */
export function copiesOf(
  ways: readonly MirrorWay[] | undefined,
  exchange: ForwardExchange,
  permit: PermitFacts,
): Copies | undefined {
  const chosen = ways?.filter(({ share }) => share === 1 || Math.random() < share);
  return chosen === undefined || chosen.length === 0 ? undefined : new Copies(chosen, exchange, permit);
}

export class Copies {
  readonly #ways: readonly MirrorWay[];
  readonly #exchange: ForwardExchange;
  readonly #permit: PermitFacts;
  readonly #body: KeptPieces;
  #isWhole = false;
  #hasTurn = false;
  #open = 0;

  constructor(ways: readonly MirrorWay[], exchange: ForwardExchange, permit: PermitFacts) {
    this.#ways = ways;
    this.#exchange = exchange;
    this.#permit = permit;
    this.#body = new KeptPieces(permit.client, memory);
  }

  /** A piece of the body passes. */
  add(piece: Buffer): void {
    this.#body.add(piece);
  }

  /** The body is here as a whole, and is the one that was signed, if it was. */
  whole(): void {
    this.#isWhole = true;
    this.#sendWhenDue();
  }

  /** The request goes to its upstream. */
  hasTurn(): void {
    this.#hasTurn = true;
    this.#sendWhenDue();
  }

  /** The request ended: what was not sent is not sent any more. */
  end(): void {
    if (this.#open === 0) this.#body.drop();
  }

  #sendWhenDue(): void {
    if (!this.#isWhole || !this.#hasTurn) return;
    this.#hasTurn = false;
    this.#open += 1; // of copies that end at once none drops what others still need
    for (const way of this.#ways) this.#copy(way);
    this.#close();
  }

  #close(): void {
    this.#open -= 1;
    if (this.#open === 0) this.#body.drop();
  }

  #copy({ upstream, rules }: MirrorWay): void {
    if (!this.#body.complete) return upstream.copied('too_large');
    if (!upstream.takeCopy()) return upstream.copied('busy');
    const { facts, route } = this.#exchange;
    this.#open += 1;
    upstream.copied('sent');
    new Copy(upstream, this.#body.pieces(), () => {
      upstream.giveCopy();
      this.#close();
    }).start({
      method: facts.method,
      path: rewrittenTarget(facts.target, route.path),
      headers: requestFields(this.#exchange, rules, this.#permit),
      upgrade: null,
    });
  }
}

/** One copy on its way; its answer counts for nothing but the health of its target. */
class Copy implements SendingOwner {
  readonly #upstream: OpenUpstream;
  readonly #body: Buffer[];
  readonly #ended: () => void;
  #sending: Sending | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #begun = false;
  #status = 0;
  #bytes = 0;
  #over = false;

  constructor(upstream: OpenUpstream, body: Buffer[], ended: () => void) {
    this.#upstream = upstream;
    this.#body = body;
    this.#ended = ended;
  }

  start(options: SendOptions): void {
    this.#timer = setTimeout(() => this.#fail('upstream_timed_out', ''), PATIENCE).unref();
    this.#sending = this.#upstream.sending(options, this);
    const rejection = this.#sending.start();
    if (rejection !== undefined) this.#end({ kind: 'rejected', rejection });
  }

  attemptBody(): Readable | null {
    return this.#body.length === 0 ? null : Readable.from(this.#body, { objectMode: false });
  }

  mayResend(): boolean {
    return false;
  }

  retried(): void {
    // The timer goes on.
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
  }

  onResponseStarted(): void {
    this.#begun = true;
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    if (status >= 200) this.#status = status;
  }

  onRequestUpgrade(...[, , , socket]: Parameters<Required<Dispatcher.DispatchHandler>['onRequestUpgrade']>): void {
    socket.destroy();
    this.#fail('upstream_invalid', 'Upgrade');
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > READ) this.#finish();
  }

  onResponseEnd(): void {
    this.#finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: NodeJS.ErrnoException): void {
    const code = error.code ?? error.name;
    this.#fail(reasonOf(code, this.#begun), code);
  }

  #finish(): void {
    this.#end({ kind: 'forwarded', status: this.#status, bytes: this.#bytes });
  }

  #fail(reason: Parameters<typeof reject>[0], code: string): void {
    this.#end({ kind: 'rejected', rejection: reject(reason, { code }) });
  }

  #end(outcome: Outcome): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#sending?.end(outcome);
    this.#controller?.abort(ABORTED);
    this.#ended();
  }
}
