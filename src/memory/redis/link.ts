// The link to Redis (server, Sentinel or Cluster): each command sent at most once.

import { Cluster, Redis } from 'ioredis';
import type { LookupFunction } from 'node:net';
import { names } from '../../dns/resolver.ts';
import type { RedisPlace, RedisPolicy } from '../../policy/redis.ts';
import { sentinelConnector, serverConnector } from './connectors.ts';
import { readTrouble, StoreTrouble, type StoreTroubleReason } from './trouble.ts';

/** Milliseconds for a connection, and for an answer on one that is asked: then it is closed and made anew. */
const CONNECT_TIMEOUT = 2000;
const SILENCE = 2000;
/** Milliseconds, or so many deadlines, for one server of a cluster, before the others are relied upon without it. */
const PATIENCE = { least: 300, deadlines: 4 };
/** Milliseconds before the next attempt to connect, doubling; each is spread over half of it. */
const RETRY = { min: 25, max: 2000 };

export interface LinkEvents {
  /** There is a connection on which nothing was said yet. */
  readonly connected: () => void;
  /** In a cluster, what answers for some keys may be another server than before. */
  readonly changed: () => void;
  /** In a cluster, a server is away. */
  readonly fewer: () => void;
  /** The connection is gone; another is being made. */
  readonly ended: () => void;
  /** It could not be made, or broke, and why; it is being tried again. */
  readonly failed: (reason: StoreTroubleReason) => void;
}

export class RedisLink {
  /** Trouble with one key says nothing about others: they are kept by other servers. */
  readonly sharded: boolean;
  readonly #client: Redis | Cluster;
  readonly #events: LinkEvents;
  readonly #patience: number;
  #closed = false;

  /** @param lookup how names are resolved */
  constructor(policy: RedisPolicy, events: LinkEvents, lookup: LookupFunction = names.lookup) {
    this.#events = events;
    this.sharded = policy.place.kind === 'cluster';
    this.#patience = patienceOf(policy);
    this.#client = this.sharded ? openCluster(policy, lookup) : openServer(policy, lookup);
    const { changed, fewer, ended, failed } = events;
    this.#client.on('ready', () => this.#tell(events.connected));
    this.#client.on('error', (error: unknown) => this.#tell(() => failed(readTrouble(error))));
    this.#client.on('close', () => this.#tell(ended));
    // ioredis gives up in some corners of connecting: nobody here does.
    this.#client.on('end', () => this.#tell(() => setTimeout(() => this.#tell(() => this.open()), RETRY.max).unref()));
    this.#client.on('+node', () => this.#tell(changed));
    this.#client.on('-node', () => this.#tell(fewer));
  }

  #tell(event: () => void): void {
    if (!this.#closed) event();
  }

  open(): void {
    this.#client.connect().catch(() => {}); // `error` or `close` says why
  }

  get connected(): boolean {
    return this.#client.status === 'ready';
  }

  /**
   * `SET key 1 NX PX`: one atomic step, pipelined with others of its moment. @returns whether it was absent
   * @throws what Redis or ioredis said; then nobody knows whether it was stored, and it is not sent again
   */
  async insert(key: string, milliseconds: number): Promise<boolean> {
    this.#demandConnection();
    return (await this.#client.set(key, '1', 'PX', milliseconds, 'NX')) === 'OK';
  }

  /** What was there first, this value or another. @throws as `insert` */
  async settle(key: string, value: string, milliseconds: number): Promise<string> {
    this.#demandConnection();
    const settled = await this.#inTime(this.#settle(key, value, milliseconds));
    if (settled === null) throw new StoreTrouble('other');
    return settled;
  }

  async #settle(key: string, value: string, milliseconds: number): Promise<string | null> {
    await this.#client.set(key, value, 'PX', milliseconds, 'NX');
    const settled = await this.#client.get(key);
    await this.#client.pexpire(key, milliseconds);
    return settled;
  }

  /**
   * A script over one key (EVAL), which Redis runs as one atomic step. @throws as `insert`
   */
  async run(script: string, key: string, args: readonly number[]): Promise<unknown> {
    this.#demandConnection();
    return await this.#client.eval(script, 1, key, ...args);
  }

  /** null: there is no such key. @throws as `insert` */
  async read(key: string): Promise<string | null> {
    this.#demandConnection();
    return await this.#inTime(this.#client.get(key));
  }

  /** A write that means nothing, to see that there can be one. @throws as `insert` */
  async write(key: string): Promise<void> {
    this.#demandConnection();
    await this.#inTime(this.#client.set(key, '1', 'PX', 1000));
  }

