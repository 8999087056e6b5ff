// Key sets of issuers (RFC 7517 §5): usable keys, and the algorithms of each.

import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  admitsAlgorithm,
  ALGORITHMS,
  algorithmsOfKey,
  type KeyType,
  REQUIRED_MEMBERS,
  RSA_BITS,
} from './algorithms.ts';
import { hasPrivateMember, isForVerification } from './jwk.ts';
import { isJsonObject, type JsonObject } from './jws.ts';
import { jwkThumbprint } from './thumbprint.ts';

/** A public key that verifies signatures of one issuer. */
export interface VerificationKey {
  readonly kid: string | undefined;
  /** JWS algorithms for which it counts: what its JWK says; all that its type can where no JWK of the set says anything. */
  readonly algorithms: readonly string[];
  readonly key: KeyObject;
  /** Thumbprint (RFC 7638), algorithms and kid: the same id is the same key in the same role. */
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

/** RSA moduli of 16384 bits, the most that OpenSSL takes; the cost of reading longer numbers grows with their square. */
const MEMBER_CHARACTERS = 2732;

/** A key on its own, before the rest of the set was looked at. */
interface ReadKey {
  readonly kid: string | undefined;
  /** The `alg` of the JWK, of which there need not be one (RFC 7517 §4.4). */
  readonly alg: string | undefined;
  readonly possible: readonly string[];
  readonly key: KeyObject;
  readonly thumbprint: string;
}

/**
 * Reads a JWK set. A key that cannot be used is left out and accounted for in `unused`; it never spoils the others. A set
 * without one usable key is a set: all keys are withdrawn.
 * @param json parsed JSON of any shape
 * @returns `malformed` if it is not an object with an array of objects `keys` (RFC 7517 §5)
 * NOT checked: `x5c`, `x5t` and `x5u` (never used); whether an algorithm is in the issuer's list (issuer-signature.ts does).
 */
export function readKeySet(json: unknown): KeySet | 'malformed' {
  if (!isJsonObject(json) || !Array.isArray(json.keys)) return 'malformed';
  const read = json.keys.map(readKey);
  const unused = read.filter((one) => typeof one === 'string');
  const usable = read.filter((one) => typeof one === 'object');
  const bound = Map.groupBy(
    usable.filter(({ alg }) => alg !== undefined),
    ({ thumbprint }) => thumbprint,
  );
  const keys = usable.map(({ kid, alg, possible, key, thumbprint }): VerificationKey => {
    // What one JWK says of a key binds that key wherever else in the set it stands.
    const said = alg === undefined ? (bound.get(thumbprint) ?? []).flatMap((one) => one.alg ?? []) : [alg];
    const algorithms = said.length === 0 ? possible : [...new Set(said)].toSorted();
    return { kid, algorithms, key, id: `${thumbprint} ${algorithms.join()} ${kid ?? ''}`, current: true };
  });
  return { keys: [...new Map(keys.map((key) => [key.id, key])).values()], unused };
}

/**
 * The key that a token names: by `kid`, or the only one for `alg` when the token has no `kid` (C2.3). Among several, one
 * that is for this algorithm alone goes before those whose JWK leaves it open.
 * @returns `algorithm`: the kid is there, but its key is not for this alg; `unknown`: none, or more than one
 * NOT checked: whether `alg` is in the issuer's list.
 */
export function chooseKey(
  keys: readonly VerificationKey[],
  kid: string | undefined,
  alg: string,
): VerificationKey | 'unknown' | 'algorithm' {
  const named = kid === undefined ? keys : keys.filter((key) => key.kid === kid);
  const fitting = named.filter(({ algorithms }) => admitsAlgorithm(algorithms, alg));
  const alone = fitting.filter(({ algorithms }) => algorithms.length === 1);
  const [chosen, another] = alone.length > 0 ? alone : fitting;
  if (chosen !== undefined) return another === undefined ? chosen : 'unknown';
  return kid !== undefined && named.length > 0 ? 'algorithm' : 'unknown';
}

function readKey(jwk: unknown): ReadKey | UnusedKey {
  if (!isJsonObject(jwk)) return 'malformed';
  const { kid, alg, kty, crv } = jwk;
  if (hasPrivateMember(jwk)) return 'private';
  if (!isForVerification(jwk)) return 'not-for-signatures';
  if (kid !== undefined && typeof kid !== 'string') return 'malformed';
  const possible = oneNameEach(algorithmsOfKey(kty, crv));
  const said =
    alg === undefined ? undefined : possible.find((one) => typeof alg === 'string' && admitsAlgorithm([one], alg));
  if (possible.length === 0 || (alg !== undefined && said === undefined)) return 'unsupported';
  return importKey(jwk, { kid, alg: said, possible });
}

/** RFC 9864 §2.2: of two names of one algorithm the first of the table, so that a key has one id however its JWK spells it. */
function oneNameEach(names: readonly string[]): readonly string[] {
  return names.filter(
    (name, index) => names.findIndex((one) => ALGORITHMS.get(one) === ALGORITHMS.get(name)) === index,
  );
}

function importKey(jwk: JsonObject, said: Pick<ReadKey, 'kid' | 'alg' | 'possible'>): ReadKey | UnusedKey {
  // Only the members that make the key: `ext`, `key_ops` and certificates have no say in the import.
  const bare = Object.fromEntries(REQUIRED_MEMBERS[jwk.kty as KeyType].map((member) => [member, jwk[member]]));
  if (Object.values(bare).some((value) => typeof value !== 'string' || value.length > MEMBER_CHARACTERS))
    return 'malformed';
  try {
    const key = createPublicKey({ key: bare, format: 'jwk' });
    if ((key.asymmetricKeyDetails?.modulusLength ?? RSA_BITS) < RSA_BITS) return 'weak';
    return { ...said, key, thumbprint: jwkThumbprint(bare) };
  } catch {
    return 'malformed'; // A point off its curve, or members that are not numbers.
  }
}
