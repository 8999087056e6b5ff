// The configuration in a Secret: which key holds it, unpacked within a bound.

import { gunzipSync } from 'node:zlib';

/** Keys that may hold it, the first one counts. */
const DOCUMENT_KEYS = ['holdfast.json.gz', 'holdfast.json'] as const;
/** Bytes of a configuration; what comes in a Secret has at most a mebibyte, packed. */
const LARGEST = 64 * 2 ** 20;

/** A Secret as far as it is looked at. */
export interface Secret {
  /** The version of the object; equal ones are the same content. */
  readonly version: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The text of a configuration, or what is wrong, for people: never a part of the content. */
export type Document = { readonly text: string } | { readonly wrong: string };

/** Reads what the API server calls a Secret. @returns undefined: it is not one */
export function readSecretObject(object: unknown): Secret | undefined {
  const { metadata, data = {} } = asMapping(object) ?? {};
  const { resourceVersion } = asMapping(metadata) ?? {};
  const content = asMapping(data);
  return typeof resourceVersion === 'string' && content !== undefined
    ? { version: resourceVersion, data: content }
    : undefined;
}

/** Reads the configuration of a Secret. */
export function readDocument({ data }: Secret): Document {
  const key = DOCUMENT_KEYS.find((one) => typeof data[one] === 'string');
  if (key === undefined) return { wrong: `has no key ${DOCUMENT_KEYS.join(' or ')}` };
  const bytes = Buffer.from(String(data[key]), 'base64');
  const plain = key.endsWith('.gz') ? unpacked(bytes) : bytes;
  if (plain === undefined) return { wrong: `${key} is not gzip, or has more than ${LARGEST} bytes unpacked` };
  return { text: plain.toString('utf8') };
}

function unpacked(bytes: Buffer): Buffer | undefined {
  try {
    return gunzipSync(bytes, { maxOutputLength: LARGEST });
  } catch {
    return undefined; // its message is about bytes, and may not be
  }
}

export function asMapping(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}
