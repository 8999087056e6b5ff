// The challenges.

export type Scheme = 'Bearer' | 'DPoP';

/** What challenges of a route say (rejection/challenge.ts). */
export interface ChallengeTerms {
  /** Schemes by which the route can be met, the preferred one first. */
  readonly schemes: readonly Scheme[];
  /** Space-separated JWS algorithms for proofs. */
  readonly algs: string;
  readonly scope: string | undefined;
  readonly acrValues: string | undefined;
  readonly maxAge: number | undefined;
}
