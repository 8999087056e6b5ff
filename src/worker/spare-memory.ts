// The return of memory to the system after a start and after waves of connections.

import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Milliseconds between two looks at whether a thread is at rest, and the share of them that it may have been busy. */
const LOOK = 1000;
const BUSY = 0.1;

/**
 * Collects the garbage of a start once this thread is at rest: neither the first answer nor later ones wait for it.
 * @param busy share of the time since the last call in which the thread was busy, 0 to 1
 */
export function spareAtRest(collect: () => void = spareMemory, busy = busySinceLast()): void {
  const looks = setInterval(() => {
    if (busy() > BUSY) return;
    clearInterval(looks);
    collect();
  }, LOOK).unref();
}

function busySinceLast(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}

/**
 * Collects the garbage of this thread as V8 does when memory runs out, which also shrinks its heap. Takes some 50 ms in which
 * nothing else runs, so it is for a thread at rest and for the end of a wave. Saves 18 MiB of 111 with one worker.
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
