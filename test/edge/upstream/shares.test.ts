// Fair shares: what one client may hold, and the order of those who wait.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BodyMemory } from '../../../src/edge/forward/body-memory.ts';
import { Entrance, type Entrant } from '../../../src/edge/upstream/entrance.ts';
import { Shares } from '../../../src/edge/upstream/shares.ts';

/** How many of `capacity` each of them holds when all take in turn as much as they can. */
function greedy(capacity: number, weight: number, clients: readonly string[]): readonly number[] {
  const shares = new Shares(weight);
  const held = clients.map(() => 0);
  let free = capacity;
  for (let moved = true; moved; ) {
    moved = false;
    for (const [at, client] of clients.entries()) {
      if (!shares.allows(client, 1, free)) continue;
      shares.take(client, 1);
      held[at] = (held[at] ?? 0) + 1;
      free -= 1;
      moved = true;
    }
  }
  return held;
}

describe('what greedy clients get', () => {
  for (const [capacity, clients, expected] of [
    [1024, ['a'], [683]],
    [1024, ['a', 'b'], [410, 410]],
    [64, ['a', 'b', 'c'], [19, 18, 18]],
    [4, ['a'], [3]],
    [2, ['a'], [1]],
    [1, ['a'], [1]],
  ] as const) {
    it(`${clients.length} of them, of ${capacity}: ${expected.join(', ')}`, () => {
      assert.deepEqual(greedy(capacity, 2, clients), expected);
    });
  }

  it('leaves a place to one that has nothing, and none where nothing is free', () => {
    const shares = new Shares(2);
    shares.take('greedy', 3);
    assert.ok(!shares.allows('greedy', 1, 1));
    assert.ok(shares.allows('other', 1, 1));
    assert.ok(!shares.allows('other', 1, 0));
    shares.give('greedy', 3);
    assert.ok(shares.allows('greedy', 1, 1));
  });
});

/** An entrance of so many connections, and who was let in. */
function makeEntrance(connections: number, tunnels = 4) {
  const inside: string[] = [];
  const waits: number[] = [];
  let used = 0;
  const entrance = new Entrance({
    room: () => connections - used,
    tunnels: () => tunnels,
    waited: (seconds) => waits.push(seconds),
  });
  const entrant = (name: string, more: Partial<Entrant> = {}): Entrant => ({
    client: name.charAt(0),
    route: undefined,
    wantsTunnel: false,
    place: 'outside',
    admitted: () => {
      used += 1;
      inside.push(name);
    },
    ...more,
  });
  const leave = (one: Entrant) => {
    if (one.place === 'inside') used -= 1;
    entrance.leave(one);
  };
  const enter = (name: string, more?: Partial<Entrant>) => {
    const one = entrant(name, more);
    return [one, entrance.enter(one)] as const;
  };
  return { entrance, inside, waits, enter, leave, free: () => (used -= 1) };
}

describe('those who wait at an entrance', () => {
  it('come in by turns of their clients, each in its order', () => {
    const { inside, enter, leave, waits } = makeEntrance(1);
    const [first] = enter('x1');
    const others = ['a1', 'a2', 'a3', 'b1', 'b2'].map((name) => enter(name)[0]);
    assert.deepEqual(inside, ['x1']);
    leave(first);
    for (const name of ['a1', 'b1', 'a2', 'b2', 'a3']) {
      assert.equal(inside.at(-1), name);
      const one = others[['a1', 'a2', 'a3', 'b1', 'b2'].indexOf(name)];
      if (one !== undefined) leave(one);
    }
    assert.equal(waits.length, 5);
  });

  it('do not hold up one of another client that may come in', () => {
    const { inside, enter, entrance } = makeEntrance(4);
    for (const name of ['a1', 'a2', 'a3', 'a4', 'b1']) enter(name);
    assert.deepEqual([inside, entrance.waiting], [['a1', 'a2', 'a3', 'b1'], 1]);
  });

  it('are at most 1024, and of one client half as many', () => {
    const { enter, entrance } = makeEntrance(0);
    let refused: unknown;
    while (refused === undefined) [, refused] = enter('a');
    assert.deepEqual([refused, entrance.waiting], ['queue', 512]);
    assert.equal(enter('b')[1], undefined);
  });

  it('take nothing with them when they leave', () => {
    const { inside, enter, leave, entrance } = makeEntrance(1);
    const [first] = enter('x1');
    const [waiting] = enter('a1');
    leave(waiting);
    leave(waiting);
    leave(first);
    assert.deepEqual([inside, entrance.waiting], [['x1'], 0]);
  });

  it('a route gets fifteen sixteenths where there are others', () => {
    const { inside, enter } = makeEntrance(32);
    for (let nth = 0; nth < 32; nth += 1) enter(`${nth}`, { client: `${nth}`, route: 'busy' });
    assert.equal(inside.length, 30);
    enter('other', { route: 'quiet' });
    assert.equal(inside.at(-1), 'other');
  });
});

describe('WebSockets', () => {
  it('give their connection back when they are open, and count by themselves', () => {
    const { enter, leave, entrance, free } = makeEntrance(8, 4);
    const open = ['a1', 'a2'].map((name) => enter(name, { wantsTunnel: true })[0]);
    for (const one of open) {
      free();
      entrance.becameTunnel(one);
    }
    assert.equal(enter('a3', { wantsTunnel: true })[1], undefined);
    assert.equal(enter('a4', { wantsTunnel: true })[1], 'tunnels');
    assert.equal(enter('b1', { wantsTunnel: true })[1], undefined);
    for (const one of open) leave(one);
    assert.equal(enter('a5', { wantsTunnel: true })[1], undefined);
  });
});

describe('the memory for bodies', () => {
  it('gives one client half of it, another half of the rest, and takes it back', () => {
    const memory = new BodyMemory(1024);
    const most = (client: string) => {
      let bytes = 0;
      while (memory.take(client, 16)) bytes += 16;
      return bytes;
    };
    assert.equal(most('greedy'), 512);
    assert.equal(most('other'), 256);
    memory.give('greedy', 512);
    assert.ok(memory.take('greedy', 16));
  });
});
