// The facts of a refusal under the names by which log, answer and explain show them.

import type { RejectionFacts } from './rejection.ts';

/**
 * One fact has one name wherever it is shown. Named one by one: a fact that is new has to be thought about before anybody sees it.
 * Members that are undefined say nothing. The fields of a rate limit say for themselves what is left of it.
 */
export function shownFacts(facts: RejectionFacts) {
  const { what, clockOffset, htu, audience, renewedCertificate, retryAfter, allow } = facts;
  return {
    what,
    clock_offset: clockOffset,
    htu,
    audience,
    renewed_certificate: renewedCertificate,
    retry_after: retryAfter,
    allow,
  };
}
