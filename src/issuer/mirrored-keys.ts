// The keys of one issuer in a worker: a copy of the supervisor's.

import { HeldKeys, type KeyState } from './held-keys.ts';
import type { KeySource } from '../token/issuer-signature.ts';
import type { VerificationKey } from '../jose/key-set.ts';

/** Seconds between two questions for unknown kids: strangers who invent them cost the supervisor four messages a second, not one each. */
const QUIET = 0.25;
/** Requests that wait for an answer; further ones are decided by the keys that there are: an issuer that hangs must not fill memory. */
const MOST_WAITING = 1000;

export class MirroredKeys implements KeySource {
  readonly #held = new HeldKeys();
  readonly #ask: (kid: string | undefined) => Promise<void>;
  readonly #now: () => number;
  #asking: Promise<void> | undefined;
  #waiting = 0;
  #askedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param ask tells the supervisor that a kid is unknown; settles when the copy is as new as it gets
   * @param now seconds since the epoch
   */
  constructor(ask: (kid: string | undefined) => Promise<void>, now: () => number) {
    this.#ask = ask;
    this.#now = now;
  }

  update(state: KeyState): void {
    this.#held.replace(state);
  }

  current(now: number): readonly VerificationKey[] | undefined {
    return this.#held.current(now);
  }

  /** The supervisor decides whether the issuer is asked (issuer/keys.ts). */
  async refreshFor(kid: string | undefined): Promise<void> {
    // By distance, so that a clock that steps back cannot prolong it.
    if (this.#asking === undefined && Math.abs(this.#now() - this.#askedAt) < QUIET) return;
    this.#asking ??= this.#ask(kid).finally(() => {
      this.#asking = undefined;
      this.#askedAt = this.#now();
    });
    if (this.#waiting >= MOST_WAITING) return;
    this.#waiting += 1;
    await this.#asking.finally(() => (this.#waiting -= 1));
  }
}
