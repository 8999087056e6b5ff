// A memory of proofs inside one process: exact, bounded, and forgetting in small steps.

import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import type { Remembered, ReplayStore } from './replay-store.ts';

/** Entries dropped per call at most: more than one, so that forgetting overtakes remembering. */
const DROPS_PER_CALL = 32;
/** The most that one Set of V8 can hold. */
const SET_LIMIT = 2 ** 24;

/**
 * Remembers proofs until they expire. Live entries are never evicted, and what was forgotten can never be fresh again,
 * even when the clock steps back: expiries up to the last one dropped count as used. About 80 bytes per live entry.
 */
export class ProcessReplayStore implements ReplayStore {
  readonly since: number;
  readonly capacity: number;
  /** Random per process, so that nobody can search for two proofs that share 128 bits. */
  readonly #secret = createSecretKey(randomBytes(32));
  readonly #live = new Set<string>();
  /** Keys by the whole second at which they are due. */
  readonly #due = new Map<number, string[]>();
  /** The smallest second in #due. */
  #nextDue = Infinity;
  /** Entries that expire at this second or before may have been dropped. */
  #forgotten = -Infinity;

  /** @param since start of the process, seconds since the epoch */
  constructor({ capacity, since }: { readonly capacity: number; readonly since: number }) {
    this.capacity = Math.min(capacity, SET_LIMIT);
    this.since = since;
  }

  get entries(): number {
    return this.#live.size;
  }

  remember(jkt: string, jti: string, expiresAt: number, now: number): Remembered {
    this.#forget(now);
    const second = Math.ceil(expiresAt);
    if (second <= this.#forgotten) return 'replayed';
    const key = this.#keyOf(jkt, jti);
    if (this.#live.has(key)) return 'replayed';
    if (this.#live.size >= this.capacity) return 'full';
    this.#live.add(key);
    const due = this.#due.get(second);
    if (due === undefined) this.#due.set(second, [key]);
    else due.push(key);
    this.#nextDue = Math.min(this.#nextDue, second);
    return 'fresh';
  }

  /** The length keeps (jkt, jti) apart from every other pair that concatenates to the same text. */
  #keyOf(jkt: string, jti: string): string {
    return createHmac('sha256', this.#secret).update(`${jkt.length}:${jkt}${jti}`).digest().toString('latin1', 0, 16);
  }

  #forget(now: number): void {
    // An entry lives through the second of its expiry.
    for (let drops = DROPS_PER_CALL; drops > 0 && this.#nextDue < now; drops -= 1) {
      this.#forgotten = this.#nextDue;
      const due = this.#due.get(this.#nextDue) ?? [];
      const key = due.pop();
      if (key !== undefined) this.#live.delete(key);
      if (due.length > 0) continue;
      this.#due.delete(this.#nextDue);
      // As many as there are seconds in the longest retention.
      this.#nextDue = Math.min(...this.#due.keys());
    }
  }
}
