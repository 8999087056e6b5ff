// The choice among targets, some of which cannot be reached.

import assert from 'node:assert/strict';
import type { LookupFunction } from 'node:net';
import { describe, it } from 'node:test';
import { GET, script, send } from '../../support/forwarding.ts';
import { type Balanced, openBalanced, openTargets } from '../../support/targets.ts';
import { until } from '../../support/until.ts';

/** Asks until told to stop, several at once. @returns paths that failed, and those in flight now */
function load(balanced: Balanced, clients: number) {
  const state = { asked: 0, failed: [] as string[], inFlight: new Set<string>(), stop: false };
  const client = async () => {
    while (!state.stop) {
      const path = `/${state.asked++}`;
      const body = state.asked % 2 === 0 ? `body of ${path}` : undefined;
      state.inFlight.add(path);
      const answer = await balanced.ask(path, body);
      state.inFlight.delete(path);
      if (answer.status !== 200 || answer.body.slice(2) !== (body ?? '')) state.failed.push(path);
    }
  };
  const done = Promise.all(Array.from({ length: clients }, client));
  return { state, done };
}

describe('round-robin', () => {
  it('is even', async (t) => {
    const targets = await openTargets(t, 3);
    const balanced = await openBalanced(t, targets, { balance: 'round-robin' });
    for (let n = 0; n < 9; n += 1) await balanced.ask(`/${n}`);
    assert.deepEqual(
      targets.map(({ seen }) => seen.length),
      [3, 3, 3],
    );
  });
});

describe('least-pending', () => {
  it('takes turns where all have the same', async (t) => {
    const targets = await openTargets(t, 3);
    const balanced = await openBalanced(t, targets);
    for (let n = 0; n < 9; n += 1) await balanced.ask(`/${n}`);
    assert.deepEqual(
      targets.map(({ seen }) => seen.length),
      [3, 3, 3],
    );
  });

  it('passes over a target that is slow, whose requests still wait', async (t) => {
    const targets = await openTargets(t, 2);
    const [slow, fast] = targets;
    assert.ok(slow && fast);
    const held: (() => void)[] = [];
    slow.answer = (_request, response) => held.push(() => response.end('late'));
    const balanced = await openBalanced(t, targets);
    const first = balanced.ask('/first');
    for (let n = 0; n < 8; n += 1) assert.equal((await balanced.ask(`/${n}`)).body, 'b ');
    assert.deepEqual([slow.seen.length, fast.seen.length], [1, 8]);
    for (const answer of held) answer();
    assert.equal((await first).body, 'late');
    assert.deepEqual(
      balanced.upstream.targets.map(({ pending }) => pending),
      [0, 0],
    );
  });

  it('counts a request no longer when its client is gone, or its answer came', async (t) => {
    const targets = await openTargets(t, 2);
    for (const target of targets) target.answer = () => {};
    const balanced = await openBalanced(t, targets, {}, { timeouts: { responseHeader: 0.05 } });
    const all = await Promise.all(['/1', '/2', '/3', '/4', '/5'].map((path) => balanced.ask(path, 'body')));
    assert.deepEqual(new Set(all.map(({ body }) => body)), new Set(['upstream_timed_out']));
    assert.deepEqual(
      balanced.upstream.targets.map(({ pending }) => pending),
      [0, 0],
    );
  });
});

describe('host: upstream', () => {
  it('is the authority of the target that the request goes to, also after a retry', async (t) => {
    const targets = await openTargets(t, 2);
    for (const target of targets) {
      target.answer = ({ headers }, response) => response.end(String(headers.host === new URL(target.origin).host));
    }
    const wishes = { forward: { host: 'upstream' } } as const;
    const balanced = await openBalanced(t, ['http://127.0.0.1:1', ...targets], { balance: 'round-robin' }, wishes);
    for (let n = 0; n < 6; n += 1) assert.equal((await balanced.ask('/')).body, 'true');
    assert.equal(balanced.events.count('retried'), 1);
  });
});

