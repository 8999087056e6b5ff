// Counts of the last hour, minute by minute, in a ring of fixed size.

const MINUTES = 60;

/** Several counters per minute. A minute that comes round again begins at zero. */
export class Minutes {
  readonly #width: number;
  readonly #counts: Uint32Array;
  /** Which minute each row is about, since the epoch. */
  readonly #about = new Float64Array(MINUTES);

  /** @param width counters of one minute */
  constructor(width: number) {
    this.#width = width;
    this.#counts = new Uint32Array(MINUTES * width);
  }

  /** @param now seconds since the epoch */
  add(counter: number, now: number): void {
    const minute = Math.floor(now / 60);
    const row = minute % MINUTES;
    const start = row * this.#width;
    if (this.#about[row] !== minute) {
      this.#counts.fill(0, start, start + this.#width);
      this.#about[row] = minute;
    }
    const at = start + counter;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  /** Counters of the last minutes, the newest last; of minutes in which nothing happened, zeros. */
  last(minutes: number, now: number): number[][] {
    const newest = Math.floor(now / 60);
    return Array.from({ length: minutes }, (_, index) => {
      const minute = newest - minutes + 1 + index;
      const row = minute % MINUTES;
      const known = minute >= 0 && this.#about[row] === minute;
      return known ? [...this.#counts.subarray(row * this.#width, (row + 1) * this.#width)] : this.#nothing();
    });
  }

  #nothing(): number[] {
    return Array.from({ length: this.#width }, () => 0);
  }
}
