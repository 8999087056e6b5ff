// Encodings that certificate fields share: base64, percent-encoding and PEM.

import { Buffer } from 'node:buffer';

/** Characters of a field value that are looked at; a longer one is no certificate, and refused before anything else. */
export const MAX_VALUE_LENGTH = 65_536;

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

// Every line ends in its own newline, so there is one way only to match and the cost stays linear.
const PEM_BLOCK = /-----BEGIN CERTIFICATE-----\r?\n((?:[A-Za-z0-9+/=]+\r?\n)+)-----END CERTIFICATE-----(?:\r?\n|$)/y;

/**
 * Base64 (RFC 4648 §4) → bytes; undefined: over the limit, or any character outside the alphabet, white space included.
 * As RFC 9651 §4.2.7 recommends, padding may be left out and spare bits are ignored: the bytes are the same either way.
 * Does not look at the bytes.
 */
export function readBase64(text: string): Uint8Array | undefined {
  if (text.length > MAX_VALUE_LENGTH || !BASE64.test(text)) return undefined;
  return Buffer.from(text, 'base64');
}

/**
 * Percent-encoding (RFC 3986 §2.1) → text, decoded once; `+` is itself.
 * Undefined: over the limit, `%` without two hex digits, no UTF-8.
 */
export function readPercentEncoded(text: string): string | undefined {
  if (text.length > MAX_VALUE_LENGTH) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** One or more PEM certificates (RFC 7468 §5.1), nothing before, between or after them → DERs. Does not parse the DERs. */
export function readPem(text: string): readonly Uint8Array[] | undefined {
  const ders: Uint8Array[] = [];
  PEM_BLOCK.lastIndex = 0;
  while (PEM_BLOCK.lastIndex < text.length) {
    const body = PEM_BLOCK.exec(text)?.[1];
    if (body === undefined) return undefined;
    const der = readBase64(body.replace(/\r?\n/g, ''));
    if (der === undefined) return undefined;
    ders.push(der);
  }
  return ders.length === 0 ? undefined : ders;
}

/** DERs → PEM as RFC 7468 §2 generates it: lines of 64 characters, a newline after each. */
export function formatPem(ders: readonly Uint8Array[]): string {
  return ders.map((der) => `${BEGIN}\n${formatBase64(der).replace(/.{1,64}/g, '$&\n')}${END}\n`).join('');
}

const BEGIN = '-----BEGIN CERTIFICATE-----';
const END = '-----END CERTIFICATE-----';

/** Bytes → padded base64 (RFC 4648 §4). */
export function formatBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
