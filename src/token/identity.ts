// Verified claims as identity fields for the upstream (C6.10 to C6.13).

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
 * the clients of Okta and Entra ID, `cid` and `appid`: a comma in them separates nothing.
 */
// biome-ignore format: two groups
const SINGLE = new Set([
  'iss', 'sub', 'jti', 'client_id', 'azp', 'cid', 'appid', 'acr', 'sid', 'username',
  'name', 'given_name', 'family_name', 'middle_name', 'nickname', 'preferred_username', 'email', 'profile', 'picture', 'website',
  'gender', 'birthdate', 'zoneinfo', 'locale', 'phone_number',
]);

/**
 * Makes the identity fields of a request. A claim that is absent, null or empty makes no field. No text passes for an array: `strict`
 * joins the items of an array by commas and refuses a text with one, but for claims that are never arrays; the other encodings
 * encode item by item (docs/decisions/0077-numbers-that-a-double-cannot-hold.md).
 * @returns Rejection: identity_unforwardable, which names the claim and, for the operator, the field, for objects, for numbers without exact text, for array items
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
    const text =
      'fact' in source ? factText(identity.facts[source.fact], encoding) : claimText(source.claims, encoding, identity);
    if (text === undefined) {
      const what = 'fact' in source ? source.fact : source.claims.join(' or ');
      return reject('identity_unforwardable', { what, name: field });
    }
    if (text !== NOTHING) fields.push([field, text]);
  }
  return fields;
}

/** A field value, empty where nothing is said; undefined: it cannot be said in a field. */
type FieldText = string | undefined;

const NOTHING = '';

function factText(fact: string | undefined, encoding: Encoding): FieldText {
  // A certificate need not have a subject (RFC 5280 §4.1.2.6).
  return fact === undefined || fact === '' ? NOTHING : encode(fact, encoding);
}

/** Of the first claim that says something. */
function claimText(names: readonly string[], encoding: Encoding, { claims, scopeClaims }: VerifiedIdentity): FieldText {
  for (const name of names) {
    if (!Object.hasOwn(claims, name) || claims[name] === null) continue;
    const isScope = scopeClaims.includes(name);
    const text = isScope ? scopeText(claims[name], encoding) : valueText(name, claims[name], encoding);
    // Of scopes the first claim counts, as in the decision (scope.ts): the upstream sees no scope that was not looked at.
    if (isScope || text !== NOTHING) return text;
  }
  return NOTHING;
}

function scopeText(value: unknown, encoding: Encoding): FieldText {
  const items = Array.isArray(value)
    ? textsOf(value)
    : textsOf([typeof value === 'string' ? joinScopes(value) : value]);
  if (items === undefined || (Array.isArray(value) && items.some((item) => item.includes(' ')))) return undefined;
  return items.length === 0 ? NOTHING : encode(items.join(' '), encoding);
}

function valueText(name: string, value: unknown, encoding: Encoding): FieldText {
  if (Array.isArray(value)) return listText(value, encoding, SINGLE.has(name));
  const text = textOf(value);
  if (text === null || text === '') return text ?? undefined;
  const looksLikeList = encoding === 'strict' && text.includes(',') && !SINGLE.has(name);
  return looksLikeList ? undefined : encode(text, encoding);
}

function listText(value: readonly unknown[], encoding: Encoding, isSingle: boolean): FieldText {
  const items = textsOf(value);
  if (items === undefined || items.length === 0) return items && NOTHING;
  if (encoding === 'strict') {
    const ambiguous = (isSingle && items.length > 1) || items.some((item) => item.includes(','));
    return ambiguous ? undefined : encode(items.join(','), encoding);
  }
  const encoded = items.map((item) => encode(item, encoding));
  return encoded.includes(undefined) ? undefined : encoded.join(',');
}

/** What a list says, item by item, without empty texts; undefined: one has no text form. */
function textsOf(value: readonly unknown[]): readonly string[] | undefined {
  const items = value.map(textOf).filter((item) => item !== '');
  return items.every((item) => item !== null) ? items : undefined;
}

/** One space between scopes and none at the ends (RFC 6749 §3.3). */
function joinScopes(scopes: string): string {
  return /^ | {2}| $/.test(scopes) ? scopes.split(' ').filter(Boolean).join(' ') : scopes;
}

function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  return typeof value === 'number' && Number.isFinite(value) ? String(value) : null;
}

const CLEAN_FIELD_VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

function encode(value: string, encoding: Encoding): string | undefined {
  if (encoding === 'strict') return CLEAN_FIELD_VALUE.test(value) ? value : undefined;
  if (!value.isWellFormed()) return undefined;
  if (encoding === 'base64url') return Buffer.from(value, 'utf8').toString('base64url');
  // RFC 8187 §3.2.1: attr-char is narrower than what encodeURIComponent leaves alone.
  return `UTF-8''${encodeURIComponent(value).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)}`;
}
