// The body of a request on its way to the upstream: counted, paced, verified, kept.

import { Readable } from 'node:stream';
import type { BodyDigest } from '../../http/body-digest.ts';
import { type Rejection, reject } from '../../rejection/rejection.ts';
import { countPiece } from './body-garbage.ts';
import type { Credit } from './credit.ts';
import { NOT_SIGNED, tooLarge } from './failure.ts';
import type { Transaction } from '../transaction/transaction.ts';
import { KeptPieces } from './kept-pieces.ts';

/** Bytes that are held while the upstream does not take them, and that are collected before there is one. */
const BUFFERED = 65_536;

/** Who wants to know how an upload goes. */
export interface UploadWatcher {
  /** There is more of it, or its end. @param bytes now held that were not before */
  uploadProgressed(bytes: number): void;
  /** Nothing more of it goes to the upstream. */
  uploadRefused(rejection: Rejection): void;
}

export interface UploadWishes {
  /** Bytes; the one that exceeds it is not passed on. */
  readonly limit: number;
  /** The client in whose share of the memory what was sent is kept, so that it can be sent again; undefined: it is not. */
  readonly keptFor: string | undefined;
  /** undefined: the client may take its time. */
  readonly credit?: Credit | undefined;
  /** Gets every piece that passes, and hears when it is all there. */
  readonly copy?: { add(piece: Buffer): void; whole(): void } | undefined;
  /** What the whole has to be; undefined: anything. */
  readonly digest?: BodyDigest | undefined;
}

/**
 * Hands the body out once per attempt. undici gets a stream in place of the request, which it would take apart when it is done.
 * Drops the request's trailers.
 * Of a body with a digest the last piece is held back until the whole was verified: whoever reads it never sees the end of another one.
 */
export class Upload {
  readonly #transaction: Transaction;
  readonly #watcher: UploadWatcher;
  readonly #kept: KeptPieces | undefined;
  readonly #credit: Credit | undefined;
  readonly #digest: BodyDigest | undefined;
  readonly #copy: UploadWishes['copy'];
  /** Received, hashed, and not passed on yet. */
  #held: Buffer | undefined;
  readonly #limit: number;
  #left: number;
  #stream: AttemptBody | undefined;
  #ended = false;

  constructor(
    transaction: Transaction,
    { limit, keptFor, credit, digest, copy }: UploadWishes,
    watcher: UploadWatcher,
  ) {
    this.#transaction = transaction;
    this.#watcher = watcher;
    this.#limit = limit;
    this.#left = limit;
    this.#kept = keptFor === undefined ? undefined : new KeptPieces(keptFor);
    this.#credit = credit;
    this.#digest = digest;
    this.#copy = copy;
    const { body } = transaction;
    transaction.wantBody?.();
    body.pause();
    body.on('data', this.#onData);
    body.on('end', this.#onEnd);
  }

  /** Whether the next byte has to come from the client. */
  get waitsForClient(): boolean {
    return !this.#transaction.received && !this.#transaction.body.isPaused();
  }

  /** Whether nothing is gained by waiting: it is all here, or as much as is held. */
  get isCollected(): boolean {
    return this.#ended || (this.#stream?.readableLength ?? 0) + (this.#held?.length ?? 0) >= BUFFERED;
  }

  /** Seconds for which the client may still keep us waiting; infinite where it is not waited for, or may take its time. */
  get patience(): number {
    return this.#credit?.left ?? Number.POSITIVE_INFINITY;
  }

  /** Whether the next attempt would get the body from its beginning. */
  get resendable(): boolean {
    return this.#isFresh() || this.#kept?.complete === true;
  }

  /** Reads from the client before there is an attempt. */
  begin(): void {
    this.#stream = this.#open([]);
    this.resume();
  }

  /** The body for an attempt, from its beginning; the attempt before gets nothing more. */
  forAttempt(): Readable {
    const { body } = this.#transaction;
    if (this.#stream !== undefined && this.#isFresh()) return this.#stream;
    body.pause();
    this.#credit?.stop();
    this.#stream?.destroy();
    this.#stream = this.#open(this.#kept?.pieces() ?? []);
    return this.#stream;
  }

  /** Nothing is sent again from here on. */
  forget(): void {
    this.#kept?.drop();
  }

  /** Ends the attempt's body without an end that could be taken for that of the request. */
  destroy(): void {
    const { body } = this.#transaction;
    body.off('data', this.#onData);
    body.off('end', this.#onEnd);
    this.forget();
    this.#stream?.destroy();
  }

  resume(): void {
    if (this.#ended) return void this.#stream?.push(null);
    this.#credit?.wait();
    this.#transaction.body.resume();
  }

  /** Nothing of the body was read by an attempt. */
  #isFresh(): boolean {
    return this.#stream === undefined || (!this.#stream.destroyed && !this.#stream.readableDidRead);
  }

  #open(before: Buffer[]): AttemptBody {
    return new AttemptBody(before, () => this.resume());
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#left -= chunk.length;
    countPiece(chunk.length);
    if (this.#left < 0) return this.#watcher.uploadRefused(reject('body_too_large', tooLarge(this.#limit)));
    this.#credit?.earn(chunk.length);
    const next = this.#digest === undefined ? chunk : this.#exchangeHeld(this.#digest, chunk);
    if (next !== undefined) this.#passOn(next);
    this.#watcher.uploadProgressed(chunk.length);
  };

  /** @returns the piece before */
  #exchangeHeld(digest: BodyDigest, chunk: Buffer): Buffer | undefined {
    digest.update(chunk);
    const before = this.#held;
    this.#held = chunk;
    return before;
  }

  #passOn(piece: Buffer): void {
    this.#kept?.add(piece);
    this.#copy?.add(piece);
    if (this.#stream?.pass(piece) === true) return;
    this.#credit?.stop();
    this.#transaction.body.pause();
  }

  readonly #onEnd = (): void => {
    if (!this.#transaction.received) return;
    if (this.#digest?.matches() === false)
      return this.#watcher.uploadRefused(reject('content_digest_mismatch', NOT_SIGNED));
    if (this.#held !== undefined) this.#passOn(this.#held);
    this.#ended = true;
    this.#credit?.stop();
    this.#copy?.whole();
    if (this.#stream?.isLive) this.#stream.push(null);
    this.#watcher.uploadProgressed(0);
  };
}

/** What one attempt reads: first what attempts before it were sent, then what comes. */
class AttemptBody extends Readable {
  readonly #before: Buffer[];
  readonly #more: () => void;

  constructor(before: Buffer[], more: () => void) {
    super({ highWaterMark: BUFFERED });
    this.#before = before;
    this.#more = more;
  }

  /** A new piece, behind all that was sent before. @returns whether more is wanted at once */
  pass(piece: Buffer): boolean {
    if (this.isLive) return this.push(piece);
    this.#before.push(piece);
    return false;
  }

  /** Whether all that was sent before has been handed out. */
  get isLive(): boolean {
    return this.#before.length === 0;
  }

  override _read(): void {
    for (let next = this.#before.shift(); next !== undefined; next = this.#before.shift()) {
      if (!this.push(next)) return;
    }
    this.#more();
  }

  /** Never passes an error on: undici may have stopped listening for it, and whoever destroys an upload knows why. */
  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    done();
  }
}
