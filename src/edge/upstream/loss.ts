// Retries: what the loss of a request proves, and which methods are idempotent.

/**
 * Why an attempt ended without an answer, where a request may be sent again.
 * `unconnected`: no connection, so nothing was sent. `refused`: the upstream says that it did not look at the request (GOAWAY below its
 * stream, REFUSED_STREAM; RFC 9113 §6.8, §8.7), or the request never left here. `closed`: a connection that had carried requests
 * before ended, and no byte of an answer had come; the upstream may have closed it as idle while the request was on its way.
 * `answered`: by one of the statuses for which its route asks to try again; that proves nothing, and only what may arrive twice is.
 */
export type Loss = 'unconnected' | 'refused' | 'closed' | 'answered';

/**
 * The code of a stream whose server has too much of its connection (RFC 9113 §7), which requests of many clients share: for answers
 * that they do not read, or for one with more fields than it takes. Nothing is sent again after it; the next requests get another connection.
 */
export const OVERBURDENED = 'HTTP2_ENHANCE_YOUR_CALM';

/** A request that the upstream did not process. */
export class RefusedStream extends Error {
  readonly code: string;
  constructor(code: string) {
    super('the upstream did not process the request');
    this.code = code;
  }
}

/** A connection that ended before any byte of an answer came. */
export class Closed extends Error {
  readonly code: string;
  constructor(code: string) {
    super('the connection ended before the answer began');
    this.code = code;
  }
}

/** RFC 9110 §9.2.2, and the safe ones of RFC 3253, RFC 4918, RFC 5323 and QUERY. */
const IDEMPOTENT: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'PUT',
  'DELETE',
  'PROPFIND',
  'REPORT',
  'SEARCH',
  'QUERY',
]);

/** Whether a request has the same effect when it arrives twice (RFC 9110 §9.2.2). */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}
