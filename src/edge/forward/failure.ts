// The reason for a failure of undici or Node before there is an answer, and facts of bodies.

import type { RejectionFacts } from '../../rejection/facts.ts';
import type { Reason } from '../../rejection/rejection.ts';

/** Codes that say what went wrong whenever they come; others are read by how far the answer had got. */
const REASON_OF_CODE: Readonly<Record<string, Reason>> = {
  UND_ERR_CONNECT_TIMEOUT: 'upstream_timed_out',
  ETIMEDOUT: 'upstream_timed_out',
  UND_ERR_INVALID_ARG: 'internal_error',
  UND_ERR_NOT_SUPPORTED: 'internal_error',
};

/** @param begun the upstream had sent something that could be an answer */
export function reasonOf(code: string, begun: boolean): Reason {
  return REASON_OF_CODE[code] ?? (begun ? 'upstream_invalid' : 'upstream_unreachable');
}

/** Of a body that is another one than was signed. */
export const NOT_SIGNED: RejectionFacts = { what: 'request body', differs: 'value' };

/** @param length of the body as announced, in bytes; undefined: it was found out */
export function tooLarge(limit: number, length?: number): RejectionFacts {
  const received = length === undefined ? {} : { received: `${length} bytes` };
  return { what: 'request body', differs: 'size', expected: `at most ${limit} bytes`, ...received };
}
