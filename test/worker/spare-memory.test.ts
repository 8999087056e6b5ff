// The ebb of a wave of connections, after which memory is given back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ebb } from '../../src/worker/spare-memory.ts';

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
