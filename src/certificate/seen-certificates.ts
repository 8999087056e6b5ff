// Names seen with each certificate, so that the log tells a renewal from a stolen token.

import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { CertificateFacts } from '../request-facts.ts';

const MAX_CERTIFICATES = 10_000;

/**
 * A token names the thumbprint of its certificate and nothing else, so that a client which renewed its certificate looks like a
 * thief until the old one was seen here. Decides nothing: under `verify: possession` anybody can write the same names.
 * A certificate of which the hash alone is known has no names.
 */
export class SeenCertificates {
  /** Thumbprint → digest of issuer and subject. Names can be long, digests cannot. */
  readonly #names = new LRUCache<string, string>({ max: MAX_CERTIFICATES });

  /** Takes a certificate to which a verified token is bound: strangers cannot crowd out those of real clients. */
  remember(facts: CertificateFacts): void {
    if (facts.der === undefined) return;
    if (this.#names.get(facts.thumbprint) === undefined) this.#names.set(facts.thumbprint, digestNames(facts));
  }

  /** Whether the certificate with this other thumbprint was seen with the same issuer and subject. */
  isRenewal(facts: CertificateFacts, thumbprint: string): boolean {
    const names = this.#names.get(thumbprint);
    return names !== undefined && facts.der !== undefined && names === digestNames(facts);
  }
}

/** Neither name has a newline in it (leaf.ts). */
function digestNames(facts: CertificateFacts): string {
  return hash('sha256', `${facts.issuer}\n${facts.subject}`, 'base64url');
}
