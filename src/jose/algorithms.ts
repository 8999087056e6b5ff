// The table of JWS algorithms: their keys, their verification, their names.

import { constants, type KeyObject, verify } from 'node:crypto';

export type KeyType = 'EC' | 'OKP' | 'RSA';

/** One JWS algorithm, under whatever name. */
export interface Algorithm {
  readonly kty: KeyType;
  /** undefined for RSA. */
  readonly crv: string | undefined;
  /** Bytes of each coordinate; undefined for RSA. */
  readonly size: number | undefined;
  /** null: the algorithm hashes by itself. */
  readonly hash: string | null;
  readonly options: { readonly dsaEncoding?: 'ieee-p1363'; readonly padding?: number; readonly saltLength?: number };
}

/** Required members of a public JWK in lexicographic order (RFC 7638 §3.2, RFC 7518 §6, RFC 8037 §2). */
export const REQUIRED_MEMBERS: Readonly<Record<KeyType, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
};

/**
 * Each of these makes a JWK private or symmetric, whatever its value (RFC 7518 §6.2.2, §6.3.2, §6.4.1, RFC 8037 §2); `priv` is
 * that of keys for post-quantum algorithms.
 */
export const PRIVATE_MEMBERS: readonly string[] = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

/** The smallest RSA key (RFC 7518 §3.3, §3.5). */
export const RSA_BITS = 2048;

const ec = (crv: string, size: number, hash: string): Algorithm => ({
  kty: 'EC',
  crv,
  size,
  hash,
  options: { dsaEncoding: 'ieee-p1363' },
});
const rsa = (hash: string, options: Algorithm['options'] = {}): Algorithm => ({
  kty: 'RSA',
  crv: undefined,
  size: undefined,
  hash,
  options,
});
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
const ED25519: Algorithm = { kty: 'OKP', crv: 'Ed25519', size: 32, hash: null, options: {} };

/**
 * By name (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2); asymmetric ones alone, and nothing else can be configured. Two names of
 * one algorithm share its row: `EdDSA` and `Ed25519` both mean Ed25519 here, in keys, tokens, proofs and lists.
 */
export const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  ['ES256', ec('P-256', 32, 'sha256')],
  ['ES384', ec('P-384', 48, 'sha384')],
  ['ES512', ec('P-521', 66, 'sha512')],
  ['EdDSA', ED25519],
  ['Ed25519', ED25519],
  ['PS256', rsa('sha256', PSS)],
  ['PS384', rsa('sha384', PSS)],
  ['PS512', rsa('sha512', PSS)],
  ['RS256', rsa('sha256')],
  ['RS384', rsa('sha384')],
  ['RS512', rsa('sha512')],
]);

/** Whether a list names the algorithm, under any of its names; false for what is not in the table. */
export function admitsAlgorithm(list: readonly string[], alg: string): boolean {
  const algorithm = ALGORITHMS.get(alg);
  return algorithm !== undefined && (list.includes(alg) || list.some((one) => ALGORITHMS.get(one) === algorithm));
}

/** The names of all algorithms that a key of this type and curve can be used with. @param crv undefined for RSA */
export function algorithmsOfKey(kty: unknown, crv: unknown): readonly string[] {
  return [...ALGORITHMS].filter(([, row]) => row.kty === kty && row.crv === crv).map(([name]) => name);
}

/**
 * Verifies a JWS signature (RFC 7515 §5.2), synchronously: half the CPU of WebCrypto for ES256 (performance.md).
 * @param alg one that `key` may be used with; anything that is not in the table verifies nothing
 * NOT checked: that the key is of the algorithm's type, which readers of keys do.
 */
export function verifySignature(
  { alg, key }: { readonly alg: string; readonly key: KeyObject },
  signingInput: string,
  signature: Buffer,
): boolean {
  const algorithm = ALGORITHMS.get(alg);
  if (algorithm === undefined) return false;
  return verify(algorithm.hash, Buffer.from(signingInput), { key, ...algorithm.options }, signature);
}
