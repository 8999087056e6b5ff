// The digest of a body, made piece by piece, against the one that was signed (RFC 9530 §2).

import { createHash, type Hash } from 'node:crypto';

/** One member of Content-Digest whose algorithm is known here. */
export interface ContentDigest {
  readonly algorithm: 'sha256' | 'sha512';
  readonly digest: Uint8Array;
}

/** Hashes the content as it is on the wire: transfer coding undone, content coding not. */
export class BodyDigest {
  readonly #expected: readonly (readonly [Hash, ContentDigest])[];

  constructor(expected: readonly ContentDigest[]) {
    this.#expected = expected.map((one) => [createHash(one.algorithm), one]);
  }

  update(piece: Uint8Array): void {
    for (const [hash] of this.#expected) hash.update(piece);
  }

  /** Whether everything up to now is the body that was meant, by each of its digests. Asked once. */
  matches(): boolean {
    return this.#expected.every(([hash, { digest }]) => hash.digest().equals(digest));
  }
}
