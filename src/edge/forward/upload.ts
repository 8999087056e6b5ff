// The body of a request on its way to the upstream: counted, paced, kept for a retry.

import { Readable } from 'node:stream';
import { countPiece } from './body-garbage.ts';
import type { Credit } from './credit.ts';
import type { Transaction } from '../transaction/transaction.ts';
import { KeptPieces } from './kept-pieces.ts';

/** Bytes that are held while the upstream does not take them, and that are collected before there is one. */
const BUFFERED = 65_536;

/** Who wants to know how an upload goes. */
export interface UploadWatcher {
  /** There is more of it, or its end. @param bytes now held that were not before */
  uploadProgressed(bytes: number): void;
  uploadExceeded(): void;
}

export interface UploadWishes {
  /** Bytes; the one that exceeds it is not passed on. */
  readonly limit: number;
  /** The client in whose share of the memory what was sent is kept, so that it can be sent again; undefined: it is not. */
  readonly keptFor: string | undefined;
  /** undefined: the client may take its time. */
  readonly credit?: Credit | undefined;
}

/**
 * Hands the body out once per attempt. undici gets a stream in place of the request, which it would take apart when it is done.
 * Drops the request's trailers.
 */
export class Upload {
  readonly #transaction: Transaction;
  readonly #watcher: UploadWatcher;
  readonly #kept: KeptPieces | undefined;
  readonly #credit: Credit | undefined;
  #left: number;
  #stream: AttemptBody | undefined;
  #ended = false;

  constructor(transaction: Transaction, { limit, keptFor, credit }: UploadWishes, watcher: UploadWatcher) {
    this.#transaction = transaction;
    this.#watcher = watcher;
    this.#left = limit;
    this.#kept = keptFor === undefined ? undefined : new KeptPieces(keptFor);
    this.#credit = credit;
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
    return this.#ended || (this.#stream?.readableLength ?? 0) >= BUFFERED;
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
    if (this.#left < 0) return this.#watcher.uploadExceeded();
    this.#credit?.earn(chunk.length);
    this.#kept?.add(chunk);
    if (this.#stream?.push(chunk) !== true) {
      this.#credit?.stop();
      this.#transaction.body.pause();
    }
    this.#watcher.uploadProgressed(chunk.length);
  };

  readonly #onEnd = (): void => {
    if (!this.#transaction.received) return;
    this.#ended = true;
    this.#credit?.stop();
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
