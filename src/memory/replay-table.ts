// The lock-free table under the process replay store.

/** 128 bits; whoever makes it sees to it that nobody can choose them. */
export type Fingerprint = readonly [tag: number, where: number, from: number, rest: number];

/** Slots per proof of capacity where there are several buckets, so that hardly ever one of them is full before the whole (decision 22). */
const ROOM = 1.19;
/** The header of a bucket has ten bits for a slot, and 0 is no slot. */
const MOST_SLOTS = 1023;
const SLOT = 1023;
const NO_SLOT = 0;
/** What one more commit adds to a header. */
const COMMIT = 1024;

/** Words of a slot: four of the fingerprint and `meta`, its state and the second of its expiry. */
const SLOT_WORDS = 5;
/** Words in front of the buckets: a cache line of its own for `forgotten`. */
const HEAD_WORDS = 16;
const FORGOTTEN = 0;

/** States, the two high bits of `meta`. */
const STATE = 3 << 30;
const FREE = 0;
/** Its thread is writing the words. */
const CLAIMED = 1 << 30;
/** Complete; it counts if the header names it, and otherwise only its own thread cares. */
const PENDING = 2 << 30;
const LIVE = 3 << 30;
/** The other 30 bits: seconds modulo 2^30, read as the one nearest to now. */
const SECOND = ~STATE;
const HORIZON = 2 ** 29;

interface Shape {
  readonly buckets: number;
  /** Slots of each bucket. */
  readonly slots: number;
}

/** A table small enough for one bucket holds exactly `capacity`; a larger one at least that, and a little more. */
function shapeOf(capacity: number): Shape {
  if (capacity <= MOST_SLOTS) return { buckets: 1, slots: capacity };
  const slots = Math.floor(capacity * ROOM);
  const buckets = Math.ceil(slots / MOST_SLOTS);
  return { buckets, slots: Math.floor(slots / buckets) };
}

/** @returns zeroed memory for a table; at most 24 bytes per proof of capacity from a few hundred on */
export function allocateReplayTable(capacity: number): SharedArrayBuffer {
  const { buckets, slots } = shapeOf(capacity);
  return new SharedArrayBuffer((HEAD_WORDS + buckets * (1 + slots * SLOT_WORDS)) * Int32Array.BYTES_PER_ELEMENT);
}

/**
 * A set of fingerprints with expiries. Each thread has one of these over the same memory. The protocol and why it is right: decision 22.
 *
 * A bucket is a header and its slots: header, then all first words (tags), all second words, …, all metas. Slots count from 1.
 * The header is a count of commits and the slot committed last. Putting a slot there is the one step that makes an entry count.
 */
export class ReplayTable {
  readonly #words: Int32Array;
  readonly #buckets: number;
  readonly #slots: number;

  constructor(memory: SharedArrayBuffer, capacity: number) {
    this.#words = new Int32Array(memory);
    const { buckets, slots } = shapeOf(capacity);
    this.#buckets = buckets;
    this.#slots = slots;
  }

