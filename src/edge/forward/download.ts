// The time for which a client may keep an answer waiting.

import { Credit, type RateRules } from './credit.ts';

/** Made when the client first does not take all that is there for it. */
export class Download {
  readonly #credit: Credit | undefined;
  #credited = 0;

  /** @param idle seconds; more than that is never waited for, and so not saved up either */
  constructor({ rate, grace }: RateRules, idle: number) {
    // What the system holds for the client is seen to be taken when it is all gone: more may be saved up than of an upload.
    this.#credit = rate > 0 ? new Credit(rate, grace, Math.max(grace, idle)) : undefined;
  }

  /** Seconds for which the client may still keep it waiting; infinite while it does not, or may take its time. */
  get patience(): number {
    return this.#credit?.left ?? Number.POSITIVE_INFINITY;
  }

  /** @param sent bytes of the body that the client was sent by now, and has not all taken */
  stalled(sent: number): void {
    this.#earn(sent);
    this.#credit?.wait();
  }

  /** It has taken them. */
  drained(sent: number): void {
    this.#credit?.stop();
    this.#earn(sent);
  }

  #earn(sent: number): void {
    this.#credit?.earn(sent - this.#credited);
    this.#credited = sent;
  }
}
