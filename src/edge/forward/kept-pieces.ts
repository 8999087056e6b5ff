// Sent pieces of a body, kept until the upstream answers, for a retry.

import { BodyMemory } from './body-memory.ts';

/** Bytes that are kept of one body, and of all bodies of a thread. */
const MOST = 256 * 1024;
const MOST_OF_ALL = 16 * 1024 * 1024;
/** Bytes that a piece costs besides its own: a body in pieces of one byte is no way to make us keep more. */
const PER_PIECE = 256;

const retained = new BodyMemory(MOST_OF_ALL);

/**
 * The pieces of one body, all of them or none: one that grows too large, or for which its client has no more room (decision 59), is not
 * kept.
 */
export class KeptPieces {
  readonly #client: string;
  #pieces: Buffer[] | undefined = [];
  #cost = 0;

  readonly #memory: BodyMemory;

  /** @param client whose share of the memory it takes @param memory another one than that for retries */
  constructor(client: string, memory = retained) {
    this.#client = client;
    this.#memory = memory;
  }

  /** Whether all that was added is there. */
  get complete(): boolean {
    return this.#pieces !== undefined;
  }

  add(piece: Buffer): void {
    if (this.#pieces === undefined) return;
    const cost = piece.length + PER_PIECE;
    if (this.#cost + cost > MOST || !this.#memory.take(this.#client, cost)) return this.drop();
    this.#pieces.push(piece);
    this.#cost += cost;
  }

  /** A copy of the list. */
  pieces(): Buffer[] {
    return this.#pieces?.slice() ?? [];
  }

  drop(): void {
    this.#memory.give(this.#client, this.#cost);
    this.#cost = 0;
    this.#pieces = undefined;
  }
}
