// Attackers that do not stop, and how well another client is served meanwhile.

import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

export interface Attack {
  /** Questions that were answered so far. */
  readonly count: number;
  /** Settles when every question in flight is answered. @throws what a question threw */
  stop(): Promise<void>;
}

/** So many attackers ask, one question after the other with a pause between, until stopped or the test ends. */
export function attack(
  t: Pick<TestContext, 'after'>,
  { attackers, pause: milliseconds = 0 }: { readonly attackers: number; readonly pause?: number },
  ask: (attacker: number) => Promise<unknown>,
): Attack {
  const state = { going: true, count: 0 };
  const going = () => state.going;
  const running = Array.from({ length: attackers }, async (_, attacker) => {
    // One after the other in their first pause: what all of them do at once holds up this thread, which is the bystander's, too.
    if (milliseconds > 0) await pause((milliseconds * attacker) / attackers);
    while (going()) {
      await ask(attacker);
      state.count += 1;
      if (milliseconds > 0) await pause(milliseconds);
    }
  });
  const all = Promise.all(running);
  all.catch(() => {}); // `stop` tells
  const stop = async () => {
    state.going = false;
    await all;
  };
  t.after(() => (state.going = false));
  return {
    get count() {
      return state.count;
    },
    stop,
  };
}

export interface Service {
  /** 0 to 1. */
  readonly share: number;
  /** Milliseconds. */
  readonly p99: number;
}

/** What one client gets of so many requests, one after the other. @param ask whether it was served */
export async function serviceOf(count: number, ask: (nth: number) => Promise<boolean>): Promise<Service> {
  const times: number[] = [];
  let good = 0;
  for (let nth = 0; nth < count; nth += 1) {
    const started = performance.now();
    if (await ask(nth)) good += 1;
    times.push(performance.now() - started);
  }
  const sorted = times.toSorted((one, other) => one - other);
  return { share: good / count, p99: sorted[Math.ceil(0.99 * count) - 1] ?? Infinity };
}

/** Milliseconds that a request may take longer, whatever the gateway does: what waits behind an attack waits for seconds. */
const HICCUP = 150;
/** What an attack does it does in every round; what the machine does it does not. */
const ROUNDS = 3;
const TURNS = 4;

/**
 * At least 99 of 100 requests are served in every round, and in one of three the p99 is at most twice that without the attack, and what the
 * machine held up: attackers and bystander run in this thread, and other programs beside it, so its own timers tell how long that was.
 * @param before of as many requests, without the attack
 */
export async function assertUnharmed(
  count: number,
  ask: (nth: number) => Promise<boolean>,
  before: Service,
): Promise<void> {
  const p99s: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const stalls = monitorEventLoopDelay({ resolution: 5 });
    stalls.enable();
    const { share, p99 } = await serviceOf(count, ask);
    stalls.disable();
    assert.ok(share >= 0.99, `${share} served`);
    // A request takes some turns of this thread and of the gateway's.
    if (p99 <= 2 * before.p99 + HICCUP + TURNS * (stalls.max / 1e6)) return;
    p99s.push(p99);
  }
  assert.fail(`p99 of ${p99s.join(', ')} ms, and of ${before.p99} ms without the attack`);
}
