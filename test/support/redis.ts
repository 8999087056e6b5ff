// Real redis-servers on loopback: single, Sentinel and Cluster.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { RedisPolicy } from '../../src/policy/redis.ts';
import { RedisReplayStore, type RedisStoreOptions } from '../../src/memory/redis/replay-store.ts';
import { findProgram, freePort, type Running, startProgram } from './programs.ts';
import { until } from './until.ts';

type Closing = Pick<TestContext, 'after'>;

export interface TestRedis {
  readonly port: number;
  readonly url: string;
  /** A command, by a connection of the test's own. @throws what Redis says */
  command(...words: readonly (string | number)[]): Promise<unknown>;
  /** Ends it without a chance to write anything, and waits for that. */
  kill(): Promise<void>;
  /** The same port, another process, as empty as the first one was. */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay, nothing is answered. */
  hang(): void;
  resume(): void;
}

export interface RedisWishes {
  readonly port?: number;
  /** Directives of redis.conf, one a line. */
  readonly config?: string;
  readonly sentinel?: boolean;
}

/** Starts one. It persists nothing, and ends with the test. */
export async function startRedis(
  t: Closing,
  { port, config = '', sentinel = false }: RedisWishes = {},
): Promise<TestRedis> {
  const file = await findProgram('redis-server');
  const at = port ?? (await freePort());
  const start = (): Promise<Running> => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-redis-'));
    const rest = sentinel ? '' : 'save ""\nappendonly no\nrepl-diskless-sync-delay 0\n';
    writeFileSync(join(folder, 'redis.conf'), `port ${at}\nbind 127.0.0.1\ndir ${folder}\n${rest}${config}\n`);
    const args = [join(folder, 'redis.conf'), ...(sentinel ? ['--sentinel'] : [])];
    return startProgram(t, { file, args, folder, ports: [at] });
  };
  let running = await start();
  const client = new Redis({
    port: at,
    lazyConnect: true,
    retryStrategy: () => 20,
    maxRetriesPerRequest: 200,
    enableReadyCheck: false,
    protocol: 2,
  });
  client.on('error', () => {});
  t.after(() => {
    running.signal('SIGCONT');
    client.disconnect();
  });
  return {
    port: at,
    url: `redis://127.0.0.1:${at}`,
    command: (name, ...words) => client.call(String(name), ...words.map(String)),
    async kill() {
      running.signal('SIGKILL');
      await running.ended;
    },
    async restart() {
      running.signal('SIGKILL');
      await running.ended;
      running = await start();
    },
    hang: () => running.signal('SIGSTOP'),
    resume: () => running.signal('SIGCONT'),
  };
}

/** Three masters, each with a third of the slots; as many replicas, if asked for. */
export async function startCluster(t: Closing, { replicas = false } = {}): Promise<readonly TestRedis[]> {
  const config =
    'cluster-enabled yes\ncluster-node-timeout 1000\ncluster-config-file nodes.conf\ncluster-require-full-coverage no';
  const nodes: TestRedis[] = [];
  // The bus has the port + 10000.
  for (let nth = 0; nth < (replicas ? 6 : 3); nth += 1)
    nodes.push(await startRedis(t, { config, port: await freePort(22_000) }));
  const [first] = nodes;
  const masters = nodes.slice(0, 3);
  await Promise.all(
    masters.map((node, nth) =>
      node.command(
        'CLUSTER',
        'ADDSLOTSRANGE',
        Math.floor((nth * 16_384) / 3),
        Math.floor(((nth + 1) * 16_384) / 3) - 1,
      ),
    ),
  );
  for (const node of nodes.slice(1)) await node.command('CLUSTER', 'MEET', '127.0.0.1', first?.port ?? 0);
  const every = async (told: (node: TestRedis) => Promise<boolean>) => {
    for (const node of nodes) while (!(await told(node))) await pause(50);
  };
  await every(
    async (node) =>
      (String(await node.command('CLUSTER', 'INFO')).match(/cluster_known_nodes:(\d+)/)?.[1] ?? '') ===
      String(nodes.length),
  );
  for (const [nth, node] of nodes.slice(3).entries()) {
    const master = String(await masters[nth]?.command('CLUSTER', 'MYID'));
    for (;;) {
      const done = await node.command('CLUSTER', 'REPLICATE', master).catch(() => undefined);
      if (done !== undefined) break;
      await pause(50);
    }
  }
  for (const node of nodes.slice(3)) {
    // One that has never heard of its master does not follow it.
    await until(async () => String(await node.command('INFO', 'replication')).includes('master_link_status:up'));
  }
  await every(async (node) =>
    /cluster_state:ok\r\ncluster_slots_assigned:16384/.test(String(await node.command('CLUSTER', 'INFO'))),
  );
  return nodes;
}

/** What is asked for a store of the test's own; the rest is plain. */
export interface StoreWishes extends Partial<Omit<RedisStoreOptions, 'policy'>> {
  readonly place?: RedisPolicy['place'];
  readonly policy?: Partial<RedisPolicy>;
}

/** A store at this port, open. It is closed with the test. */
export async function openStore(t: Closing, port: number, wishes: StoreWishes = {}): Promise<RedisReplayStore> {
  const { policy, ...options } = wishes;
  const store = new RedisReplayStore({
    policy: {
      place: { kind: 'server', host: '127.0.0.1', port, db: 0 },
      username: undefined,
      password: undefined,
      tls: undefined,
      // More than a busy machine keeps a server waiting.
      timeout: 0.4,
      prefix: 'holdfast:',
      whenUnavailable: 'reject',
      clockTolerance: 0,
      retention: 75,
      ...policy,
    },
    now: () => Date.now() / 1000,
    wantsSecrets: false,
    events: { state: () => {}, answered: () => {}, failed: () => {} },
    ...options,
  });
  t.after(() => store.close());
  await store.open();
  return store;
}

/** A relay to a port that holds back what the server says. */
export interface SlowRelay {
  readonly port: number;
  /** Milliseconds. */
  delay: number;
  /** Ends all connections. */
  cut(): void;
}

export async function startSlowRelay(t: Closing, to: number): Promise<SlowRelay> {
  const sockets = new Set<Socket>();
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  const relay = { port: 0, delay: 0, cut };
  const server = createServer((socket) => {
    const inner = connect(to, '127.0.0.1');
    for (const one of [socket, inner]) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        socket.destroy();
        inner.destroy();
      });
    }
    socket.pipe(inner);
    inner.on('data', (chunk: Buffer) => {
      if (relay.delay === 0) socket.write(chunk);
      else setTimeout(() => socket.write(chunk), relay.delay).unref();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    cut();
  });
  relay.port = (server.address() as { port: number }).port;
  return relay;
}
