// Attackers who do not stop, and another client beside them: how many of its requests are served, and how fast.

import assert from 'node:assert/strict';
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

/** Milliseconds that a pause of the machine may take, whatever the gateway does. */
const HICCUP = 150;

/** At least 99 of 100 requests served, and the p99 at most doubled. @param beside the attack. @param before or without it */
export function assertUnharmed(beside: Service, before: Service): void {
  assert.ok(beside.share >= 0.99, `${beside.share} served`);
  assert.ok(beside.p99 <= 2 * before.p99 + HICCUP, `p99 of ${beside.p99} ms, and of ${before.p99} ms without`);
}
