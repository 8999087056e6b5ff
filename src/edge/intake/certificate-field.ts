// The client's certificate as a trusted peer that terminated TLS states it in a field.

import { hash, X509Certificate } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { buildChain, readAuthorities } from '../../certificate/chain.ts';
import { CERTIFICATE_FORMATS } from '../../certificate/formats.ts';
import { readCertificate } from '../../certificate/leaf.ts';
import { readXfccElement } from '../../certificate/xfcc.ts';
import type { CertificateSource, ClientCertificatePolicy } from '../../policy/policy.ts';
import type { CertificateEvidence, CertificateFacts, RequestFacts } from '../../request-facts.ts';

/** Clients behind one peer whose certificates are parsed once, and milliseconds after which their chain is looked at again. */
const REMEMBERED = { max: 1000, ttl: 60_000, noUpdateTTL: true };
/** id-kp-clientAuth (RFC 5280 §4.2.1.12). */
const CLIENT_AUTHENTICATION = '1.3.6.1.5.5.7.3.2';

/** Lines of the field → evidence, undefined where the client showed none. */
export type CertificateFieldReader = (lines: readonly string[]) => RequestFacts['certificate'];

/**
 * Makes the reader of one listener's `client_certificate_from`. Under `verify: chain` a certificate is trusted if the listener's
 * CAs issued it, intermediates among them included, all of them valid now, and it is meant for clients; for its revocation the
 * peer is answerable. Under `possession` a hash without its certificate is as good: a token is bound to the hash.
 * `malformed`: two lines, and anything but exactly one certificate in the format. An empty value is how some proxies say that
 * there was none.
 * NOT checked: who sent the field; dates of the leaf, which are checked on every request; path length and name constraints.
 */
export function compileCertificateField(
  source: CertificateSource,
  { verify, ca }: ClientCertificatePolicy,
): CertificateFieldReader {
  const authorities = verify === 'chain' ? (readAuthorities(ca ?? '') ?? []) : [];
  const seen = new LRUCache<string, CertificateEvidence>(REMEMBERED);
  const judge = (der: Uint8Array): CertificateEvidence | 'malformed' => {
    const chain = buildChain(der, [], authorities);
    const facts = readCertificate(der, chain);
    return facts ? { facts, verify, trusted: isForClients(der) && isValidChain(chain) } : 'malformed';
  };
  const read = (value: string): RequestFacts['certificate'] => {
    const found = readSource(value, source);
    if (found === undefined) return 'malformed';
    if (found === 'none') return undefined;
    if ('der' in found) return judge(found.der);
    return verify === 'possession' ? { facts: knownByHash(found.hash), verify, trusted: false } : 'malformed';
  };
  return (lines) => {
    const [value, second] = lines;
    if (value === undefined || (value === '' && second === undefined)) return undefined;
    if (second !== undefined) return 'malformed';
    const key = hash('sha256', value);
    const evidence = seen.get(key) ?? read(value);
    if (typeof evidence === 'object') seen.set(key, evidence);
    return evidence;
  };
}

function readSource(value: string, { format, element = 'only' }: CertificateSource) {
  if (format === 'xfcc') return readXfccElement(value, element);
  const der = CERTIFICATE_FORMATS[format].read(value);
  return der && { der };
}

/** @param sha256 hex digits of the hash of the DER */
function knownByHash(sha256: string): CertificateFacts {
  return {
    der: undefined,
    thumbprint: Buffer.from(sha256, 'hex').toString('base64url'),
    chain: [],
    subject: '',
    issuer: '',
    uris: [],
    dnsNames: [],
    notBefore: Number.NEGATIVE_INFINITY,
    notAfter: Number.POSITIVE_INFINITY,
  };
}

function isForClients(der: Uint8Array): boolean {
  const { keyUsage: extended } = new X509Certificate(der);
  return extended === undefined || extended.includes(CLIENT_AUTHENTICATION);
}

function isValidChain(chain: readonly Uint8Array[]): boolean {
  const now = Date.now();
  const isValid = (der: Uint8Array) => {
    const { validFromDate, validToDate } = new X509Certificate(der);
    return validFromDate.getTime() <= now && now <= validToDate.getTime();
  };
  return chain.length > 0 && chain.every(isValid);
}
