// The signed assertion about one permitted request, for upstreams that verify it.

import { randomUUID } from 'node:crypto';
import type { PermitFacts } from '../../binding/permit.ts';
import { compileSigner, keyIdOf, publicJwk } from '../../jose/signing-key.ts';
import type { PathRewrite } from '../../policy/edits.ts';
import type { AssertionRules, Route } from '../../policy/policy.ts';
import type { RequestFacts } from '../../request-facts.ts';
import { rewrittenTarget } from '../../policy/rewritten-target.ts';

/** What is stated of the request itself. */
export type AssertedRequest = Pick<RequestFacts, 'method' | 'origin' | 'path' | 'now'>;

/** Makes the assertion about one request. */
export type Assert = (permit: PermitFacts, request: AssertedRequest) => string;

const TYPE = 'holdfast-assertion+jwt';

/**
 * A JWT (RFC 7519) with typ `holdfast-assertion+jwt`: iss, aud, iat, exp, jti; htm and htu, which are method and URI as the upstream
 * gets them (`Host` or X-Forwarded-Host, the path as rewritten, no query); the claims that the policy names; `cnf` of the access token as far
 * as it was shown, and `shown`: how. On public routes there are neither claims nor `cnf`, and `shown` is `none`.
 */
export function compileAssert(rules: AssertionRules, rewrite?: PathRewrite): Assert {
  const [first] = rules.keys;
  if (first === undefined) throw new Error('no key signs the assertion');
  const sign = compileSigner(first, { typ: TYPE, kid: keyIdOf(first) });
  const { issuer, audience, lifetime, claims } = rules;
  return ({ claims: verified, confirmed, binding }, { method, origin, path, now }) => {
    const iat = Math.floor(now);
    const payload = {
      ...chosen(verified, claims),
      iss: issuer,
      aud: audience,
      iat,
      exp: iat + lifetime,
      jti: randomUUID(),
      htm: method,
      htu: `${origin.scheme}://${origin.authority}${rewrittenTarget(path, rewrite)}`,
      ...(binding !== 'none' && { cnf: confirmed }),
      shown: binding,
    };
    return sign(JSON.stringify(payload, exact));
  };
}

function chosen(verified: PermitFacts['claims'], names: readonly string[]): Record<string, unknown> {
  const given = names.filter((name) => verified !== undefined && Object.hasOwn(verified, name));
  return Object.fromEntries(given.map((name) => [name, verified?.[name]]));
}

/** Of ECMAScript 2025; TypeScript does not know it yet. */
interface RawJson {
  rawJSON(text: string): object;
}

/** Integers that a double cannot hold are written digit by digit (jose/exact-numbers.ts). */
function exact(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? (JSON as unknown as RawJson).rawJSON(String(value)) : value;
}

/** The key set by which assertions of all routes are verified, as JSON text (RFC 7517 §5). */
export function assertionKeys(routes: readonly Route[]): string {
  const keys = routes.flatMap(({ forward }) => forward.assertion?.keys ?? []);
  const unique = new Map(keys.map((key) => [keyIdOf(key), key]));
  return JSON.stringify({ keys: [...unique].map(([kid, key]) => publicJwk(key, kid)) });
}
