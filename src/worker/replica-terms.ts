// The terms of a replica replay store: what a policy wants of one.

import type { Policy } from '../policy/policy.ts';
import type { RedisPolicy } from '../policy/redis.ts';

export interface ReplicaTerms {
  readonly redis: RedisPolicy;
  /** Nonce secrets are kept there too. */
  readonly wantsSecrets: boolean;
}

/** What a policy wants of a replica replay store; undefined: it wants none. */
export function replicaTerms({ replay, nonce }: Pick<Policy, 'replay' | 'nonce'>): ReplicaTerms | undefined {
  return replay.redis && { redis: replay.redis, wantsSecrets: nonce.secrets.length === 0 };
}