  /** INFO of every server that takes writes and can be reached; empty where it is not for us. @throws as `insert`, if there is none */
  async describe(): Promise<readonly string[]> {
    this.#demandConnection();
    if (this.#client instanceof Redis) return [await readInfoOf(this.#client)];
    const answers = await Promise.allSettled(
      this.#client.nodes('master').map((node) => this.#inTime(readInfoOf(node))),
    );
    const texts = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    if (texts.length === 0) throw new StoreTrouble('cluster_down');
    return texts;
  }

  /** `maxmemory-policy` where INFO does not tell it; undefined: Redis does not tell at all. */
  async evictionPolicy(): Promise<string | undefined> {
    const node = this.#client instanceof Redis ? this.#client : this.#client.nodes('master')[0];
    const answer: unknown = await node?.config('GET', 'maxmemory-policy').catch(() => undefined);
    return Array.isArray(answer) && typeof answer[1] === 'string' ? answer[1] : undefined;
  }

  /** Connects anew: this server is not the one to write to any more. */
  reconnect(): void {
    if (this.connected) this.#client.disconnect(true);
  }

  close(): void {
    this.#closed = true;
    this.#client.disconnect();
  }

  #demandConnection(): void {
    if (!this.connected) throw new StoreTrouble('disconnected');
    // ioredis would ask a replica then, which may be about to be a master.
    if (this.#client instanceof Cluster && this.#client.nodes('master').length === 0)
      throw new StoreTrouble('cluster_down');
  }

  /** In a cluster; elsewhere SILENCE is the limit. @throws StoreTrouble */
  async #inTime<T>(answer: Promise<T>): Promise<T> {
    if (!this.sharded) return await answer;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new StoreTrouble('timeout')), this.#patience);
    });
    return await Promise.race([answer, late]).finally(() => clearTimeout(timer));
  }

  /** In a cluster, asks who has which slots now; tells `changed` before any command goes there. @throws what Redis said */
  async refresh(): Promise<void> {
    const cluster = this.#client;
    if (cluster instanceof Redis) return;
    const masters = () => namesOf(cluster.nodes('master'));
    const before = masters();
    await new Promise<void>((resolve, reject) => {
      cluster.refreshSlotsCache((error) => {
        // At once, so that no command goes to a new master before the caller knows.
        if (masters() !== before) this.#tell(this.#events.changed);
        if (error) reject(error);
        else resolve();
      });
    });
  }
}

async function readInfoOf(node: Redis): Promise<string> {
  try {
    return await node.info();
  } catch (error) {
    if (readTrouble(error) === 'denied') return '';
    throw error;
  }
}

function patienceOf({ timeout }: RedisPolicy): number {
  return Math.max(PATIENCE.least, PATIENCE.deadlines * timeout * 1000);
}

function namesOf(nodes: readonly Redis[]): string {
  return nodes
    .map(({ options: { host, port } }) => `${host}:${port}`)
    .toSorted()
    .join();
}

/** Spread, so that many workers and replicas that lost one server do not come back as one. */
function retryDelay(attempts: number): number {
  return spread(Math.min(RETRY.max, RETRY.min * 2 ** Math.min(attempts - 1, 10)));
}

/** @returns between half of it and all of it */
export function spread(time: number): number {
  return time * (0.5 + Math.random() / 2);
}

/** The defaults of ioredis keep commands for later and send them again after a failure: an insert would be judged by its own echo. */
const ONCE = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  autoResubscribe: false,
} as const;

function connectionOptions({ username, password, tls }: RedisPolicy) {
  return {
    ...ONCE,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls: tls.ca === undefined ? {} : { ca: tls.ca } }),
    protocol: 2 as const,
    connectionName: 'holdfast',
    disableClientInfo: true,
    connectTimeout: CONNECT_TIMEOUT,
    socketTimeout: SILENCE,
    keepAlive: 10_000,
    // What is behind a connection is looked at by session.ts.
    enableReadyCheck: false,
  };
}

/** What a client has that does not wait for its server; milliseconds. */
interface Impatience {
  readonly retryStrategy: () => null;
  readonly sentinelRetryStrategy: () => null;
  readonly enableAutoPipelining: false;
  readonly connectTimeout: number;
  readonly socketTimeout: number;
}

/** A client of one server, not connected yet. @param more in place of what the gateway's own has */
export function openServer(policy: RedisPolicy, lookup: LookupFunction, more: Partial<Impatience> = {}): Redis {
  const { tls, place } = policy;
  return new Redis({
    ...connectionOptions(policy),
    ...placeOptions(place, tls),
    Connector: place.kind === 'sentinel' ? sentinelConnector(lookup) : serverConnector(lookup),
    lazyConnect: true,
    enableAutoPipelining: true,
    retryStrategy: retryDelay,
    ...more,
  });
}

function placeOptions(place: RedisPlace, tls: RedisPolicy['tls']) {
  if (place.kind === 'server') return { host: place.host, port: place.port, db: place.db };
  if (place.kind === 'cluster') return {};
  return {
    name: place.name,
    sentinels: [...place.nodes],
    sentinelRetryStrategy: retryDelay,
    sentinelCommandTimeout: CONNECT_TIMEOUT,
    // A sentinel that knows less than others may name a replica: the role is looked at, and the next one is asked.
    enableReadyCheck: true,
    ...(tls === undefined
      ? {}
      : { enableTLSForSentinelMode: true, sentinelTLS: tls.ca === undefined ? {} : { ca: tls.ca } }),
  };
}

function openCluster(policy: RedisPolicy, lookup: LookupFunction): Cluster {
  const { place, tls } = policy;
  const nodes = place.kind === 'cluster' ? [...place.nodes] : [];
  return new Cluster(nodes, {
    lazyConnect: true,
    enableOfflineQueue: false,
    enableAutoPipelining: true,
    // No redirection is followed before it is known who is there, and nothing is sent again after a failure.
    maxRedirections: 0,
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: 0,
    slotsRefreshTimeout: patienceOf(policy),
    clusterRetryStrategy: retryDelay,
    redisOptions: { ...connectionOptions(policy), Connector: serverConnector(lookup) },
    // Certificates name what the configuration and the cluster name, not addresses.
    dnsLookup: tls === undefined ? (name, callback) => lookup(name, {}, firstOf(callback)) : sameName,
  });
}

type Resolved = (error: NodeJS.ErrnoException | null | undefined, address: string, family?: number) => void;

const firstOf =
  (callback: Resolved): Parameters<LookupFunction>[2] =>
  (error, address, family) =>
    callback(error, typeof address === 'string' ? address : '', family);

function sameName(name: string, callback: (error: null, address: string) => void): void {
  callback(null, name);
}
