// The wait for what must come to be so, without an event that tells.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

/** Seconds after which what is waited for will not come, however slow the machine is. */
const PATIENCE = 45;

/** Looks until it is so. @throws what was not so, before the runner gives up without a word */
export async function until(reached: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + PATIENCE * 1000; !(await reached()); ) {
    assert.ok(performance.now() < end, `not so in ${PATIENCE} s: ${String(reached)}`);
    await pause(2);
  }
}
