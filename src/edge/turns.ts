// Turns of requests that are decided: a few together, one of each client after the other.

import { networkOf } from '../rate/limit.ts';

/** So many between two looks at the sockets: with a signature each, 2 to 3 ms. */
const TOGETHER = 32;

/** Lets a request go on. */
type GoOn = () => void;

/**
 * What came together is decided together: verifying a signature takes more memory than a core has at hand, so one after the other
 * costs a quarter less than each between the reading of one request and the next (docs/decisions/0140).
 * Does not bound how many wait: each is a request that a listener admitted.
 */
export class Turns {
  /** By client, those that came first in front; clients that were served go to the end of the row. */
  readonly #waiting = new Map<string, GoOn[]>();
  #due = false;

  /** Settles when it is this request's turn. @param address of the client; undefined: not known, which counts as one client */
  take(address: string | undefined): Promise<void> {
    const client = address === undefined ? '' : networkOf(address);
    return new Promise((resolve) => {
      const own = this.#waiting.get(client);
      if (own === undefined) this.#waiting.set(client, [resolve]);
      else own.push(resolve);
      this.#call();
    });
  }

  #call(): void {
    if (this.#due) return;
    this.#due = true;
    setImmediate(() => {
      this.#due = false;
      this.#serve();
      if (this.#waiting.size > 0) this.#call();
    });
  }

  #serve(): void {
    let left = TOGETHER;
    // A client that is put back comes again in this very loop.
    for (const [client, own] of this.#waiting) {
      own.shift()?.();
      this.#waiting.delete(client);
      if (own.length > 0) this.#waiting.set(client, own);
      left -= 1;
      if (left === 0) return;
    }
  }
}
