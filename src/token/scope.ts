// Scope of a token against what a route demands.

/** `all`: every one of them; `any`: one of them. */
export interface ScopeRule {
  readonly match: 'all' | 'any';
  readonly scopes: readonly string[];
}
