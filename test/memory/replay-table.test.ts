// The replay table in every order in which threads can take their steps or stop.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { allocateReplayTable, type Fingerprint } from '../../src/memory/replay-table.ts';
import { advance, type Call, finish, SteppedReplayTable } from '../support/stepping.ts';

const NOW = 1_800_000_000;
const UNTIL = NOW + 75;
const FREE = 0;
const LIVE = 3;
/** Fingerprints that differ only where the search looks last. */
const key = (rest: number, from = 0): Fingerprint => [7, 0, from, rest];

/** A table of one bucket. */
function makeTable(capacity: number, expired = 0) {
  const memory = allocateReplayTable(capacity);
  const table = new SteppedReplayTable(memory, capacity);
  const start = (rest: number, second = UNTIL, tick = NOW) => table.insert(key(rest), second, tick);
  const insert = (rest: number, second = UNTIL, tick = NOW) => finish(start(rest, second, tick));
  for (let nth = 0; nth < expired; nth++) insert(1000 + nth, NOW - 10 + nth, NOW - 20);
  return {
    table,
    start,
    insert,
    /** Of each slot. */
    states: () =>
      [...new Int32Array(memory).subarray(17 + 4 * capacity)].map((meta) => meta >>> 30).toSorted((a, b) => a - b),
    commits: () => new Int32Array(memory)[16]! >>> 10,
    /** How many new entries fit. */
    room: (tick = NOW) => {
      let room = 0;
      while (insert(5000 + room, tick + 75, tick) === 'fresh') room += 1;
      return room;
    },
  };
}

/** Does `body` for each number of steps that a call can take before the end. */
function atEachStep(body: (steps: number) => 'more' | 'end'): number {
  let steps = 0;
  while (body(steps) === 'more') steps += 1;
  return steps;
}

const count = (answers: readonly (string | undefined)[], of: string) => answers.filter((one) => one === of).length;
const others = (slots: number) => Array.from({ length: slots - 1 }, () => FREE);

describe('two threads with one key', () => {
  for (const capacity of [2, 3, 10]) {
    test(`have one winner wherever the second overtakes the first, ${capacity} slots`, () => {
      const steps = atEachStep((at) => {
        const { start, insert, states } = makeTable(capacity);
        const call = start(1);
        if (advance(call, at) !== undefined) return 'end';
        assert.deepEqual([insert(1), finish(call)].toSorted(), ['fresh', 'replayed'], `step ${at}`);
        assert.deepEqual(states(), [...others(capacity), LIVE], `step ${at}`);
        assert.equal(insert(1), 'replayed');
        return 'more';
      });
      assert.ok(steps > 15, `${steps}`);
    });
  }

  test('have one winner in the place of an expired entry, whether it was committed last or not', () => {
    for (const capacity of [1, 2, 3]) {
      for (let expired = 1; expired <= capacity; expired++) {
        atEachStep((at) => {
          const { start, insert, states } = makeTable(capacity, expired);
          const call = start(1);
          const before = advance(call, at);
          if (before !== undefined) return 'end';
          const answers = [insert(1), finish(call)];
          assert.equal(count(answers, 'fresh'), 1, `${capacity} ${expired} step ${at}: ${answers.join()}`);
          assert.equal(insert(1), 'replayed');
          assert.ok(states().every((state) => state === FREE || state === LIVE));
          return 'more';
        });
      }
    }
  });
});

describe('two threads with two keys', () => {
  test('both win, wherever the second overtakes the first', () => {
    for (const expired of [0, 1, 2, 3]) {
      atEachStep((at) => {
        const { table, start, insert } = makeTable(3, expired);
        const call = start(1);
        if (advance(call, at) !== undefined) return 'end';
        assert.deepEqual([insert(2, UNTIL + 1), finish(call)], ['fresh', 'fresh'], `step ${at}`);
        for (const rest of [1, 2]) assert.equal(insert(rest), 'replayed', `step ${at}`);
        assert.equal(finish(table.count(NOW)), 2);
        return 'more';
      });
    }
  });

  test('never exceed the table, and waste no slot, when there is room for one', () => {
    atEachStep((at) => {
      const { start, insert, states } = makeTable(1);
      const call = start(1);
      if (advance(call, at) !== undefined) return 'end';
      assert.deepEqual([insert(2), finish(call)].toSorted(), ['fresh', 'full'], `step ${at}`);
      assert.deepEqual(states(), [LIVE]);
      return 'more';
    });
  });
});

