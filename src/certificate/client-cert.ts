// Client-Cert and Client-Cert-Chain (RFC 9440): certificates as structured-field bytes.

import type { CertificateFacts } from '../request-facts.ts';
import { formatBase64, MAX_VALUE_LENGTH, readBase64 } from './encoding.ts';

/**
 * Value of `Client-Cert` (RFC 9440 §2.2). Undefined: the certificate itself is not known. Does not check that it passed the
 * listener's `verify`.
 */
export function formatClientCert({ der }: CertificateFacts): string | undefined {
  return der && formatByteSequence(der);
}

/**
 * Value of `Client-Cert-Chain` (RFC 9440 §2.3): the leaf is not repeated, the nearest issuer comes first and the trust anchor
 * last, since nothing tells that the upstream has it. Undefined: no chain, so no field (an empty list has no value).
 */
export function formatClientCertChain(facts: CertificateFacts): string | undefined {
  return facts.chain.length === 0 ? undefined : facts.chain.map(formatByteSequence).join(', ');
}

/**
 * Value of a `Client-Cert` field → the bytes, by RFC 9651 §4.2.7 (exactly one byte sequence, SP around it). Undefined:
 * anything else, and parameters too: RFC 9440 defines none, and one that we do not know might take back what the item says.
 * Does not check that the bytes are a certificate (leaf.ts).
 */
export function readClientCert(value: string): Uint8Array | undefined {
  if (value.length > MAX_VALUE_LENGTH) return undefined;
  const content = /^ *:([^:]*): *$/.exec(value)?.[1];
  return content === undefined ? undefined : readBase64(content);
}

function formatByteSequence(der: Uint8Array): string {
  return `:${formatBase64(der)}:`;
}
