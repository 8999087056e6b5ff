// X-Forwarded-Client-Cert, Envoy's field: one element of key=value pairs per proxy.

import { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';
import type { CertificateEvidence, CertificateFacts } from '../request-facts.ts';
import { MAX_VALUE_LENGTH } from './encoding.ts';
import { escapePem, readEscapedPem } from './pem-escaped.ts';

/**
 * A pair, and what ends it: `;` before another pair, `,` before another element, or the end; before the latter two a `;` may stand
 * (Azure Container Apps). Envoy writes URIs bare, so a bare value may hold `=`; nothing after the first one is a key.
 */
const PAIR = /([A-Za-z]+)=(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^",;]*))(;?(?:,|$)|;)/y;

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
  const { der, chain } = facts;
  const pairs =
    der === undefined
      ? [`Hash=${Buffer.from(facts.thumbprint, 'base64url').toString('hex')}`]
      : [`Hash=${hash('sha256', der, 'hex')}`, `Cert="${escapePem([der])}"`];
  if (verify === 'chain') {
    if (der !== undefined && chain.length > 0) pairs.push(`Chain="${escapePem([der, ...chain])}"`);
    pairs.push(`Subject=${quote(facts.subject)}`);
    pairs.push(...facts.uris.map((uri) => `URI=${quote(uri)}`));
    pairs.push(...facts.dnsNames.map((name) => `DNS=${quote(name)}`));
  }
  return pairs.join(';');
}

/**
 * Which element of the field is the client's: the only one, the last, or the first of exactly so many, one per proxy in front.
 * More elements than proxies are refused: one of them is forged. Fewer mean that the client showed no certificate to the first proxy.
 */
export type XfccElement = 'only' | 'last' | number;

/** What an element says of a certificate: all of it, or its hash alone (SHA-256 of the DER, hex digits in lower case). */
export type XfccCertificate = { readonly der: Uint8Array } | { readonly hash: string };

/**
 * Value of the field → the certificate of the client's element; `none`: fewer elements than `element` says. Undefined: more of them,
 * neither `Cert` nor `Hash`, a `Hash` of something else, a key that is not Envoy's or is there too often, anything that is not a pair,
 * in whichever element.
 * Does not check that the DER is a certificate (leaf.ts), believes none of the names, and does not know who wrote an element.
 */
export function readXfccElement(value: string, element: XfccElement): XfccCertificate | 'none' | undefined {
  const elements = readElements(value);
  if (elements === undefined) return undefined;
  const most = element === 'only' ? 1 : element;
  if (most === 'last') return readCertificateOf(elements.at(-1));
  if (elements.length > most) return undefined;
  return elements.length < most ? 'none' : readCertificateOf(elements[0]);
}

/** As readXfccElement, the DER of the only element's `Cert`; undefined where the certificate is not there. */
export function readXfcc(value: string): Uint8Array | undefined {
  const found = readXfccElement(value, 'only');
  return typeof found === 'object' && 'der' in found ? found.der : undefined;
}

type Pairs = ReadonlyMap<string, string>;

function readCertificateOf(pairs: Pairs | undefined): XfccCertificate | undefined {
  const cert = pairs?.get('cert');
  const claimed = pairs?.get('hash')?.toLowerCase();
  if (cert === undefined)
    return claimed !== undefined && /^[0-9a-f]{64}$/.test(claimed) ? { hash: claimed } : undefined;
  const der = readEscapedPem(cert);
  if (der === undefined) return undefined;
  return claimed === undefined || claimed === hash('sha256', der, 'hex') ? { der } : undefined;
}

/** Elements, at least one. Keys are case-insensitive. Escapes stay as they are: neither `Hash` nor `Cert` may have any. */
function readElements(value: string): readonly Pairs[] | undefined {
  if (value.length > MAX_VALUE_LENGTH) return undefined;
  const elements: Pairs[] = [];
  let pairs = new Map<string, string>();
  for (PAIR.lastIndex = 0; ; ) {
    const [, name = '', quoted, bare = '', end = ''] = PAIR.exec(value) ?? [];
    const key = name.toLowerCase();
    const repeatable = REPEATABLE.get(key);
    if (repeatable === undefined || (pairs.has(key) && !repeatable)) return undefined;
    pairs.set(key, quoted ?? bare);
    if (end === ';' && PAIR.lastIndex < value.length) continue;
    elements.push(pairs);
    if (!end.endsWith(',')) return elements;
    pairs = new Map();
  }
}

function quote(value: string): string {
  return /^[^\s,;="\\]+$/.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`;
}
