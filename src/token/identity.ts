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
 * Makes the identity fields of a request. A claim that is absent, null or empty makes no field.
 * @returns Rejection: identity_unforwardable, which names the field, for objects, for array items that contain their
 * separator and, under `strict`, for values that are no clean field value (RFC 9110 §5.5: visible ASCII, inner spaces)
 */
export function readIdentity(
  rules: readonly IdentityRule[],
  encoding: Encoding,
  identity: VerifiedIdentity,
): readonly (readonly [string, string])[] | Rejection {
  const fields: [string, string][] = [];
  for (const { field, source } of rules) {
    const value = 'fact' in source ? identity.facts[source.fact] : readClaim(source.claims, identity);
    if (value === undefined) continue;
    const encoded = value === null ? undefined : encodeFieldValue(value, encoding);
    if (encoded === undefined) return reject('identity_unforwardable', { what: field });
    fields.push([field, encoded]);
  }
  return fields;
}

/** The first claim that says something, as text; null: it has no text form. */
function readClaim(names: readonly string[], { claims, scopeClaims }: VerifiedIdentity): string | null | undefined {
  for (const name of names) {
    if (!Object.hasOwn(claims, name) || claims[name] === null) continue;
    const isScope = scopeClaims.includes(name);
    const text = textOfClaim(claims[name], isScope);
    if (text !== '') return text;
    // Of scopes the first claim counts, as in the decision (scope.ts): the upstream sees no scope that was not looked at.
    if (isScope) return undefined;
  }
  return undefined;
}

/** Empty where the claim says nothing: empty text, a list of nothing but that. */
function textOfClaim(value: unknown, isScope: boolean): string | null {
  if (!Array.isArray(value)) return isScope && typeof value === 'string' ? joinScopes(value) : textOf(value);
  const separator = isScope ? ' ' : ',';
  const items = value.map(textOf).filter((item) => item !== '');
  return items.some((item) => item === null || item.includes(separator)) ? null : items.join(separator);
}

/** One space between scopes and none at the ends (RFC 6749 §3.3). */
function joinScopes(scopes: string): string {
  return scopes.split(' ').filter(Boolean).join(' ');
}

function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value)) ? String(value) : null;
}

const CLEAN_FIELD_VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

function encodeFieldValue(value: string, encoding: Encoding): string | undefined {
  if (encoding === 'strict') return CLEAN_FIELD_VALUE.test(value) ? value : undefined;
  if (!value.isWellFormed()) return undefined;
  if (encoding === 'base64url') return Buffer.from(value, 'utf8').toString('base64url');
  // RFC 8187 §3.2.1: attr-char is narrower than what encodeURIComponent leaves alone.
  return `UTF-8''${encodeURIComponent(value).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)}`;
}
