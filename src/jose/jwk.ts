// Public JWKs: declared use, and the key inside a DPoP proof (RFC 9449 §4.3 checks 5 to 7).

import { createPublicKey, type KeyObject } from 'node:crypto';
import { type Algorithm, admitsAlgorithm, ALGORITHMS, PRIVATE_MEMBERS, RSA_BITS } from './algorithms.ts';
import { decodeBase64url, isJsonObject, type JsonObject } from './jws.ts';
import { jwkThumbprint } from './thumbprint.ts';

/** A proof key that can verify: imported, or on its way into the cache. */
export interface ProofKey {
  readonly alg: string;
  readonly thumbprint: string;
  readonly key: KeyObject;
}

/**
 * Reads the `jwk` of a proof's header for `alg`: a public key of that type that is not declared for another use.
 * @returns its thumbprint; undefined: it cannot be used (reason proof_key_invalid)
 * NOT checked: that an EC point is on its curve; the import does that, after the thumbprint was found to be the token's.
 */
export function readProofKey(jwk: unknown, alg: string): string | undefined {
  const algorithm = ALGORITHMS.get(alg);
  if (!isJsonObject(jwk) || algorithm === undefined || jwk.kty !== algorithm.kty) return undefined;
  if (hasPrivateMember(jwk) || !isForVerification(jwk)) return undefined;
  if (jwk.alg !== undefined && !(typeof jwk.alg === 'string' && admitsAlgorithm([alg], jwk.alg))) return undefined;
  const usable = algorithm.kty === 'RSA' ? isUsableRsa(jwk) : isUsableCurve(jwk, algorithm);
  return usable ? jwkThumbprint(jwk) : undefined;
}

/** Whether a JWK has a member that makes it private or symmetric, whatever its value. */
export function hasPrivateMember(jwk: JsonObject): boolean {
  return PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member));
}

/** RFC 7517 §4.2, §4.3: `use` and `key_ops`, where present, must not speak against verifying signatures. */
export function isForVerification({ use, key_ops: operations }: JsonObject): boolean {
  if (use !== undefined && use !== 'sig') return false;
  return operations === undefined || (Array.isArray(operations) && operations.includes('verify'));
}

function isUsableCurve(jwk: JsonObject, { crv, size, kty }: Algorithm): boolean {
  const isCoordinate = (value: unknown) => typeof value === 'string' && decodeBase64url(value)?.length === size;
  return jwk.crv === crv && isCoordinate(jwk.x) && (kty === 'OKP' || isCoordinate(jwk.y));
}

/** 2048 to 4096 bits; e odd and 3 ≤ e < 2³²: a long exponent costs a hundred times as much to verify. */
function isUsableRsa({ n, e }: JsonObject): boolean {
  if (typeof n !== 'string' || typeof e !== 'string' || n.length > 700 || e.length > 8) return false;
  const modulus = decodeBase64url(n);
  const exponent = decodeBase64url(e);
  if (!modulus?.[0] || !exponent?.[0] || exponent.length > 4) return false;
  const bits = modulus.length * 8 - Math.clz32(modulus[0]) + 24;
  const value = exponent.readUIntBE(0, exponent.length);
  return bits >= RSA_BITS && bits <= 4096 && value >= 3 && value % 2 === 1;
}

/** Imports a key that readProofKey accepted; undefined where OpenSSL refuses it, as for a point off its curve. */
export function importProofKey(jwk: JsonObject, alg: string, thumbprint: string): ProofKey | undefined {
  try {
    return { alg, thumbprint, key: createPublicKey({ key: jwk, format: 'jwk' }) };
  } catch {
    return undefined; // The caller names the reason: proof_key_invalid.
  }
}
