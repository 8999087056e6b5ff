// The process replay store: one table in memory that all threads of a process share.

import { hash, randomBytes } from 'node:crypto';
import type { Coverage, Remembered, ReplayStore } from '../proof/replay-store.ts';
import { allocateReplayTable, type Fingerprint, ReplayTable } from './replay-table.ts';

/** What the threads of a process share; plain data, to be handed to each of them. */
export interface ReplayMemory {
  /** Proofs that it holds at least. */
  readonly capacity: number;
  /** Seconds since the epoch from which on every use is remembered. */
  readonly since: number;
  /** Random per process, so that nobody can search for two proofs that share 128 bits. */
  readonly secret: Uint8Array;
  readonly table: SharedArrayBuffer;
}

/**
 * Made once, before any thread serves. Live entries are never evicted.
 * @param capacity live entries
 * @param since start of the process, seconds since the epoch
 */
export function createReplayMemory({ capacity, since }: Pick<ReplayMemory, 'capacity' | 'since'>): ReplayMemory {
  return { capacity, since, secret: new Uint8Array(randomBytes(32)), table: allocateReplayTable(capacity) };
}

/**
 * Remembers proofs until they expire, together with every other store over the same memory. What was forgotten can never be
 * fresh again, even when a clock steps back: expiries up to the last one overwritten count as used.
 */
export class ProcessReplayStore implements ReplayStore {
  readonly coverage: Coverage;
  readonly #secret: string;
  readonly #table: ReplayTable;
  readonly #now: () => number;

  /** @param now seconds since the epoch, for `entries` alone */
  constructor({ capacity, since, secret, table }: ReplayMemory, now: () => number = () => Date.now() / 1000) {
    this.coverage = { since };
    this.#secret = Buffer.from(secret).toString('hex');
    this.#table = new ReplayTable(table, capacity);
    this.#now = now;
  }

  /** Counted when asked: about 2 ns per entry of capacity. */
  get entries(): number {
    return this.#table.count(Math.ceil(this.#now()));
  }

  remember(jkt: string, jti: string, expiresAt: number, now: number): Remembered {
    // An entry lives through the second of its expiry.
    return this.#table.insert(this.#fingerprintOf(jkt, jti), Math.ceil(expiresAt), Math.ceil(now));
  }

  /**
   * The length keeps (jkt, jti) apart from every other pair that concatenates to the same text. One call of a hash that begins with
   * the secret: half of it is kept, and nobody sees it, so that nothing can be appended to what was hashed as with a whole one.
   */
  #fingerprintOf(jkt: string, jti: string): Fingerprint {
    const digest = hash('sha256', `${this.#secret}${jkt.length}:${jkt}${jti}`, 'buffer');
    return [digest.readInt32LE(0), digest.readInt32LE(4), digest.readInt32LE(8), digest.readInt32LE(12)];
  }
}
