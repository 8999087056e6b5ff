// What was sent of a body, kept until the upstream answers, so that a request which it did not process can be sent again.

/** Bytes that are kept of one body, and of all bodies of a thread. */
const MOST = 256 * 1024;
const MOST_OF_ALL = 16 * 1024 * 1024;
/** Bytes that a piece costs besides its own: a body in pieces of one byte is no way to make us keep more. */
const PER_PIECE = 256;

let ofAll = 0;

/** The pieces of one body, all of them or none: one that grows too large, or comes when others hold all there is, is not kept. */
export class KeptPieces {
  #pieces: Buffer[] | undefined = [];
  #cost = 0;

  /** Whether all that was added is there. */
  get complete(): boolean {
    return this.#pieces !== undefined;
  }

  add(piece: Buffer): void {
    if (this.#pieces === undefined) return;
    const cost = piece.length + PER_PIECE;
    if (this.#cost + cost > MOST || ofAll + cost > MOST_OF_ALL) return this.drop();
    this.#pieces.push(piece);
    this.#cost += cost;
    ofAll += cost;
  }

  /** A copy of the list. */
  pieces(): Buffer[] {
    return this.#pieces?.slice() ?? [];
  }

  drop(): void {
    ofAll -= this.#cost;
    this.#cost = 0;
    this.#pieces = undefined;
  }
}
