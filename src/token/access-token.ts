// The access token: a JWT verified once and cached (RFC 9068 §4), or an opaque token.

import type { LRUCache } from 'lru-cache';
import { mismatch } from '../rejection/difference.ts';
import { Rejection, reject } from '../rejection/rejection.ts';
import { checkAudience, checkClaimTypes, checkRequiredClaims, checkTimes, checkTokenType } from './access-claims.ts';
import type { Issuer } from './issuer.ts';
import { type CompactJws, type JsonObject, readCompactJws } from '../jose/jws.ts';
import type { VerificationKey } from '../jose/key-set.ts';
import { sha256 } from '../jose/thumbprint.ts';
import { type KeySource, verifyIssuerSignature } from './issuer-signature.ts';
import { type Introspect, introspectToken, isOpaque } from './opaque-token.ts';

/** A token that its issuer vouches for, by a signature or by its answer to introspection. */
export interface VerifiedToken {
  readonly issuer: Issuer;
  readonly claims: JsonObject;
  /** Its hash as proofs have it (RFC 9449 §4.2); undefined: it is not kept. */
  readonly ath?: string;
}

/** A token whose signature, type and claims were good; times and audience are checked at every use. */
interface SignedToken extends VerifiedToken {
  readonly key: VerificationKey;
}

/** By the whole token. Belongs to one compiled policy, so that a reload ends it. */
export type TokenCache = LRUCache<string, SignedToken>;

export interface TokenTerms {
  readonly issuers: readonly Issuer[];
  /** Narrows the audiences of the issuers. */
  readonly audience: readonly string[] | undefined;
  readonly now: number;
  readonly keysOf: (issuer: Issuer) => KeySource;
  readonly cache: TokenCache;
  readonly introspect: Introspect;
  /** Address of the client, undefined where it is not known; for fair shares of introspection. */
  readonly client: string | undefined;
}

/**
 * Verifies an access token for a route: a JWT by its signature, and where the issuer says `always` by introspection as well; an
 * opaque one by introspection alone (RFC 7662), at the one issuer of the route that can be asked.
 * @returns Rejection of stage `token`, in the order of rejections.md
 * NOT checked: `cnf`, scope, any evidence of the sender; revocation of tokens that are not introspected.
 */
export function verifyAccessToken(
  token: string,
  terms: TokenTerms,
): VerifiedToken | Rejection | Promise<VerifiedToken | Rejection> {
  const cached = terms.cache.get(token);
  // A key that the issuer withdrew takes its verifications with it (C2.20); so does a route that names other issuers.
  const usable = cached?.key.current && terms.issuers.includes(cached.issuer);
  return usable ? checkUse(token, cached, terms) : verifyFirstUse(token, terms);
}

async function verifyFirstUse(token: string, terms: TokenTerms): Promise<VerifiedToken | Rejection> {
  const asked = terms.issuers.find(({ introspection }) => introspection !== undefined);
  if (asked !== undefined && isOpaque(token)) {
    const claims = await introspectToken(asked, token, terms);
    return claims instanceof Rejection ? claims : { issuer: asked, claims };
  }
  const verified = await verifySignedToken(token, terms);
  if (verified instanceof Rejection) return verified;
  terms.cache.set(token, verified);
  return checkUse(token, verified, terms);
}

/** What holds for this route and this moment, cached or not. */
function checkUse(
  token: string,
  verified: SignedToken,
  terms: TokenTerms,
): VerifiedToken | Rejection | Promise<VerifiedToken | Rejection> {
  const { issuer, claims } = verified;
  const { audience, now } = terms;
  const unfit = checkTimes(claims, issuer.clockTolerance, now) ?? checkAudience(claims, issuer, audience);
  if (unfit !== undefined || !issuer.introspection?.always) return unfit ?? verified;
  return checkActive(token, verified, terms);
}

/** What was signed counts; the issuer is asked whether it still holds. */
async function checkActive(token: string, verified: SignedToken, terms: TokenTerms): Promise<SignedToken | Rejection> {
  const answer = await introspectToken(verified.issuer, token, terms, verified.claims);
  return answer instanceof Rejection ? answer : verified;
}

async function verifySignedToken(token: string, terms: TokenTerms): Promise<SignedToken | Rejection> {
  const jws = readCompactJws(token);
  if (jws === undefined) return reject('token_malformed', { what: formOf(token) });
  const issuer = chooseIssuer(jws, terms.issuers);
  if (issuer instanceof Rejection) return issuer;
  const key = await verifyIssuerSignature(jws, issuer, terms.keysOf(issuer), terms.now);
  if (key instanceof Rejection) return key;
  return (
    checkTokenType(jws.header, jws.payload, issuer) ??
    checkRequiredClaims(jws.payload, issuer) ??
    checkClaimTypes(jws.payload, issuer) ?? { issuer, claims: jws.payload, key, ath: sha256(token) }
  );
}

/** What a token is that is no JWS, as far as its dots tell (RFC 7516 §7.1). */
function formOf(token: string): string {
  const parts = token.split('.', 6).length;
  return parts === 5 ? 'encrypted token' : parts === 1 ? 'opaque token' : 'JWS';
}

const UNKNOWN_ISSUER = { requireTyp: false, accessToken: undefined };

/** By `iss`, which is unverified and picks nothing but the key set. */
function chooseIssuer({ header, payload }: CompactJws, issuers: readonly Issuer[]): Issuer | Rejection {
  const iss = Object.hasOwn(payload, 'iss') ? payload.iss : undefined;
  // Without a name of an issuer no signature can be looked at; a proof sent as access token ends here.
  if (typeof iss !== 'string') {
    const differs = iss === undefined ? 'missing' : 'type';
    return checkTokenType(header, payload, UNKNOWN_ISSUER) ?? reject('token_claim_invalid', { what: 'iss', differs });
  }
  const known = issuers.find(({ issuer }) => issuer === iss);
  return (
    known ??
    reject(
      'token_issuer_unknown',
      mismatch(
        'iss',
        issuers.map(({ issuer }) => issuer),
        iss,
      ),
    )
  );
}
