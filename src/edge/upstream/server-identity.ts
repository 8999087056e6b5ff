// The names of which a target's certificate must have one.

import { X509Certificate } from 'node:crypto';
import type { PeerCertificate } from 'node:tls';
import { readCertificate } from '../../certificate/leaf.ts';

/** The code that Node gives where a certificate is for another name. */
const OTHER_NAME = 'ERR_TLS_CERT_ALTNAME_INVALID';

/**
 * What TLS asks once the chain is verified, instead of the name that was called.
 *
 * A DNS name is compared as RFC 9525 §6.3 has it: a leftmost label "*" of the certificate stands for one label, and a common name
 * is none. A URI has to be equal, character by character (§6.5 leaves it to those who use it; SPIFFE asks for no less).
 * @param allowed DNS names and URIs; what has a colon is a URI
 * NOT checked: chain and dates, which OpenSSL has verified before; not asked at all on a resumed session, which began with it.
 */
export function requireNames(
  allowed: readonly string[],
): (host: string, certificate: PeerCertificate) => Error | undefined {
  return (_host, certificate) => {
    if (allowed.some((name) => hasName(certificate.raw, name))) return undefined;
    const found = certificate.subjectaltname ?? 'none';
    return Object.assign(new Error(`the certificate has none of the names ${allowed.join(', ')}, but ${found}`), {
      code: OTHER_NAME,
      cert: certificate,
    });
  };
}

function hasName(der: Buffer, name: string): boolean {
  if (name.includes(':')) return readCertificate(der)?.uris.includes(name) === true;
  return new X509Certificate(der).checkHost(name, { subject: 'never', partialWildcards: false }) !== undefined;
}
