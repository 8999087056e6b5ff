// The access token: a JWT verified once and cached (RFC 9068 §4), or an opaque token.

import type { LRUCache } from 'lru-cache';
import { mismatch } from '../rejection/difference.ts';
import { Rejection, reject } from '../rejection/rejection.ts';
import { checkAudience, checkClaimTypes, checkRequiredClaims, checkTimes, checkTokenType } from './access-claims.ts';
import type { Issuer } from './issuer.ts';
import { type CompactJws, type JsonObject, readCompactJws } from '../jose/jws.ts';
import type { VerificationKey } from '../jose/key-set.ts';
import { sha256 } from '../jose/thumbprint.ts';
import { type KeySource, kidOf, verifyByKnownKey, withoutKey } from './issuer-signature.ts';
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
  const cached = usable(terms.cache.get(token), terms);
  return cached === undefined ? verifyFirstUse(token, terms) : checkUse(token, cached, terms);
}

/** Whether the signature of a token is in the cache. NOT checked: anything that holds for a route or a moment; it counts as no use. */
export function isCached(token: string, cache: Pick<TokenCache, 'peek'>): boolean {
  return cache.peek(token)?.key.current === true;
}

/** A key that the issuer withdrew takes its verifications with it (C2.20); so does a route that names other issuers. */
function usable(cached: SignedToken | undefined, { issuers }: TokenTerms): SignedToken | undefined {
  return cached?.key.current && issuers.includes(cached.issuer) ? cached : undefined;
}

function verifyFirstUse(
  token: string,
  terms: TokenTerms,
): VerifiedToken | Rejection | Promise<VerifiedToken | Rejection> {
  const asked = terms.issuers.find(({ introspection }) => introspection !== undefined);
  if (asked !== undefined && isOpaque(token)) return verifyOpaque(asked, token, terms);
  const jws = readCompactJws(token);
  if (jws === undefined) return reject('token_malformed', { what: formOf(token) });
  const issuer = chooseIssuer(jws, terms.issuers);
  if (issuer instanceof Rejection) return issuer;
  const key = verifyByKnownKey(jws, issuer, terms.keysOf(issuer).current(terms.now));
  if (key === undefined) return verifyRefreshed(token, { jws, issuer }, terms);
  return keep(token, { jws, issuer, key }, terms);
}

async function verifyOpaque(issuer: Issuer, token: string, terms: TokenTerms): Promise<VerifiedToken | Rejection> {
  const claims = await introspectToken(issuer, token, terms);
  return claims instanceof Rejection ? claims : { issuer, claims };
}

/** Of the requests that waited for the same key with the same token, the first verifies it. */
async function verifyRefreshed(
  token: string,
  { jws, issuer }: { readonly jws: CompactJws; readonly issuer: Issuer },
  terms: TokenTerms,
): Promise<VerifiedToken | Rejection> {
  const keys = terms.keysOf(issuer);
  await keys.refreshFor(kidOf(jws));
  const meanwhile = usable(terms.cache.peek(token), terms);
  if (meanwhile !== undefined) return checkUse(token, meanwhile, terms);
  const current = keys.current(terms.now);
  const key = verifyByKnownKey(jws, issuer, current) ?? withoutKey(jws, issuer, current);
  return keep(token, { jws, issuer, key }, terms);
}

/** Signed by that key: what else holds always is checked once, and known to the next request in the same turn. */
function keep(
  token: string,
  {
    jws,
    issuer,
    key,
  }: { readonly jws: CompactJws; readonly issuer: Issuer; readonly key: VerificationKey | Rejection },
  terms: TokenTerms,
): ReturnType<typeof verifyAccessToken> {
  if (key instanceof Rejection) return key;
  const { header, payload } = jws;
  const unfit =
    checkTokenType(header, payload, issuer) ?? checkRequiredClaims(payload, issuer) ?? checkClaimTypes(payload, issuer);
  if (unfit !== undefined) return unfit;
  const verified = { issuer, claims: payload, key, ath: sha256(token) };
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
