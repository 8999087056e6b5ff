// The body of a request on its way to the upstream: counted, held back when the upstream is slow, discarded when nobody wants it.

import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

const BUFFERED = 65_536;
/** Seconds for which a body that nobody wants is still read: a client that is sending would miss the answer to a closed connection. */
const DISCARD = 5;

/**
 * Reads the rest of a body whose answer the upstream gave before it ended, and closes the connection if that takes longer than
 * five seconds (RFC 9112 §9.6). Does nothing when the body has ended. Our own answers see to that themselves (answer.ts).
 */
export function discardUpload(request: IncomingMessage): void {
  if (request.complete) return;
  const timer = setTimeout(() => request.socket.destroy(), DISCARD * 1000);
  timer.unref();
  request.once('end', () => clearTimeout(timer));
  request.resume();
}

/** Who wants to know how an upload goes. */
export interface UploadWatcher {
  uploadProgressed(): void;
  uploadExceeded(): void;
}

/** undici gets this in place of the request, which it would take apart when it is done. Drops the request's trailers. */
export class Upload extends Readable {
  readonly #request: IncomingMessage;
  readonly #watcher: UploadWatcher;
  #left: number;

  /** @param limit bytes; the one that exceeds it is not passed on */
  constructor(request: IncomingMessage, limit: number, watcher: UploadWatcher) {
    super({ highWaterMark: BUFFERED });
    this.#request = request;
    this.#watcher = watcher;
    this.#left = limit;
    request.pause();
    request.on('data', this.#onData);
    request.on('end', this.#onEnd);
  }

  /** Whether the next byte has to come from the client. */
  get waitsForClient(): boolean {
    return !this.#request.complete && !this.#request.isPaused();
  }

  override _read(): void {
    this.#request.resume();
  }

  /** Never passes an error on: undici may have stopped listening for it, and whoever destroys an upload knows why. */
  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    this.#request.off('data', this.#onData);
    this.#request.off('end', this.#onEnd);
    done();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#left -= chunk.length;
    if (this.#left < 0) return this.#watcher.uploadExceeded();
    this.#watcher.uploadProgressed();
    if (!this.push(chunk)) this.#request.pause();
  };

  readonly #onEnd = (): void => {
    this.push(null);
  };
}
