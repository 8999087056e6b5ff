// A lenient reader of a JWS, independent of src/, which names what is odd.

export interface LenientJws {
  readonly text: string;
  /** Of header, payload and signature. */
  readonly parts: readonly string[];
  /** JSON texts of header and payload. */
  readonly texts: readonly string[];
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly jwk: Readonly<Record<string, unknown>>;
}

export function readLeniently(text: string): LenientJws {
  const parts = text.split('.');
  const texts = parts.slice(0, 2).map((part) => Buffer.from(part, 'base64url').toString('utf8'));
  const [header = {}, claims = {}] = texts.map(parse);
  const { jwk } = header;
  return { text, parts, texts, header, claims, jwk: typeof jwk === 'object' && jwk !== null ? { ...jwk } : {} };
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text.replace(/^\ufeff/, ''));
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** Names of all members of a JSON text, as spelled. */
const namesIn = (text: string) =>
  [...text.matchAll(/"((?:[^"\\]|\\.)*)"(\s*:)?/g)]
    .filter(([, , colon]) => colon !== undefined)
    .map(([, name]) => name ?? '');

export const hasBackslashInName = ({ texts }: LenientJws) =>
  texts.some((text) => namesIn(text).some((name) => String(JSON.parse(`"${name}"`)).includes('\\')));

/** JSON.parse keeps one of several members: fewer come out than are written. */
export const hasRepeatedMember = ({ texts }: LenientJws) =>
  texts.some((text) => namesIn(text).length > countMembers(parse(text)));

function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const inner = Object.values(value).reduce((sum: number, one: unknown) => sum + countMembers(one), 0);
  return inner + (Array.isArray(value) ? 0 : Object.keys(value).length);
}

export const isCanonical = (text: string) => Buffer.from(text, 'base64url').toString('base64url') === text;
export const hasOtherSpelling = ({ parts }: LenientJws) => !parts.every(isCanonical);
export const hasByteOrderMark = ({ texts }: LenientJws) => texts.some((text) => text.startsWith('\ufeff'));
export const isInfinite = (value: unknown) => value === Infinity || value === -Infinity;
