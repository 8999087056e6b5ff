// The use of a proof or message signature, remembered once (C4.25, C4a.8).

import type { VerifiedProof } from '../proof/dpop-proof.ts';
import type { Coverage, Remembered, ReplayStore } from '../proof/replay-store.ts';
import { type Rejection, reject } from '../rejection/rejection.ts';
import type { VerifiedSignature } from './message-signature.ts';

/** What a sender showed for its request, and what the replay store said of itself when that was judged. */
interface ShownOnce {
  readonly proof: VerifiedProof | undefined;
  readonly signature: VerifiedSignature | undefined;
  /** Thumbprint of the certificate to which the token is bound. */
  readonly certificate: string | undefined;
  readonly judgedBy: Coverage;
}

interface Memories {
  readonly replay: ReplayStore;
  /** Of this process, for proofs with a nonce that no other process takes. */
  readonly ownReplay?: ReplayStore | undefined;
}

const REMEMBERED = {
  fresh: undefined,
  replayed: 'proof_replayed',
  full: 'replay_store_full',
  unavailable: 'replay_store_unavailable',
  challenge: 'nonce_stale',
} as const;

const REPLAY_FACTS = {
  proof_replayed: { what: 'jti' },
  replay_store_full: {},
  replay_store_unavailable: {},
  nonce_stale: { what: 'nonce' },
} as const;

/** No challenge helps there: what this memory may have forgotten is too old. */
const SIGNATURE_REMEMBERED = { ...REMEMBERED, replayed: 'signature_replayed', challenge: 'signature_stale' } as const;

/**
 * One atomic call, or none where nothing was shown that passes once. A signature covers the proof that came with it, and so passes once
 * because the proof does (decision 96).
 * @param now seconds since the epoch
 * @returns Rejection: proof_replayed, signature_replayed, replay_store_full, replay_store_unavailable, or a challenge
 */
export function rememberUse(
  { proof, signature, certificate, judgedBy }: ShownOnce,
  now: number,
  memories: Memories,
): Promise<Rejection | undefined> | undefined {
  if (proof !== undefined) return rememberProof(proof, judgedBy, now, memories);
  if (signature === undefined || certificate === undefined) return undefined;
  const { id, rememberUntil } = signature;
  return refuseSignature(memories.replay.remember(certificate, id, rememberUntil, now, judgedBy));
}

/** Which memory knows of a proof is told by its nonce: one that no other process takes was used here or nowhere (decision 42). */
async function rememberProof(
  { jkt, jti, rememberUntil, nonce }: VerifiedProof,
  judgedBy: Coverage,
  now: number,
  { replay, ownReplay }: Memories,
): Promise<Rejection | undefined> {
  const remembered =
    nonce === 'own' && ownReplay !== undefined
      ? await ownReplay.remember(jkt, jti, rememberUntil, now)
      : await replay.remember(jkt, jti, rememberUntil, now, judgedBy);
  if (remembered === 'challenge' && nonce === 'none')
    return reject('nonce_required', { what: 'nonce', differs: 'missing' });
  const reason = REMEMBERED[remembered];
  return reason === undefined ? undefined : reject(reason, REPLAY_FACTS[reason]);
}

async function refuseSignature(remembered: Remembered | Promise<Remembered>): Promise<Rejection | undefined> {
  const reason = SIGNATURE_REMEMBERED[await remembered];
  return reason === undefined ? undefined : reject(reason, { what: 'Signature' });
}
