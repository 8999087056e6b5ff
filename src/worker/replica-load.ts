// The replica replay store, loaded where a policy wants one.

import type { Policy } from '../policy/policy.ts';
import type { ReplicaReplayStore, ReplicaReplayStoreOptions } from './replica-store.ts';
import { replicaTerms } from './replica-terms.ts';

/** Opens the store that a policy wants. */
export type OpenReplicaStore = (options: ReplicaReplayStoreOptions) => ReplicaReplayStore;

/** The client of Redis takes 3 MiB in each thread, and most gateways need none. @returns undefined: the policy wants no such store */
export async function loadReplicaStore(
  policy: Pick<Policy, 'replay' | 'nonce'>,
): Promise<OpenReplicaStore | undefined> {
  const terms = replicaTerms(policy);
  if (terms === undefined) return undefined;
  const { ReplicaReplayStore: Store } = await import('./replica-store.ts');
  return (options) => new Store(terms, options);
}
