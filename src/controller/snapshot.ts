// A snapshot of a cluster, for commands that look once.

import { type Kind, KINDS } from '../kubernetes/kinds.ts';
import type { ClusterState } from '../kubernetes/state.ts';
import { ApiFailure } from './api-failure.ts';
import type { ApiServer } from './api.ts';
import { type ClusterObject, watched } from './kinds.ts';
import { listObjects } from './listing.ts';

export interface ClusterSnapshot {
  readonly state: ClusterState;
  /** Kinds that could not be read, each with the reason: the state has none of them. */
  readonly unread: readonly { readonly kind: string; readonly failure: ApiFailure }[];
}

/** Lists every kind of the translation once. What cannot be read is told, and not guessed. */
export async function takeSnapshot(api: ApiServer): Promise<ClusterSnapshot> {
  const members: Record<string, object[]> = {};
  const unread: { kind: string; failure: ApiFailure }[] = [];
  for (const { member } of KINDS) members[member] = [];
  await Promise.all(
    KINDS.map(async (kind) => {
      const objects = await listFirst(api, kind);
      if (objects instanceof ApiFailure) unread.push({ kind: kind.kind, failure: objects });
      else members[kind.member]?.push(...[...objects.values()].flatMap((object) => kind.read(object) ?? []));
    }),
  );
  const state = members as unknown as Omit<ClusterState, 'running'>;
  return { state: { ...state, running: [] }, unread };
}

/** In the first version of the API that is known. */
async function listFirst(api: ApiServer, kind: Kind): Promise<ReadonlyMap<string, ClusterObject> | ApiFailure> {
  const wanted = watched(kind);
  let failure = new ApiFailure(404, 'unknown', kind.kind);
  for (const apiVersion of wanted.apiVersions) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- the second one only where the first is unknown
      return (await listObjects(api, wanted, { apiVersion })).objects;
    } catch (error) {
      failure = error instanceof ApiFailure ? error : failure;
      if (failure.status !== 404) break;
    }
  }
  return failure.status === 404 && wanted.whenUnknown === 'none' ? new Map() : failure;
}
