// Real outages of a real Redis: closed, within the deadline, and over in the end.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { RedisReplayStore, StoreState } from '../../../src/memory/redis/replay-store.ts';
import { policyOf } from '../../support/policies.ts';
import { openStore, startRedis, startSlowRelay, type TestRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';
import { freePort } from '../../support/programs.ts';

const now = () => Date.now() / 1000;
let count = 0;
/** A proof that nobody has used. */
const ask = (store: RedisReplayStore, jti = `jti ${(count += 1)}`) => store.remember('k', jti, now() + 60, now());

/** Milliseconds; the deadline of these stores is 400, and a busy machine adds to it. */
const AT_ONCE = 200;
const DEADLINE = 400 + 1200;
/** Later than the deadline, and no silence for which a connection is given up. */
const LATE = 1000;

async function timed<T>(work: Promise<T>): Promise<readonly [T, number]> {
  const started = performance.now();
  return [await work, performance.now() - started];
}

/** Away for everybody, and nobody waits: the circuit is open. */
async function assertAway(store: RedisReplayStore, reason: StoreState['reason']): Promise<void> {
  await until(() => store.state.reason === reason);
  const slowest: number[] = [];
  // More than once, because the machine may pause, too.
  for (let round = 0; round < 4; round += 1) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => timed(ask(store))));
    assert.ok(
      answers.every(([answer, took]) => answer === 'unavailable' && took < DEADLINE),
      JSON.stringify(answers),
    );
    slowest.push(Math.max(...answers.map(([, took]) => took)));
  }
  assert.ok(Math.min(...slowest) < AT_ONCE, slowest.join());
}

async function assertBack(store: RedisReplayStore): Promise<void> {
  await until(() => store.state.up);
  const jti = `after outage ${(count += 1)}`;
  assert.equal(await ask(store, jti), 'fresh');
  assert.equal(await ask(store, jti), 'replayed');
}

