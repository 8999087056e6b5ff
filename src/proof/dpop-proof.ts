// The checks of a DPoP proof (RFC 9449 §4.3): key, `htm`, `htu`, `iat`, `ath`, signature.

import type { KeyObject } from 'node:crypto';
import type { LRUCache } from 'lru-cache';
import {
  type Difference,
  hashDifference,
  isMilliseconds,
  mismatch,
  textOf,
  untrusted,
} from '../rejection/difference.ts';
import type { RejectionFacts } from '../rejection/facts.ts';
import { Rejection, reject } from '../rejection/rejection.ts';
import { admitsAlgorithm, verifySignature } from '../jose/algorithms.ts';
import { decodeBase64url, isJsonObject, type JsonObject, readJsonPart } from '../jose/jws.ts';
import { htuMismatch } from './htu-mismatch.ts';
import type { Nonces } from './nonce.ts';
import { hasPrivateMember, importProofKey, type ProofKey, readProofKey } from '../jose/jwk.ts';
import { readTargetUri } from '../http/uri.ts';

export interface DpopRules {
  readonly nonce: 'none' | 'required' | 'on-skew';
  /** Seconds. */
  readonly maxAge: number;
  /** Seconds. */
  readonly clockTolerance: number;
  readonly algorithms: readonly string[];
}

/**
 * By the text of the protected header, which is the same in all proofs of one client. A key is put in only after a
 * signature by it was verified, so that strangers cannot push real clients out.
 */
export type ProofKeyCache = LRUCache<string, ProofKey>;

/** What the memory of an earlier policy, which was kept for a shorter time, still means for proofs made before it changed. */
export interface ShorterMemory {
  /** Seconds since the epoch: proofs dated before may have been used under that policy. */
  readonly until: number;
  /** Seconds after `iat` for which they were remembered. */
  readonly rememberedFor: number;
}

export interface ProofTerms {
  readonly method: string;
  /** As clients see it, normalised (http/uri.ts). */
  readonly targetUri: string;
  /** Hash of the access token (RFC 9449 §4.2). */
  readonly ath: string;
  /** `cnf.jkt` of the access token. */
  readonly jkt: string;
  readonly rules: DpopRules;
  readonly now: number;
  /** Seconds since the epoch before which uses of proofs may have been forgotten. */
  readonly rememberedSince: number;
  /** The same for the minting of nonces; undefined: that of proofs. */
  readonly noncesSince?: number | undefined;
  /** Seconds after `iat` until which some route may accept a proof without nonce; at least those of `rules`. */
  readonly rememberFor: number;
  /** Of policies before a reload (C4.28). */
  readonly shorterMemories: readonly ShorterMemory[];
  readonly nonces: Nonces;
  readonly keys: ProofKeyCache;
  /** Told by how many seconds the clock of a sender is ahead, once its signature is verified; undefined: nobody asks. */
  readonly onClock?: ((offset: number, result: 'accepted' | 'refused') => void) | undefined;
}

export interface VerifiedProof {
  /** By which it was signed, with its thumbprint. */
  readonly key: KeyObject;
  readonly jkt: string;
  readonly jti: string;
  /** Until when it would be accepted again, and so must be remembered; seconds since the epoch. */
  readonly rememberUntil: number;
  /** The nonce used is in its last half: the answer brings a fresh one (RFC 9449 §8.2). */
  readonly nonceAges: boolean;
  /** Whose nonce it has: one of any replica, or of this process alone. */
  readonly nonce: 'none' | 'shared' | 'own';
}

interface ProofClaims {
  readonly jti: string;
  readonly htm: string;
  readonly htu: string;
  readonly ath: string;
  readonly iat: number;
  readonly nonce: string | undefined;
  readonly nbf: number | undefined;
}

const PROOF_BYTES = 8 * 1024;
/** An RSA key of 4096 bits takes a thousand; longer headers are read anew each time instead of filling memory. */
const CACHED_HEADER_CHARACTERS = 2048;

/**
 * Verifies that the sender holds the key to which its access token is bound, for this very request.
 * @returns Rejection of stage `proof`
 * NOT checked: whether the proof was used before: the replay store is asked last of all.
 */
export function verifyProof(proof: string, terms: ProofTerms): VerifiedProof | Rejection {
  const read = readProof(proof, terms);
  if (read instanceof Rejection) return read;
  const { claims, signingInput, signature, headerText, header } = read;

  const found = findProofKey(headerText, header, terms);
  if (found instanceof Rejection) return found;
  const mismatch = checkRequest(claims, terms);
  if (mismatch !== undefined) return mismatch;
  const freshness = checkFreshness(claims, terms);
  const { onClock, now } = terms;
  if (freshness instanceof Rejection) {
    // A signature is looked at for the sake of a metric, and so of few requests.
    const ofClock = onClock !== undefined && freshness.facts.clockOffset !== undefined;
    const clocked = ofClock ? importedKey(found) : undefined;
    if (clocked && verifySignature(clocked, signingInput, signature)) onClock?.(claims.iat - now, 'refused');
    return freshness;
  }
  // An import costs as much as a signature: only what could pass is worth it.
  const key = importedKey(found);
  if (key === undefined) return reject('proof_key_invalid', { what: 'jwk' });
  if (!verifySignature(key, signingInput, signature)) return reject('proof_signature_invalid', { what: 'signature' });
  onClock?.(claims.iat - now, 'accepted');

  if (header !== undefined && headerText.length <= CACHED_HEADER_CHARACTERS) terms.keys.set(headerText, key);
  return { key: key.key, jkt: key.thumbprint, jti: claims.jti, ...freshness };
}

