// Turns at an issuer under a flood: known tokens first, fair shares for the rest.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Claimant, FairTurns } from '../../src/issuer/fair-turns.ts';

const LIMITS = { turns: 4, unknown: 3, perClient: 2, waiting: 4 };
const NEVER = new AbortController().signal;
const from = (client: string, known = false, signal = NEVER): Claimant => ({ client, known, signal });

/** Claims, and which of them have had a turn or were refused one, in order. */
function makeStage() {
  const turns = new FairTurns(LIMITS);
  const events: string[] = [];
  const claim = (name: string, claimant: Claimant) => {
    const turn = turns.take(claimant);
    if (turn === true) events.push(name);
    else void turn.then((has) => events.push(has ? name : `not ${name}`));
  };
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  return { turns, events, claim, settled };
}

test('one client has its share, others have theirs, and what is known has the rest', async () => {
  const { events, claim, settled } = makeStage();
  for (const name of ['a1', 'a2', 'a3']) claim(name, from('a'));
  claim('b1', from('b'));
  claim('c1', from('c'));
  claim('k1', from('a', true));
  claim('k2', from('d', true));
  await settled();
  assert.deepEqual(events, ['a1', 'a2', 'b1', 'k1']);
});

test('when a turn ends, what is known comes first, and then the clients one after the other', async () => {
  const { turns, events, claim, settled } = makeStage();
  claim('k0', from('d', true));
  for (const name of ['a1', 'a2']) claim(name, from('a'));
  claim('b1', from('b'));
  for (const name of ['a3', 'a4']) claim(name, from('a'));
  claim('b2', from('b'));
  claim('k1', from('a', true));
  turns.end(from('a'));
  await settled();
  assert.equal(events.at(-1), 'k1');
  turns.end(from('d', true));
  await settled();
  assert.equal(events.at(-1), 'a3');
  for (const client of ['b', 'a']) turns.end(from(client));
  await settled();
  assert.deepEqual(events.slice(-2), ['b2', 'a4']);
});

test('where too many wait, the client with the most gives way, and not the one that comes', async () => {
  const { turns, events, claim, settled } = makeStage();
  for (let nth = 1; nth <= 6; nth += 1) claim(`a${nth}`, from('a'));
  claim('a7', from('a'));
  await settled();
  assert.deepEqual(events, ['a1', 'a2', 'not a7']);
  claim('b1', from('b'));
  claim('c1', from('c'));
  claim('d1', from('d'));
  await settled();
  assert.deepEqual(events.slice(3), ['b1', 'not a6', 'not a5']);
  turns.end(from('b'));
  await settled();
  assert.equal(events.at(-1), 'c1', 'a has its share already');
});

test('who has waited for too long, or comes too late, waits no longer', async () => {
  const { turns, events, claim, settled } = makeStage();
  const patience = new AbortController();
  for (const name of ['a1', 'a2']) claim(name, from('a'));
  claim('a3', from('a', false, patience.signal));
  claim('a4', from('a'));
  patience.abort();
  claim('a5', from('a', false, patience.signal));
  await settled();
  assert.deepEqual(events, ['a1', 'a2', 'not a3', 'not a5']);
  turns.end(from('a'));
  await settled();
  assert.equal(events.at(-1), 'a4');
});
