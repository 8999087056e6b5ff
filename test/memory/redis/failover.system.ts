// Real fail-overs of Sentinel and Cluster: a lost write is never fresh.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { RedisReplayStore } from '../../../src/memory/redis/replay-store.ts';
import type { Remembered } from '../../../src/proof/replay-store.ts';
import { openStore, startCluster, startRedis, type TestRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';
import { freePort } from '../../support/programs.ts';

const now = () => Date.now() / 1000;
const ask = (store: RedisReplayStore, jti: string, judgedBy = store.coverage) =>
  store.remember('k', jti, now() + 60, now(), judgedBy);

describe('sentinels', () => {
  test('a master that dies is replaced, the replica is another memory, and nobody waits for longer than the deadline', async (t) => {
    const master = await startRedis(t);
    const replica = await startRedis(t, { config: `replicaof 127.0.0.1 ${master.port}` });
    const config = [
      `sentinel monitor proofs 127.0.0.1 ${master.port} 2`,
      'sentinel down-after-milliseconds proofs 500',
      'sentinel failover-timeout proofs 3000',
    ].join('\n');
    const ports = [await freePort(), await freePort(), await freePort()];
    const sentinels = await Promise.all(ports.map((port) => startRedis(t, { port, config, sentinel: true })));
    for (const sentinel of sentinels) {
      await until(async () => {
        const [info] = (await sentinel.command('SENTINEL', 'REPLICAS', 'proofs')) as unknown[];
        const others = (await sentinel.command('SENTINEL', 'SENTINELS', 'proofs')) as unknown[];
        return String(info).includes(String(replica.port)) && others.length === 2;
      });
    }
    const nodes = ports.map((port) => ({ host: '127.0.0.1', port }));
    const store = await openStore(t, 0, { policy: { place: { kind: 'sentinel', name: 'proofs', nodes } } });
    const before = store.coverage;
    assert.equal(await ask(store, 'before'), 'fresh');
    await until(async () => String(await replica.command('INFO', 'replication')).includes('master_link_status:up'));

    // Lost writes: the replica hears of nothing more, and the proof is used.
    replica.hang();
    await pause(50);
    assert.equal(await ask(store, 'lost in the fail-over'), 'fresh');
    await master.kill();
    replica.resume();
    const answers: [Remembered, number][] = [];
    await until(async () => {
      const started = performance.now();
      answers.push([await ask(store, 'lost in the fail-over', before), performance.now() - started]);
      return store.state.up && store.coverage.since !== before.since;
    });
    assert.ok(
      answers.every(([answer]) => ['unavailable', 'challenge'].includes(answer)),
      JSON.stringify(answers),
    );
    assert.ok(
      answers.every(([, took]) => took < 400 + 1600),
      JSON.stringify(answers),
    );
    assert.equal(await ask(store, 'lost in the fail-over', before), 'challenge');
    assert.ok(store.coverage.since > before.since, 'proofs dated before the fail-over need a nonce');
    assert.equal(await ask(store, 'after'), 'fresh');
    assert.equal(await ask(store, 'after'), 'replayed');
  });
});

test('a server that was the master before, and is again, is another memory each time', async (t) => {
  const redis = await startRedis(t);
  const other = await startRedis(t, { config: `replicaof 127.0.0.1 ${redis.port}` });
  const linked = async (one: TestRedis) =>
    String(await one.command('INFO', 'replication')).includes('master_link_status:up');
  const store = await openStore(t, redis.port);
  const before = store.coverage;
  await until(() => linked(other));
  const markers = async (one: TestRedis) => ((await one.command('KEYS', 'holdfast:since:*')) as string[]).length;
  await until(async () => (await markers(other)) === 1);
  await other.command('REPLICAOF', 'NO', 'ONE');
  assert.equal(await ask(store, 'used after the other had stopped listening'), 'fresh');
  await redis.command('REPLICAOF', '127.0.0.1', other.port);
  assert.equal(await ask(store, 'any'), 'unavailable');
  await until(() => linked(redis));
  await redis.command('REPLICAOF', 'NO', 'ONE');
  await until(() => store.state.up);
  assert.equal(await markers(redis), 2, 'what the other knew is there');
  assert.ok(store.coverage.since > before.since);
  assert.equal(await ask(store, 'used after the other had stopped listening', before), 'challenge');
});

describe('a cluster', () => {
  test('remembers every proof once, over all its servers', async (t) => {
    const nodes = await startCluster(t);
    const place = { kind: 'cluster', nodes: nodes.map(({ port }) => ({ host: '127.0.0.1', port })) } as const;
    const stores = await Promise.all([1, 2].map(() => openStore(t, 0, { policy: { place, timeout: 1 } })));
    assert.ok(
      stores.every(({ state }) => state.up),
      JSON.stringify(stores.map(({ state }) => state)),
    );
    assert.equal(stores[0]?.coverage.since, stores[1]?.coverage.since);
    const jtis = Array.from({ length: 300 }, (_, nth) => `jti ${nth}`);
    const answers = await Promise.all(stores.flatMap((store) => jtis.map((jti) => ask(store, jti))));
    assert.equal(answers.filter((answer) => answer === 'fresh').length, 300);
    assert.equal(answers.filter((answer) => answer === 'replayed').length, 300);
    for (const node of nodes) assert.ok(Number(await node.command('DBSIZE')) > 50);
  });

  test('with a dead master: its third is refused, the rest goes on, its replica is another memory', async (t) => {
    const nodes = await startCluster(t, { replicas: true });
    const place = { kind: 'cluster', nodes: nodes.map(({ port }) => ({ host: '127.0.0.1', port })) } as const;
    const store = await openStore(t, 0, { policy: { place, timeout: 0.5 } });
    assert.equal(store.state.up, true);
    const before = store.coverage;
    const jtis = Array.from({ length: 60 }, (_, nth) => `jti ${nth}`);
    for (const jti of jtis) assert.equal(await ask(store, jti), 'fresh');
    await nodes[0]?.kill();
    const seen = { refused: 0, slowest: 0 };
    const stop = performance.now() + 40_000;
    let rounds = 0;
    const all = async () => {
      rounds += 1;
      const started = performance.now();
      const answers = await Promise.all(jtis.map((jti) => ask(store, jti, before)));
      seen.slowest = Math.max(seen.slowest, performance.now() - started);
      assert.ok(!answers.includes('fresh'), 'a used proof was taken for fresh');
      const fresh = await Promise.all(jtis.map((jti) => ask(store, `${jti} round ${rounds}`)));
      seen.refused += fresh.filter((answer) => answer === 'unavailable').length;
      return fresh.every((answer) => answer === 'fresh');
    };
    // Until the replica of the dead one takes its place.
    await until(async () => ((await all()) && store.coverage.since > before.since) || performance.now() > stop);
    assert.ok(performance.now() < stop, `still refused: ${JSON.stringify(seen)}`);
    assert.ok(seen.refused > 0, 'nothing was refused: nothing happened?');
    assert.ok(seen.slowest < 500 + 1000, JSON.stringify(seen));
    assert.equal(await ask(store, 'after'), 'fresh');
    assert.equal(await ask(store, 'after'), 'replayed');
  });

  test('with a hung master: its third costs the deadline at most, and the rest goes on', async (t) => {
    const nodes = await startCluster(t);
    const place = { kind: 'cluster', nodes: nodes.map(({ port }) => ({ host: '127.0.0.1', port })) } as const;
    const store = await openStore(t, 0, { policy: { place, timeout: 0.4 } });
    nodes[1]?.hang();
    const slowest = { took: 0, fresh: 0, refused: 0 };
    for (let round = 0; round < 20; round += 1) {
      const started = performance.now();
      const answers = await Promise.all(Array.from({ length: 30 }, (_, nth) => ask(store, `hung ${round} ${nth}`)));
      slowest.took = Math.max(slowest.took, performance.now() - started);
      slowest.fresh += answers.filter((answer) => answer === 'fresh').length;
      slowest.refused += answers.filter((answer) => answer === 'unavailable').length;
      await pause(100);
    }
    assert.ok(slowest.took < 400 + 600, JSON.stringify(slowest));
    assert.ok(slowest.fresh > 200 && slowest.refused > 66, JSON.stringify(slowest));
    nodes[1]?.resume();
    await until(async () =>
      (await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((nth) => ask(store, `${nth} ${now()}`)))).every(
        (one) => one === 'fresh',
      ),
    );
  });

  test('slots that move to another of its servers are found there', async (t) => {
    const nodes = await startCluster(t);
    const [from, to] = nodes;
    const place = { kind: 'cluster', nodes: nodes.map(({ port }) => ({ host: '127.0.0.1', port })) } as const;
    const store = await openStore(t, 0, { policy: { place, timeout: 0.5 } });
    const target = String(await to?.command('CLUSTER', 'MYID'));
    const slots = Array.from({ length: 3000 }, (_, slot) => slot);
    // Empty slots, so that no key has to move.
    for (const node of nodes)
      await Promise.all(slots.map((slot) => node.command('CLUSTER', 'SETSLOT', slot, 'NODE', target).catch(() => {})));
    assert.notEqual(from, undefined);
    await until(async () => {
      const answers = await Promise.all(Array.from({ length: 60 }, (_, nth) => ask(store, `moved ${nth} ${now()}`)));
      assert.ok(!answers.includes('replayed'), answers.join());
      return answers.every((answer) => answer === 'fresh');
    });
    assert.equal(await ask(store, 'after'), 'fresh');
    assert.equal(await ask(store, 'after'), 'replayed');
  });
});
