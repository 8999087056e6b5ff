// Type, claims, times and audience of an access token (RFC 9068 §4, RFC 8725 §3).

import { isMilliseconds, mismatch, mismatchOfAll, textOf } from '../rejection/difference.ts';
import { type Rejection, reject } from '../rejection/rejection.ts';
import type { JsonObject } from '../jose/jws.ts';
import type { Issuer } from './issuer.ts';
import { contraryClaim } from './token-kind.ts';

const ACCESS_TOKEN_TYPE = /^(?:application\/)?at\+jwt$/i;
const PLAIN_TYPE = /^(?:application\/)?jwt$/i;
/** Claims that only ID tokens (OpenID Connect Core §3.3.2.11, FAPI 1, CIBA §10.3.1, Native SSO §4.1) and security events (RFC 8417 §2.2) carry. */
const FOREIGN_CLAIMS = ['at_hash', 'c_hash', 's_hash', 'ds_hash', 'urn:openid:params:jwt:claim:rt_hash', 'events'];

/**
 * Refuses JWTs that are not access tokens. `typ` absent or `JWT` passes unless `requireTyp`, for the sake of real issuers; in exchange what
 * looks like an ID token is refused, unless the issuer says what marks its access tokens (C2.15 to C2.18, a deviation from
 * RFC 9068 §4). What it marks as another kind is refused always.
 * @returns Rejection: token_type_refused, which names the claim or `typ` of the header
 */
export function checkTokenType(
  header: JsonObject,
  claims: JsonObject,
  { requireTyp, accessToken }: Pick<Issuer, 'requireTyp' | 'accessToken'>,
): Rejection | undefined {
  const { typ = 'JWT' } = header;
  const vouched = typeof typ === 'string' && ACCESS_TOKEN_TYPE.test(typ);
  const plain = typeof typ === 'string' && PLAIN_TYPE.test(typ) && !requireTyp;
  if (!vouched && !plain) {
    return reject(
      'token_type_refused',
      mismatch('typ', requireTyp ? ['at+jwt'] : ['at+jwt', 'JWT'], textOf(header.typ)),
    );
  }
  const contrary = contraryClaim(claims, accessToken) ?? (vouched ? undefined : foreignClaim(claims, accessToken));
  return contrary === undefined ? undefined : reject('token_type_refused', { what: contrary });
}

/** By what a token looks like. `nonce` and an audience that is the client are a guess, which a mark of the issuer replaces. */
function foreignClaim(claims: JsonObject, mark: Issuer['accessToken']): string | undefined {
  const foreign = FOREIGN_CLAIMS.find((claim) => Object.hasOwn(claims, claim));
  if (foreign !== undefined || mark !== undefined) return foreign;
  if (Object.hasOwn(claims, 'nonce')) return 'nonce';
  const aud = Array.isArray(claims.aud) ? claims.aud : [claims.aud];
  const toItsClient = typeof aud[0] === 'string' && aud.every((one) => one === claims.azp || one === claims.client_id);
  return toItsClient ? 'aud' : undefined;
}

const isString = (value: unknown) => typeof value === 'string';
const isNumber = (value: unknown) => typeof value === 'number' && Number.isFinite(value);
const isStrings = (value: unknown) => isString(value) || (Array.isArray(value) && value.every(isString));

const TYPES = {
  exp: isNumber,
  aud: isStrings,
  sub: isString,
  iat: isNumber,
  nbf: isNumber,
  client_id: isString,
  scope: isStrings,
};

type ClaimNames = Pick<Issuer, 'scopeClaim' | 'audienceClaim'>;

/**
 * Checks that what every JWT access token has is there (RFC 9068 §2.2).
 * @returns Rejection: token_claim_invalid, which names the claim
 */
export function checkRequiredClaims(claims: JsonObject, names: ClaimNames): Rejection | undefined {
  const absent = ['exp', audienceClaimOf(claims, names)].find((claim) => !Object.hasOwn(claims, claim));
  return absent === undefined ? undefined : reject('token_claim_invalid', { what: absent, differs: 'missing' });
}

/** `aud` counts wherever it names an audience (RFC 7519 §4.1.3); else the claim that the issuer has in its place. */
export function audienceClaimOf(claims: JsonObject, { audienceClaim }: Pick<Issuer, 'audienceClaim'>): string {
  const aud = Object.hasOwn(claims, 'aud') ? claims.aud : '';
  return aud === '' || (Array.isArray(aud) && aud.length === 0) ? audienceClaim : 'aud';
}

/**
 * Checks that known claims are of their type where they are there; `null` is a wrong type. Scopes and audiences, under whatever
 * names the issuer has for them, are a string or strings.
 * @returns Rejection: token_claim_invalid, which names the claim
 */
export function checkClaimTypes(claims: JsonObject, names: ClaimNames): Rejection | undefined {
  const listed = [...names.scopeClaim, audienceClaimOf(claims, names)];
  const typed = { ...Object.fromEntries(listed.map((claim) => [claim, isStrings])), ...TYPES };
  for (const [claim, isTyped] of Object.entries(typed)) {
    if (Object.hasOwn(claims, claim) && !isTyped(claims[claim]))
      return reject('token_claim_invalid', { what: claim, differs: 'type' });
  }
  return undefined;
}

/**
 * `exp` and `nbf` (RFC 7519 §4.1.4, §4.1.5), at every use, cached or not. Times and tolerance in seconds.
 * @returns Rejection: token_expired, token_not_yet_valid
 */
export function checkTimes(claims: JsonObject, tolerance: number, now: number): Rejection | undefined {
  const over = now - Number(claims.exp) - tolerance;
  if (!(over < 0)) return reject('token_expired', { what: 'exp', differs: 'age', secondsOver: Math.floor(over) });
  const early = Number(claims.nbf ?? 0) - now - tolerance;
  if (early <= 0) return undefined;
  const differs = isMilliseconds(Number(claims.nbf), now) ? 'milliseconds' : 'future';
  return reject('token_not_yet_valid', { what: 'nbf', differs, secondsOver: Math.ceil(early) });
}

/**
 * `aud`, or the claim in its place, names one audience of the issuer and, where the route narrows them, one of the route's
 * (RFC 9068 §4). Exact.
 * @returns Rejection: token_audience_mismatch, with what was expected (of the route first) and received, for the log
 */
export function checkAudience(
  claims: JsonObject,
  issuer: Pick<Issuer, 'audience' | 'audienceClaim'>,
  ofRoute: readonly string[] | undefined,
): Rejection | undefined {
  const named = claims[audienceClaimOf(claims, issuer)];
  const found = (Array.isArray(named) ? named : [named]) as string[];
  const meets = (accepted: readonly string[]) => found.some((one) => accepted.includes(one));
  const expected = [ofRoute, issuer.audience].find((accepted) => accepted !== undefined && !meets(accepted));
  if (expected === undefined) return undefined;
  return reject('token_audience_mismatch', mismatchOfAll(audienceClaimOf(claims, issuer), expected, found));
}
