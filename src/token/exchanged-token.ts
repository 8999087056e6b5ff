// Exchanged tokens (RFC 8693): what is asked for, and which answers can be sent on.

import { readJsonObject } from '../jose/jws.ts';

/** For whom a route's upstream wants a token; at least one audience or resource. */
export interface TokenExchangeTerms {
  readonly audience: readonly string[];
  readonly resource: readonly string[];
  readonly scope: readonly string[];
  /** For people: `orders, https://orders.internal/`. */
  readonly name: string;
  /** The three as parameters of a form (RFC 8693 §2.1): also the name by which tokens of these terms are remembered. */
  readonly form: string;
}

/** The parameters of one exchange that are the same for every route. */
export function exchangeParameters(token: string): Readonly<Record<string, string>> {
  return {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: token,
    subject_token_type: ACCESS_TOKEN,
    requested_token_type: ACCESS_TOKEN,
  };
}

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** RFC 6750 §2.1, and no longer than a token of a client. */
const TOKEN = /^[A-Za-z0-9._~+/-]{1,16384}={0,2}$/;

export interface ExchangedToken {
  readonly token: string;
  /** Seconds for which the issuer says it is good; undefined: it does not say. */
  readonly lifetime: number | undefined;
}

/**
 * Reads the body of a successful answer (RFC 8693 §2.2.1): an access token, of type Bearer, that is another one than the token that was
 * exchanged.
 * @returns or a problem, in words that are fit for logs and quote nothing
 * NOT checked: for whom the token is, and what it lets its holder do: it is opaque to its client (RFC 6749 §1.4).
 */
export function readExchangedToken(text: string, exchanged: string): ExchangedToken | { readonly problem: string } {
  const answer = readJsonObject(text);
  if (answer === undefined) return { problem: 'the answer is not one JSON object' };
  const { access_token: token, issued_token_type: issued, token_type: type, expires_in: lifetime } = answer;
  if (issued !== ACCESS_TOKEN) return { problem: 'issued_token_type is not that of an access token' };
  // Of another type the gateway would have to show a proof, or it is no token to be shown at all (N_A).
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer') return { problem: 'token_type is not Bearer' };
  if (typeof token !== 'string' || !TOKEN.test(token)) return { problem: 'access_token is not a bearer token' };
  if (token === exchanged) return { problem: 'the access token came back unchanged' };
  return { token, lifetime: typeof lifetime === 'number' && lifetime > 0 ? lifetime : undefined };
}

/** What an issuer answers where the token is to blame (RFC 6749 §5.2, RFC 8693 §2.2.2); `access_denied` is what Keycloak says. */
const ABOUT_THE_TOKEN: ReadonlySet<string> = new Set([
  'invalid_request',
  'invalid_grant',
  'invalid_token',
  'access_denied',
]);

/** Whether an error is about the token; every other one is about the gateway, its policy or the issuer. */
export function isAboutToken(error: string | undefined): error is string {
  return error !== undefined && ABOUT_THE_TOKEN.has(error);
}
