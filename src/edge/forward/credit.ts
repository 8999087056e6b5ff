// The minimum rate of a client: how long its next bytes may still take.

/** The rates of one direction. */
export interface RateRules {
  /** Bytes per second; 0: any rate is enough. */
  readonly rate: number;
  /** Seconds for which a client is waited for before any rate is asked of it. */
  readonly grace: number;
}

/**
 * Only time in which the client is waited for is spent: an upstream that is slow costs it nothing. A byte earns 1 / rate seconds, and
 * `most` is what can be saved up, so that fast bytes at the beginning do not pay for hours of silence.
 */
export class Credit {
  readonly #rate: number;
  readonly #most: number;
  /** Seconds. */
  #left: number;
  /** Milliseconds on the monotonic clock; undefined: it is not waited for. */
  #since: number | undefined;

  /** @param rate bytes per second @param grace seconds at the beginning @param most seconds that can be saved up */
  constructor(rate: number, grace: number, most = grace) {
    this.#rate = rate;
    this.#left = grace;
    this.#most = most;
  }

  /** Seconds for which the client may still be waited for; infinite while it is not. */
  get left(): number {
    return this.#since === undefined ? Number.POSITIVE_INFINITY : this.#left - this.#waited();
  }

  /** The client is waited for from now on. */
  wait(): void {
    this.#since ??= performance.now();
  }

  /** It is not, until `wait`. */
  stop(): void {
    this.#left -= this.#waited();
    this.#since = undefined;
  }

  earn(bytes: number): void {
    const waited = this.#waited();
    if (this.#since !== undefined) this.#since = performance.now();
    this.#left = Math.min(this.#most, this.#left - waited + bytes / this.#rate);
  }

  #waited(): number {
    return this.#since === undefined ? 0 : (performance.now() - this.#since) / 1000;
  }
}
