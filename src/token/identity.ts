// Verified claims as identity fields for the upstream (checks.md §6).

import { type Rejection, reject } from '../rejection/rejection.ts';
import type { JsonObject } from '../jose/jws.ts';

/** How a value becomes a field value: as it is or not at all, or encoded. */
export type Encoding = 'strict' | 'base64url' | 'rfc8187';

export type IdentitySource =
  | { readonly claims: readonly string[] }
  | { readonly fact: 'binding' | 'thumbprint' | 'issuer' | 'expires' | 'certificate_subject' };

export interface IdentityRule {
  /** Field name as sent to the upstream. */
  readonly field: string;
  readonly source: IdentitySource;
}

/** What identity fields are made of: verified values only; undefined ones make no field. */
export interface VerifiedIdentity {
  readonly claims: JsonObject;
  /** Names of claims that hold scopes, which are joined by a space. */
  readonly scopeClaims: readonly string[];
  readonly facts: Readonly<Record<Extract<IdentitySource, { fact: string }>['fact'], string | undefined>>;
}

/**
 * Claims that their standards define as one string (RFC 7519 §4.1, RFC 9068 §2.2, OpenID Connect Core §2, §5.1, RFC 7662 §2.2) and
 * Okta's `cid`: a comma in them separates nothing.
 */
// biome-ignore format: two groups
const SINGLE = new Set([
  'iss', 'sub', 'jti', 'client_id', 'azp', 'cid', 'acr', 'sid', 'username',
  'name', 'given_name', 'family_name', 'middle_name', 'nickname', 'preferred_username', 'email', 'profile', 'picture', 'website',
  'gender', 'birthdate', 'zoneinfo', 'locale', 'phone_number',
]);

/**
 * Makes the identity fields of a request. A claim that is absent, null or empty makes no field. No text passes for an array: `strict`
 * joins the items of an array by commas and refuses a text with one, but for claims that are never arrays; the other encodings
 * encode item by item (docs/decisions/0961-numbers-that-a-double-cannot-hold.md).
 * @returns Rejection: identity_unforwardable, which names the field, for objects, for numbers without exact text, for array items
 * that contain their separator and, under `strict`, for values that are no clean field value (RFC 9110 §5.5: visible ASCII, inner
 * spaces)
 */
export function readIdentity(
  rules: readonly IdentityRule[],
  encoding: Encoding,
  identity: VerifiedIdentity,
): readonly (readonly [string, string])[] | Rejection {
  const fields: [string, string][] = [];
  for (const { field, source } of rules) {
    const pieces =
      'fact' in source ? factPieces(identity.facts[source.fact]) : claimPieces(source.claims, encoding, identity);
    if (pieces?.length === 0) continue;
    const encoded = pieces?.map((piece) => encodeFieldValue(piece, encoding));
    if (encoded === undefined || encoded.includes(undefined)) return reject('identity_unforwardable', { what: field });
    fields.push([field, encoded.join(',')]);
  }
  return fields;
}

/** Texts that are encoded one by one and joined by commas; empty: nothing is said; undefined: it has no text form. */
type Pieces = readonly string[] | undefined;

const NOTHING: Pieces = [];

function factPieces(fact: string | undefined): Pieces {
  return fact === undefined ? NOTHING : [fact];
}

/** Of the first claim that says something. */
function claimPieces(names: readonly string[], encoding: Encoding, { claims, scopeClaims }: VerifiedIdentity): Pieces {
  for (const name of names) {
    if (!Object.hasOwn(claims, name) || claims[name] === null) continue;
    const isScope = scopeClaims.includes(name);
    const pieces = isScope ? scopePieces(claims[name]) : piecesOf(claims[name], encoding, SINGLE.has(name));
    // Of scopes the first claim counts, as in the decision (scope.ts): the upstream sees no scope that was not looked at.
    if (isScope || pieces?.length !== 0) return pieces;
  }
  return NOTHING;
}

function scopePieces(value: unknown): Pieces {
  const items = textsOf(typeof value === 'string' ? joinScopes(value) : value);
  if (items === undefined || (Array.isArray(value) && items.some((item) => item.includes(' ')))) return undefined;
  return items.length === 0 ? NOTHING : [items.join(' ')];
}

function piecesOf(value: unknown, encoding: Encoding, isSingle: boolean): Pieces {
  const items = textsOf(value);
  if (items === undefined || items.length === 0 || encoding !== 'strict') return items;
  const commaIsText = isSingle && !Array.isArray(value);
  const ambiguous = (isSingle && items.length > 1) || (!commaIsText && items.some((item) => item.includes(',')));
  return ambiguous ? undefined : [items.join(',')];
}

/** What a claim says, item by item, without empty texts. */
function textsOf(value: unknown): Pieces {
  const items = (Array.isArray(value) ? value : [value]).map(textOf).filter((item) => item !== '');
  return items.every((item) => item !== null) ? items : undefined;
}

/** One space between scopes and none at the ends (RFC 6749 §3.3). */
function joinScopes(scopes: string): string {
  return scopes.split(' ').filter(Boolean).join(' ');
}

function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  return typeof value === 'number' && Number.isFinite(value) ? String(value) : null;
}

const CLEAN_FIELD_VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

function encodeFieldValue(value: string, encoding: Encoding): string | undefined {
  if (encoding === 'strict') return CLEAN_FIELD_VALUE.test(value) ? value : undefined;
  if (!value.isWellFormed()) return undefined;
  if (encoding === 'base64url') return Buffer.from(value, 'utf8').toString('base64url');
  // RFC 8187 §3.2.1: attr-char is narrower than what encodeURIComponent leaves alone.
  return `UTF-8''${encodeURIComponent(value).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)}`;
}
