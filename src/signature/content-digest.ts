// The Content-Digest field (RFC 9530 §2).

import type { ContentDigest } from '../http/body-digest.ts';
import { bytesOf, readDictionary } from './structured-fields.ts';

/** The active algorithms of the registry (§5), with the bytes of their digests. */
const ALGORITHMS: ReadonlyMap<string, readonly [ContentDigest['algorithm'], number]> = new Map([
  ['sha-256', ['sha256', 32]],
  ['sha-512', ['sha512', 64]],
]);

/**
 * All digests whose algorithm is known; others next to them say nothing (§2).
 * @returns undefined: no dictionary of bytes, a digest of the wrong length, or no known algorithm
 */
export function readContentDigest(value: string): readonly ContentDigest[] | undefined {
  const digests: ContentDigest[] = [];
  for (const [name, member] of readDictionary(value) ?? []) {
    const digest = bytesOf(member);
    const [algorithm, size] = ALGORITHMS.get(name) ?? [];
    if (digest === undefined || (size !== undefined && digest.length !== size)) return undefined;
    if (algorithm !== undefined) digests.push({ algorithm, digest });
  }
  return digests.length === 0 ? undefined : digests;
}
