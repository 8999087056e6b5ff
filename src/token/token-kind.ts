// Marks of access tokens, and of every other kind of token, in claims.

import type { JsonObject } from '../jose/jws.ts';

/** One claim by which an issuer marks access tokens. */
export interface MarkRule {
  readonly claim: string;
  /** An array claim matches by any item. undefined: any value that is not empty. */
  readonly anyOf: readonly (string | boolean)[] | undefined;
}

/**
 * What marks an access token: every one of these claims. `any`: all tokens of this issuer, or of this endpoint, are access tokens
 * unless they say that they are something else.
 */
export type AccessTokenMark = 'any' | readonly MarkRule[];

/**
 * Claims in which issuers write the kind of a token: `token_use` (Amazon Cognito, Ory Hydra), `typ` (Keycloak), `token_type`
 * (RFC 7662 §2.2 and servers that copy it), `tokenName` (ForgeRock).
 */
export const KIND_CLAIMS: readonly string[] = ['token_use', 'typ', 'token_type', 'tokenName'];

/** Their values in access tokens, lower-cased. Everything else is another kind, the names that we do not know too. */
const ACCESS_TOKEN_KINDS: ReadonlySet<unknown> = new Set([
  'access',
  'access_token',
  'bearer',
  'dpop',
  'jwt',
  'at+jwt',
  'application/at+jwt',
  'urn:ietf:params:oauth:token-type:access_token',
  'urn:ietf:params:oauth:token-type:jwt',
]);

const OTHER_KINDS =
  /^(?:urn:ietf:params:oauth:token-type:|serialized-)?(?:id|identity|refresh|offline|logout|registration|initial)(?:access)?(?:[-_+ ]?(?:token|jwt))?$/i;

/**
 * Claims that are the kind of a token to some issuers and mean anything to others: `purpose` (Curity), `tokenType`, `token_kind`. Here only a value that says it refuses.
 */
const PERHAPS_KIND = ['purpose', 'tokenType', 'token_kind'];
const OTHER_KIND_FOR_SURE = /^(?:id|refresh|logout)(?:[-_ ]?token)?$/i;

/** Whether a value of such a claim names ID tokens, refresh tokens, logout tokens and the like, which no setting makes access tokens. */
export function namesAnotherKind({ claim, anyOf = [] }: MarkRule): boolean {
  return KIND_CLAIMS.includes(claim) && anyOf.some((value) => typeof value === 'string' && OTHER_KINDS.test(value));
}

/**
 * The claim that speaks against an access token: one that marks another kind, or a mark of the issuer that is missing.
 * @returns its name; undefined: nothing speaks against it
 * NOT checked: what the header says, and what only ID tokens look like (access-claims.ts).
 */
export function contraryClaim(claims: JsonObject, mark: AccessTokenMark | undefined): string | undefined {
  const rules = mark === undefined || mark === 'any' ? [] : mark;
  const settled = (claim: string) => rules.some((rule) => rule.claim === claim && rule.anyOf !== undefined);
  const other = KIND_CLAIMS.find(
    (claim) => Object.hasOwn(claims, claim) && !settled(claim) && !isAccess(claims[claim]),
  );
  const said = PERHAPS_KIND.find((claim) => Object.hasOwn(claims, claim) && namesOtherKind(claims[claim]));
  return other ?? said ?? rules.find((rule) => !isMet(rule, claims))?.claim;
}

function isAccess(kind: unknown): boolean {
  return typeof kind === 'string' && ACCESS_TOKEN_KINDS.has(kind.toLowerCase());
}

function namesOtherKind(kind: unknown): boolean {
  return typeof kind === 'string' && OTHER_KIND_FOR_SURE.test(kind);
}

function isMet({ claim, anyOf }: MarkRule, claims: JsonObject): boolean {
  const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
  const found: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (anyOf !== undefined) return anyOf.some((one) => found.includes(one));
  return found.some((one) => one !== undefined && one !== null && one !== '');
}
