// The crew: workers that do not start, die, hang, or refuse a policy.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createLog } from '../../src/observe/log.ts';
import { Crew, type CrewOptions } from '../../src/supervisor/crew.ts';
import type { PolicyChange } from '../../src/worker/policy-change.ts';
import type { Order, PolicyInForce, PolicyOrder, Report, StartOrder } from '../../src/worker/messages.ts';
import type { WorkerEvents } from '../../src/supervisor/spawn.ts';

/** Answers to orders; none: the thread says nothing. */
type Manners = Partial<Record<Order['type'], (order: Order) => Report | undefined>>;

const GOOD: Manners = {
  start: () => ({ type: 'serving' }),
  policy: (order) => ({ type: 'adopted', epoch: (order as PolicyOrder).epoch }),
  snapshot: () => ({ type: 'snapshot', metrics: [{ name: 'requests' }] }),
  stop: () => ({ type: 'stopped' }),
};

class PlayedThread {
  readonly orders: Order[] = [];
  readonly #manners: Manners;
  readonly #events: WorkerEvents;
  terminated = false;

  constructor(manners: Manners, events: WorkerEvents) {
    this.#manners = manners;
    this.#events = events;
  }

  post(order: Order): void {
    this.orders.push(order);
    const report = this.#manners[order.type]?.(order);
    if (report !== undefined) queueMicrotask(() => this.report(report));
  }

  report(report: Report): void {
    if (!this.terminated) this.#events.report(report);
  }

  terminate(): void {
    this.die(undefined);
  }