describe('threads whose clocks differ', () => {
  const AHEAD = UNTIL + 400;
  for (const capacity of [1, 2]) {
    test(`do not let a proof pass twice whose entry the one ahead overwrites at any moment, ${capacity} slots`, () => {
      atEachStep((at) => {
        const { start, insert, room } = makeTable(capacity);
        const answers = [insert(1)];
        const call = start(1);
        const before = advance(call, at);
        assert.equal(room(AHEAD), capacity);
        answers.push(before ?? finish(call), insert(1));
        assert.equal(count(answers, 'fresh'), 1, `step ${at}: ${answers.join()}`);
        return before === undefined ? 'more' : 'end';
      });
    });

    test(`do not let a proof pass twice that is overwritten as soon as it is written, ${capacity} slots`, () => {
      atEachStep((at) => {
        const { start, insert, room } = makeTable(capacity);
        const call = start(1);
        const before = advance(call, at);
        const answers = [insert(1)];
        room(AHEAD);
        answers.push(insert(1), before ?? finish(call), insert(1));
        assert.ok(count(answers, 'fresh') <= 1, `step ${at}: ${answers.join()}`);
        return before === undefined ? 'more' : 'end';
      });
    });

    test(`do not bring back what was overwritten, at any moment of the overwriting, ${capacity} slots`, () => {
      atEachStep((at) => {
        const { start, insert } = makeTable(capacity);
        for (let nth = 1; nth <= capacity; nth++) assert.equal(insert(nth, UNTIL + nth), 'fresh');
        const call = start(9, AHEAD + 75, AHEAD);
        const before = advance(call, at);
        for (let nth = 1; nth <= capacity; nth++) assert.notEqual(insert(nth, UNTIL + nth), 'fresh', `step ${at}`);
        return before === undefined ? 'more' : 'end';
      });
    });
  }
});

describe('an entry that is written and not committed', () => {
  /** Lets `writer` take up to `steps` steps and no more. @returns whether it committed, and whether it was at its end */
  function write({ commits }: ReturnType<typeof makeTable>, writer: Call, steps: number) {
    const before = commits();
    const ended = advance(writer, steps) !== undefined;
    return { committed: commits() > before, ended };
  }

  test('does not count in a slot whose expired entry was committed after the writer looked', () => {
    atEachStep((early) => {
      const end = atEachStep((late) => {
        const made = makeTable(1);
        const writer = made.start(1, NOW + 80, NOW + 5);
        if (advance(writer, early) !== undefined || made.commits() > 0) return 'end';
        made.insert(2, NOW + 1, NOW);
        const { committed, ended } = write(made, writer, late);
        const answer = made.insert(1, NOW + 80, NOW + 5);
        if (!committed) assert.notEqual(answer, 'replayed', `steps ${early} ${late}`);
        return ended ? 'end' : 'more';
      });
      return end > 0 ? 'more' : 'end';
    });
  });

  test('does not count for one who saw the header when it named that slot', () => {
    atEachStep((early) => {
      const end = atEachStep((late) => {
        const made = makeTable(2);
        made.insert(2, NOW + 1, NOW);
        const helper = made.start(3, NOW + 80, NOW);
        if (advance(helper, early) !== undefined) return 'end';
        made.insert(4, NOW + 80, NOW);
        const { committed, ended } = write(made, made.start(1, NOW + 80, NOW + 5), late);
        finish(helper);
        const answer = made.insert(1, NOW + 80, NOW + 5);
        if (!committed) assert.notEqual(answer, 'replayed', `steps ${early} ${late}`);
        return ended ? 'end' : 'more';
      });
      return end > 0 ? 'more' : 'end';
    });
  });

  test('does not count for one who was comparing the entry that was in its slot before', () => {
    atEachStep((early) => {
      const end = atEachStep((late) => {
        const made = makeTable(2);
        made.insert(2, NOW + 1, NOW);
        made.insert(4, NOW + 80, NOW);
        const reader = made.start(1, NOW + 81, NOW);
        if (advance(reader, early) !== undefined) return 'end';
        const { committed, ended } = write(made, made.start(1, NOW + 80, NOW + 5), late);
        const answer = finish(reader);
        if (!committed) assert.notEqual(answer, 'replayed', `steps ${early} ${late}`);
        return ended ? 'end' : 'more';
      });
      return end > 0 ? 'more' : 'end';
    });
  });
});

describe('what was forgotten', () => {
  for (const now of [NOW, 2 ** 31 + 1000, 2 ** 32 - 1000]) {
    test(`reaches to the latest expiry that was overwritten, in whichever order, at ${now}`, () => {
      for (const seconds of [
        [1, 5],
        [5, 1],
      ]) {
        atEachStep((at) => {
          const { start, insert } = makeTable(2);
          seconds.forEach((second, nth) => insert(nth, now + second, now));
          const call = start(8, now + 90, now + 20);
          const before = advance(call, at);
          assert.equal(insert(9, now + 90, now + 20), 'fresh');
          insert(10, now + 90, now + 20);
          if (before === undefined) finish(call);
          assert.equal(insert(5, now + 5, now), 'replayed', `step ${at}`);
          assert.equal(insert(6, now + 6, now), 'full', `step ${at}`);
          return before === undefined ? 'more' : 'end';
        });
      }
    });
  }
});

