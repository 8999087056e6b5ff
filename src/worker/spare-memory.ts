// The return of memory to the system after a start and after waves of connections.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Collects the garbage of this thread as V8 does when memory runs out, which also shrinks its heap. Takes some 50 ms in which
 * nothing else runs, so it is for the end of a start and of a wave. Saves 20 MiB of 135 with one worker (docs/decisions/0055).
 */
export function spareMemory(): void {
  setFlagsFromString('--expose-gc');
  // Contexts that are made after the flag have the function.
  const collect = runInNewContext('gc') as NodeJS.GCFunction;
  collect({ type: 'major', flavor: 'last-resort' });
}

/** The same, and what the C library has kept of memory that was freed, by all threads (decision 76). */
export async function giveBackMemory(): Promise<void> {
  spareMemory();
  (await loadTrim())?.(0n);
}

let trim: Promise<((pad: bigint) => unknown) | undefined> | undefined;

function loadTrim(): typeof trim {
  trim ??= import('node:ffi')
    .then(
      ({ dlopen }) => dlopen('libc.so.6', { malloc_trim: { return: 'i32', arguments: ['u64'] } }).functions.malloc_trim,
    )
    // Another version of Node, or another C library: it keeps what it has.
    .catch(() => undefined);
  return trim;
}

/** Connections of a wave that are worth a collection: some 30 MiB. */
const WORTH = 500;

/** Notices the end of a wave of connections. */
export class Ebb {
  #highest = 0;
  /** The last look met the ebb, perhaps in its middle. */
  #met = false;

  /**
   * @param peak most connections since the last call
   * @returns whether at least half of the most since the last ebb have ended, and enough to be worth it; or, once after that, more
   */
  hasCome(open: number, peak: number): boolean {
    this.#highest = Math.max(this.#highest, open, peak);
    const ended = this.#highest - open;
    const come = ended >= WORTH && open <= this.#highest / 2;
    const rest = this.#met && ended > 0;
    this.#met = come;
    if (come || rest) this.#highest = open;
    return come || rest;
  }
}
