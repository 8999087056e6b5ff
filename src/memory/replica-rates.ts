// Rate limits that replicas share: counted in Redis; without it as `when_unavailable` says.

import { hash } from 'node:crypto';
import { type Counted, passed, type RateLimiter, refused } from '../rate/limiter.ts';
import type { RateLimit } from '../rate/limit.ts';
import { giveRateBack, takeRate } from './redis/rates.ts';
import type { RedisReplayStore } from './redis/replay-store.ts';

/** The replica replay store, of which this is another use. */
export type RateStore = Pick<RedisReplayStore, 'ask' | 'fallsBack'>;

/** Counts limits with `shared` in the store, and all others in the process. */
export class ReplicaRateLimiter implements RateLimiter {
  readonly #own: RateLimiter;
  readonly #store: RateStore;

  constructor(own: RateLimiter, store: RateStore) {
    this.#own = own;
    this.#store = store;
  }

  take(limit: RateLimit, key: string, now: number): Counted | Promise<Counted> {
    return limit.shared ? this.#takeShared(limit, key, now) : this.#own.take(limit, key, now);
  }

  giveBack(limit: RateLimit, key: string, now: number): void {
    if (limit.shared) void this.#giveBackShared(limit, key, now);
    else this.#own.giveBack(limit, key, now);
  }

  /** Without the store each process counts for itself, or nothing passes: what proofs do then (docs/scaling.md). */
  async #takeShared(limit: RateLimit, key: string, now: number): Promise<Counted> {
    const { interval, burst } = limit;
    const counting = await this.#store.ask((link, prefix) =>
      takeRate(link, keyOf(prefix, limit, key), interval, burst),
    );
    if (counting === undefined) return this.#store.fallsBack ? await this.#own.take(limit, key, now) : 'unavailable';
    const { passes, ahead } = counting;
    return passes ? passed(limit, ahead) : refused(limit, ahead, ahead - interval * (burst - 1));
  }

  async #giveBackShared(limit: RateLimit, key: string, now: number): Promise<void> {
    const done = await this.#store.ask(async (link, prefix) => {
      await giveRateBack(link, keyOf(prefix, limit, key), limit.interval);
      return true;
    });
    if (done === undefined && this.#store.fallsBack) this.#own.giveBack(limit, key, now);
  }
}

/** Names of limits have no space. What is counted stays with the gateway: Redis sees a hash. */
function keyOf(prefix: string, { name }: RateLimit, key: string): string {
  return `${prefix}rate:${hash('sha256', `${name} ${key}`, 'base64url')}`;
}