describe('an outage of Redis', () => {
  test('down at start: no proof is fresh, and nobody waits; it comes, and proofs are', async (t) => {
    const port = await freePort();
    const store = await openStore(t, port);
    await assertAway(store, 'disconnected');
    await startRedis(t, { port });
    await assertBack(store);
  });

  test('killed: the same, and what comes back empty is another memory', async (t) => {
    const redis = await startRedis(t);
    const store = await openStore(t, redis.port);
    const before = store.coverage;
    assert.equal(await ask(store, 'used'), 'fresh');
    await redis.kill();
    const [answer, took] = await timed(ask(store));
    assert.equal(answer, 'unavailable');
    assert.ok(took < DEADLINE, String(took));
    await assertAway(store, 'disconnected');
    await redis.restart();
    await until(() => store.state.up);
    assert.ok(store.coverage.since > before.since, 'proofs dated before need a nonce');
    assert.equal(await store.remember('k', 'used', now() + 60, now(), before), 'challenge', 'judged by the old memory');
    await assertBack(store);
  });

  test('hung: one deadline, then nobody waits; late answers are nobody’s', async (t) => {
    const redis = await startRedis(t);
    const store = await openStore(t, redis.port);
    redis.hang();
    await pause(1); // a timer counts from the beginning of its turn of the loop: one that begins now
    const [answers, took] = await timed(Promise.all(Array.from({ length: 20 }, (_, nth) => ask(store, `hung ${nth}`))));
    assert.ok(
      answers.every((answer) => answer === 'unavailable'),
      answers.join(),
    );
    assert.ok(took >= 390 && took < DEADLINE, String(took));
    await assertAway(store, 'timeout');
    redis.resume();
    await assertBack(store);
    for (let nth = 0; nth < 20; nth += 1) {
      // The insert may or may not have happened; a client that was refused makes another proof.
      assert.ok(['fresh', 'replayed'].includes(await ask(store, `hung ${nth}`)));
      assert.equal(await ask(store, `hung ${nth}`), 'replayed');
    }
  });

  test('hung for longer than any connection: it is made anew, and found again', async (t) => {
    const redis = await startRedis(t);
    const store = await openStore(t, redis.port);
    redis.hang();
    assert.equal(await ask(store), 'unavailable');
    await until(() => store.state.reason === 'disconnected' || store.state.reason === 'timeout');
    const clients = async () => String(await redis.command('CLIENT', 'LIST')).match(/name=holdfast/g)?.length;
    // One that starts meanwhile does not wait for ever either.
    const [late, took] = await timed(openStore(t, redis.port));
    assert.equal(late.state.up, false);
    assert.ok(took < 5000, String(took));
    setTimeout(() => redis.resume(), 500);
    await assertBack(store);
    await until(() => late.state.up);
    await until(async () => (await clients()) === 2);
  });

  test('slow: each answer too late is a no, and the circuit stays open until answers are in time', async (t) => {
    const redis = await startRedis(t);
    const relay = await startSlowRelay(t, redis.port);
    const store = await openStore(t, relay.port);
    relay.delay = LATE;
    const [answer, took] = await timed(ask(store, 'slow'));
    assert.equal(answer, 'unavailable');
    assert.ok(took < DEADLINE, String(took));
    await assertAway(store, 'timeout');
    relay.delay = 0;
    await assertBack(store);
    assert.equal(await ask(store, 'slow'), 'replayed', 'it was remembered, although nobody heard of it');
  });

  test('a pause shorter than the default deadline costs no question, whoever asks while it lasts', async (t) => {
    const byDefault = policyOf({ more: 'replay: { store: redis, redis: { url: "redis://127.0.0.1" } }\n' });
    const redis = await startRedis(t);
    const relay = await startSlowRelay(t, redis.port);
    const states: StoreState[] = [];
    const events = { state: (state: StoreState) => void states.push(state), answered: () => {}, failed: () => {} };
    // All of it ten times as long, so that pauses of the machine do not count: a hundred milliseconds of the default.
    const store = await openStore(t, relay.port, { policy: { timeout: 10 * byDefault.replay.redis!.timeout }, events });
    relay.delay = 1000;
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(store)));
    assert.deepEqual(new Set(answers), new Set(['fresh']));
    assert.deepEqual(
      states.map(({ up }) => up),
      [true],
    );
  });

  test('out of memory: nothing is evicted to make room, and nothing is fresh', async (t) => {
    const redis = await startRedis(t);
    const store = await openStore(t, redis.port);
    assert.equal(await ask(store, 'used'), 'fresh');
    await redis.command('CONFIG', 'SET', 'maxmemory', '1mb');
    assert.equal(await ask(store), 'unavailable');
    await assertAway(store, 'out_of_memory');
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    await assertBack(store);
    assert.equal(await ask(store, 'used'), 'replayed');
  });

  test('read-only: a replica is no memory, whether it became one or was one at the start', async (t) => {
    const [redis, master] = [await startRedis(t), await startRedis(t)];
    const store = await openStore(t, redis.port);
    await redis.command('REPLICAOF', '127.0.0.1', master.port);
    assert.equal(await ask(store), 'unavailable');
    await assertAway(store, 'read_only');
    const late = await openStore(t, redis.port);
    assert.equal(late.state.reason, 'read_only');
    await redis.command('REPLICAOF', 'NO', 'ONE');
    await assertBack(store);
    await until(() => late.state.up);
  });

  test('busy with a script, and then loading: neither is asked to remember', async (t) => {
    const redis = await startRedis(t, {
      config:
        'busy-reply-threshold 50\nenable-debug-command yes\nkey-load-delay 200\nloading-process-events-interval-bytes 1024',
    });
    const store = await openStore(t, redis.port);
    const busy = new Redis({ port: redis.port });
    t.after(() => busy.disconnect());
    const script = busy.eval('while true do end', 0).catch(String);
    await until(async () => (await ask(store)) === 'unavailable');
    await assertAway(store, 'busy');
    await killScript(redis);
    assert.match(String(await script), /killed/i);
    await assertBack(store);
    // Ten thousand keys at 200 µs each.
    await redis.command('DEBUG', 'POPULATE', 10_000);
    const reload = redis.command('DEBUG', 'RELOAD');
    await until(async () => (await ask(store)) === 'unavailable');
    await until(() => store.state.reason === 'loading');
    assert.equal(await ask(store), 'unavailable');
    await reload;
    await assertBack(store);
  });

  test('one that may evict proofs is never relied upon', async (t) => {
    const redis = await startRedis(t, { config: 'maxmemory-policy allkeys-lru' });
    const store = await openStore(t, redis.port);
    await assertAway(store, 'evicts');
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await assertBack(store);
  });

  test('an account that may not write is told apart, and one that may not ask for INFO is taken with a reservation', async (t) => {
    const redis = await startRedis(t);
    await redis.command('ACL', 'SETUSER', 'reader', 'on', '>pa55', '~*', '+@read', '+info');
    await redis.command('ACL', 'SETUSER', 'plain', 'on', '>pa55', '~holdfast:*', '+set', '+get', '+pexpire');
    const of = (username: string, password: string) => openStore(t, redis.port, { policy: { username, password } });
    assert.deepEqual((await of('reader', 'pa55')).state, { up: false, reason: 'denied' });
    assert.deepEqual((await of('reader', 'wrong')).state, { up: false, reason: 'denied' });
    // As docs/scaling.md has it.
    const rights = ['+set', '+get', '+pexpire', '+info', '+config|get', '+client|setname', '+select'];
    await redis.command('ACL', 'SETUSER', 'holdfast', 'on', '>pa55', '~holdfast:*', ...rights);
    assert.deepEqual((await of('holdfast', 'pa55')).state, { up: true, reason: undefined });
    const plain = await of('plain', 'pa55');
    assert.deepEqual(plain.state, { up: true, reason: 'eviction_unknown' });
    assert.equal(await ask(plain), 'fresh');
  });

  test('a connection that is cut is made anew within the deadline, and nobody is refused', async (t) => {
    const redis = await startRedis(t);
    const store = await openStore(t, redis.port, { policy: { timeout: 5 } });
    for (let nth = 0; nth < 5; nth += 1) {
      await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      assert.notEqual(await ask(store, `cut ${nth}`), 'replayed');
      assert.equal(store.state.up, true);
    }
  });
});

