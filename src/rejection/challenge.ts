// The WWW-Authenticate challenges of a refusal (RFC 6750 §3, RFC 9449 §7.1 figures 15 to 19, RFC 9470 §3).

import { REASONS, type Rejection } from './rejection.ts';

/** The schemes by which Holdfast takes access tokens. */
export type Scheme = 'Bearer' | 'DPoP';

/** What the challenges of a route say. */
export interface ChallengeTerms {
  /** Schemes by which the route can be met, the preferred one first; none on public routes. */
  readonly schemes: readonly Scheme[];
  /** Space-separated JWS algorithms for proofs. */
  readonly algs: string;
  readonly scope: string | undefined;
  readonly acrValues: string | undefined;
  /** Seconds. */
  readonly maxAge: number | undefined;
}

/**
 * Makes one challenge per accepted scheme; none for reasons that have none and for 429 and 5xx.
 * `error` goes to the presented scheme. Where that is no scheme of the route, and for ambiguous credentials (RFC 9449
 * figure 19), every challenge has it: a client that understands only one of them must still learn why.
 * @param presented the scheme of the request
 * @param realm host by which the client calls; checked against the grammar before
 * @returns values of WWW-Authenticate fields, in order
 */
export function challenges(
  rejection: Rejection,
  terms: ChallengeTerms,
  presented: Scheme | 'other' | 'none',
  realm: string,
): string[] {
  const { error, status } = REASONS[rejection.reason];
  if (error === false || status === 429 || status >= 500) return [];
  const { schemes } = terms;
  const everywhere = rejection.reason === 'credentials_repeated' || !schemes.some((scheme) => scheme === presented);
  return schemes.map((scheme) => {
    const ownParameters: Parameter[] = scheme === 'Bearer' ? [['realm', realm]] : [['algs', terms.algs]];
    const failed = error !== 'none' && (everywhere || scheme === presented);
    const parameters = [
      ...ownParameters,
      ...(failed ? errorParameters(rejection, terms) : []),
      scopeOf(rejection, terms),
    ];
    return `${scheme} ${parameters.flatMap(formatParameter).join(', ')}`;
  });
}

type Parameter = readonly [name: string, value: string | number | undefined];

function errorParameters(rejection: Rejection, terms: ChallengeTerms): Parameter[] {
  const { error, title } = REASONS[rejection.reason];
  const strength: Parameter[] = [
    ['acr_values', terms.acrValues],
    ['max_age', terms.maxAge],
  ];
  return [
    ['error', String(error)],
    ['error_description', title],
    ...(error === 'insufficient_user_authentication' ? strength : []),
  ];
}

/** A claim that no scope can mend is not answered with a scope to ask for. */
function scopeOf(rejection: Rejection, terms: ChallengeTerms): Parameter {
  return ['scope', rejection.reason === 'claim_mismatch' ? undefined : terms.scope];
}

/** quoted-string of RFC 9110 §5.6.4. */
function formatParameter([name, value]: Parameter): string[] {
  return value === undefined ? [] : [`${name}="${String(value).replace(/["\\]/g, '\\$&')}"`];
}
