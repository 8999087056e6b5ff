// Type, claims, times and audience of an access token (RFC 9068 §4, RFC 8725 §3, RFC 7519 §4.1).

import { type Rejection, reject } from '../rejection/rejection.ts';
import type { JsonObject } from '../jose/jws.ts';

const ACCESS_TOKEN_TYPE = /^(?:application\/)?at\+jwt$/i;
const PLAIN_TYPE = /^(?:application\/)?jwt$/i;
/** Claims that only ID tokens (OpenID Connect Core §2, §3.3.2.11) and security events (RFC 8417 §2.2) carry. */
const FOREIGN_CLAIMS = ['at_hash', 'c_hash', 's_hash', 'nonce', 'events'];

/**
 * Refuses JWTs of other kinds. `typ` absent or `JWT` passes unless `requireTyp`, for the sake of real issuers; in
 * exchange the marks of an ID token refuse (checks.md §2, a deviation from RFC 9068 §4).
 * @returns Rejection: token_type_refused
 */
export function checkTokenType(header: JsonObject, claims: JsonObject, requireTyp: boolean): Rejection | undefined {
  const { typ = 'JWT' } = header;
  if (typeof typ !== 'string') return reject('token_type_refused');
  if (ACCESS_TOKEN_TYPE.test(typ)) return undefined;
  const foreign = !PLAIN_TYPE.test(typ) || requireTyp || isIdToken(claims);
  return foreign ? reject('token_type_refused') : undefined;
}

function isIdToken(claims: JsonObject): boolean {
  if (FOREIGN_CLAIMS.some((claim) => Object.hasOwn(claims, claim))) return true;
  const aud = Array.isArray(claims.aud) ? claims.aud : [claims.aud];
  return typeof aud[0] === 'string' && aud.every((one) => one === claims.azp || one === claims.client_id);
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
/** What every JWT access token has, beside `iss` (RFC 9068 §2.2). */
const REQUIRED = ['exp', 'aud'];

/**
 * Checks that required claims are there and known ones are of their type; `null` is a wrong type.
 * @param scopeClaims names under which the issuer puts scopes: string or array of strings
 * @param required the default is what a JWT needs
 * @returns Rejection: token_claim_invalid, which names the claim
 */
export function checkClaimTypes(
  claims: JsonObject,
  scopeClaims: readonly string[],
  required: readonly string[] = REQUIRED,
): Rejection | undefined {
  const absent = required.find((claim) => !Object.hasOwn(claims, claim));
  if (absent !== undefined) return reject('token_claim_invalid', { what: absent });
  const typed = { ...Object.fromEntries(scopeClaims.map((claim) => [claim, isStrings])), ...TYPES };
  for (const [claim, isTyped] of Object.entries(typed)) {
    if (Object.hasOwn(claims, claim) && !isTyped(claims[claim])) return reject('token_claim_invalid', { what: claim });
  }
  return undefined;
}

/**
 * `exp` and `nbf` (RFC 7519 §4.1.4, §4.1.5), at every use, cached or not. Times and tolerance in seconds.
 * @returns Rejection: token_expired, token_not_yet_valid
 */
export function checkTimes(claims: JsonObject, tolerance: number, now: number): Rejection | undefined {
  if (!(Number(claims.exp) + tolerance > now)) return reject('token_expired');
  return Number(claims.nbf ?? 0) > now + tolerance ? reject('token_not_yet_valid') : undefined;
}

/**
 * `aud` names one audience of the issuer and, where the route narrows them, one of the route's (RFC 9068 §4). Exact.
 * @returns Rejection: token_audience_mismatch, with what was expected (of the route first) and received, for the log
 */
export function checkAudience(
  claims: JsonObject,
  ofIssuer: readonly string[],
  ofRoute: readonly string[] | undefined,
): Rejection | undefined {
  const found = (Array.isArray(claims.aud) ? claims.aud : [claims.aud]) as string[];
  const meets = (accepted: readonly string[]) => found.some((one) => accepted.includes(one));
  const expected = [ofRoute, ofIssuer].find((accepted) => accepted !== undefined && !meets(accepted));
  if (expected === undefined) return undefined;
  const received = found.slice(0, 8).map((one) => one.slice(0, 256));
  return reject('token_audience_mismatch', { audience: { expected, received } });
}
