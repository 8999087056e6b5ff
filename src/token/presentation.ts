// The presentation: scheme, access token and proof as sent (RFC 6750 §2, RFC 9449 §7.1).

import type { Scheme } from '../rejection/challenge.ts';
import { Rejection, reject } from '../rejection/rejection.ts';
import type { RequestFacts } from '../request-facts.ts';

export interface Presentation {
  readonly scheme: Scheme;
  readonly accessToken: string;
  /** Exactly one DPoP field line; undefined under Bearer, where a stray one decides nothing. */
  readonly proof: string | undefined;
}

/** The facts of a proof that is not there. */
export const NO_PROOF = { what: 'DPoP', differs: 'missing' } as const;

const TOKEN_BYTES = 16 * 1024;
const CREDENTIALS = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?: +(.*))?$/s;
const TOKEN68 = /^[A-Za-z0-9\-._~+/]+=*$/;

/**
 * Reads the presentation of a request to a route that is not public.
 * @returns Rejection: credentials_in_query, credentials_missing, credentials_malformed, credentials_repeated, scheme_not_accepted,
 * proof_missing, proof_repeated
 * NOT checked: the token, the proof, and whether the route takes the scheme: the token's binding decides that.
 */
export function readPresentation(request: RequestFacts): Presentation | Rejection {
  const inQuery = namesAccessToken(request.query);
  if (inQuery && request.authorization.length === 0) return reject('credentials_in_query', { what: 'query' });
  const credentials = readCredentials(request.authorization, inQuery);
  if (credentials instanceof Rejection) return credentials;
  if (credentials.scheme === 'Bearer') return { ...credentials, proof: undefined };
  const [proof, ...others] = request.dpop;
  if (proof === undefined) return reject('proof_missing', NO_PROOF);
  if (others.length > 0 || proof.includes(',')) return reject('proof_repeated', { what: 'DPoP' });
  return { ...credentials, proof };
}

/** @param inQuery a token is in the query as well (RFC 6750 §2: no more than one method) */
function readCredentials(
  lines: readonly string[],
  inQuery: boolean,
): { scheme: Scheme; accessToken: string } | Rejection {
  const read = lines.map(readCredentialsLine);
  // Reasons in the order of the table: a malformed line counts before a second one, and that before a foreign scheme.
  const malformed = read.find((one) => one instanceof Rejection && one.reason === 'credentials_malformed');
  if (malformed instanceof Rejection) return malformed;
  if (inQuery) return reject('credentials_repeated', { what: 'query' });
  if (read.length > 1) return reject('credentials_repeated', { what: 'Authorization' });
  return read[0] ?? reject('credentials_missing', { what: 'Authorization', differs: 'missing' });
}

/**
 * A foreign scheme may carry parameters instead of a token68 (RFC 9110 §11.4): its rest is not ours to judge. One word alone is a
 * token without a scheme, or a scheme without a token.
 */
function readCredentialsLine(line: string): { scheme: Scheme; accessToken: string } | Rejection {
  const [, name = '', accessToken] = CREDENTIALS.exec(line) ?? [];
  if (name === '') return reject('credentials_malformed', { what: 'Authorization' });
  if (accessToken === undefined) return reject('credentials_malformed', { what: 'scheme' });
  const scheme = readScheme(name);
  if (scheme === undefined) return reject('scheme_not_accepted', { what: 'Authorization' });
  if (accessToken.length > TOKEN_BYTES)
    return reject('credentials_malformed', { what: 'access token', differs: 'size' });
  if (!TOKEN68.test(accessToken)) return reject('credentials_malformed', { what: 'access token', differs: 'form' });
  return { scheme, accessToken };
}

/** Schemes are case-insensitive (RFC 9110 §11.1). */
function readScheme(name: string): Scheme | undefined {
  const lower = name.toLowerCase();
  return lower === 'dpop' ? 'DPoP' : lower === 'bearer' ? 'Bearer' : undefined;
}

/**
 * The scheme that a request names, for challenges and metrics of refusals that come before the presentation was read.
 * @returns `none` without an Authorization field, `other` for a scheme we do not take
 */
export function presentedScheme(lines: readonly string[]): Scheme | 'other' | 'none' {
  const line = lines[0];
  return line === undefined ? 'none' : (readScheme(line.split(' ', 1)[0] ?? '') ?? 'other');
}

/** `access_token` as a name in a query, each character as it is or percent-encoded. */
const ACCESS_TOKEN = new RegExp(`(?:^\\??|[&;])${Array.from('access_token', spellings).join('')}(?:[=&;]|$)`);

function spellings(character: string): string {
  const hex = character.charCodeAt(0).toString(16);
  return `(?:${character}|%${hex.replace(/[a-f]/, (digit) => `[${digit}${digit.toUpperCase()}]`)})`;
}

/**
 * RFC 6750 §2.3: a token in the query is refused, however its name is spelled; `;` separates for some servers. Not by
 * URLSearchParams, whose cost grows with the square of the number of names.
 */
function namesAccessToken(query: string | undefined): boolean {
  return query !== undefined && ACCESS_TOKEN.test(query);
}
