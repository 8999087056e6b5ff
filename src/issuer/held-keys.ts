// The keys of one issuer as a thread holds them, replaced as a whole set.

import type { VerificationKey } from '../jose/key-set.ts';

/** A key set and how long it counts; fit to be sent to another thread. */
export interface KeyState {
  /** undefined: never loaded, or too old to be relied upon. */
  readonly keys: readonly VerificationKey[] | undefined;
  /** Seconds since the epoch after which the set counts no longer. */
  readonly keepUntil: number;
}

/** Holds the set of one issuer. */
export class HeldKeys {
  #state: KeyState = { keys: undefined, keepUntil: Number.POSITIVE_INFINITY };

  /** The set as it is now. @param now seconds since the epoch: one that is too old is dropped */
  current(now: number): readonly VerificationKey[] | undefined {
    if (this.#state.keys !== undefined && now > this.#state.keepUntil) {
      this.replace({ keys: undefined, keepUntil: Number.POSITIVE_INFINITY });
    }
    return this.#state.keys;
  }

  get state(): KeyState {
    return this.#state;
  }

  /**
   * Takes a new set. Keys that are in it already stay the same objects, so that verifications cached by them live on; those
   * that are gone stop being `current`. @returns how many are gone
   */
  replace({ keys, keepUntil }: KeyState): number {
    const before = new Map(this.#state.keys?.map((key) => [key.id, key]));
    const after = keys?.map((key) => before.get(key.id) ?? key);
    this.#state = { keys: after, keepUntil };
    const withdrawn = [...before.values()].filter((key) => !after?.includes(key));
    for (const key of withdrawn) key.current = false;
    return withdrawn.length;
  }
}