describe('a thread that is terminated', () => {
  test('at any step leaves a table that works, lacks one slot at most, and lets no key pass twice', () => {
    for (const expired of [0, 2, 4]) {
      atEachStep((at) => {
        const { start, insert, room } = makeTable(4, expired);
        const ended = advance(start(1), at);
        assert.equal(insert(1), ended === undefined && at < COMMIT[expired]! ? 'fresh' : 'replayed', `step ${at}`);
        assert.equal(insert(1), 'replayed');
        const now = room();
        assert.ok(now === 3 || now === 2, `step ${at}: room for ${now}`);
        assert.ok(room(UNTIL + 1) >= 3, `step ${at}`);
        return ended === undefined ? 'more' : 'end';
      });
    }
  });
  /** The number of steps after which a call has committed, by the number of expired entries in its way. */
  const COMMIT: Record<number, number> = Object.fromEntries(
    [0, 2, 4].map((expired) => [
      expired,
      atEachStep((at) => {
        const { start, insert } = makeTable(4, expired);
        void advance(start(1), at);
        return insert(1) === 'fresh' ? 'more' : 'end';
      }),
    ]),
  );
});

interface Plan {
  readonly rest: number;
  readonly lasts: number;
  readonly now: number;
  /** The step before which it dies. */
  readonly dies: number;
}

/** Calls of several threads, and in which order they take their steps. */
const schedule = (clocks: number) =>
  fc.record({
    capacity: fc.integer({ min: 1, max: 4 }),
    threads: fc.array(
      fc.array(
        fc.record<Plan>({
          rest: fc.integer({ min: 1, max: 3 }),
          lasts: fc.integer({ min: 0, max: 2 }),
          now: fc.integer({ min: 0, max: clocks }),
          dies: fc.oneof({ weight: 5, arbitrary: fc.constant(Infinity) }, { arbitrary: fc.nat(25), weight: 1 }),
        }),
        { minLength: 1, maxLength: 4 },
      ),
      { minLength: 2, maxLength: 4 },
    ),
    order: fc.array(fc.tuple(fc.nat(3), fc.nat(25)), { maxLength: 60 }),
  });

/** One thread: its calls one after another, and what each was answered. */
class Thread {
  readonly answers: string[] = [];
  dead = false;
  readonly #plans: readonly Plan[];
  readonly #start: (plan: Plan) => Call;
  #call: Call | undefined;
  #steps = 0;

  constructor(plans: readonly Plan[], start: (plan: Plan) => Call) {
    this.#plans = plans;
    this.#start = start;
  }

  /** @returns whether there was anything left to do */
  step(): boolean {
    const plan = this.#plans[this.answers.length];
    if (plan === undefined || this.dead) return false;
    this.#call ??= this.#start(plan);
    this.dead = this.#steps++ >= plan.dies;
    if (this.dead) return false;
    const answer = advance(this.#call, 1);
    if (answer === undefined) return true;
    this.answers.push(answer);
    this.#call = undefined;
    this.#steps = 0;
    return true;
  }
}

function play({ capacity, threads: plans, order }: { capacity: number; threads: Plan[][]; order: [number, number][] }) {
  const { table, room, states } = makeTable(capacity);
  const start = ({ rest, lasts, now }: Plan) => table.insert(key(rest, rest), NOW + now + lasts, NOW + now);
  const threads = plans.map((each) => new Thread(each, start));
  for (const [who, steps] of order) {
    for (let step = 0; step < steps; step++) threads[who % threads.length]!.step();
  }
  for (const thread of threads) while (thread.step());
  const answered = threads.flatMap((thread, who) =>
    thread.answers.map((answer, nth) => ({ ...plans[who]![nth]!, answer })),
  );
  return { answered, deaths: threads.filter(({ dead }) => dead).length, room, states };
}

const RUNS = { numRuns: Number(process.env['TRIALS'] ?? 10_000) };

describe('threads that take steps in any order', () => {
  test('and die at any, with clocks of their own: no key has two winners, and a death costs one slot at most', () => {
    fc.assert(
      fc.property(schedule(4), (plan) => {
        const { answered, deaths, room, states } = play(plan);
        const winners = answered
          .filter(({ answer }) => answer === 'fresh')
          .map(({ rest, now, lasts }) => `${rest} until ${now + lasts}`);
        assert.equal(new Set(winners).size, winners.length, 'two winners');
        assert.ok(states().filter((state) => state !== FREE && state !== LIVE).length <= deaths);
        assert.ok(room(NOW + 100) >= plan.capacity - deaths);
      }),
      RUNS,
    );
  });

  test('with one clock: each key has a winner, if there is room and nobody dies', () => {
    fc.assert(
      fc.property(schedule(0), (plan) => {
        const immortal = plan.threads.map((plans) => plans.map((each) => ({ ...each, dies: Infinity })));
        const { answered, states } = play({ ...plan, threads: immortal, capacity: 7 });
        for (const rest of [1, 2, 3]) {
          const answers = answered.filter((each) => each.rest === rest).map(({ answer }) => answer);
          assert.equal(count(answers, 'fresh'), Math.min(1, answers.length), answers.join());
          assert.equal(count(answers, 'full'), 0);
        }
        assert.equal(states().filter((state) => state === LIVE).length, new Set(answered.map(({ rest }) => rest)).size);
      }),
      RUNS,
    );
  });
});
