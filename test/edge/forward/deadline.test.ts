// The deadline of an exchange: moved both ways, never beyond the last moment.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Credit } from '../../../src/edge/forward/credit.ts';
import { Deadline } from '../../../src/edge/forward/deadline.ts';

/** A clock that both timers and `performance.now` go by. */
function stoppedClock(t: TestContext) {
  let now = 1000;
  t.mock.timers.enable({ apis: ['setTimeout'] });
  t.mock.method(performance, 'now', () => now);
  return (milliseconds: number) => {
    for (let passed = 0; passed < milliseconds; passed += 10) {
      now += 10;
      t.mock.timers.tick(10);
    }
  };
}

function watched(total: number | undefined) {
  const passed: number[] = [];
  const deadline: Deadline = new Deadline(total, { deadlinePassed: () => void passed.push(performance.now()) });
  return { deadline, passed };
}

test('passes when its time is over, once for each time that is allowed', (t) => {
  const wait = stoppedClock(t);
  const { deadline, passed } = watched(undefined);
  deadline.allow(0.1);
  wait(90);
  assert.deepEqual(passed, []);
  wait(20);
  assert.deepEqual(passed, [1100]);
  deadline.allow(0.05);
  wait(100);
  assert.deepEqual(passed, [1100, 1160]);
});

test('moves later and earlier, and not beyond total', (t) => {
  const wait = stoppedClock(t);
  const { deadline, passed } = watched(0.3);
  deadline.allow(0.1);
  wait(50);
  deadline.allow(0.2);
  wait(100);
  assert.deepEqual(passed, []);
  deadline.allow(0.02);
  wait(50);
  assert.deepEqual(passed, [1170]);
  deadline.allow(10);
  wait(200);
  assert.deepEqual(passed, [1170, 1300]);
  assert.ok(deadline.left <= 0);
});

test('says nothing any more when it has ended', (t) => {
  const wait = stoppedClock(t);
  const { deadline, passed } = watched(0.1);
  deadline.allow(0.05);
  deadline.end();
  deadline.allow(0.01);
  wait(500);
  assert.deepEqual(passed, []);
});

test('credit is spent by waiting alone, earned by bytes, and not saved up beyond the grace', (t) => {
  const wait = stoppedClock(t);
  const credit = new Credit(100, 2);
  assert.equal(credit.left, Number.POSITIVE_INFINITY);
  credit.wait();
  wait(500);
  assert.ok(Math.abs(credit.left - 1.5) < 1e-9);
  credit.earn(20);
  assert.ok(Math.abs(credit.left - 1.7) < 1e-9);
  credit.earn(1_000_000);
  assert.ok(Math.abs(credit.left - 2) < 1e-9);
  credit.stop();
  wait(60_000);
  assert.equal(credit.left, Number.POSITIVE_INFINITY);
  credit.wait();
  wait(2100);
  assert.ok(credit.left < 0);
});
