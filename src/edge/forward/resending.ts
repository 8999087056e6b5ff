// Which requests may be sent again, and whose bodies are kept for it.

import { hasProof } from '../fields/request-fields.ts';
import { isIdempotent, type Loss } from '../upstream/loss.ts';
import type { Keeping } from './kept-pieces.ts';
import type { RouteAtWork } from './route-at-work.ts';

/** HTTP/1.1 says of no request that it was not processed: there only idempotent ones are ever sent again. */
export function keepingOf(method: string, route: RouteAtWork, client: string): Keeping | undefined {
  const { retries, http2 } = route.upstream;
  const isKept = retries > 0 && (http2 || isIdempotent(method));
  return isKept ? { memory: route.keptBodies, client } : undefined;
}

/**
 * Whether a request may arrive twice, or cannot after this loss. A proof passes once (RFC 9449 §11.1): an upstream that checks it would refuse
 * the second copy of a request that it has read.
 * @param fields of the request as the upstream gets it, names and values in turn
 */
export function mayArriveAgain(after: Loss, method: string, fields: readonly string[]): boolean {
  return after !== 'closed' || (isIdempotent(method) && !hasProof(fields));
}