test('an insert whose answer is lost is not sent again, and none is kept for later', async (t) => {
  const redis = await startRedis(t);
  const relay = await startSlowRelay(t, redis.port);
  const store = await openStore(t, relay.port);
  const watching = new Redis({ port: redis.port });
  t.after(() => watching.disconnect());
  const monitor = await watching.monitor();
  t.after(() => monitor.disconnect());
  const inserts: string[] = [];
  monitor.on('monitor', (_time: string, [name = '', key = '']: string[]) => {
    if (name.toLowerCase() === 'set' && /^holdfast:[\w-]{43}$/.test(key)) inserts.push(key);
  });
  relay.delay = 60_000;
  const unanswered = await Promise.all([ask(store, 'one'), ask(store, 'two'), ask(store, 'three')]);
  assert.deepEqual(new Set(unanswered), new Set(['unavailable']));
  relay.cut();
  await until(() => store.state.reason !== 'timeout' || !store.state.up);
  assert.equal(await ask(store, 'without a connection'), 'unavailable');
  relay.delay = 0;
  relay.cut();
  await until(() => store.state.up);
  assert.equal(await ask(store, 'after'), 'fresh');
  await until(() => inserts.length >= 4);
  await redis.command('PING');
  assert.equal(inserts.length, 4, 'three that were lost, once each, and the last');
  assert.equal(new Set(inserts).size, 4);
});

test('whatever happens in between, no proof is fresh twice: kills, hangs, cut connections and restarts under load', async (t) => {
  const redis = await startRedis(t);
  // Less than the hangs below.
  const open = () => openStore(t, redis.port, { policy: { timeout: 0.1 } });
  const stores = [await open(), await open(), await open()];
  const used = new Map<string, number>();
  const seen = { fresh: 0, again: 0, refused: 0, tooOld: 0 };
  const running = { still: true };
  /** As the path does it: first the date against `since`, then the question, with what the coverage was. */
  const present = async (store: RedisReplayStore, jti: string, dated: number) => {
    const { coverage } = store;
    if (dated < coverage.since) return 'nonce_required';
    return await store.remember('k', jti, dated + 60, now(), coverage);
  };
  const client = async () => {
    while (running.still) {
      const [jti, dated] = [`chaos ${(count += 1)}`, now()];
      const answers = await Promise.all(stores.map((store) => present(store, jti, dated)));
      const fresh = answers.filter((answer) => answer === 'fresh').length;
      assert.ok(fresh <= 1, answers.join());
      seen.fresh += fresh;
      seen.refused += fresh === 0 ? 1 : 0;
      if (fresh === 1) used.set(jti, dated);
      for (const [old, date] of [...used].slice(-40)) {
        const answer = await present(stores[count % 3] as RedisReplayStore, old, date);
        assert.notEqual(answer, 'fresh', `${old} for the second time`);
        seen[answer === 'nonce_required' ? 'tooOld' : 'again'] += 1;
      }
      await pause(1);
    }
  };
  const clients = Promise.all([client(), client(), client()]);
  for (const plug of ['kill', 'cut', 'hang', 'kill', 'cut', 'hang', 'kill', 'cut'] as const) {
    const before = { ...seen };
    const goesOn = until(() => seen.fresh >= before.fresh + 5 && seen.again >= before.again + 20);
    await Promise.race([Promise.all([pause(250), goesOn]), clients]);
    if (plug === 'cut') await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    else if (plug === 'kill') await redis.restart();
    else {
      redis.hang();
      await pause(150);
      redis.resume();
    }
  }
  running.still = false;
  await clients;
  assert.ok(seen.fresh > 20 && seen.again > 100 && seen.refused > 0 && seen.tooOld > 10, JSON.stringify(seen));
});

test('many that lost one server do not come back as one, and none comes twice', async (t) => {
  const redis = await startRedis(t);
  const up: number[] = [];
  const events = {
    state: (state: StoreState) => state.up && up.push(performance.now()),
    answered: () => {},
    failed: () => {},
  };
  const stores = await Promise.all(Array.from({ length: 30 }, () => openStore(t, redis.port, { events })));
  await redis.kill();
  await until(() => stores.every(({ state }) => !state.up));
  // The intervals between attempts have grown.
  await pause(1500);
  up.length = 0;
  await redis.restart();
  const before = Number(/total_connections_received:(\d+)/.exec(String(await redis.command('INFO', 'stats')))?.[1]);
  await until(() => up.length === stores.length);
  const after = Number(/total_connections_received:(\d+)/.exec(String(await redis.command('INFO', 'stats')))?.[1]);
  assert.ok(after - before <= stores.length, `${after - before} connections`);
  const [first, last] = [Math.min(...up), Math.max(...up)];
  assert.ok(last - first > 200, `all within ${last - first} ms`);
});

async function killScript(redis: TestRedis): Promise<void> {
  for (;;) {
    const said = await redis.command('SCRIPT', 'KILL').catch(String);
    if (String(said).includes('NOTBUSY')) return;
  }
}
