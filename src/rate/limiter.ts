// The counts of rate limits, shared by all threads of a process.

import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Quota } from './quota.ts';
import type { RateLimit } from './limit.ts';

/** Senders that are counted at once; those whose rest is over take no place. */
const SENDERS = 2 ** 18;
/** A sender has its place in one bucket of these. */
const BUCKET = 64;
const BUCKETS = SENDERS / BUCKET;
/** Per thread: a fingerprint costs an HMAC. */
const CACHED_FINGERPRINTS = 10_000;
const CACHED_KEY_LENGTH = 512;

/** What the threads of a process share; plain data, to be handed to each of them. */
export interface RateMemory {
  /** Seconds since the epoch from which times are counted. */
  readonly since: number;
  /** Random per process, so that nobody can search for a key that is counted with another one's. */
  readonly secret: Uint8Array;
  readonly tags: SharedArrayBuffer;
  readonly times: SharedArrayBuffer;
}

/** Made once, before any thread serves; 3 MiB, of which pages that are not used take no memory. */
export function createRateMemory(since: number): RateMemory {
  return {
    since,
    secret: new Uint8Array(randomBytes(32)),
    tags: new SharedArrayBuffer(SENDERS * Int32Array.BYTES_PER_ELEMENT),
    times: new SharedArrayBuffer(SENDERS * Float64Array.BYTES_PER_ELEMENT),
  };
}

/** `unavailable`: where it is counted, nothing answers. */
export type Counted = Taken | 'unavailable';

/** One request, counted or refused. */
export interface Taken {
  readonly quota: Quota;
  /** Seconds; undefined: the request was counted and may pass. A refused one is not counted. */
  readonly retryAfter: number | undefined;
}

export interface RateLimiter {
  /**
   * Counts a request if its sender has any left.
   * @param key whom the limit counts (rateKey)
   * @param now seconds since the epoch
   */
  take(limit: RateLimit, key: string, now: number): Counted | Promise<Counted>;
  /** Uncounts a request that was counted a moment ago and did not pass after all. */
  giveBack(limit: RateLimit, key: string, now: number): void;
}

interface Fingerprint {
  readonly tag: number;
  readonly bucket: number;
}

/**
 * GCRA: of each sender the time until which its requests so far take up the rate; one that would reach further than `burst` requests
 * into the future is refused. Never refused because of others, unless all places of its bucket are taken by senders
 * who are not rested: then a new one is refused until the first of them is (decision 23).
 */
export class SharedRateLimiter implements RateLimiter {
  readonly #since: number;
  readonly #secret: KeyObject;
  readonly #tags: Int32Array;
  readonly #times: BigInt64Array;
  readonly #fingerprints = new LRUCache<string, Fingerprint>({ max: CACHED_FINGERPRINTS });
  /** The same eight bytes as a number and as what Atomics can exchange. */
  readonly #number = new Float64Array(1);
  readonly #bits = new BigInt64Array(this.#number.buffer);

  constructor({ since, secret, tags, times }: RateMemory) {
    this.#since = since;
    this.#secret = createSecretKey(secret);
    this.#tags = new Int32Array(tags);
    this.#times = new BigInt64Array(times);
  }

  take(limit: RateLimit, key: string, now: number): Taken {
    const { interval, burst } = limit;
    const present = now - this.#since;
    const reach = interval * burst;
    const slot = this.#slotOf(this.#fingerprintOf(limit.name, key), present);
    if (typeof slot !== 'number') return refused(limit, reach, Math.min(slot.freeAfter, reach));
    for (;;) {
      const before = Atomics.load(this.#times, slot);
      const busyUntil = Math.max(this.#toNumber(before), present);
      // So far ahead is no time, but after the clock stepped back or the limit was made smaller: as if all were used up.
      if (busyUntil > present + reach + interval) {
        Atomics.compareExchange(this.#times, slot, before, this.#toBits(present + reach));
        continue;
      }
      const after = busyUntil + interval;
      const ahead = after - present;
      // Half a request is what adding up may err; it is not given away, for the time itself keeps the sum.
      if (ahead > reach + interval / 2) return refused(limit, busyUntil - present, ahead - reach);
      if (Atomics.compareExchange(this.#times, slot, before, this.#toBits(after)) === before) {
        return passed(limit, ahead);
      }
    }
  }

  giveBack(limit: RateLimit, key: string, now: number): void {
    const { tag, bucket } = this.#fingerprintOf(limit.name, key);
    const slot = this.#find(tag, bucket);
    if (slot === undefined) return;
    for (;;) {
      const before = Atomics.load(this.#times, slot);
      const busyUntil = this.#toNumber(before);
      if (busyUntil <= now - this.#since) return;
      const after = this.#toBits(busyUntil - limit.interval);
      if (Atomics.compareExchange(this.#times, slot, before, after) === before) return;
    }
  }

  /** The place of a sender, now its own; or, if there is none, how soon one will be. */
  #slotOf({ tag, bucket }: Fingerprint, present: number): number | { readonly freeAfter: number } {
    for (;;) {
      const known = this.#find(tag, bucket);
      if (known !== undefined) return known;
      let rested: number | undefined;
      let freeAfter = Infinity;
      for (let slot = bucket; rested === undefined && slot < bucket + BUCKET; slot++) {
        const left = this.#toNumber(Atomics.load(this.#times, slot)) - present;
        if (left <= 0) rested = slot;
        freeAfter = Math.min(freeAfter, left);
      }
      if (rested === undefined) return { freeAfter };
      const other = Atomics.load(this.#tags, rested);
      Atomics.compareExchange(this.#tags, rested, other, tag);
      // Another thread may have taken it, or given this sender another place: the first place counts for all.
    }
  }

  #find(tag: number, bucket: number): number | undefined {
    for (let slot = bucket; slot < bucket + BUCKET; slot++) if (this.#tags[slot] === tag) return slot;
    return undefined;
  }

  #fingerprintOf(limit: string, key: string): Fingerprint {
    const text = `${limit} ${key}`;
    const known = this.#fingerprints.get(text);
    if (known !== undefined) return known;
    const mac = createHmac('sha256', this.#secret).update(text).digest();
    const fingerprint = { tag: mac.readInt32LE(0), bucket: (mac.readUInt32LE(4) % BUCKETS) * BUCKET };
    if (text.length <= CACHED_KEY_LENGTH) this.#fingerprints.set(text, fingerprint);
    return fingerprint;
  }

  #toNumber(bits: bigint): number {
    this.#bits[0] = bits;
    return this.#number[0] ?? 0;
  }

  #toBits(number: number): bigint {
    this.#number[0] = number;
    return this.#bits[0] ?? 0n;
  }
}

/** A request that was counted. @param ahead seconds until the sender is rested */
export function passed(limit: RateLimit, ahead: number): Taken {
  const { interval, burst } = limit;
  const remaining = Math.max(0, Math.floor(burst - ahead / interval + 0.5));
  return { quota: quotaOf(limit, remaining, ahead), retryAfter: undefined };
}

/** One that was not. @param resetAfter seconds until the sender is rested */
export function refused(limit: RateLimit, resetAfter: number, retryAfter: number): Taken {
  return { quota: quotaOf(limit, 0, resetAfter), retryAfter };
}

function quotaOf({ name, quota, window }: RateLimit, remaining: number, resetAfter: number): Quota {
  return { name, quota, window, remaining, resetAfter };
}
