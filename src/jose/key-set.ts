// The key set of an issuer (RFC 7517 §5): which of its keys verify access tokens, and by which one algorithm each.

import { calculateJwkThumbprint, importJWK, type JWK } from 'jose';
import { isJsonObject, type JsonObject } from './jws.ts';

/** A public key that verifies tokens of one issuer. */
export interface VerificationKey {
  readonly kid: string | undefined;
  /** The one JWS algorithm that this key verifies; Ed25519 keys say `EdDSA`, however their JWK spells it. */
  readonly alg: string;
  readonly key: CryptoKey;
  /** Thumbprint (RFC 7638), alg and kid: the same id is the same key in the same role. */
  readonly id: string;
  /** Turns false, once and for good, when the issuer withdraws the key: what was verified by it counts no longer. */
  current: boolean;
}

/** Why a member of the set is not used. `private`: the issuer has published a secret, which somebody should hear of. */
export type UnusedKey = 'malformed' | 'private' | 'not-for-signatures' | 'unsupported' | 'weak';

export interface KeySet {
  readonly keys: readonly VerificationKey[];
  readonly unused: readonly UnusedKey[];
}

/** Members of a public JWK per algorithm (RFC 7518 §6, RFC 8037 §2), and what its `kty` and `crv` must say. */
interface KeyShape {
  readonly kty: 'EC' | 'OKP' | 'RSA';
  readonly crv: string | undefined;
  readonly members: readonly string[];
}

const RSA: KeyShape = { kty: 'RSA', crv: undefined, members: ['n', 'e'] };
const ec = (crv: string): KeyShape => ({ kty: 'EC', crv, members: ['x', 'y'] });

const SHAPES: ReadonlyMap<string, KeyShape> = new Map<string, KeyShape>([
  ['ES256', ec('P-256')],
  ['ES384', ec('P-384')],
  ['ES512', ec('P-521')],
  ['EdDSA', { kty: 'OKP', crv: 'Ed25519', members: ['x'] }],
  ['RS256', RSA],
  ['RS384', RSA],
  ['RS512', RSA],
  ['PS256', RSA],
  ['PS384', RSA],
  ['PS512', RSA],
]);

/** RFC 7518 §3.3 and §3.5 ask for 2048 bits or more. */
const RSA_BITS = 2048;
/** RFC 7518 §6.2.2, §6.3.2, §6.4.1 and RFC 8037 §2: any of these makes a key private or symmetric. */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];

/**
 * Reads a JWK set. A key that cannot be used is left out and accounted for in `unused`; it never spoils the others. A set
 * without one usable key is a set: all keys are withdrawn.
 * @param json parsed JSON of any shape
 * @param issuerAlgorithms the issuer's list, which decides between RS256 and PS256 for an RSA key that names neither
 * @returns `malformed` if it is no object with an array of objects `keys` (RFC 7517 §5)
 * NOT checked: `x5c`, `x5t` and `x5u` (never used); whether an algorithm is in the issuer's list (access-token.ts does).
 */
export async function readKeySet(json: unknown, issuerAlgorithms: readonly string[]): Promise<KeySet | 'malformed'> {
  if (!isJsonObject(json) || !Array.isArray(json.keys)) return 'malformed';
  const read = await Promise.all(json.keys.map((jwk) => readKey(jwk, issuerAlgorithms)));
  const keys = new Map<string, VerificationKey>();
  const unused: UnusedKey[] = [];
  for (const one of read) {
    if (typeof one === 'string') unused.push(one);
    else keys.set(one.id, one);
  }
  return { keys: [...keys.values()], unused };
}

/**
 * The key that a token names: by `kid`, or the only one for `alg` when the token has no `kid` (checks.md §2).
 * @returns `algorithm`: the kid is there, but its key is not for this alg; `unknown`: none, or more than one
 * NOT checked: whether `alg` is in the issuer's list.
 */
export function chooseKey(
  keys: readonly VerificationKey[],
  kid: string | undefined,
  alg: string,
): VerificationKey | 'unknown' | 'algorithm' {
  const named = kid === undefined ? keys : keys.filter((key) => key.kid === kid);
  const [chosen, another] = named.filter((key) => key.alg === canonicalAlgorithm(alg));
  if (chosen !== undefined) return another === undefined ? chosen : 'unknown';
  return kid !== undefined && named.length > 0 ? 'algorithm' : 'unknown';
}

/** RFC 9864 §2.2: `Ed25519` is what `EdDSA` means with an Ed25519 key. */
function canonicalAlgorithm(alg: string): string {
  return alg === 'Ed25519' ? 'EdDSA' : alg;
}

async function readKey(jwk: unknown, issuerAlgorithms: readonly string[]): Promise<VerificationKey | UnusedKey> {
  if (!isJsonObject(jwk)) return 'malformed';
  const { kid, use, key_ops: operations } = jwk;
  if (SECRET_MEMBERS.some((member) => Object.hasOwn(jwk, member))) return 'private';
  if (use !== undefined && use !== 'sig') return 'not-for-signatures';
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    return 'not-for-signatures';
  }
  if (kid !== undefined && typeof kid !== 'string') return 'malformed';
  const alg = algorithmOf(jwk, issuerAlgorithms);
  const shape = alg === undefined ? undefined : SHAPES.get(alg);
  if (alg === undefined || shape === undefined || shape.kty !== jwk.kty || shape.crv !== jwk.crv) return 'unsupported';
  return importKey(jwk, shape, alg, kid);
}

/** The JWK's own `alg`, else by curve; an RSA key without one is RS256, or PS256 where the issuer has no RS256. */
function algorithmOf(jwk: JsonObject, issuerAlgorithms: readonly string[]): string | undefined {
  if (jwk.alg !== undefined) return typeof jwk.alg === 'string' ? canonicalAlgorithm(jwk.alg) : undefined;
  if (jwk.kty === 'RSA') return issuerAlgorithms.includes('RS256') ? 'RS256' : 'PS256';
  return [...SHAPES].find(([, shape]) => shape.kty === jwk.kty && shape.crv === jwk.crv)?.[0];
}

async function importKey(
  jwk: JsonObject,
  { kty, crv, members }: KeyShape,
  alg: string,
  kid: string | undefined,
): Promise<VerificationKey | UnusedKey> {
  // Only the members that make the key: `ext`, `key_ops` and certificates have no say in the import.
  const bare = Object.fromEntries(members.map((member) => [member, jwk[member]]));
  const material = { kty, ...(crv === undefined ? {} : { crv }), ...bare } as JWK & { kty: 'EC' | 'OKP' | 'RSA' };
  try {
    const key = await importJWK(material, alg);
    if ('modulusLength' in key.algorithm && Number(key.algorithm.modulusLength) < RSA_BITS) return 'weak';
    const thumbprint = await calculateJwkThumbprint(material);
    return { kid, alg, key, id: `${thumbprint} ${alg} ${kid ?? ''}`, current: true };
  } catch {
    return 'malformed'; // A point off its curve, a member missing or of the wrong type.
  }
}
