// Fair shares of a resource: what each client holds, and whether it may have more.

/**
 * One that holds nothing takes whatever is free. One that holds some may hold `weight` times as much as remains free, and never the
 * last of it: k that want everything leave 1 / (1 + k × weight) of it to others, without a limit that somebody has to choose, and
 * nothing lies idle that is asked for by many. Bounded by what is held: one that holds nothing takes no memory (decision 59).
 */
export class Shares {
  readonly #weight: number;
  readonly #held = new Map<string, number>();

  constructor(weight: number) {
    this.#weight = weight;
  }

  /** @param free how much there is left for all */
  allows(who: string, amount: number, free: number): boolean {
    const held = this.#held.get(who);
    if (held === undefined) return amount <= free;
    return amount < free && held + amount <= this.#weight * free;
  }

  take(who: string, amount: number): void {
    this.#held.set(who, (this.#held.get(who) ?? 0) + amount);
  }

  give(who: string, amount: number): void {
    const left = (this.#held.get(who) ?? 0) - amount;
    if (left > 0) this.#held.set(who, left);
    else this.#held.delete(who);
  }
}