interface ReadProof {
  readonly claims: ProofClaims;
  readonly headerText: string;
  /** undefined: the key of this header text is in the cache, so it was read before. */
  readonly header: JsonObject | undefined;
  readonly signingInput: string;
  readonly signature: Buffer;
}

/** Checks 1 to 3: one well-formed JWS with all claims. */
function readProof(proof: string, terms: ProofTerms): ReadProof | Rejection {
  if (proof.length > PROOF_BYTES) return reject('proof_malformed', { what: 'DPoP', differs: 'size' });
  const parts = proof.split('.', 4);
  const [headerText = '', payloadText = '', signatureText = ''] = parts;
  const known = terms.keys.has(headerText);
  const header = known ? undefined : readJsonPart(headerText);
  const payload = readJsonPart(payloadText);
  const signature = decodeBase64url(signatureText);
  const complete = parts.length === 3 && (known || header !== undefined);
  if (!complete || payload === undefined || signature === undefined) return malformed('JWS', 'form');
  // RFC 7515 §4.1.11, RFC 7797: we understand no extension.
  if (header !== undefined && (Object.hasOwn(header, 'crit') || Object.hasOwn(header, 'b64'))) {
    return malformed('crit', 'value');
  }
  const claims = readProofClaims(payload, terms);
  if (claims instanceof Rejection) return claims;
  return { claims, headerText, header, signingInput: proof.slice(0, proof.lastIndexOf('.')), signature };
}

function readProofClaims(payload: JsonObject, { now, rules }: ProofTerms): ProofClaims | Rejection {
  const { jti, htm, htu, ath, iat, nonce, exp, nbf } = payload;
  if (typeof jti !== 'string' || jti === '' || jti.length > 256 || Buffer.byteLength(jti) > 256)
    return malformedClaim(payload, 'jti');
  if (typeof htm !== 'string') return malformedClaim(payload, 'htm');
  if (typeof htu !== 'string') return malformedClaim(payload, 'htu');
  if (typeof ath !== 'string') return malformedClaim(payload, 'ath');
  if (!isFinite(iat)) return malformedClaim(payload, 'iat');
  if (nonce !== undefined && typeof nonce !== 'string') return malformedClaim(payload, 'nonce');
  if (exp !== undefined && !isFinite(exp)) return malformedClaim(payload, 'exp');
  if (exp !== undefined && exp + rules.clockTolerance <= now) return malformed('exp', 'age');
  if (nbf !== undefined && !isFinite(nbf)) return malformedClaim(payload, 'nbf');
  return { jti, htm, htu, ath, iat, nonce, nbf };
}

const malformed = (what: string, differs: Difference) => reject('proof_malformed', { what, differs });
const malformedClaim = (payload: JsonObject, claim: string) =>
  malformed(claim, Object.hasOwn(payload, claim) ? 'type' : 'missing');
const isFinite = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

/** A key that was not imported yet. */
interface FoundKey extends Pick<ProofKey, 'alg' | 'thumbprint'> {
  readonly jwk: JsonObject;
}

/** Checks 4 to 7: type, algorithm and key, and that the key is the token's. */
function findProofKey(
  headerText: string,
  header: JsonObject | undefined,
  terms: ProofTerms,
): ProofKey | FoundKey | Rejection {
  const cached = terms.keys.get(headerText);
  const { typ, alg, jwk } = header ?? { typ: 'dpop+jwt', alg: cached?.alg, jwk: undefined };
  if (typeof typ !== 'string' || typ.toLowerCase() !== 'dpop+jwt')
    return reject('proof_type_invalid', mismatch('typ', ['dpop+jwt'], textOf(typ)));
  if (typeof alg !== 'string' || !admitsAlgorithm(terms.rules.algorithms, alg))
    return reject('proof_algorithm_refused', mismatch('alg', terms.rules.algorithms, textOf(alg)));
  const thumbprint = cached?.thumbprint ?? readProofKey(jwk, alg);
  if (thumbprint === undefined) return reject('proof_key_invalid', unusableKey(jwk));
  if (thumbprint !== terms.jkt) return reject('proof_key_mismatch', otherKey(terms.jkt, thumbprint));
  return cached ?? { alg, thumbprint, jwk: jwk as JsonObject };
}

