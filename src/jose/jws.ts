// A compact JWS taken apart strictly (RFC 7515 §7.1).

import { isUtf8 } from 'node:buffer';
import { parseJson } from './exact-numbers.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** The parts of a compact JWS; nothing is verified yet. */
export interface CompactJws {
  readonly header: JsonObject;
  readonly payload: JsonObject;
  readonly signature: Buffer;
  /** What the signature covers. */
  readonly signingInput: string;
}

/**
 * Reads a compact JWS whose header and payload are JSON objects.
 * @returns undefined unless there are three canonical base64url parts, no `crit` and no `b64` in the header (RFC 7515
 * §4.1.11, RFC 7797: we understand no extension), and no repeated member anywhere
 * NOT checked: signature, `typ`, `alg`, any claim.
 */
export function readCompactJws(text: string): CompactJws | undefined {
  const parts = text.split('.', 4);
  if (parts.length !== 3) return undefined;
  const [headerText = '', payloadText = '', signatureText = ''] = parts;
  const header = readJsonPart(headerText);
  const payload = readJsonPart(payloadText);
  const signature = decodeBase64url(signatureText);
  if (header === undefined || payload === undefined || signature === undefined) return undefined;
  if (Object.hasOwn(header, 'crit') || Object.hasOwn(header, 'b64')) return undefined;
  return { header, payload, signature, signingInput: text.slice(0, text.lastIndexOf('.')) };
}

/** Decodes base64url without padding, white space or spare bits (RFC 7515 §2, RFC 4648 §3.5); undefined otherwise. */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

/** Reads one base64url part as a JSON object without repeated members; undefined otherwise. */
export function readJsonPart(text: string): JsonObject | undefined {
  const bytes = decodeBase64url(text);
  return bytes === undefined || !isUtf8(bytes) ? undefined : readJsonObject(bytes.toString('utf8'));
}

/**
 * Reads a JSON object that has no repeated member at any depth (RFC 7519 §4, RFC 8725 §2.6). JSON.parse keeps the last of
 * two silently; so the members that the text has are counted against those that came out.
 * A member name with a backslash in it refuses: V8 14.6 can read the escaped name `cn\u0066` as `cn\` instead of `cnf`
 * once it has seen an object with that other name (docs/decisions/0003-member-names-with-backslash.md).
 */
export function readJsonObject(text: string): JsonObject | undefined {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    return undefined; // Not JSON, a byte order mark included: the caller names the reason.
  }
  if (!isJsonObject(value) || countMembers(value) !== countColons(text)) return undefined;
  return value;
}

/** Whether a JSON value is an object: neither null nor an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** In valid JSON each colon outside a string belongs to one member. */
function countColons(text: string): number {
  let colons = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x22) inString = !inString;
    else if (code === 0x5c) i++;
    else if (code === 0x3a && !inString) colons++;
  }
  return colons;
}

function countMembers(root: object): number {
  let members = 0;
  const open: object[] = [root];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (!Array.isArray(value)) for (const name of Object.keys(value)) members += name.includes('\\') ? Number.NaN : 1;
    for (const child of Object.values(value) as unknown[])
      if (typeof child === 'object' && child !== null) open.push(child);
  }
  return members;
}
