// Claims against a route's demand: equality rules, authentication strength (RFC 9470).

import { type Rejection, reject } from '../rejection/rejection.ts';
import { isJsonObject, type JsonObject } from '../jose/jws.ts';

/**
 * A claim equals one of `anyOf`; an array claim matches by any item. An integer beyond 2^53, which is a bigint in claims, equals the
 * text of its digits. `path` is the JSON Pointer split into members.
 */
export interface ClaimRule {
  readonly name: string;
  readonly path: readonly string[];
  readonly anyOf: readonly (string | number | boolean)[];
}

/** @returns Rejection: claim_mismatch, which names the rule, never the value found */
export function checkClaims(rules: readonly ClaimRule[], claims: JsonObject): Rejection | undefined {
  for (const { name, path, anyOf } of rules) {
    const value = valueAt(claims, path);
    const found: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (
      !found.some((one) =>
        anyOf.some((wanted) => one === wanted || (typeof one === 'bigint' && String(one) === wanted)),
      )
    )
      return reject('claim_mismatch', { what: name, differs: value === undefined ? 'missing' : 'value' });
  }
  return undefined;
}

/** RFC 6901 §4 over own members of objects and items of arrays; undefined where the path ends early. */
function valueAt(root: JsonObject, path: readonly string[]): unknown {
  let value: unknown = root;
  for (const member of path) {
    if (Array.isArray(value) && /^(?:0|[1-9][0-9]*)$/.test(member)) value = value[Number(member)];
    else value = isJsonObject(value) && Object.hasOwn(value, member) ? value[member] : undefined;
  }
  return value;
}

/**
 * Authentication strength and age (RFC 9470 §5, §6.2): `acr` is one of the route's, and `auth_time` is at most
 * `maxAge` + `tolerance` seconds ago. A missing claim is insufficient.
 * @returns Rejection: authentication_insufficient
 */
export function checkAuthentication(
  demand: { readonly acr: readonly string[]; readonly maxAuthAge: number | undefined },
  claims: JsonObject,
  tolerance: number,
  now: number,
): Rejection | undefined {
  const { acr, auth_time: authTime } = claims;
  if (demand.acr.length > 0 && !(typeof acr === 'string' && demand.acr.includes(acr))) {
    const differs = acr === undefined ? 'missing' : 'value';
    return reject('authentication_insufficient', { what: 'acr', differs, expected: demand.acr });
  }
  if (demand.maxAuthAge === undefined) return undefined;
  const expected = `at most ${demand.maxAuthAge} seconds ago`;
  if (typeof authTime !== 'number' || !Number.isFinite(authTime)) {
    return reject('authentication_insufficient', { what: 'auth_time', differs: 'missing', expected });
  }
  const over = now - authTime - demand.maxAuthAge - tolerance;
  if (over <= 0) return undefined;
  return reject('authentication_insufficient', {
    what: 'auth_time',
    differs: 'age',
    expected,
    secondsOver: Math.ceil(over),
  });
}
