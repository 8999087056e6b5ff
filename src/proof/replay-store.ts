// The contract of every replay store: one atomic call, last in the path.

import type { ShorterMemory } from './dpop-proof.ts';

/** Only `fresh` opens the gate. `challenge`: this memory cannot say, and can for a proof with a new nonce. */
export type Remembered = 'fresh' | 'replayed' | 'full' | 'unavailable' | 'challenge';

/** For how long proofs without nonce are remembered. */
export interface Retention {
  /** Seconds after `iat`. */
  readonly rememberFor: number;
  /** Proofs that may have been remembered for less. */
  readonly shorterMemories: readonly ShorterMemory[];
}

/** Which proofs a store would know if they had been used. Another object as soon as any of it changes. */
export interface Coverage {
  /** Seconds since the epoch from which on every use is remembered; proofs dated before it need a nonce (C4.30, C4.31). */
  readonly since: number;
  /** The same for nonces: none minted before it counts; undefined: `since`. */
  readonly noncesSince?: number;
  /** undefined: that of the policy. */
  readonly retention?: Retention;
}

export interface ReplayStore {
  /**
   * Inserts if absent, atomically: of any number of calls with one key while it lives, exactly one gets `fresh`.
   * A store that cannot answer returns `unavailable`; it never throws and never guesses.
   * @param jkt thumbprint of the proof key
   * @param jti of the proof, 1–256 bytes; two keys may use the same one
   * @param expiresAt seconds since the epoch until which it must be remembered
   * @param now seconds since the epoch
   * @param judgedBy what `coverage` was when the proof was judged; left out: what it is now
   */
  remember(
    jkt: string,
    jti: string,
    expiresAt: number,
    now: number,
    judgedBy?: Coverage,
  ): Remembered | Promise<Remembered>;
  readonly coverage: Coverage;
  /** Live entries, for the metric. */
  readonly entries: number;
}
