// Opaque tokens: the issuer's answer (RFC 7662 §2.2), held to the rules for JWTs.

import { mismatch, mismatchOfAll, textOf } from '../rejection/difference.ts';
import { Rejection, reject } from '../rejection/rejection.ts';
import { audienceClaimOf, checkAudience, checkClaimTypes, checkTimes } from './access-claims.ts';
import { readConfirmation } from './confirmation.ts';
import type { Issuer } from './issuer.ts';
import { type AccessTokenMark, contraryClaim } from './token-kind.ts';
import { isJsonObject, type JsonObject, readJsonObject } from '../jose/jws.ts';

/** What is known about a token: the claims of an active one; nothing: `unavailable` by the issuer, `busy` because too many wait for it. */
export type Introspection = JsonObject | 'inactive' | 'unavailable' | 'busy';

/** For whom the issuer is asked. */
export interface Asker {
  /** Address; undefined: not known, as on unix sockets. */
  readonly client: string | undefined;
  /** The token is no invention: its issuer has signed it. */
  readonly signed: boolean;
}

/**
 * Asks the issuer about a token, or remembers what it answered (issuer/introspection.ts).
 * @param now seconds since the epoch
 */
export type Introspect = (
  issuer: Issuer,
  token: string,
  now: number,
  asker: Asker,
) => Introspection | Promise<Introspection>;

/**
 * Reads the body of an introspection answer. `active` is exactly true or exactly false; everything else is no answer.
 * NOT checked: what an active token says (`checkIntrospected`).
 */
export function readIntrospection(text: string): JsonObject | 'inactive' | 'malformed' {
  return readAnswer(readJsonObject(text));
}

/** The same of a JSON object that was read already, or of anything else. */
export function readAnswer(answer: unknown): JsonObject | 'inactive' | 'malformed' {
  if (!isJsonObject(answer)) return 'malformed';
  if (answer.active === true) return answer;
  return answer.active === false ? 'inactive' : 'malformed';
}

/**
 * Whether a token is opaque. What has three or five parts and begins like a JOSE header is a JWT, good or bad, and is not asked
 * about in place of being verified.
 */
