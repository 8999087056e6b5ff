// What was sent of a body, kept until the upstream answers, so that a request which it did not process can be sent again.

import type { BodyMemory } from './body-memory.ts';

/** Bytes that are kept of one body. */
const MOST = 256 * 1024;
/** Bytes that a piece costs besides its own: a body in pieces of one byte is no way to make us keep more. */
const PER_PIECE = 256;

/** In whose share of which memory. */
export interface Keeping {
  readonly memory: BodyMemory;
  readonly client: string;
}

/** The pieces of one body, all of them or none: one that grows too large, or for which there is no memory, is not kept. */
export class KeptPieces {
  readonly #keeping: Keeping;
  #pieces: Buffer[] | undefined = [];
  #cost = 0;

  constructor(keeping: Keeping) {
    this.#keeping = keeping;
  }

  /** Whether all that was added is there. */
  get complete(): boolean {
    return this.#pieces !== undefined;
  }

  add(piece: Buffer): void {
    if (this.#pieces === undefined) return;
    const cost = piece.length + PER_PIECE;
    const { memory, client } = this.#keeping;
    if (this.#cost + cost > MOST || !memory.take(client, cost)) return this.drop();
    this.#pieces.push(piece);
    this.#cost += cost;
  }

  /** A copy of the list. */
  pieces(): Buffer[] {
    return this.#pieces?.slice() ?? [];
  }

  drop(): void {
    this.#keeping.memory.give(this.#keeping.client, this.#cost);
    this.#cost = 0;
    this.#pieces = undefined;
  }
}
