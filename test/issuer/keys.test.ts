// Keys of an issuer over real servers: rotation, withdrawal, outages, unknown kids.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  breakOff,
  KEY_A,
  KEY_B,
  json,
  loadedKeys,
  makeIssuer,
  makeKeys,
  serve,
  status,
} from '../support/issuer-server.ts';

describe('a good answer replaces the set', () => {
  test('an unchanged key stays the same object, a new one comes, one that is gone is withdrawn at once', async (t) => {
    const { server, keys, kids, clock, events } = await loadedKeys(t);
    const [before] = keys.current(clock.now) ?? [];
    server.answer = json({ keys: [KEY_A, KEY_B] });
    await keys.refreshFor('b');
    assert.equal(keys.current(clock.now)?.[0], before);
    assert.deepEqual(kids(), ['a', 'b']);
    clock.now += 31;
    server.answer = json({ keys: [KEY_B] });
    await keys.refreshFor('c');
    assert.deepEqual(kids(), ['b']);
    assert.equal(before?.current, false);
    assert.equal(keys.current(clock.now)?.[0]?.current, true);
    assert.deepEqual(events.at(-1), { issuer: 'login', result: 'loaded', keys: 1, withdrawn: 1, unused: [] });
  });

  test('a kid that is in the set by now causes no reading: who asks has an older copy', async (t) => {
    const { server, keys } = await loadedKeys(t);
    const before = server.seen.length;
    await keys.refreshFor('a');
    assert.equal(server.seen.length, before);
  });

  test('a key with the same kid and other material is another key', async (t) => {
    const { server, keys, clock } = await loadedKeys(t);
    const [before] = keys.current(clock.now) ?? [];
    server.answer = json({ keys: [{ ...KEY_B, kid: 'a' }] });
    await keys.refreshFor('c');
    assert.equal(before?.current, false);
    assert.notEqual(keys.current(clock.now)?.[0]?.id, before?.id);
  });

  test('a withdrawn key that comes back does not revive what was verified by it', async (t) => {
    const { server, keys, kids, clock } = await loadedKeys(t);
    const [before] = keys.current(clock.now) ?? [];
    for (const set of [{ keys: [] }, { keys: [KEY_A] }]) {
      clock.now += 31;
      server.answer = json(set);
      await keys.refreshFor('c');
      clock.now += 121;
    }
    assert.deepEqual(kids(), ['a']);
    assert.equal(before?.current, false);
  });

  test('an empty set is a good answer: every key is withdrawn', async (t) => {
    const { server, keys, kids } = await loadedKeys(t);
    server.answer = json({ keys: [] });
    await keys.refreshFor('c');
    assert.deepEqual(kids(), []);
    assert.equal(keys.loadedOnce, true);
  });

  test('keys that cannot be used are told about', async (t) => {
    const server = await serve(t);
    server.answer = json({ keys: [KEY_A, { kty: 'oct', k: 'c2VjcmV0' }] });
    const { keys, events } = makeKeys(t, makeIssuer({ from: 'jwks_uri', uri: server.origin }));
    await keys.start();
    assert.deepEqual(events, [{ issuer: 'login', result: 'loaded', keys: 1, withdrawn: 0, unused: ['private'] }]);
  });

  test('whatever its media type says', async (t) => {
    const server = await serve(t);
    server.answer = json({ keys: [KEY_A] }, { 'content-type': 'text/html' });
    const { keys, kids } = makeKeys(t, makeIssuer({ from: 'jwks_uri', uri: server.origin }));
    await keys.start();
    assert.deepEqual(kids(), ['a']);
  });
});

describe('a set that no newer one replaces counts', () => {
  test('for 24 hours at most; then the keys are withdrawn and the set is gone', async (t) => {
    const { server, keys, kids, clock } = await loadedKeys(t);
    const [key] = keys.current(clock.now) ?? [];
    server.answer = status(503);
    clock.now += 24 * 3600;
    await keys.refreshFor('c');
    assert.deepEqual(kids(), ['a']);
    assert.equal(keys.ageSeconds, 24 * 3600);
    clock.now += 1;
    assert.equal(kids(), undefined);
    assert.equal(key?.current, false);
    assert.equal(keys.loadedOnce, true);
  });

  test('keys that became too old are withdrawn though nobody asks for the set', async (t) => {
    const { server, keys, clock, nextEvent } = await loadedKeys(t, { refetch: { min: 0.01, usual: 0.01, max: 0.01 } });
    const [key] = keys.current(clock.now) ?? [];
    server.answer = status(503);
    clock.now += 24 * 3600 + 1;
    await nextEvent();
    assert.equal(key?.current, false);
  });

  test('before the first good answer there is no set', async (t) => {
    const server = await serve(t);
    server.answer = status(503);
    const { keys, kids } = makeKeys(t, makeIssuer({ from: 'jwks_uri', uri: server.origin }));
    await keys.start();
    assert.equal(kids(), undefined);
    assert.equal(keys.loadedOnce, false);
    assert.equal(keys.ageSeconds, undefined);
  });
});