  /**
   * Inserts if absent. For one key and one `second` there is at most one `fresh`, ever, whatever the clocks of the threads do.
   * @param second whole second through which the entry lives
   * @param tick the present, seconds rounded up
   */
  insert(key: Fingerprint, second: number, tick: number): 'fresh' | 'replayed' | 'full' {
    // What has expired by the caller's own clock nobody remembers; NaN ends here too.
    if (!(second >= tick && second - tick < HORIZON)) return 'replayed';
    if (second <= this.#forgottenUntil()) return 'replayed';
    const bucket = this.#bucketOf(key);
    let own = NO_SLOT;
    for (;;) {
      const header = Atomics.load(this.#words, bucket);
      this.#settle(bucket, header);
      // Committed by another thread and expired before it was claimed: the header must not name a slot that is being written.
      if (own !== NO_SLOT && own === (header & SLOT)) own = this.#release(bucket, own);
      if (this.#has(bucket, key, tick)) {
        if (own !== NO_SLOT) this.#release(bucket, own);
        return 'replayed';
      }
      if (own === NO_SLOT) {
        own = this.#claim(bucket, key, header & SLOT, tick);
        if (own === NO_SLOT) {
          if (this.#retire(bucket, header, tick)) continue;
          return 'full';
        }
        if (Atomics.load(this.#words, bucket) !== header) continue;
      }
      this.#write(bucket, own, key, second);
      const committed = ((header & ~SLOT) + COMMIT) | own;
      if (Atomics.compareExchange(this.#words, bucket, header, committed) !== header) continue;
      this.#settle(bucket, committed);
      // Last, so that it covers whatever was overwritten during the search.
      return second <= this.#forgottenUntil() ? 'replayed' : 'fresh';
    }
  }

  /** Entries alive at `tick`; looks at every slot. */
  count(tick: number): number {
    let count = 0;
    for (let nth = 0; nth < this.#buckets; nth++) {
      const first = this.#metaOf(this.#startOf(nth), 1);
      for (let at = first; at < first + this.#slots; at++) {
        const meta = this.#words[at] ?? FREE;
        if ((meta & STATE) === LIVE && !hasExpired(meta, tick | 0)) count += 1;
      }
    }
    return count;
  }

  #startOf(nth: number): number {
    return HEAD_WORDS + nth * (1 + this.#slots * SLOT_WORDS);
  }

  #bucketOf(key: Fingerprint): number {
    return this.#startOf(Math.floor(((key[1] >>> 0) / 2 ** 32) * this.#buckets));
  }

  #metaOf(bucket: number, slot: number): number {
    return bucket + slot + 4 * this.#slots;
  }

  /** Entries that expire at this second or before may have been overwritten: expiries up to it count as used. */
  #forgottenUntil(): number {
    return Atomics.load(this.#words, FORGOTTEN) >>> 0;
  }

  #forget(second: number): void {
    let seen = Atomics.load(this.#words, FORGOTTEN);
    while (seen >>> 0 < second) {
      const found = Atomics.compareExchange(this.#words, FORGOTTEN, seen, second | 0);
      if (found === seen) return;
      seen = found;
    }
  }

  /** Makes the entry that the header names LIVE, whoever committed it and whether that thread still runs. */
  #settle(bucket: number, header: number): void {
    const slot = header & SLOT;
    if (slot === NO_SLOT) return;
    const at = this.#metaOf(bucket, slot);
    const meta = Atomics.load(this.#words, at);
    if ((meta & STATE) !== PENDING || Atomics.load(this.#words, bucket) !== header) return;
    Atomics.compareExchange(this.#words, at, meta, meta | LIVE);
  }

  /** Plain reads: every entry committed before the header was read is seen, or has been overwritten after #forget. */
  #has(bucket: number, key: Fingerprint, tick: number): boolean {
    const words = this.#words;
    const tag = key[0];
    const end = bucket + this.#slots;
    for (let at = bucket + 1; at <= end; at++) {
      if (words[at] === tag && this.#isEntry(bucket, at - bucket, key, tick)) return true;
    }
    return false;
  }

  #isEntry(bucket: number, slot: number, key: Fingerprint, tick: number): boolean {
    const at = this.#metaOf(bucket, slot);
    const meta = Atomics.load(this.#words, at);
    if ((meta & STATE) !== LIVE || hasExpired(meta, tick | 0)) return false;
    let place = bucket + slot;
    for (const word of key) {
      if (Atomics.load(this.#words, place) !== word) return false;
      place += this.#slots;
    }
    // The words belong together if nobody took the slot meanwhile: a new entry in it would have a later expiry.
    return Atomics.load(this.#words, at) === meta;
  }

  /** Takes a free slot or one with an expired entry; never `last`, so that the header names no slot that is being written. */
  #claim(bucket: number, key: Fingerprint, last: number, tick: number): number {
    const first = this.#metaOf(bucket, 1);
    const end = first + this.#slots;
    let at = first + ((key[2] >>> 0) % this.#slots);
    for (let left = this.#slots; left > 0; left--) {
      const meta = this.#words[at] ?? CLAIMED;
      const slot = 1 + at - first;
      if (isAvailable(meta, tick | 0) && slot !== last) {
        if (meta !== FREE) this.#forget(tick + secondsLeft(meta, tick | 0));
        if (Atomics.compareExchange(this.#words, at, meta, CLAIMED) === meta) return slot;
      }
      at = at + 1 === end ? first : at + 1;
    }
    return NO_SLOT;
  }

  /** Where nothing is available but the expired slot that the header names: its name is taken out. */
  #retire(bucket: number, header: number, tick: number): boolean {
    const slot = header & SLOT;
    if (slot === NO_SLOT || !isAvailable(Atomics.load(this.#words, this.#metaOf(bucket, slot)), tick | 0)) return false;
    Atomics.compareExchange(this.#words, bucket, header, header & ~SLOT);
    return true;
  }

  #write(bucket: number, slot: number, key: Fingerprint, second: number): void {
    let place = bucket + slot;
    for (const word of key) {
      Atomics.store(this.#words, place, word);
      place += this.#slots;
    }
    Atomics.store(this.#words, this.#metaOf(bucket, slot), PENDING | (second & SECOND));
  }

  #release(bucket: number, slot: number): typeof NO_SLOT {
    Atomics.store(this.#words, this.#metaOf(bucket, slot), FREE);
    return NO_SLOT;
  }
}

/** @param tick 32 bits of it: V8 keeps them out of floating point */
function isAvailable(meta: number, tick: number): boolean {
  return meta === FREE || ((meta & STATE) === LIVE && hasExpired(meta, tick));
}

function hasExpired(meta: number, tick: number): boolean {
  return secondsLeft(meta, tick) < 0;
}

/** The difference modulo 2^30, as a number from -2^29 to 2^29 - 1; the shifts drop the state. */
function secondsLeft(meta: number, tick: number): number {
  return ((meta - tick) << 2) >> 2;
}
