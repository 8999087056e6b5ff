// A short connection to each server of the replay store, to try what the gateway needs.

import type { LookupFunction } from 'node:net';
import type { Redis } from 'ioredis';
import type { RedisPolicy } from '../../policy/redis.ts';
import { openServer } from './link.ts';

/** One server that is tried. */
export interface RedisTrial {
  /** `redis.internal:6379`, or the name of the master that sentinels are asked for. */
  readonly place: string;
  /** Connects with the credentials of the policy. @throws what Node, Redis or ioredis said first */
  connect(): Promise<void>;
  /** Sends one command, once. @throws what Redis or ioredis said */
  call(command: string, ...args: readonly (string | number)[]): Promise<unknown>;
  close(): void;
}

/** A trial for the server, for the master that sentinels name, or for each server that the policy names of a cluster. @param each seconds for one answer */
export function redisTrials(policy: RedisPolicy, each: number, lookup: LookupFunction): readonly RedisTrial[] {
  const { place } = policy;
  if (place.kind !== 'cluster') {
    const name = place.kind === 'sentinel' ? place.name : `${place.host}:${place.port}`;
    return [makeTrial(name, policy, each, lookup)];
  }
  return place.nodes.map(({ host, port }) =>
    makeTrial(`${host}:${port}`, { ...policy, place: { kind: 'server', host, port, db: 0 } }, each, lookup),
  );
}

function makeTrial(place: string, policy: RedisPolicy, each: number, lookup: LookupFunction): RedisTrial {
  const client: Redis = openServer(policy, lookup, {
    retryStrategy: () => null,
    sentinelRetryStrategy: () => null,
    enableAutoPipelining: false,
    connectTimeout: each * 1000,
    socketTimeout: each * 1000,
  });
  let first: unknown;
  client.on('error', (error: unknown) => (first ??= error));
  return {
    place,
    async connect() {
      // ioredis tells the cause by an event, and then says that the connection is closed.
      await client.connect().catch((error: unknown) => {
        throw first ?? error;
      });
    },
    call: (command, ...args) => client.call(command, ...args),
    close: () => client.disconnect(),
  };
}
