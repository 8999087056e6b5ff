// The limit of stream resets per connection, below what servers tolerate.

/** At once, and per second after that. The strictest defences known take 200 in 30 s (Netty), 33 per second (nghttp2, Node). */
const BURST = 20;
const PER_SECOND = 3;

/**
 * Clients that go away would otherwise have the server cut the connection off under all others (CVE-2023-44487). A request that
 * may not be reset is read to its end, or, if that takes long, reset as the last thing that the connection is used for.
 */
export class ResetBudget {
  #left = BURST;
  #at = performance.now();

  /** @returns whether one more stream may be reset now */
  take(): boolean {
    const now = performance.now();
    this.#left = Math.min(BURST, this.#left + ((now - this.#at) / 1000) * PER_SECOND);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
