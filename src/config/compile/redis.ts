// Compilation of the replica replay store: where Redis is, and unsafe settings.

import type { Compilation } from './compilation.ts';
import { isLoopback } from '../../http/address.ts';
import { authoritiesAt } from './pem.ts';
import type { Endpoint, RedisPlace, RedisPolicy } from '../../policy/redis.ts';
import type { Config } from '../schema/schema.ts';

type RedisConfig = NonNullable<Config['replay']['redis']>;

const AT = ['replay', 'redis'];

/**
 * The replica replay store, where `replay.store` is `redis`. Problems: no `redis` then, `redis` or `when_unavailable` without it, a
 * database that is no number, a user or password in the URL, `tls` beside redis://, an unreadable CA file, an empty password.
 * Warnings: no TLS beyond loopback, all keys of a cluster in one slot, a fallback that needs client affinity.
 * @param routes seconds: the longest of any route
 * NOT checked: that Redis is there and evicts nothing: the gateway looks at each connection.
 */
export function compileRedis(
  compilation: Compilation,
  routes: Pick<RedisPolicy, 'retention' | 'clockTolerance'>,
): RedisPolicy | undefined {
  const { store, redis, when_unavailable: whenUnavailable } = compilation.read.config.replay;
  if (store === 'memory') {
    if (redis !== undefined)
      compilation.problem(AT, 'is given although store is memory, expected store: redis, or no redis');
    if (whenUnavailable !== 'reject')
      compilation.problem(
        ['replay', 'when_unavailable'],
        'is for a replica replay store, expected store: redis, or reject',
      );
    return undefined;
  }
  if (redis === undefined) {
    compilation.problem(['replay', 'store'], 'is redis, expected replay.redis with url, cluster or sentinel');
    return undefined;
  }
  if (whenUnavailable === 'nonce-fallback') {
    compilation.warning(
      ['replay', 'when_unavailable'],
      'needs client affinity: while the store is away, a nonce counts only at the process that gave it',
    );
  }
  const place = compilePlace(compilation, redis);
  const tls = redis.tls !== undefined || redis.url?.startsWith('rediss:') === true;
  if (!tls) warnInTheClear(compilation, place);
  return {
    place,
    username: redis.username,
    password: compilePassword(compilation),
    tls: tls ? { ca: authoritiesAt(compilation, [...AT, 'tls', 'ca_file']) } : undefined,
    timeout: redis.timeout,
    prefix: redis.key_prefix,
    whenUnavailable,
    ...routes,
  };
}

function compilePlace(
  compilation: Compilation,
  { url, cluster, sentinel, key_prefix: prefix }: RedisConfig,
): RedisPlace {
  if (cluster !== undefined) {
    if (/\{[^}]+\}/.test(prefix))
      compilation.warning(
        [...AT, 'key_prefix'],
        'has a hash tag: one slot, and so one server of the cluster, gets all keys',
      );
    return { kind: 'cluster', nodes: endpoints(compilation, 'cluster', cluster) };
  }
  if (sentinel !== undefined) {
    return { kind: 'sentinel', name: sentinel.name, nodes: endpoints(compilation, 'sentinel', sentinel.nodes) };
  }
  // One of the three is there (schema.ts).
  return compileUrl(compilation, url ?? 'redis://localhost');
}

function compileUrl(compilation: Compilation, written: string): RedisPlace {
  const at = [...AT, 'url'];
  const url = new URL(written);
  const database = /^\/?([0-9]{0,4})$/.exec(url.pathname)?.[1];
  if (url.hostname === '' || database === undefined || url.search !== '' || url.hash !== '')
    compilation.problem(
      at,
      'is not a valid address of a server, expected redis://host:port/db or rediss://host:port/db',
    );
  if (url.username !== '' || url.password !== '')
    compilation.problem(at, 'has a user or a password in it, expected username and password_file instead');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (url.protocol === 'redis:' && compilation.read.config.replay.redis?.tls !== undefined)
    compilation.problem(at, 'is redis:// although tls is given, expected rediss://');
  return { kind: 'server', host, port: Number(url.port || 6379), db: Number(database ?? 0) };
}

/** `[::1]:6379` or `host:6379`. */
function endpoints(compilation: Compilation, key: 'cluster' | 'sentinel', written: readonly string[]): Endpoint[] {
  return written.map((one, index) => {
    const [, address, name, port] = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(one) ?? [];
    if (port === undefined || Number(port) > 65_535 || Number(port) === 0) {
      const at = key === 'cluster' ? [...AT, key, index] : [...AT, key, 'nodes', index];
      compilation.problem(at, 'is not a valid address of a server, expected host:port or [address]:port');
    }
    return { host: address ?? name ?? '', port: Number(port ?? 0) };
  });
}

function compilePassword(compilation: Compilation): string | undefined {
  const at = [...AT, 'password_file'];
  const password = compilation.fileAt(at)?.content.toString('utf8').trim();
  if (password === '') compilation.problem(at, 'holds no password, expected one, white space at its ends not counted');
  return password;
}

function warnInTheClear(compilation: Compilation, place: RedisPlace): void {
  const hosts = place.kind === 'server' ? [place.host] : place.nodes.map(({ host }) => host);
  if (hosts.every(isLoopback)) return;
  compilation.warning(AT, 'is spoken to in the clear beyond loopback: anyone on the way can make used proofs fresh');
}
