// The memory of one worker for collected bodies, shared fairly between clients.

import { Shares } from '../upstream/shares.ts';

/** Bytes. */
const ROOM = 16 * 1024 * 1024;

/** One client may hold as much as remains free, which is half of it where it is alone. */
const WEIGHT = 1;

/** Counts bytes that somebody else holds. Where there is no room nothing is refused: a body then goes on as it comes. */
export class BodyMemory {
  readonly #shares = new Shares(WEIGHT);
  #free: number;

  /** @param room bytes */
  constructor(room = ROOM) {
    this.#free = room;
  }

  /** @returns whether there is room; if so it is the client's until `give` */
  take(client: string, bytes: number): boolean {
    if (!this.#shares.allows(client, bytes, this.#free)) return false;
    this.#free -= bytes;
    this.#shares.take(client, bytes);
    return true;
  }

  give(client: string, bytes: number): void {
    if (bytes === 0) return;
    this.#free += bytes;
    this.#shares.give(client, bytes);
  }
}
