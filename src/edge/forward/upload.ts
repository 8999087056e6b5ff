// The body of a request on its way to the upstream: counted, and held back when the upstream is slow.

import { Readable } from 'node:stream';
import { countPiece } from './body-garbage.ts';
import type { Transaction } from '../transaction/transaction.ts';

const BUFFERED = 65_536;

/** Who wants to know how an upload goes. */
export interface UploadWatcher {
  /** There is more of it, or its end. */
  uploadProgressed(): void;
  uploadExceeded(): void;
}

/** undici gets this in place of the request, which it would take apart when it is done. Drops the request's trailers. */
export class Upload extends Readable {
  readonly #transaction: Transaction;
  readonly #watcher: UploadWatcher;
  #left: number;

  /** @param limit bytes; the one that exceeds it is not passed on */
  constructor(transaction: Transaction, limit: number, watcher: UploadWatcher) {
    super({ highWaterMark: BUFFERED });
    this.#transaction = transaction;
    this.#watcher = watcher;
    this.#left = limit;
    const { body } = transaction;
    body.pause();
    body.on('data', this.#onData);
    body.on('end', this.#onEnd);
  }

  /** Whether the next byte has to come from the client. */
  get waitsForClient(): boolean {
    return !this.#transaction.received && !this.#transaction.body.isPaused();
  }

  override _read(): void {
    this.#transaction.body.resume();
  }

  /** Never passes an error on: undici may have stopped listening for it, and whoever destroys an upload knows why. */
  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    this.#transaction.body.off('data', this.#onData);
    this.#transaction.body.off('end', this.#onEnd);
    done();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#left -= chunk.length;
    countPiece(chunk.length);
    if (this.#left < 0) return this.#watcher.uploadExceeded();
    this.#watcher.uploadProgressed();
    if (!this.push(chunk)) this.#transaction.body.pause();
  };

  readonly #onEnd = (): void => {
    if (!this.#transaction.received) return;
    this.#watcher.uploadProgressed();
    this.push(null);
  };
}
