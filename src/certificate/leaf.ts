// The client's certificate: from DER to facts.

import { Buffer } from 'node:buffer';
import { hash, X509Certificate } from 'node:crypto';
import type { CertificateFacts } from '../request-facts.ts';

/**
 * DER of a leaf → facts; undefined: not exactly one certificate, nothing before or after it, with dates that are dates.
 * Names are attacker-written until a CA vouched for them, and safe to put on one line anyway: distinguished names are RFC 4514
 * strings with everything but printable ASCII escaped, and alternative names with other characters are left out (a DNS name
 * or URI has none, RFC 5280 §4.2.1.6).
 * Does not check dates, signature, chain, key or extensions.
 * @param chain what buildChain (chain.ts) returned, under `verify: chain` only
 */
export function readCertificate(der: Uint8Array, chain: readonly Uint8Array[] = []): CertificateFacts | undefined {
  try {
    const certificate = new X509Certificate(der);
    // Node also takes PEM, trailing bytes and BER; only DER is the same again when it is written back.
    return certificate.raw.equals(der) ? readFacts(certificate, chain) : undefined;
  } catch {
    return undefined;
  }
}

function readFacts(certificate: X509Certificate, chain: readonly Uint8Array[]): CertificateFacts | undefined {
  const notBefore = readDate(certificate.validFrom, certificate.validFromDate);
  const path = [certificate, ...chain.map((der) => new X509Certificate(der))];
  const notAfter = Math.min(...path.map(({ validTo, validToDate }) => readDate(validTo, validToDate)));
  if (Number.isNaN(notBefore) || Number.isNaN(notAfter)) return undefined;
  const names = certificate.subjectAltName?.split(', ') ?? [];
  return {
    der: certificate.raw,
    thumbprint: hash('sha256', certificate.raw, 'base64url'),
    chain,
    subject: formatName(certificate.subject),
    issuer: formatName(certificate.issuer),
    uris: namesOfType('URI:', names),
    dnsNames: namesOfType('DNS:', names),
    notBefore,
    notAfter,
  };
}

/** Seconds; NaN: no time. Node 26 makes a Date from leftover memory then and the text "Bad time value": both must agree. */
function readDate(text: string, date: Date): number {
  return Date.parse(text) === date.getTime() ? date.getTime() / 1000 : Number.NaN;
}

/** Node writes one RDN a line, the widest first, RFC 4514's special and control characters escaped; an empty name is undefined. */
function formatName(lines: string | undefined): string {
  const name = (lines ?? '').split('\n').toReversed().join(',').replaceAll(' + ', '+');
  return name.replace(/[^\x20-\x7e]/gu, (character) =>
    Buffer.from(character).toString('hex').replace(/../g, '\\$&').toUpperCase(),
  );
}

/** Node quotes a name with a comma, quote, backslash or control character as JSON, so `, ` separates names and nothing else. */
function namesOfType(prefix: 'URI:' | 'DNS:', names: readonly string[]): readonly string[] {
  return names
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .map((name) => (name.startsWith('"') ? String(JSON.parse(name)) : name))
    .filter((name) => /^[\x20-\x7e]+$/.test(name));
}
