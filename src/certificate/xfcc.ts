// X-Forwarded-Client-Cert, Envoy's field: elements of key=value pairs, of which we write and accept exactly one.

import { hash } from 'node:crypto';
import type { CertificateEvidence, CertificateFacts } from '../request-facts.ts';
import { MAX_VALUE_LENGTH } from './encoding.ts';
import { escapePem, readEscapedPem } from './pem-escaped.ts';

/** A pair and its `;`, or the end. Envoy writes URIs bare, so a bare value may hold `=`; nothing after the first one is a key. */
const PAIR = /([A-Za-z]+)=(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^",;]*))(?:;(?!$)|$)/y;

/** Envoy's keys, and whether an element may have several of one: any other one twice means that a name was taken for a pair. */
const REPEATABLE: ReadonlyMap<string, boolean> = new Map([
  ['by', true],
  ['hash', false],
  ['cert', false],
  ['chain', false],
  ['subject', false],
  ['uri', true],
  ['dns', true],
]);

/**
 * One element. `Chain` is the leaf and its issuers, as Envoy has it. Under `possession` the names are the sender's own invention
 * (RFC 8705 §6.2), so only `Hash` and `Cert` are written.
 * Relies on readCertificate for names of printable ASCII; does not check that the certificate passed the listener's `verify`.
 */
export function formatXfcc(facts: CertificateFacts, verify: CertificateEvidence['verify']): string {
  const pairs = [`Hash=${hash('sha256', facts.der, 'hex')}`, `Cert="${escapePem([facts.der])}"`];
  if (verify === 'chain') {
    if (facts.chain.length > 0) pairs.push(`Chain="${escapePem([facts.der, ...facts.chain])}"`);
    pairs.push(`Subject=${quote(facts.subject)}`);
    pairs.push(...facts.uris.map((uri) => `URI=${quote(uri)}`));
    pairs.push(...facts.dnsNames.map((name) => `DNS=${quote(name)}`));
  }
  return pairs.join(';');
}

/**
 * Value of the field → DER of its one element's `Cert`. Undefined: several elements (who vouches for which?), no `Cert`, a `Hash`
 * of something else, a key that is not Envoy's or is there too often, anything that is not a pair.
 * Does not check that the DER is a certificate (leaf.ts), and believes none of the names.
 */
export function readXfcc(value: string): Uint8Array | undefined {
  const pairs = readPairs(value);
  const cert = pairs?.get('cert');
  if (pairs === undefined || cert === undefined) return undefined;
  const der = readEscapedPem(cert);
  if (der === undefined) return undefined;
  const claimed = pairs.get('hash');
  return claimed === undefined || claimed.toLowerCase() === hash('sha256', der, 'hex') ? der : undefined;
}

/** Keys are case-insensitive. Escapes stay as they are: neither `Hash` nor `Cert` may have any. */
function readPairs(value: string): ReadonlyMap<string, string> | undefined {
  if (value.length > MAX_VALUE_LENGTH) return undefined;
  const pairs = new Map<string, string>();
  PAIR.lastIndex = 0;
  while (PAIR.lastIndex < value.length) {
    const match = PAIR.exec(value);
    const key = match?.[1]?.toLowerCase() ?? '';
    const repeatable = REPEATABLE.get(key);
    if (match === null || repeatable === undefined || (pairs.has(key) && !repeatable)) return undefined;
    pairs.set(key, match[2] ?? match[3] ?? '');
  }
  return pairs;
}

function quote(value: string): string {
  return /^[^\s,;="\\]+$/.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`;
}
