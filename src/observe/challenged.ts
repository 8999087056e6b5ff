// Tokens that were challenged for a nonce, in a small table that all threads share.

/** Each takes 4 bytes. */
const SLOTS = 16_384;
/** The low bits of a slot count challenges that were not met yet; the others tell tokens apart. */
const COUNT = 0xf_ff;
/** Characters at the end of a token: of its signature, which is as good as random. */
const TAIL = 24;

/** Shared memory for `Challenged`. */
export function createChallengedMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(SLOTS * Int32Array.BYTES_PER_ELEMENT);
}

/**
 * Tells challenges that were met from those that were not, for a metric and nothing else. Bounded: a slot goes to the token that was
 * challenged last, and only tokens that were verified are challenged. Two threads that write at once may lose a count; so may
 * tokens that share a slot. What is lost is a recovery that is not counted, never one that did not happen, but for one in a million.
 */
export class Challenged {
  readonly #slots: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#slots = new Int32Array(memory);
  }

  /** @param credentials the Authorization field of a request that was challenged */
  add(credentials: string): void {
    const { at, tag } = placeOf(credentials);
    const now = Atomics.load(this.#slots, at);
    const count = (now & ~COUNT) === tag ? now & COUNT : 0;
    Atomics.compareExchange(this.#slots, at, now, tag | Math.min(count + 1, COUNT));
  }

  /** The same credentials came with a good nonce. @returns whether a challenge was open, which is one fewer now */
  met(credentials: string): boolean {
    const { at, tag } = placeOf(credentials);
    const now = Atomics.load(this.#slots, at);
    if ((now & ~COUNT) !== tag || (now & COUNT) === 0) return false;
    return Atomics.compareExchange(this.#slots, at, now, now - 1) === now;
  }
}

function placeOf(credentials: string): { readonly at: number; readonly tag: number } {
  let [one, other] = [0x811c_9dc5, 0];
  for (let index = Math.max(0, credentials.length - TAIL); index < credentials.length; index += 1) {
    const code = credentials.charCodeAt(index);
    one = Math.imul(one ^ code, 0x0100_0193);
    other = Math.imul(other + code, 0x85eb_ca6b) ^ (other >>> 13);
  }
  return { at: (one >>> 0) % SLOTS, tag: other & ~COUNT };
}
