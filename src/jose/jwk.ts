// The key inside a DPoP proof (RFC 9449 §4.3 checks 5 to 7): descriptors of algorithms, what a usable public JWK is, its import.

import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { decodeBase64url, isJsonObject, type JsonObject } from './jws.ts';
import { jwkThumbprint } from './thumbprint.ts';

interface AlgorithmDescriptor {
  readonly kty: 'EC' | 'OKP' | 'RSA';
  readonly crv?: string;
  /** Bytes of each coordinate. */
  readonly size?: number;
  readonly hash: string | null;
  readonly options: { readonly dsaEncoding?: 'ieee-p1363'; readonly padding?: number; readonly saltLength?: number };
}

const ec = (crv: string, size: number, hash: string): AlgorithmDescriptor => ({
  kty: 'EC',
  crv,
  size,
  hash,
  options: { dsaEncoding: 'ieee-p1363' },
});
const pss = (hash: string): AlgorithmDescriptor => ({
  kty: 'RSA',
  hash,
  options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
});
const pkcs1 = (hash: string): AlgorithmDescriptor => ({ kty: 'RSA', hash, options: {} });
const ed25519: AlgorithmDescriptor = { kty: 'OKP', crv: 'Ed25519', size: 32, hash: null, options: {} };

/** Asymmetric signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2); nothing else can be configured. */
export const PROOF_ALGORITHMS: Readonly<Record<string, AlgorithmDescriptor>> = {
  ES256: ec('P-256', 32, 'sha256'),
  ES384: ec('P-384', 48, 'sha384'),
  ES512: ec('P-521', 66, 'sha512'),
  EdDSA: ed25519,
  Ed25519: ed25519,
  PS256: pss('sha256'),
  PS384: pss('sha384'),
  PS512: pss('sha512'),
  RS256: pkcs1('sha256'),
  RS384: pkcs1('sha384'),
  RS512: pkcs1('sha512'),
};

/** A proof key that can verify: imported, or on its way into the cache. */
export interface ProofKey {
  readonly alg: string;
  readonly thumbprint: string;
  readonly key: KeyObject;
}

const PRIVATE_OR_SYMMETRIC = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/**
 * Reads the `jwk` of a proof's header for `alg`: a public key of that type that is not declared for another use.
 * @returns its thumbprint; undefined: it cannot be used (reason proof_key_invalid)
 * NOT checked: that an EC point is on its curve; the import does that, after the thumbprint was found to be the token's.
 */
export function readProofKey(jwk: unknown, alg: string): string | undefined {
  const descriptor = PROOF_ALGORITHMS[alg];
  if (!isJsonObject(jwk) || descriptor === undefined || jwk.kty !== descriptor.kty) return undefined;
  if (PRIVATE_OR_SYMMETRIC.some((member) => Object.hasOwn(jwk, member))) return undefined;
  if (!isForVerification(jwk, alg)) return undefined;
  const usable = descriptor.kty === 'RSA' ? isUsableRsa(jwk) : isUsableCurve(jwk, descriptor);
  return usable ? jwkThumbprint(jwk) : undefined;
}

/** RFC 7517 §4.2 to §4.4: `use`, `key_ops` and `alg`, where present, must not speak against it. */
function isForVerification(jwk: JsonObject, alg: string): boolean {
  const { use, key_ops: operations, alg: intended } = jwk;
  if (use !== undefined && use !== 'sig') return false;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return false;
  return (
    intended === undefined || (typeof intended === 'string' && PROOF_ALGORITHMS[intended] === PROOF_ALGORITHMS[alg])
  );
}

function isUsableCurve(jwk: JsonObject, { crv, size, kty }: AlgorithmDescriptor): boolean {
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
  return bits >= 2048 && bits <= 4096 && value >= 3 && value % 2 === 1;
}

/** Imports a key that readProofKey accepted; undefined where OpenSSL refuses it, as for a point off its curve. */
export function importProofKey(jwk: JsonObject, alg: string, thumbprint: string): ProofKey | undefined {
  try {
    return { alg, thumbprint, key: createPublicKey({ key: jwk, format: 'jwk' }) };
  } catch {
    return undefined; // The caller names the reason: proof_key_invalid.
  }
}

/** Verifies a signature synchronously: half the CPU of WebCrypto for ES256 (performance.md). */
export function verifyProofSignature({ alg, key }: ProofKey, signingInput: string, signature: Buffer): boolean {
  const descriptor = PROOF_ALGORITHMS[alg];
  if (descriptor === undefined) return false;
  return verify(descriptor.hash, Buffer.from(signingInput), { key, ...descriptor.options }, signature);
}
