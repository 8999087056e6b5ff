// Percent-encoded PEM, as nginx's $ssl_client_escaped_cert and AWS load balancers send it.

import type { CertificateFacts } from '../request-facts.ts';
import { formatPem, readPem, readPercentEncoded } from './encoding.ts';

/**
 * The leaf as `$ssl_client_escaped_cert` spells it. Undefined: the certificate itself is not known. Does not check that it passed
 * the listener's `verify`.
 */
export function formatEscapedPem({ der }: CertificateFacts): string | undefined {
  return der && escapePem([der]);
}

/** DERs, in their order → percent-encoded PEM; nothing but unreserved characters and %XX is left. */
export function escapePem(ders: readonly Uint8Array[]): string {
  return encodeURIComponent(formatPem(ders));
}

/** Percent-encoded PEM of exactly one certificate → its DER. Does not check that the DER is a certificate (leaf.ts). */
export function readEscapedPem(value: string): Uint8Array | undefined {
  const ders = readEscaped(value);
  return ders?.length === 1 ? ders[0] : undefined;
}

/**
 * Percent-encoded PEM of a chain as the client sent it in the handshake → the DER of the first, which is the client's own
 * (RFC 8446 §4.4.2). The others must be complete PEM and are dropped: nobody vouched for them.
 */
export function readEscapedPemChain(value: string): Uint8Array | undefined {
  return readEscaped(value)?.[0];
}

function readEscaped(value: string): readonly Uint8Array[] | undefined {
  const text = readPercentEncoded(value);
  return text === undefined ? undefined : readPem(text);
}
