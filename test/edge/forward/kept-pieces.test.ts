// Bodies kept for a second attempt: all of one or nothing, within a memory that clients share.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BodyMemory } from '../../../src/edge/forward/body-memory.ts';
import { KeptPieces } from '../../../src/edge/forward/kept-pieces.ts';

const KIB = 1024;

test('a body of 256 KiB less what its pieces cost is kept, a larger one is not, and its memory is given back', () => {
  const memory = new BodyMemory();
  const kept = new KeptPieces({ memory, client: 'a' });
  for (let count = 0; count < 3; count += 1) kept.add(Buffer.alloc(64 * KIB));
  assert.ok(kept.complete);
  assert.equal(Buffer.concat(kept.pieces()).length, 192 * KIB);
  kept.add(Buffer.alloc(64 * KIB));
  assert.deepEqual([kept.complete, kept.pieces()], [false, []]);
  kept.add(Buffer.alloc(1));
  assert.equal(kept.complete, false);
});

test('pieces of one byte are no way to have more kept', () => {
  const kept = new KeptPieces({ memory: new BodyMemory(), client: 'a' });
  let pieces = 0;
  for (; kept.complete; pieces += 1) kept.add(Buffer.alloc(1));
  assert.ok(pieces <= 1024, `${pieces} pieces`);
});

test('one client cannot take the memory from the others, and what is dropped is free again', () => {
  const memory = new BodyMemory(1024 * KIB);
  const greedy = Array.from({ length: 20 }, () => new KeptPieces({ memory, client: 'greedy' }));
  for (const kept of greedy) kept.add(Buffer.alloc(100 * KIB));
  assert.ok(greedy.filter(({ complete }) => complete).length < 6);
  const other = new KeptPieces({ memory, client: 'other' });
  other.add(Buffer.alloc(100 * KIB));
  assert.ok(other.complete);
  for (const kept of [...greedy, other]) kept.drop();
  const all = new KeptPieces({ memory, client: 'third' });
  for (let count = 0; count < 2; count += 1) all.add(Buffer.alloc(100 * KIB));
  assert.ok(all.complete);
});