function importedKey(found: ProofKey | FoundKey): ProofKey | undefined {
  return 'key' in found ? found : importProofKey(found.jwk, found.alg, found.thumbprint);
}

function unusableKey(jwk: unknown): RejectionFacts {
  if (!isJsonObject(jwk)) return { what: 'jwk', differs: jwk === undefined ? 'missing' : 'type' };
  return { what: hasPrivateMember(jwk) ? 'private key' : 'jwk' };
}

/** Thumbprints are no secrets: of the verified token, and one that was computed here. */
function otherKey(jkt: string, thumbprint: string): RejectionFacts {
  const differs = hashDifference(jkt, thumbprint);
  return { what: 'jkt', differs, expected: untrusted(jkt), received: thumbprint };
}

/** Checks 8, 9 and 12: made for this method, this URI and this access token. */
function checkRequest(claims: ProofClaims, terms: ProofTerms): Rejection | undefined {
  if (claims.htm !== terms.method) return reject('proof_method_mismatch', mismatch('htm', [terms.method], claims.htm));
  if (claims.htu !== terms.targetUri && readTargetUri(claims.htu) !== terms.targetUri) {
    return reject('proof_uri_mismatch', htuMismatch(terms.targetUri, claims.htu));
  }
  if (claims.ath === terms.ath) return undefined;
  return reject('proof_token_mismatch', { what: 'ath', differs: hashDifference(claims.ath, terms.ath) });
}

/** Checks 10 and 11: fresh by its nonce if it has one, else by `iat` (RFC 9449 §8, §9, §11.1). */
function checkFreshness(
  claims: ProofClaims,
  terms: ProofTerms,
): Pick<VerifiedProof, 'rememberUntil' | 'nonceAges' | 'nonce'> | Rejection {
  const { rules, now } = terms;
  const latest = now + rules.clockTolerance;
  const notYet = claims.nbf !== undefined && claims.nbf > latest;
  if (claims.nonce !== undefined) {
    const nonce = terms.nonces.read(claims.nonce, now);
    // One minted before this memory began may belong to a proof whose use it does not know.
    if (nonce === undefined || (!nonce.own && nonce.mintedAt < (terms.noncesSince ?? terms.rememberedSince)))
      return reject('nonce_stale', { what: 'nonce' });
    if (notYet) return reject('proof_from_future', timeFacts('nbf', claims.nbf ?? 0, terms));
    const nonceAges = now > (nonce.mintedAt + nonce.expiresAt) / 2;
    const rememberUntil = nonce.expiresAt + rules.clockTolerance;
    return { rememberUntil, nonceAges, nonce: nonce.own ? 'own' : 'shared' };
  }
  const stale = claims.iat < now - rules.maxAge || isForgotten(claims.iat, terms);
  const future = claims.iat > latest;
  if (rules.nonce === 'required') return reject('nonce_required', NO_NONCE);
  if (rules.nonce === 'on-skew' && (stale || future))
    return reject('nonce_required', timeFacts('iat', claims.iat, terms));
  if (stale) return reject('proof_stale', timeFacts('iat', claims.iat, terms));
  if (future) return reject('proof_from_future', timeFacts('iat', claims.iat, terms));
  if (notYet) return reject('proof_from_future', timeFacts('nbf', claims.nbf ?? 0, terms));
  if (claims.iat < terms.rememberedSince) return reject('nonce_required', NO_NONCE);
  return { rememberUntil: claims.iat + terms.rememberFor, nonceAges: false, nonce: 'none' };
}

const NO_NONCE = { what: 'nonce', differs: 'missing' } as const;

/** What is wrong with a time of the proof, whose window is that of this very moment: a reload may have narrowed it (C4.28). */
function timeFacts(what: 'iat' | 'nbf', time: number, terms: ProofTerms): RejectionFacts {
  const { rules, now, shorterMemories } = terms;
  const forgotten = shorterMemories.filter(({ until }) => time < until).map(({ rememberedFor }) => now - rememberedFor);
  const earliest = Math.ceil(Math.max(now - rules.maxAge, ...forgotten));
  const latest = Math.floor(now + rules.clockTolerance);
  const future = time > now + rules.clockTolerance;
  return {
    what,
    differs: isMilliseconds(time, now) ? 'milliseconds' : future ? 'future' : 'age',
    expected: what === 'iat' ? `${earliest} to ${latest}` : `at most ${latest}`,
    received: untrusted(String(time), 32),
    clockOffset: Math.round(Math.max(-1e9, Math.min(1e9, time - now))),
  };
}

/** A reload that raises `max_age` cannot bring back what was forgotten before it. @param iat when a proof or signature was made */
export function isForgotten(
  iat: number,
  { shorterMemories, now }: Pick<ProofTerms, 'shorterMemories' | 'now'>,
): boolean {
  return shorterMemories.some(({ until, rememberedFor }) => iat < until && iat + rememberedFor < now);
}
