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
  const { alg, kid } = jws.header;
  if (typeof alg !== 'string' || !admitsAlgorithm(issuer.algorithms, alg)) {
    return reject('token_algorithm_refused', { ...mismatch('alg', issuer.algorithms, textOf(alg)), name: issuer.name });
  }
  if (kid !== undefined && typeof kid !== 'string')
    return reject('token_key_unknown', { what: 'kid', differs: 'type' });
  let chosen = chooseKey(keys.current(now) ?? [], kid, alg);
  if (chosen === 'unknown') {
    await keys.refreshFor(kid);
    chosen = chooseKey(keys.current(now) ?? [], kid, alg);
  }
  if (chosen === 'algorithm') return reject('token_algorithm_refused', { what: 'key of alg', name: issuer.name });
  if (chosen !== 'unknown') {
    const signed = verifySignature({ alg, key: chosen.key }, jws.signingInput, jws.signature);
    return signed ? chosen : reject('token_signature_invalid', { what: 'signature', name: issuer.name });
  }
  return keys.current(now) === undefined
    ? reject('issuer_unavailable', { what: 'keys of the issuer', name: issuer.name, retryAfter: 5 })
    : reject('token_key_unknown', kidFacts(kid, issuer));
}

/** The `kid` is unverified. Without one, a token is known by its key only where the issuer has a single one that fits. */
function kidFacts(kid: string | undefined, { name }: Issuer): RejectionFacts {
  return kid === undefined
    ? { what: 'kid', differs: 'missing', name }
    : { what: 'kid', received: untrusted(kid, 64), name };
}
