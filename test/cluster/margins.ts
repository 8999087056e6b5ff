// The times for which rules lead to pods that end, and Services without a target.

/** Where rules lead. */
export interface Target {
  readonly address: string;
  readonly port: number;
  readonly hostname: string | undefined;
}

export class Margins {
  readonly #ends = new Map<string, number>();
  #led: ReadonlyMap<string, readonly Target[]> = new Map();
  /** Milliseconds from the order that a pod ends until no rule led to it. */
  readonly lasted: number[] = [];
  /** Ports of Services that lost their last target, and when. */
  readonly emptied: string[] = [];

  /** A pod was told to end. */
  end(address: string): void {
    this.#ends.set(address, Date.now());
  }

  /** Rules are in force. @param led targets by port of a Service */
  lead(led: ReadonlyMap<string, readonly Target[]>): void {
    const now = new Set([...led.values()].flat().map(({ address }) => address));
    for (const { address } of [...this.#led.values()].flat()) {
      const since = this.#ends.get(address);
      if (now.has(address) || since === undefined) continue;
      this.lasted.push(Date.now() - since);
      this.#ends.delete(address);
    }
    for (const [port, { length }] of this.#led)
      if (length > 0 && led.get(port)?.length === 0)
        this.emptied.push(`${new Date().toISOString().slice(11, 23)} ${port}`);
    this.#led = led;
  }
}
