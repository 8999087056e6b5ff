// How an upstream's answer ends, and what may follow its fields.

import type { Dispatcher } from 'undici';
import { readFraming } from '../../http/framing.ts';
import type { Rest } from '../transaction/transaction.ts';
import { Http2Request } from '../upstream/http2-request.ts';
import type { OpenUpstream } from '../upstream/upstream.ts';

/**
 * Whether the end of an answer can be told from its being cut off. Node does not tell a TLS connection that was closed from one that
 * was cut (RFC 9112 §9.8), so that an answer which ends with its connection could be a half one. A transfer coding for which
 * nobody asked is not undone.
 * @param received field lines, names and values in turn
 */
export function isDelimited(
  upstream: Pick<OpenUpstream, 'http2' | 'secure'>,
  method: string,
  status: number,
  received: readonly string[],
): boolean {
  if (upstream.http2) return true;
  const framing = readFraming(received);
  if (framing !== 'none' || !upstream.secure) return framing !== 'unsupported';
  return status === 204 || status === 304 || method === 'HEAD';
}

/** What follows the fields of this answer. */
export function restOf(controller: Dispatcher.DispatchController, received: readonly string[]): Rest {
  if (controller instanceof Http2Request) return controller.bodyless ? 'nothing' : 'trailers';
  const announced = received.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'trailer');
  return announced && readFraming(received) === 'chunked' ? 'trailers' : 'body';
}

/** undici hands out field lines as bytes, in types that leave it open. */
export function lines(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  return Array.isArray(raw) ? raw.map((text) => (typeof text === 'string' ? text : text.toString('latin1'))) : [];
}
