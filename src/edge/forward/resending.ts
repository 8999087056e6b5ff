// Sending again after an answer: when the route asks for it, and after what pause.

/** What a route says of it. */
export interface ResendRules {
  readonly codes: ReadonlySet<number>;
  /** After the first one. */
  readonly attempts: number;
  /** Seconds before the first of them; doubled for each further one. */
  readonly backoff: number;
}

/** A quarter of a pause is left to chance, so that requests that failed together do not come back together. */
const SPREAD = 0.25;

/**
 * Seconds until the next attempt; undefined: this answer is the client's.
 * @param sent how often it was sent again already
 * @param left seconds that the exchange has
 */
export function pauseBefore(
  rules: ResendRules | undefined,
  status: number,
  { sent, left }: { readonly sent: number; readonly left: number },
): number | undefined {
  if (rules === undefined || sent >= rules.attempts || !rules.codes.has(status)) return undefined;
  const pause = rules.backoff * 2 ** sent * (1 + SPREAD * Math.random());
  return pause < left ? pause : undefined;
}
