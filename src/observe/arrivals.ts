// The number of connections that have come, in memory that all threads share.

/** Shared memory for `Arrivals`. */
export function createArrivalsMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
}

/** Counts connections over which requests may come. NOT checked: who connects, and whether a request follows. */
export class Arrivals {
  readonly #number: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#number = new Int32Array(memory);
  }

  add(): void {
    Atomics.add(this.#number, 0, 1);
  }

  /** To be compared with an earlier one: it begins again after 2³² connections. */
  get count(): number {
    return Atomics.load(this.#number, 0);
  }
}
