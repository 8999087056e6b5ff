// The facts of a refusal, and the names by which log, answers and explain show them.

import type { Quota } from '../rate/quota.ts';
import type { Difference } from './difference.ts';
import { shortText } from './short.ts';

/**
 * What a refusal may tell. No member fits a token, proof, nonce, key or password. Values that came from outside are those of `iss`, `aud`,
 * `htm`, `htu`, `iat`, `typ`, `alg` and `kid`, thumbprints, the origin that was asked for, and origin and method of a page: unverified
 * ones are cut and escaped (difference.ts), and `htu` has no userinfo, query and fragment (decision 98).
 */
export interface RejectionFacts {
  /** Name of the claim, field, parameter or part that was wrong; no key of the configuration, for clients read it. */
  readonly what?: string;
  /** What is different about it. */
  readonly differs?: Difference;
  /** What would have done; a list: any of them. */
  readonly expected?: string | readonly string[];
  /** What came instead; never the same text as `expected`. */
  readonly received?: string;
  /** The field, or part of the connection, that said what was received. */
  readonly receivedIn?: string;
  /** Seconds by which the client's clock is ahead (positive) or behind (negative). */
  readonly clockOffset?: number;
  /** Seconds by which a time limit was missed. */
  readonly secondsOver?: number;
  /** The certificate shown has the subject and issuer name of another generation: probably renewed. */
  readonly renewedCertificate?: boolean;
  /** For the operator: what the configuration calls the issuer, limit or upstream that had a part in it. */
  readonly name?: string;
  /** For the operator: a code of Node, of its parser, or of the issuer, such as ECONNREFUSED. */
  readonly code?: string;
  /** Seconds for `Retry-After`. */
  readonly retryAfter?: number;
  /** Of the rate limit that refused. */
  readonly quota?: Quota;
  /** Value of `Allow`. */
  readonly allow?: string;
  /** Value of `Accept-Signature`: names of the policy and of ours. */
  readonly acceptSignature?: string;
}

/** Bytes of each of the two values in JSON, so that a line of the log stays short. */
const VALUE_BYTES = 1000;

/**
 * One fact has one name wherever it is shown. Named one by one: a fact that is new has to be thought about before anybody sees it.
 * Members that are undefined say nothing. The fields of a rate limit say for themselves what is left of it.
 */
export function shownFacts(facts: RejectionFacts) {
  const { what, differs, receivedIn, clockOffset, secondsOver, renewedCertificate, retryAfter, allow } = facts;
  return {
    what,
    differs,
    expected: shown(facts.expected),
    received: shown(facts.received),
    received_in: receivedIn,
    clock_offset: clockOffset,
    seconds_over: secondsOver,
    renewed_certificate: renewedCertificate,
    name: facts.name,
    code: facts.code,
    retry_after: retryAfter,
    allow,
  };
}

/**
 * What the sender of the request may know: always what was wrong with it, and values where the operator allows it (`explain_to_clients`).
 * Never what only the operator can place.
 */
export function toldFacts(facts: RejectionFacts, explain: boolean) {
  const { what, differs, expected, received, received_in, clock_offset, seconds_over } = shownFacts(facts);
  return explain ? { what, differs, expected, received, received_in, clock_offset, seconds_over } : { what, differs };
}

export type ShownFacts = ReturnType<typeof shownFacts>;

function shown(value: string | readonly string[] | undefined): string | undefined {
  if (value === undefined) return undefined;
  const text = typeof value === 'string' ? value : value.join(', ');
  const short = shortText(text, VALUE_BYTES);
  return short === text ? text : `${short}…`;
}