export function isOpaque(token: string): boolean {
  const parts = token.split('.', 6);
  if (parts.length !== 3 && parts.length !== 5) return true;
  return !/^\s*\{/.test(Buffer.from(parts[0] ?? '', 'base64url').toString('latin1'));
}

/**
 * What its issuer says about a token, now: a Rejection, or the claims of an active token that the route can take.
 * @param signed claims of the token itself where it is a JWT (`always`): what the answer leaves out is taken from them, and its
 * `jti` and `cnf` must be those
 * @returns Rejection: issuer_unavailable, introspection_queue_full, token_inactive, or see checkIntrospected
 */
export async function introspectToken(
  issuer: Issuer,
  token: string,
  terms: {
    readonly introspect: Introspect;
    readonly audience: readonly string[] | undefined;
    readonly now: number;
    readonly client: string | undefined;
  },
  signed?: JsonObject,
): Promise<JsonObject | Rejection> {
  const { introspect, audience, now, client } = terms;
  const answer = await introspect(issuer, token, now, { client, signed: signed !== undefined });
  if (answer === 'unavailable')
    return reject('issuer_unavailable', { what: 'answer of the issuer', name: issuer.name, retryAfter: 5 });
  if (answer === 'busy') return reject('introspection_queue_full', { name: issuer.name, retryAfter: 1 });
  if (answer === 'inactive') return reject('token_inactive', { what: 'active', name: issuer.name });
  const shown = signed ?? {};
  const { aud, cnf, jti } = shown;
  const { audienceClaim } = issuer;
  const own = present({ [audienceClaim]: shown[audienceClaim], aud, cnf, jti });
  const claims = { ...own, ...withoutEmptyAudience(answer) };
  return checkIntrospected(claims, { issuer, audience, now }) ?? checkSame(claims, shown) ?? claims;
}

/**
 * Checks the claims of an active token. `exp`, `nbf`, `aud` and `iss` count when present; a route with an audience of its own
 * demands `aud`. Servers call refresh tokens active too: so `token_type`, an audience of ours or a mark of the issuer must say that
 * this is an access token (docs/decisions/0047-what-an-introspection-answer-must-say.md, decision 83).
 * @returns Rejection: token_issuer_unknown, token_type_refused, token_claim_invalid, token_expired, token_not_yet_valid,
 * token_audience_mismatch, confirmation_unsupported
 * NOT checked: scope, and whether the sender meets `cnf`.
 */
function checkIntrospected(
  claims: JsonObject,
  terms: { readonly issuer: Issuer; readonly audience: readonly string[] | undefined; readonly now: number },
): Rejection | undefined {
  const { issuer, audience, now } = terms;
  if (Object.hasOwn(claims, 'iss') && claims.iss !== issuer.issuer) {
    return reject('token_issuer_unknown', {
      ...mismatch('iss', [issuer.issuer], textOf(claims.iss)),
      name: issuer.name,
    });
  }
  return (
    checkKind(claims, issuer.introspection?.accessToken) ??
    checkClaimTypes(claims, issuer) ??
    checkTimes({ exp: Number.POSITIVE_INFINITY, ...claims }, issuer.clockTolerance, now) ??
    checkAudienceOf(claims, issuer, audience) ??
    checkDpopBound(claims)
  );
}

/** `token_type` of an access token where nothing else is configured (RFC 6749 §7.1, RFC 9449 §5). */
const TOKEN_TYPE = /^(?:bearer|dpop)$/i;

function checkKind(claims: JsonObject, mark: AccessTokenMark | undefined): Rejection | undefined {
  const contrary = contraryClaim(claims, mark);
  if (contrary !== undefined) return reject('token_type_refused', { what: contrary });
  if (mark !== undefined) return undefined;
  const { token_type: type } = claims;
  const says = type === undefined ? Object.hasOwn(claims, 'aud') : typeof type === 'string' && TOKEN_TYPE.test(type);
  return says ? undefined : reject('token_type_refused', { what: 'token_type' });
}

function checkAudienceOf(
  claims: JsonObject,
  issuer: Issuer,
  ofRoute: readonly string[] | undefined,
): Rejection | undefined {
  if (Object.hasOwn(claims, audienceClaimOf(claims, issuer))) return checkAudience(claims, issuer, ofRoute);
  if (ofRoute === undefined) return undefined;
  return reject('token_audience_mismatch', mismatchOfAll(audienceClaimOf(claims, issuer), ofRoute, []));
}

/** Ory Hydra and others write an empty `aud` where no audience was asked for: it says as much as none. */
function withoutEmptyAudience({ aud, ...claims }: JsonObject): JsonObject {
  const empty = aud === undefined || aud === null || aud === '' || (Array.isArray(aud) && aud.length === 0);
  return empty ? claims : { ...claims, aud };
}

/** A token that its issuer calls DPoP-bound is never taken for an unbound one (RFC 9449 §6.2). */
function checkDpopBound({ token_type: type, cnf }: JsonObject): Rejection | undefined {
  if (typeof type !== 'string' || type.toLowerCase() !== 'dpop') return undefined;
  return isJsonObject(cnf) && Object.hasOwn(cnf, 'jkt')
    ? undefined
    : reject('confirmation_unsupported', { what: 'jkt', differs: 'missing' });
}

/** Of a JWT the answer must be about this very token, bound to the same key and certificate. */
function checkSame(claims: JsonObject, signed: JsonObject): Rejection | undefined {
  if (Object.hasOwn(signed, 'jti') && claims.jti !== signed.jti)
    return reject('token_claim_invalid', { what: 'jti', differs: 'value' });
  if (Object.keys(signed).length === 0) return undefined;
  const [answered, own] = [readConfirmation(claims), readConfirmation(signed)];
  if (answered instanceof Rejection) return answered;
  if (own instanceof Rejection) return own;
  const same = answered.jkt === own.jkt && answered.x5tS256 === own.x5tS256;
  return same ? undefined : reject('token_claim_invalid', { what: 'cnf', differs: 'value' });
}

function present(claims: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
}
