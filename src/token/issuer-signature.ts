// Verification of JWS signatures by the keys of an issuer.

import { admitsAlgorithm, verifySignature } from '../jose/algorithms.ts';
import type { CompactJws } from '../jose/jws.ts';
import { chooseKey, type VerificationKey } from '../jose/key-set.ts';
import { mismatch, textOf, untrusted } from '../rejection/difference.ts';
import type { RejectionFacts } from '../rejection/facts.ts';
import { type Rejection, reject } from '../rejection/rejection.ts';
import type { Issuer } from './issuer.ts';

/** The keys of one issuer, as issuer/keys.ts keeps them. */
export interface KeySource {
  /** undefined: never loaded, or too old to be relied upon. */
  current(now: number): readonly VerificationKey[] | undefined;
  /** One refresh for a `kid` that is not there, within the cooldown at most; settles when `current` is worth another look. */
  refreshFor(kid: string | undefined): Promise<void>;
}

/**
 * Verifies that an issuer signed a JWS (RFC 7515 §5.2): `alg` is in the issuer's list and one that the key is for (RFC 8725 §3.1).
 * @param now seconds since the epoch
 * @returns the key; Rejection: token_algorithm_refused, token_key_unknown, issuer_unavailable, token_signature_invalid
 * NOT checked: `typ` and every claim. `jku`, `x5u`, `x5c` and `jwk` of the header are never used.
 */
export async function verifyIssuerSignature(
  jws: CompactJws,
  issuer: Issuer,
  keys: KeySource,
  now: number,
): Promise<VerificationKey | Rejection> {
  const known = verifyByKnownKey(jws, issuer, keys.current(now));
  if (known !== undefined) return known;
  await keys.refreshFor(kidOf(jws));
  return verifyByKnownKey(jws, issuer, keys.current(now)) ?? withoutKey(jws, issuer, keys.current(now));
}

/** The same by keys that are there. @returns undefined: none of them is the one that signed, which a refresh may change */
export function verifyByKnownKey(
  { header: { alg, kid }, signingInput, signature }: CompactJws,
  { algorithms, name }: Issuer,
  keys: ReturnType<KeySource['current']> = [],
): VerificationKey | Rejection | undefined {
  if (typeof alg !== 'string' || !admitsAlgorithm(algorithms, alg)) {
    return reject('token_algorithm_refused', { ...mismatch('alg', algorithms, textOf(alg)), name });
  }
  if (kid !== undefined && typeof kid !== 'string')
    return reject('token_key_unknown', { what: 'kid', differs: 'type' });
  const chosen = chooseKey(keys, kid, alg);
  if (chosen === 'unknown') return undefined;
  if (chosen === 'algorithm') return reject('token_algorithm_refused', { what: 'key of alg', name });
  const signed = verifySignature({ alg, key: chosen.key }, signingInput, signature);
  return signed ? chosen : reject('token_signature_invalid', { what: 'signature', name });
}

/** Why a JWS is refused that is signed by none of these keys, which are as new as they get. */
export function withoutKey(jws: CompactJws, issuer: Issuer, keys: ReturnType<KeySource['current']>): Rejection {
  return keys === undefined
    ? reject('issuer_unavailable', { what: 'keys of the issuer', name: issuer.name, retryAfter: 5 })
    : reject('token_key_unknown', kidFacts(kidOf(jws), issuer));
}

/** The name of the key, of a JWS for which `verifyByKnownKey` found none. */
export function kidOf({ header: { kid } }: CompactJws): string | undefined {
  return typeof kid === 'string' ? kid : undefined;
}

/** The `kid` is unverified. Without one, a token is known by its key only where the issuer has a single one that fits. */
function kidFacts(kid: string | undefined, { name }: Issuer): RejectionFacts {
  return kid === undefined
    ? { what: 'kid', differs: 'missing', name }
    : { what: 'kid', received: untrusted(kid, 64), name };
}