  die(error: unknown): void {
    if (this.terminated) return;
    this.terminated = true;
    queueMicrotask(() => this.#events.gone(error));
  }

  utilization(): number {
    return 0.5;
  }
}

function makeCrew(t: TestContext, manners: (nth: number) => Manners, over: Partial<CrewOptions> = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const threads: PlayedThread[] = [];
  const lines: { msg: string }[] = [];
  const lost: (readonly object[])[] = [];
  const crew = new Crew({
    size: 1,
    log: createLog({ level: 'info', sampleSuccesses: 1 }, { write: (line: string) => lines.push(JSON.parse(line)) }),
    start: () => ({ type: 'start', epoch: 0 }) as StartOrder,
    refreshKeys: async () => {},
    lost: (last) => lost.push(last),
    spawn: (_index, events) => {
      const thread = new PlayedThread(manners(threads.length), events);
      threads.push(thread);
      return thread;
    },
    ...over,
  });
  const settle = async () => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  /** In steps, so that whoever is asked can answer. */
  const later = async (milliseconds: number) => {
    await settle();
    for (let left = milliseconds; left >= 0; left -= 1000) {
      t.mock.timers.tick(Math.min(left, 1000));
      await settle();
    }
  };
  return { crew, threads, lines: () => lines.map(({ msg }) => msg), lost, later };
}

const POLICY = { epoch: 7 } as PolicyInForce;

test('a worker that cannot start ends the start with its own words, one that dies with ours', async (t) => {
  const failing = makeCrew(t, () => ({ start: () => ({ type: 'failed', message: 'listener "public" cannot bind' }) }));
  await assert.rejects(failing.crew.start(), /^Error: listener "public" cannot bind$/);
  t.mock.timers.reset();
  const dying = makeCrew(t, () => ({}));
  const start = dying.crew.start();
  dying.threads[0]?.die(new Error('broken'));
  await assert.rejects(start, /worker 0 died while it started/);
  await dying.later(60_000);
  assert.equal(dying.threads.length, 1, 'a start that failed is not tried again');
});

test('one that dies is replaced at once; one that dies again and again more and more slowly', async (t) => {
  const { crew, threads, lines, lost, later } = makeCrew(t, (nth) => (nth === 0 ? GOOD : {}));
  await crew.start();
  await crew.snapshots();
  threads[0]?.die(new RangeError('a message'));
  await later(0);
  assert.equal(threads.length, 2);
  assert.deepEqual(lost, [[{ name: 'requests' }]]);
  for (const delay of [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]) {
    const before: number = threads.length;
    threads.at(-1)?.die(undefined);
    await later(delay - 1);
    assert.equal(threads.length, before);
    await later(1);
    assert.equal(threads.length, before + 1);
  }
  assert.equal(lines()[0], 'worker 0 died and is replaced');
  assert.equal(crew.states[0]?.restarts, 10);
});

test('one that served for a while before it died is replaced at once again', async (t) => {
  const { crew, threads, later } = makeCrew(t, () => GOOD);
  await crew.start();
  for (let nth = 1; nth < 4; nth++) {
    threads.at(-1)?.die(undefined);
    await later(0);
    assert.equal(threads.length, nth + 1);
    await later(5000);
  }
});

test('one that leaves six snapshots in a row unanswered is stuck, and is replaced', async (t) => {
  const { crew, threads, lines, later } = makeCrew(t, (nth) =>
    nth === 0 ? { start: () => ({ type: 'serving' }) } : GOOD,
  );
  await crew.start();
  for (let nth = 0; nth < 6; nth++) await later(5000);
  assert.equal(threads[0]?.terminated, false);
  await later(5000);
  assert.equal(threads[0]?.terminated, true);
  await later(0);
  assert.equal(threads.length, 2);
  assert.deepEqual(lines(), ['a worker is stuck', 'worker 0 died and is replaced']);
  for (let nth = 0; nth < 20; nth++) await later(5000);
  assert.equal(threads.length, 2, 'one that answers is left alone');
});

test('a scrape waits a second for the slowest, and then takes what that one said last', async (t) => {
  let silent = false;
  const { crew, later } = makeCrew(t, () => ({
    ...GOOD,
    snapshot: (order) => (silent ? undefined : GOOD.snapshot?.(order)),
  }));
  await crew.start();
  assert.deepEqual(await crew.snapshots(), [[{ name: 'requests' }]]);
  silent = true;
  const scrape = crew.snapshots();
  await later(1000);
  assert.deepEqual(await scrape, [[{ name: 'requests' }]]);
});

test('one that refuses a policy, or does not answer, is replaced by one that starts with it', async (t) => {
  for (const policy of [
    (order: Order) => ({ type: 'refused', epoch: (order as PolicyOrder).epoch, message: 'no' }) as const,
    () => undefined,
  ]) {
    const { crew, threads, later } = makeCrew(t, (nth) => (nth === 0 ? { ...GOOD, policy } : GOOD));
    await crew.start();
    const adopted = crew.adopt(POLICY, {} as PolicyChange);
    await later(10_000);
    await adopted;
    assert.equal(threads[0]?.terminated, true);
    await later(0);
    assert.equal(threads.length, 2);
    t.mock.timers.reset();
  }
});

test('the answer to a question for keys goes to the thread that asked, and to no other', async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { crew, threads, later } = makeCrew(t, () => GOOD, { refreshKeys: () => promise });
  await crew.start();
  threads[0]?.report({ type: 'refresh', issuer: 'login', kid: 'k', ticket: 3 });
  threads[0]?.die(undefined);
  await later(0);
  resolve();
  await later(0);
  assert.equal(threads.length, 2);
  assert.ok(threads.every(({ orders }) => orders.every(({ type }) => type !== 'refreshed')));
  threads[1]?.report({ type: 'refresh', issuer: 'login', kid: 'k', ticket: 9 });
  await later(0);
  assert.deepEqual(threads[1]?.orders.at(-1), { type: 'refreshed', ticket: 9 });
});

test('stopped workers are not replaced; one that does not close is ended after two seconds', async (t) => {
  const { crew, threads, later } = makeCrew(t, () => GOOD, { size: 2 });
  await crew.start();
  const stopped = crew.stop();
  threads[0]?.die(undefined);
  await stopped;
  await later(60_000);
  assert.equal(threads.length, 2);
  const closed = crew.close();
  await later(1999);
  assert.equal(threads[1]?.terminated, false);
  await later(1);
  assert.equal(threads[1]?.terminated, true);
  await closed;
});
