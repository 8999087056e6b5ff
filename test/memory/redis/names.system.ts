// Redis, Sentinel and Cluster found by name through a partly silent DNS server.

import assert from 'node:assert/strict';
import { lookup as getaddrinfo } from 'node:dns';
import { type TestContext, test } from 'node:test';
import { NameResolver } from '../../../src/dns/resolver.ts';
import type { RedisPolicy } from '../../../src/policy/redis.ts';
import { startNameServer, type Zone } from '../../support/name-server.ts';
import { openStore, startCluster, startRedis } from '../../support/redis.ts';

const LOOPBACK = { addresses: ['127.0.0.1'] };

async function resolver(t: TestContext, zone: Zone) {
  const dns = await startNameServer(t, zone);
  const names = new NameResolver({ servers: [dns.server], resolvConf: '/nowhere' });
  t.after(() => names.close());
  return { dns, names };
}

test('Redis is found by name beside names that are silent, and by the C library a name that only it knows', async (t) => {
  const { names } = await resolver(t, { 'redis.test': LOOPBACK, 'silent.test': 'silent' });
  const redis = await startRedis(t);
  const lost = Array.from({ length: 60 }, () =>
    names.resolve('silent.test').catch((error: unknown) => (error as NodeJS.ErrnoException).code),
  );
  const store = await openStore(t, redis.port, {
    lookup: names.lookup,
    policy: { place: { kind: 'server', host: 'redis.test', port: redis.port, db: 0 }, timeout: 2 },
  });
  const now = Date.now() / 1000;
  assert.equal(await store.remember('jkt', 'jti', now + 60, now), 'fresh');
  assert.deepEqual(new Set(await Promise.all(lost)), new Set(['EAI_AGAIN']));
  const asked: string[] = [];
  const other = new NameResolver({
    servers: ['127.0.0.1:1'],
    hostsFile: '/nowhere',
    resolvConf: '/nowhere',
    otherwise: (name, callback) => {
      asked.push(name);
      getaddrinfo('127.0.0.1', { all: true }, callback);
    },
  });
  assert.deepEqual(await other.resolve('redis.local'), [{ address: '127.0.0.1', family: 4 }]);
  assert.deepEqual(asked, ['redis.local']);
});

test('sentinels, the master that they name, and the nodes of a cluster are found by name', async (t) => {
  const { dns, names } = await resolver(t, {
    'sentinel.test': LOOPBACK,
    'cluster.test': LOOPBACK,
    'silent.test': 'silent',
  });
  names.resolve('silent.test').catch(() => {});
  const master = await startRedis(t);
  const config = 'sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n';
  const monitor = `sentinel monitor proofs localhost ${master.port} 1`;
  const sentinel = await startRedis(t, { config: `${config}${monitor}`, sentinel: true });
  const [node] = await startCluster(t);
  const places: RedisPolicy['place'][] = [
    { kind: 'sentinel', name: 'proofs', nodes: [{ host: 'sentinel.test', port: sentinel.port }] },
    { kind: 'cluster', nodes: [{ host: 'cluster.test', port: node?.port ?? 0 }] },
  ];
  for (const place of places) {
    const store = await openStore(t, 0, { lookup: names.lookup, policy: { place, timeout: 2 } });
    const now = Date.now() / 1000;
    assert.equal(await store.remember('jkt', 'jti', now + 60, now), 'fresh', place.kind);
  }
  assert.ok(dns.asked.includes('A sentinel.test') && dns.asked.includes('A cluster.test'));
});
