// The WWW-Authenticate challenges of a refusal (RFC 6750, RFC 9449, RFC 9470).

import { REASONS, type Rejection, wordingOf } from './rejection.ts';

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
  /** URI of the metadata of the resource (RFC 9728 §5.1). */
  readonly resourceMetadata?: string | undefined;
}

/** What challenges say that the route does not. */
export interface ChallengeContext {
  readonly presented: Scheme | 'other' | 'none';
  /** Host by which the client calls; checked against the grammar before. */
  readonly realm: string;
  /** Of the page about this reason; undefined: there is none. */
  readonly errorUri?: string | undefined;
}

/**
 * Makes the challenges of a refusal; none for reasons that have none and for 429 and 5xx.
 * There is one per scheme of the route. `error` goes to the presented scheme, whose challenge comes first: clients that read a
 * single line read that one. Where the presented scheme is not one of the route's, and for ambiguous credentials (RFC 9449
 * figure 19), every challenge has it: a client that understands only one of them must still learn why.
 * `use_dpop_nonce` is the DPoP challenge alone (RFC 9449 figure 24): the client needs no other scheme, only a new proof.
 * In each challenge `error`, `error_description` and `error_uri` come before the rest, as in the figures of RFC 9449: some clients find
 * nothing behind a first comma (decision 71).
 * @returns values of WWW-Authenticate fields, in order
 */
export function challenges(
  rejection: Rejection,
  terms: ChallengeTerms,
  { presented, realm, errorUri }: ChallengeContext,
): string[] {
  const { error, status } = REASONS[rejection.reason];
  if (error === false || status === 429 || status >= 500) return [];
  const everywhere = rejection.reason === 'credentials_repeated' || !terms.schemes.some((is) => is === presented);
  const failed = (scheme: Scheme) => error !== 'none' && (everywhere || scheme === presented);
  const first = (scheme: Scheme) => Number(error !== 'none' && scheme === presented);
  const offered = error === 'use_dpop_nonce' ? terms.schemes.filter((scheme) => scheme === 'DPoP') : terms.schemes;
  return offered
    .toSorted((a, b) => first(b) - first(a))
    .map((scheme) => {
      const parameters: Parameter[] = [
        ...(failed(scheme) ? errorParameters(rejection, terms, errorUri) : []),
        scheme === 'Bearer' ? ['realm', realm] : ['algs', terms.algs],
        scopeOf(rejection, terms),
        ['resource_metadata', terms.resourceMetadata],
      ];
      return `${scheme} ${parameters.flatMap(formatParameter).join(', ')}`;
    });
}

type Parameter = readonly [name: string, value: string | number | undefined];

function errorParameters(rejection: Rejection, terms: ChallengeTerms, errorUri: string | undefined): Parameter[] {
  const { error } = REASONS[rejection.reason];
  const strength: Parameter[] = [
    ['acr_values', terms.acrValues],
    ['max_age', terms.maxAge],
  ];
  return [
    ['error', String(error)],
    ['error_description', wordingOf(rejection).title],
    ['error_uri', errorUri],
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
