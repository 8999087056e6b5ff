// A thread that remembers proofs as fast as it can, and notes each one that it won.

import { workerData } from 'node:worker_threads';
import { type ReplayMemory, ProcessReplayStore } from '../../src/memory/process-replay-store.ts';

/** What a thread gets as workerData. */
export interface ThreadPlan {
  readonly memory: ReplayMemory;
  /** How often each jti was fresh. */
  readonly wins: Int32Array;
  /** The jti that some thread is at: where a new one begins. */
  readonly place: Int32Array;
  /** How many threads are at the start. */
  readonly ready: Int32Array;
  /** Calls that were answered, and those that were answered `full`. */
  readonly answered: Int32Array;
  readonly full: Int32Array;
  readonly threads: number;
  /** Seconds; each thread's clock starts there and runs by the number of its calls. */
  readonly start: number;
  readonly perSecond: number;
  readonly lasts: number;
  /** How many jti back from its own place a thread asks again. */
  readonly again: number;
}

const { memory, wins, place, ready, answered, full, threads, start, perSecond, lasts, again } =
  workerData as ThreadPlan;
const store = new ProcessReplayStore(memory);
const second = (jti: number) => start + Math.floor(jti / perSecond);
const from = Atomics.load(place, 0);

// All at once.
if (Atomics.add(ready, 0, 1) === threads - 1) Atomics.notify(ready, 0);
for (let seen = Atomics.load(ready, 0); seen < threads; seen = Atomics.load(ready, 0)) Atomics.wait(ready, 0, seen);

for (let nth = from; nth < wins.length; nth++) {
  Atomics.store(place, 0, nth);
  for (const jti of again > 0 && nth >= again ? [nth, nth - again] : [nth]) {
    const answer = store.remember('key', `${jti}`, second(jti) + lasts, second(nth));
    if (answer === 'fresh') Atomics.add(wins, jti, 1);
    if (answer === 'full') Atomics.add(full, 0, 1);
    Atomics.add(answered, 0, 1);
  }
}
