// Collection of a body before its request takes a connection.

import type { BodyMemory } from './body-memory.ts';

/** Milliseconds for which a body is collected whose length was not announced. */
const UNANNOUNCED = 1000;
/** Bytes that a piece of a body costs besides its own. */
const PER_PIECE = 256;

export interface Collector {
  readonly client: string;
  /** No more is waited for. */
  collected(): void;
}

/** Counts the memory, and the time where that is limited; the bytes themselves are held by the upload. */
export class Collection {
  readonly #collector: Collector;
  readonly #memory: BodyMemory;
  readonly #timer: NodeJS.Timeout | undefined;
  #held = 0;

  constructor(collector: Collector, memory: BodyMemory, isAnnounced: boolean) {
    this.#collector = collector;
    this.#memory = memory;
    this.#timer = isAnnounced ? undefined : setTimeout(collected, UNANNOUNCED, collector);
  }

  /** @returns whether there is memory for a piece of so many bytes */
  add(bytes: number): boolean {
    const cost = bytes + PER_PIECE;
    if (!this.#memory.take(this.#collector.client, cost)) return false;
    this.#held += cost;
    return true;
  }

  /** The bytes are on their way, or not wanted any more. */
  end(): void {
    clearTimeout(this.#timer);
    this.#memory.give(this.#collector.client, this.#held);
    this.#held = 0;
  }
}

function collected(collector: Collector): void {
  collector.collected();
}
