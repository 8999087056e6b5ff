// The evidence of a certificate: trusted by the listener, bound to the token (RFC 8705 §3).

import { hashDifference, untrusted } from '../rejection/difference.ts';
import { type Rejection, reject } from '../rejection/rejection.ts';
import type { CertificateEvidence } from '../request-facts.ts';
import type { SeenCertificates } from './seen-certificates.ts';

/**
 * `certificate_untrusted` under `verify: chain`: path or CRL were not good at the handshake, or `now` is outside the validity
 * period (RFC 5280 §4.1.2.5, both ends included). Under `possession` nothing is asked of the certificate (RFC 8705 §6.2).
 * Does not build or verify a chain: the handshake did.
 */
export function checkCertificate({ facts, verify, trusted }: CertificateEvidence, now: number): Rejection | undefined {
  if (verify === 'possession') return undefined;
  if (!trusted) return reject('certificate_untrusted', { what: 'chain' });
  const { notBefore, notAfter } = facts;
  if (now < notBefore)
    return reject('certificate_untrusted', { what: 'notBefore', secondsOver: Math.ceil(notBefore - now) });
  if (now > notAfter)
    return reject('certificate_untrusted', { what: 'notAfter', secondsOver: Math.ceil(now - notAfter) });
  return undefined;
}

/**
 * `certificate_mismatch` unless the certificate is the one to which the token is bound (RFC 8705 §3.1). Thumbprints are compared
 * as text: a base64url value with spare bits set, like that of RFC 8705 figure 2, is another value.
 * Does not check trust or dates.
 * @param seen lets a mismatch say that the certificate was probably renewed, and learns from a match
 */
export function checkThumbprint(
  { facts }: CertificateEvidence,
  x5tS256: string,
  seen: SeenCertificates,
): Rejection | undefined {
  if (facts.thumbprint !== x5tS256) {
    return reject('certificate_mismatch', {
      what: 'x5t#S256',
      differs: hashDifference(x5tS256, facts.thumbprint),
      expected: untrusted(x5tS256),
      received: facts.thumbprint,
      ...(seen.isRenewal(facts, x5tS256) && { renewedCertificate: true }),
    });
  }
  seen.remember(facts);
  return undefined;
}
