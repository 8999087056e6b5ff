// The moments at which memory is given back: the first rest, and the ebb of a wave.

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Ebb, spareAtRest } from '../../src/worker/spare-memory.ts';

test('the garbage of a start is collected once, at the first look at which the thread is at rest', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const shares = [0.9, 0.11, 0.1, 0];
  const collect = mock.fn();
  spareAtRest(collect, () => shares.shift() ?? 0);
  assert.equal(collect.mock.callCount(), 0);
  for (const [look, collected] of [0, 0, 1, 1, 1].entries()) {
    t.mock.timers.tick(1000);
    assert.equal(collect.mock.callCount(), collected, `look ${look}`);
  }
});

test('a wave has ended when half of its connections have, if they are many', () => {
  const ebb = new Ebb();
  assert.equal(ebb.hasCome(0, 0), false);
  assert.equal(ebb.hasCome(2000, 2000), false);
  assert.equal(ebb.hasCome(1001, 2000), false);
  assert.equal(ebb.hasCome(1000, 1000), true);
  assert.equal(ebb.hasCome(1000, 1000), false);
  assert.equal(ebb.hasCome(501, 1000), false);
  assert.equal(ebb.hasCome(0, 501), true);
  assert.equal(ebb.hasCome(0, 0), false);
});

test('a wave that came and went between two looks counts, a few connections do not', () => {
  const ebb = new Ebb();
  assert.equal(ebb.hasCome(0, 499), false);
  assert.equal(ebb.hasCome(0, 500), true);
});

test('a look in the middle of the ebb is followed by another one for the rest, and by no more', () => {
  const ebb = new Ebb();
  assert.equal(ebb.hasCome(2000, 2000), false);
  assert.equal(ebb.hasCome(400, 2000), true);
  assert.equal(ebb.hasCome(100, 400), true);
  assert.equal(ebb.hasCome(0, 100), false);
});
