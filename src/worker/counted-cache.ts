// A cache that counts how often it has what is looked for.

import { LRUCache } from 'lru-cache';
import type { CacheLookups } from '../observe/metrics.ts';

/** Counts of caches that follow one another, as policies do. */
export interface CountedLookups extends CacheLookups {
  hits: number;
  misses: number;
}

export class CountedCache<Key extends {}, Value extends {}> extends LRUCache<Key, Value> {
  readonly #lookups: CountedLookups;

  /** @param lookups is counted up */
  constructor(max: number, lookups: CountedLookups) {
    super({ max });
    this.#lookups = lookups;
  }

  override get(...asked: Parameters<LRUCache<Key, Value>['get']>): Value | undefined {
    const found = super.get(...asked);
    if (found === undefined) this.#lookups.misses += 1;
    else this.#lookups.hits += 1;
    return found;
  }
}
