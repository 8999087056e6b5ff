// Challenges that were met: each counted once, in a table of fixed size.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Challenged, createChallengedMemory } from '../../src/observe/challenged.ts';

const token = (nth: number) =>
  `DPoP eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.${Buffer.from(`signature ${nth}`.repeat(4)).toString('base64url')}`;

test('a challenge is met once, and by the same token alone', () => {
  const challenged = new Challenged(createChallengedMemory());
  assert.equal(challenged.met(token(1)), false);
  challenged.add(token(1));
  assert.equal(challenged.met(token(2)), false);
  assert.equal(challenged.met(token(1)), true);
  assert.equal(challenged.met(token(1)), false);
});

test('of several challenges of one token as many are met as it comes again', () => {
  const challenged = new Challenged(createChallengedMemory());
  for (let nth = 0; nth < 3; nth += 1) challenged.add(token(1));
  assert.deepEqual(
    [1, 2, 3, 4].map(() => challenged.met(token(1))),
    [true, true, true, false],
  );
});

test('the count of one token ends at its bound, and spoils neither its tag nor another token', () => {
  const challenged = new Challenged(createChallengedMemory());
  for (let nth = 0; nth < 10_000; nth += 1) challenged.add(token(1));
  let met = 0;
  while (challenged.met(token(1))) met += 1;
  assert.equal(met, 4095);
  challenged.add(token(1));
  assert.equal(challenged.met(token(1)), true);
});

test('threads share what they know', () => {
  const memory = createChallengedMemory();
  new Challenged(memory).add(token(1));
  assert.equal(new Challenged(memory).met(token(1)), true);
});

test('a flood of tokens takes no more memory, and makes no challenge of a token that had none', () => {
  const memory = createChallengedMemory();
  const challenged = new Challenged(memory);
  for (let nth = 0; nth < 100_000; nth += 1) challenged.add(token(nth));
  assert.equal(memory.byteLength, 65_536);
  const strangers = Array.from({ length: 20_000 }, (_, nth) => challenged.met(token(1_000_000 + nth)));
  assert.equal(strangers.filter(Boolean).length, 0);
  for (const odd of ['', 'DPoP', 'DPoP x', '\u{10ffff}'.repeat(20)]) {
    challenged.add(odd);
    assert.equal(challenged.met(odd), true);
  }
});
