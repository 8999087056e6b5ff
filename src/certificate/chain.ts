// The issuers of a leaf certificate, up to its trust anchor, for Client-Cert-Chain.

import { X509Certificate } from 'node:crypto';

/** Issuers at most, and offered certificates that are looked at: a client cannot buy signature checks with a longer list. */
const MAX_DEPTH = 10;

type Certificate = X509Certificate | Uint8Array;

/**
 * PEM text of authorities (RFC 7468, text around the certificates allowed) → certificates, parsed once for buildChain.
 * Undefined: none, or one that does not parse. Does not check that they are CA certificates or valid now.
 */
export function readAuthorities(pem: string): readonly X509Certificate[] | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  try {
    return blocks.length === 0 ? undefined : blocks.map((block) => new X509Certificate(block));
  } catch {
    return undefined;
  }
}

/**
 * DERs of the leaf's issuers in the order of TLS (RFC 9440 §2.3, RFC 8446 §4.4.2), the self-signed authority last and included.
 * Retraces the validator: at every step an authority before an offered certificate and the later expiry first; names, key
 * identifiers, CA flag, key usage and signature agree. It asks for no clock, so the same input gives the same chain.
 * Empty: no path of at most ten certificates ends in one of the authorities, or the leaf is one of them itself.
 * Does not check dates, CRLs, extended key usage, path length or name constraints, so a chain is no verdict: that is the
 * handshake's. An authority without the CA flag (X.509 v1) is passed over.
 * @param offered what the client sent beside the leaf, in its order; only the first ten count
 */
export function buildChain(
  leaf: Certificate,
  offered: readonly Certificate[],
  authorities: readonly Certificate[],
): readonly Uint8Array[] {
  try {
    const anchors = authorities.map(parse);
    const others = offered.slice(0, MAX_DEPTH).map(parse);
    const chain: X509Certificate[] = [];
    let current = parse(leaf);
    while (chain.length < MAX_DEPTH && !isIssuedBy(current, current)) {
      const issuer = findIssuer(current, anchors) ?? findIssuer(current, others);
      if (issuer === undefined) return [];
      chain.push(issuer);
      current = issuer;
    }
    const anchored = isIssuedBy(current, current) && anchors.some((anchor) => anchor.raw.equals(current.raw));
    return anchored ? chain.map((certificate) => certificate.raw) : [];
  } catch {
    return []; // an offered certificate that does not parse, or whose key OpenSSL does not know
  }
}

function findIssuer(certificate: X509Certificate, candidates: readonly X509Certificate[]): X509Certificate | undefined {
  return candidates
    .filter((candidate) => candidate.ca && certificate.checkIssued(candidate))
    .toSorted((a, b) => b.validToDate.getTime() - a.validToDate.getTime())
    .find((candidate) => certificate.verify(candidate.publicKey));
}

/**
 * Whether each certificate issued the one before it (RFC 8446 §4.4.2): a leaf with its intermediates, and not what two senders wrote
 * into one line. At most ten. Does not check dates or where the chain ends.
 */
export function isOrderedChain(ders: readonly Uint8Array[]): boolean {
  if (ders.length > MAX_DEPTH) return false;
  try {
    const chain = ders.map(parse);
    return chain.every((issuer, at) => {
      const issued = chain[at - 1];
      return issued === undefined || (issuer.ca && isIssuedBy(issued, issuer));
    });
  } catch {
    return false; // not a certificate
  }
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function parse(certificate: Certificate): X509Certificate {
  return certificate instanceof X509Certificate ? certificate : new X509Certificate(certificate);
}