describe('a target that dies under load', () => {
  it('fails what it had been sent and nothing else, and is used again when it is back', async (t) => {
    const targets = await openTargets(t, 3);
    const [, , victim] = targets;
    assert.ok(victim);
    for (const target of targets) {
      const { answer } = target;
      target.answer = (...exchange) => void setTimeout(() => answer(...exchange), 2);
    }
    const balanced = await openBalanced(t, targets);
    const { state, done } = load(balanced, 24);
    await until(() => state.asked > 400);
    assert.deepEqual(state.failed, []);

    victim.kill();
    const inFlight = new Set(state.inFlight);
    const askedThen = state.asked;
    await until(() => state.asked > askedThen + 1000);
    assert.ok(
      state.failed.every((path) => inFlight.has(path)),
      `failed: ${state.failed.join()}`,
    );
    assert.ok(state.failed.length <= 24);

    const failedThen = state.failed.length;
    const seenThen = victim.seen.length;
    await victim.start();
    await until(() => victim.seen.length > seenThen + 50);
    state.stop = true;
    await done;
    assert.equal(state.failed.length, failedThen);
    // Those with an odd number are POST.
    const posted = targets.flatMap(({ seen }) => seen.filter((path) => Number(path.slice(1)) % 2 === 1));
    assert.equal(new Set(posted).size, posted.length, 'something was sent twice');
  });

  it('is passed over for a growing time, and called by one request alone when that is over', async (t) => {
    const [alive] = await openTargets(t, 1);
    assert.ok(alive);
    const balanced = await openBalanced(t, [alive, 'http://127.0.0.1:1'], { balance: 'round-robin' });
    const refused = () => balanced.events.failures.length;
    await Promise.all(Array.from({ length: 6 }, (_, n) => balanced.ask(`/${n}`)));
    assert.ok(refused() >= 1 && refused() <= 3);
    const before = refused();
    const dead = balanced.upstream.targets[1];
    assert.ok(dead && !dead.ready);
    await balanced.ask('/passed-over');
    await until(() => dead.ready);
    assert.equal(refused(), before);
    const then = performance.now(); // before the second pause begins
    await Promise.all(Array.from({ length: 50 }, (_, n) => balanced.ask(`/${n}`)));
    assert.equal(refused(), before + 1);
    assert.equal(balanced.events.count('retried'), before + 1);
    assert.equal(alive.seen.length, 57);
    await until(() => dead.ready);
    assert.ok(performance.now() - then > 800, 'the second pause is as short as the first');
  });
});

