// Places for connections: who gets one when all are taken, and who makes room.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { Admission, type AdmissionTerms, type Seat } from '../../../src/edge/listen/admission.ts';
import { cpuTime } from '../../support/cpu-time.ts';

interface Named extends Seat {
  readonly name: string;
}

/** Places, and who lost one, by name. */
function places(most: number, terms: Partial<AdmissionTerms> = {}) {
  const displaced: string[] = [];
  const admission = new Admission({
    most,
    ceiling: Number.POSITIVE_INFINITY,
    takesAll: false,
    displaced: (client) => displaced.push(client),
    ...terms,
  });
  const seated: Named[] = [];
  const enter = (client: string | undefined, busy?: boolean): Named | string => {
    const seat = admission.enter(new Socket(), client);
    if (typeof seat === 'string') return seat;
    if (busy !== undefined) seat.work = { busy };
    const named = Object.assign(seat, { name: `${client} ${seated.length}` });
    seated.push(named);
    return named;
  };
  const gone = () => seated.filter(({ socket }) => socket.destroyed).map(({ name }) => name);
  return { admission, displaced, enter, gone };
}

/** They enter one after the other: a client, with `!` where a request is under way. */
function fill(enter: (client: string, busy?: boolean) => unknown, text: string): void {
  for (const word of text.split(' ')) enter(word.replace('!', ''), word.endsWith('!'));
}

test('there is a place for everybody until all are taken, and again when one has closed', async () => {
  const { admission, enter } = places(2);
  const first = enter('a') as Named;
  enter('a');
  assert.equal(enter('a'), 'limit');
  assert.equal(admission.count, 2);
  await once(first.socket.destroy(), 'close');
  assert.equal(admission.count, 1);
  assert.equal(typeof enter('a'), 'object');
});

test('the client with the most loses its oldest connection without a request', () => {
  const { enter, gone, displaced } = places(5);
  fill(enter, 'a! a a b! b!');
  enter('c');
  assert.deepEqual([gone(), displaced], [['a 1'], ['a']]);
});

test('one that holds more than a quarter loses its oldest request where it has no other, and others keep what is idle', () => {
  const { enter, gone } = places(6);
  fill(enter, 'a! a! a! b c d');
  enter('e');
  assert.deepEqual(gone(), ['a 0']);
});

test('where nobody holds that much, idle connections of others go before any request', () => {
  const { enter, gone } = places(10);
  fill(enter, 'a! a! b! b! c! c! d! d! e f!');
  enter('new', true);
  assert.deepEqual(gone(), ['e 8']);
  assert.equal(enter('new', true), 'limit', 'it would have as many as the others');
  enter('newer', true);
  assert.deepEqual(gone(), ['a 0', 'e 8']);
});

test('among clients with one request each a new one is refused', () => {
  const { enter, gone } = places(8);
  fill(enter, 'a! b! c! d! e! f! g! h!');
  assert.equal(enter('i'), 'limit');
  assert.deepEqual(gone(), []);
});

test('a client of which no other has more is refused, whatever its own connections do', () => {
  const { enter, gone } = places(4);
  fill(enter, 'a a b b');
  assert.equal(enter('a'), 'limit');
  assert.equal(enter('b'), 'limit');
  assert.deepEqual(gone(), []);
});

test('on the ports of operators it makes room itself', () => {
  const { enter, gone } = places(4, { takesAll: true });
  fill(enter, 'a a b b');
  enter('a');
  assert.deepEqual(gone(), ['a 0']);
});

test('connections of peers that speak for many never make room, and take it from strangers alone', () => {
  const { enter, gone } = places(3);
  enter(undefined);
  enter(undefined, true);
  enter('a');
  enter(undefined);
  assert.deepEqual(gone(), ['a 2']);
  assert.equal(enter(undefined), 'limit');
  assert.equal(enter('b'), 'limit');
});

test('a connection counts for the client that it turns out to have, and for nobody once its peer is trusted', () => {
  const { admission, enter, gone } = places(4);
  const known = [enter(undefined), enter(undefined), enter(undefined)] as Named[];
  const [first, second, third] = known;
  assert.ok(first && second && third);
  for (const seat of known) admission.assign(seat, 'a');
  admission.assign(second, undefined);
  enter('b');
  enter('b');
  assert.deepEqual(gone(), ['undefined 0'], 'the older of two of a');
  assert.equal(enter('b'), 'limit');
  assert.equal(typeof enter('a'), 'object', 'b has two by now, a has one');
});

test('a lowered limit is reached by the next ones that come', () => {
  const { admission, enter, gone } = places(6);
  fill(enter, 'a a a a a a');
  admission.most = 3;
  for (const client of ['b', 'c', 'd']) enter(client);
  assert.equal(admission.count, 3);
  assert.equal(gone().length, 6);
});

test('ten thousand clients cost no more than a few', () => {
  const { admission, enter } = places(10_000);
  for (let nth = 0; nth < 10_000; nth += 1) enter(`client ${nth}`, true);
  const cost = cpuTime(() => {
    for (let nth = 0; nth < 100; nth += 1) assert.equal(enter('one more'), 'limit');
  });
  assert.ok(cost < 5000, 'a few milliseconds each at most');
  assert.equal(admission.takePeak(), 10_000);
});
