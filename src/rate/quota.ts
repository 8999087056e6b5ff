// The quota that a rate limit leaves its sender, and the RateLimit fields.

import type { Field } from '../http/field.ts';

/** Where a sender stands; nothing in it says who that is. */
export interface Quota {
  /** Of the limit. */
  readonly name: string;
  /** Requests per `window`, as configured. */
  readonly quota: number;
  /** Seconds, whole. */
  readonly window: number;
  /** Requests that would pass now. */
  readonly remaining: number;
  /** Seconds until as many as ever would pass. */
  readonly resetAfter: number;
}

/** On answers of routes with a limit; the upstream's fields of these names are not passed there. */
export const QUOTA_FIELDS = ['RateLimit', 'RateLimit-Policy'] as const;

/**
 * The fields of an answer (§3 and §4 of the draft: lists of strings with parameters, RFC 9651). Without `pk`: the key of a
 * sender is nobody else's business, and its own it knows.
 * NOT checked: that the name fits into a string; names of the configuration do.
 */
export function quotaFields({ name, quota, window, remaining, resetAfter }: Quota): readonly Field[] {
  return [
    ['RateLimit-Policy', `"${name}";q=${quota};w=${window}`],
    ['RateLimit', `"${name}";r=${remaining};t=${Math.ceil(resetAfter)}`],
  ];
}