describe('retries', () => {
  it('are not made with retries: 0', async (t) => {
    const [alive] = await openTargets(t, 1);
    assert.ok(alive);
    const upstream = { retries: 0, balance: 'round-robin' } as const;
    const balanced = await openBalanced(t, ['http://127.0.0.1:1', alive], upstream);
    assert.deepEqual(await balanced.ask('/'), { status: 502, body: 'upstream_unreachable' });
    assert.deepEqual(await balanced.ask('/'), { status: 200, body: 'a ' });
  });

  it('are as many as configured, each at another target', async (t) => {
    const [alive] = await openTargets(t, 1);
    assert.ok(alive);
    const dead = [1, 2, 3].map((port) => `http://127.0.0.1:${port}`);
    const upstream = { balance: 'round-robin' } as const;
    const two = await openBalanced(t, [...dead, alive], { ...upstream, retries: 2 });
    assert.equal((await two.ask('/', 'body')).body, 'upstream_unreachable');
    const three = await openBalanced(t, [...dead, alive], { ...upstream, retries: 3 });
    assert.equal((await three.ask('/', 'body')).body, 'a body');
    assert.deepEqual(three.events.failures, ['unreachable', 'unreachable', 'unreachable']);
  });

  it('go to the same target where there is no other, and say why they failed', async (t) => {
    const balanced = await openBalanced(t, ['http://127.0.0.1:1']);
    assert.deepEqual(await balanced.ask('/'), { status: 502, body: 'upstream_unreachable' });
    assert.deepEqual(balanced.events.failures, ['unreachable', 'unreachable']);
  });

  it('have timeouts.connect each: a target that never shakes hands costs it once', async (t) => {
    const [alive] = await openTargets(t, 1);
    assert.ok(alive);
    const hung = (await script(t, () => {})).replace('http:', 'https:');
    const upstream = { balance: 'round-robin' } as const;
    const balanced = await openBalanced(t, [hung, alive], upstream, { timeouts: { connect: 0.4 } });
    const began = performance.now();
    assert.deepEqual(await balanced.ask('/', 'a body'), { status: 200, body: 'a a body' });
    assert.ok(performance.now() - began >= 390);
    await balanced.ask('/');
    assert.deepEqual(balanced.events.failures, ['timed_out'], 'the hung target is not passed over');
  });

  it('end with upstream_timed_out where the other target hangs as well, after timeouts.connect each', async (t) => {
    const origins = await Promise.all([script(t, () => {}), script(t, () => {})]);
    const hung = origins.map((origin) => origin.replace('http:', 'https:'));
    const balanced = await openBalanced(t, hung, {}, { timeouts: { connect: 0.1 } });
    const began = performance.now();
    assert.equal((await balanced.ask('/')).body, 'upstream_timed_out');
    assert.ok(performance.now() - began >= 195);
    assert.deepEqual(balanced.events.failures, ['timed_out', 'timed_out']);
  });

  it('are not made where every target is busy: that is upstream_queue_full after timeouts.connect', async (t) => {
    const targets = await openTargets(t, 2);
    for (const target of targets) target.answer = () => {};
    const balanced = await openBalanced(t, targets, { connections: 1 }, { timeouts: { connect: 0.5 } });
    for (const path of ['/1', '/2']) void balanced.ask(path).catch(() => {});
    await until(() => targets.every(({ seen }) => seen.length === 1));
    const began = performance.now();
    assert.deepEqual(await balanced.ask('/3'), { status: 503, body: 'upstream_queue_full' });
    assert.ok(performance.now() - began >= 490);
    assert.deepEqual(balanced.events.failures, []);
  });

  it('are not needed where one target is busy: the request goes to another one at once, and never to the first', async (t) => {
    const targets = await openTargets(t, 2);
    const [busy, free] = targets;
    assert.ok(busy && free);
    const held: (() => void)[] = [];
    busy.answer = (_request, response) => held.push(() => response.end('late'));
    const upstream = { connections: 1, balance: 'round-robin' } as const;
    const balanced = await openBalanced(t, targets, upstream, { timeouts: { connect: 1 } });
    const first = balanced.ask('/1');
    await until(() => held.length === 1);
    assert.equal((await balanced.ask('/2')).body, 'b ');
    assert.equal((await balanced.ask('/3', 'a body')).body, 'b a body');
    held[0]?.();
    assert.equal((await first).body, 'late');
    free.kill();
    const last = balanced.ask('/4');
    await until(() => held.length === 2);
    held[1]?.();
    assert.equal((await last).body, 'late');
    assert.deepEqual(busy.seen, ['/1', '/4']);
  });

  it('go to a target that is left alone rather than to the one that just failed', async (t) => {
    const [sick] = await openTargets(t, 1);
    assert.ok(sick);
    sick.checked = (_request, response) => response.writeHead(500).end();
    const held: (() => void)[] = [];
    sick.answer = (_request, response) => held.push(() => response.end('done'));
    const health = { path: '/healthz', interval: 0.2, unhealthyAfter: 1, healthyAfter: 1 };
    const balanced = await openBalanced(t, [sick, 'http://127.0.0.1:1'], { health });
    await until(() => balanced.events.count('unhealthy') === 2);
    const asked = [balanced.ask('/1')];
    await until(() => held.length === 1);
    asked.push(balanced.ask('/2'));
    await until(() => held.length === 2);
    for (const answer of held) answer();
    for (const one of asked) assert.equal((await one).body, 'done');
    assert.equal(balanced.events.count('retried'), 1);
  });

  it('end with timeouts.total', async (t) => {
    const [alive] = await openTargets(t, 1);
    assert.ok(alive);
    const hung = (await script(t, () => {})).replace('http:', 'https:');
    const timeouts = { connect: 5, total: 0.1 };
    const balanced = await openBalanced(t, [hung, alive], { balance: 'round-robin' }, { timeouts });
    assert.equal((await balanced.ask('/')).body, 'upstream_timed_out');
    assert.equal(balanced.events.count('retried'), 0);
  });

  it('are not made at the same target for a request that waited for a connection in vain', async (t) => {
    const [busy] = await openTargets(t, 1);
    assert.ok(busy);
    busy.answer = () => {};
    const wishes = { timeouts: { connect: 0.5 } };
    const balanced = await openBalanced(t, [busy], { connections: 1 }, wishes);
    void balanced.ask('/1').catch(() => {});
    await until(() => busy.seen.length !== 0);
    assert.equal((await balanced.ask('/2')).body, 'upstream_queue_full');
    assert.deepEqual([balanced.events.count('retried'), balanced.events.failures], [0, []]);
    assert.deepEqual(busy.seen, ['/1']);
  });

  it('are not made once a connection was there: not when it is closed at once, nor before an answer', async (t) => {
    const [alive] = await openTargets(t, 1);
    assert.ok(alive);
    let got = 0;
    const rude = await script(t, (socket) => {
      socket.on('data', () => {
        got += 1;
        socket.destroy();
      });
    });
    const balanced = await openBalanced(t, [rude, alive], { balance: 'round-robin', retries: 3 });
    assert.equal((await balanced.ask('/', 'body')).body, 'upstream_unreachable');
    assert.deepEqual([got, alive.seen.length, balanced.events.count('retried')], [1, 0, 0]);
  });

  it('are not made for a client that went away meanwhile', async (t) => {
    const [alive] = await openTargets(t, 1);
    assert.ok(alive);
    const asked = Promise.withResolvers<() => void>();
    const lookup: LookupFunction = (_name, _options, callback) => {
      asked.resolve(() => callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), []));
    };
    const targets = ['http://nowhere.test', alive];
    const balanced = await openBalanced(t, targets, { balance: 'round-robin' }, { open: { lookup } });
    const client = send(t, balanced.port, GET);
    const fail = await asked.promise;
    client.socket.destroy();
    assert.equal((await balanced.outcomes.next()).kind, 'client_gone');
    fail();
    await new Promise(setImmediate);
    assert.deepEqual([alive.seen, balanced.events.all], [[], []]);
  });
});
