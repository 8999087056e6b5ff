// Scope of a token against what a route demands (RFC 6750 §3.1, RFC 9068 §2.2.3).

import { type Rejection, reject } from '../rejection/rejection.ts';
import type { JsonObject } from '../jose/jws.ts';

/** `all`: every one of them; `any`: one of them. */
export interface ScopeRule {
  readonly match: 'all' | 'any';
  readonly scopes: readonly string[];
}

/**
 * Reads the scopes of verified claims: the first of `scopeClaims` that is present, a string of space-separated scopes or an
 * array of them. An empty one grants nothing, and no other claim is looked at. Their types were checked by checkClaimTypes.
 */
export function readScopes(claims: JsonObject, scopeClaims: readonly string[]): readonly string[] {
  const claim = scopeClaims.find((name) => Object.hasOwn(claims, name));
  const value = claim === undefined ? '' : claims[claim];
  return (Array.isArray(value) ? value.map(String) : String(value).split(' ')).filter(Boolean);
}

/** @returns Rejection: scope_insufficient, with the scopes that the token lacks. Without a rule every token passes. */
export function checkScope(rule: ScopeRule | undefined, scopes: readonly string[]): Rejection | undefined {
  if (rule === undefined) return undefined;
  const has = (scope: string) => scopes.includes(scope);
  const passes = rule.match === 'all' ? rule.scopes.every(has) : rule.scopes.some(has);
  if (passes) return undefined;
  return reject('scope_insufficient', {
    what: 'scope',
    differs: 'missing',
    expected: rule.scopes.filter((scope) => !has(scope)),
  });
}
