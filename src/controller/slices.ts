// Slices of long work: between two of them the event loop has a turn.

import { setImmediate as turn } from 'node:timers/promises';
import type { InSteps } from '../long-work.ts';

/** Milliseconds after which a slice ends with the step that it is at. */
const SLICE = 20;

/** The Lease is renewed, and probes and watches are answered, in between. @param slice milliseconds; 0: a turn after each step */
export async function inSlices<T>(steps: InSteps<T>, slice = SLICE): Promise<T> {
  for (;;) {
    const ends = performance.now() + slice;
    do {
      const step = steps.next();
      if (step.done === true) return step.value;
    } while (performance.now() < ends);
    // oxlint-disable-next-line no-await-in-loop -- one slice after the other is the point
    await turn();
  }
}