describe('in the background', () => {
  const quick = { refetch: { min: 0.01, usual: 0.01, max: 0.02 }, retry: { min: 0.01, max: 0.02 } };

  test('the set is read again without anybody asking', async (t) => {
    const { server, kids, nextEvent } = await loadedKeys(t, quick);
    server.answer = json({ keys: [KEY_B] });
    await nextEvent();
    await nextEvent();
    assert.deepEqual(kids(), ['b']);
  });

  test('an outage ends by itself', async (t) => {
    const server = await serve(t);
    server.answer = status(503);
    const { keys, kids, events, nextEvent } = makeKeys(t, makeIssuer({ from: 'jwks_uri', uri: server.origin }), quick);
    await keys.start();
    await nextEvent();
    server.answer = json({ keys: [KEY_A] });
    while (events.at(-1)?.result === 'failed') await nextEvent();
    assert.deepEqual(kids(), ['a']);
    assert.equal(keys.lastError, undefined);
  });

  test('stop ends it, and a reading in flight', { timeout: 20_000 }, async (t) => {
    const { server, keys, events } = await loadedKeys(t);
    const arrived = new Promise<void>((resolve) => {
      server.answer = () => resolve();
    });
    const refresh = keys.refreshFor('c');
    await arrived;
    keys.stop();
    await refresh;
    await keys.refreshFor('d');
    assert.equal(events.length, 1);
    assert.equal(server.seen.length, 2);
  });

  for (const [fields, seconds] of [
    [{}, 600],
    [{ 'cache-control': 'public, max-age=900' }, 900],
    [{ 'cache-control': 'max-age=5' }, 60],
    [{ 'cache-control': 'max-age=86400' }, 3600],
    [{ 'cache-control': 'max-age=900, no-store' }, 60],
    [{ 'cache-control': 'max-age=soon' }, 600],
    [{ 'cache-control': 'x-max-age=900' }, 600],
  ] as const) {
    test(`the next reading is ${seconds} s after ${JSON.stringify(fields)}`, async (t) => {
      const server = await serve(t);
      server.answer = json({ keys: [KEY_A] }, fields);
      const { keys } = makeKeys(t, makeIssuer({ from: 'jwks_uri', uri: server.origin }));
      const timers = t.mock.method(globalThis, 'setTimeout');
      await keys.start();
      const delays = timers.mock.calls.map(({ arguments: [, delay] }) => delay);
      timers.mock.restore();
      assert.ok(delays.includes(seconds * 1000), String(delays));
    });
  }
});

describe('an unknown kid', () => {
  test('causes one reading, then none within the cooldown, whichever kid it is', async (t) => {
    const { server, keys, clock } = await loadedKeys(t);
    for (let n = 0; n < 200; n += 1) await keys.refreshFor(`kid ${n}`);
    assert.equal(server.seen.length, 2);
    clock.now += 31;
    for (let n = 200; n < 400; n += 1) await keys.refreshFor(`kid ${n}`);
    assert.equal(server.seen.length, 3);
  });

  test('that was looked for in vain is looked for again after the cooldown: it may be a key by then', async (t) => {
    const { server, keys, kids, clock } = await loadedKeys(t);
    await keys.refreshFor('b');
    clock.now += 29;
    await keys.refreshFor('b');
    assert.equal(server.seen.length, 2);
    server.answer = json({ keys: [KEY_A, KEY_B] });
    clock.now += 1;
    await keys.refreshFor('b');
    assert.deepEqual(kids(), ['a', 'b']);
  });

  test('that strangers invent, one or many, delays a key that is new by one cooldown at most', async (t) => {
    for (const invented of [() => 'invented', (n: number) => `invented ${n}`]) {
      const { server, keys, kids, clock } = await loadedKeys(t);
      await keys.refreshFor(invented(0));
      server.answer = json({ keys: [KEY_A, KEY_B] });
      // Strangers ask all the time, and no client asks for the key that is new.
      for (let n = 1; n <= 30; n += 1) {
        assert.deepEqual(kids(), ['a']);
        clock.now += 1;
        await keys.refreshFor(invented(n));
      }
      assert.deepEqual([kids(), server.seen.length], [['a', 'b'], 3]);
    }
  });

  test('meets the cooldown also when the set is empty, or was never loaded', async (t) => {
    for (const answer of [json({ keys: [] }), status(503)]) {
      const server = await serve(t);
      server.answer = answer;
      const { keys } = makeKeys(t, makeIssuer({ from: 'jwks_uri', uri: server.origin }));
      await keys.start();
      for (let n = 0; n < 20; n += 1) await keys.refreshFor(n === 0 ? undefined : `kid ${n}`);
      assert.equal(server.seen.length, 2);
    }
  });

  test('is looked for again after a failure, which said nothing about it', async (t) => {
    const { server, keys, kids, clock } = await loadedKeys(t);
    server.answer = breakOff;
    await keys.refreshFor('b');
    clock.now += 31;
    server.answer = json({ keys: [KEY_A, KEY_B] });
    await keys.refreshFor('b');
    assert.deepEqual(kids(), ['a', 'b']);
  });

  test('asked for by many at once is one reading that all wait for', async (t) => {
    const { server, keys, kids } = await loadedKeys(t);
    server.answer = (request, response) => setImmediate(() => json({ keys: [KEY_A, KEY_B] })(request, response));
    await Promise.all(
      Array.from({ length: 100 }, async (_, n) => {
        await keys.refreshFor(n % 2 === 0 ? 'b' : `kid ${n}`);
        assert.deepEqual(kids(), ['a', 'b']);
      }),
    );
    assert.equal(server.seen.length, 2);
  });

  test('waits for the first reading at the start instead of causing a second one', async (t) => {
    const server = await serve(t);
    const { keys, kids } = makeKeys(t, makeIssuer({ from: 'jwks_uri', uri: server.origin }));
    const started = keys.start();
    await keys.refreshFor('a');
    assert.deepEqual(kids(), ['a']);
    await started;
    assert.equal(server.seen.length, 1);
  });

  test('is not held back for ever by a clock that was far ahead', async (t) => {
    const { server, keys, clock } = await loadedKeys(t);
    clock.now += 1e9;
    await keys.refreshFor('c');
    clock.now -= 1e9;
    await keys.refreshFor('c');
    assert.equal(server.seen.length, 3);
  });
});
