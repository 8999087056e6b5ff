// The framing of an upstream's answer: how it ends, and what may follow its fields.

import type { Dispatcher } from 'undici';
import type { Framing } from '../../http/framing.ts';
import type { Rest } from '../transaction/transaction.ts';
import { Http2Request } from '../upstream/http2-request.ts';
import type { OpenUpstream } from '../upstream/upstream.ts';

/**
 * Why the end of an answer could not be told from its being cut off; undefined: it can. Node does not tell a TLS connection that was
 * closed from one that was cut (RFC 9112 §9.8), so that an answer which ends with its connection could be a half one; such are
 * taken where the upstream says so (decision 66). A transfer coding for which nobody asked is not undone.
 */
export function undelimitedBy(
  framing: Framing,
  upstream: Pick<OpenUpstream, 'http2' | 'takesCloseDelimited'>,
  method: string,
  status: number,
): string | undefined {
  if (upstream.http2) return undefined;
  if (framing === 'unsupported') return 'Transfer-Encoding';
  const bodyless = status === 204 || status === 304 || method === 'HEAD';
  return framing !== 'none' || bodyless || upstream.takesCloseDelimited ? undefined : 'close-delimited over TLS';
}

/** What follows the fields of this answer. @param received field lines, names and values in turn */
export function restOf(controller: Dispatcher.DispatchController, received: readonly string[], framing: Framing): Rest {
  if (controller instanceof Http2Request) return controller.bodyless ? 'nothing' : 'trailers';
  if (framing !== 'chunked') return 'body';
  return received.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'trailer') ? 'trailers' : 'body';
}

/** undici hands out field lines as bytes, in types that leave it open. */
export function lines(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  return Array.isArray(raw) ? raw.map((text) => (typeof text === 'string' ? text : text.toString('latin1'))) : [];
}
