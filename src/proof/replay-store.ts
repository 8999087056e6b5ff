// The contract of every memory of proofs: one atomic call, last in the path.

/** Only `fresh` opens the gate. `challenge`: this memory cannot say, and can for a proof with a new nonce. */
export type Remembered = 'fresh' | 'replayed' | 'full' | 'unavailable' | 'challenge';

export interface ReplayStore {
  /**
   * Inserts if absent, atomically: of any number of calls with one key while it lives, exactly one gets `fresh`.
   * A store that cannot answer returns `unavailable`; it never throws and never guesses.
   * @param jkt thumbprint of the proof key
   * @param jti of the proof, 1–256 bytes; two keys may use the same one
   * @param expiresAt seconds since the epoch until which it must be remembered
   * @param now seconds since the epoch
   * @param since what `since` was when the proof was judged; left out: what it is now
   */
  remember(jkt: string, jti: string, expiresAt: number, now: number, since?: number): Remembered | Promise<Remembered>;
  /** Seconds since the epoch from which on every use is remembered; proofs dated before it need a nonce (checks.md §4). */
  readonly since: number;
  /** The same for nonces: none minted before it counts; undefined: `since`. */
  readonly noncesSince?: number;
  /** Live entries, for the metric. */
  readonly entries: number;
}
