// Message signatures (RFC 9421) for tests, made by a library of others, and digests.

import { constants, createHash, type KeyObject, sign } from 'node:crypto';
import { httpbis } from 'http-message-signatures';

type FieldLine = readonly [name: string, value: string];

export interface SignableMessage {
  readonly method: string;
  readonly url: string;
  readonly fields: readonly FieldLine[];
}

/** Parameters in this order, after `created`; what is left out is not sent. */
export interface SigningWishes {
  readonly covered?: readonly string[];
  /** Seconds since the epoch; null: left out. */
  readonly created?: number | null;
  readonly expires?: number;
  readonly nonce?: string;
  readonly alg?: string;
  readonly keyid?: string;
  readonly tag?: string;
  readonly label?: string;
}

export const CONTENT_DIGEST = 'Content-Digest';

/** The value of Content-Digest. */
export function contentDigest(body: string | Uint8Array, algorithm: 'sha-256' | 'sha-512' = 'sha-256'): string {
  return `${algorithm}=:${createHash(algorithm.replace('-', '')).update(body).digest('base64')}:`;
}

/** What every route with signatures demands of this message, unless it is wished otherwise. */
export function componentsOf({ fields }: SignableMessage): string[] {
  const names = ['authorization', 'dpop', 'content-digest', 'content-type', 'content-encoding'];
  const there = new Set(fields.map(([name]) => name.toLowerCase()));
  return ['@method', '@target-uri', ...names.filter((name) => there.has(name))];
}

/** Signature-Input and Signature for a message. */
export async function signMessage(
  key: KeyObject,
  message: SignableMessage,
  wishes: SigningWishes = {},
): Promise<FieldLine[]> {
  const { covered = componentsOf(message), label = 'sig', created = Date.now() / 1000, expires, ...texts } = wishes;
  const headers: Record<string, string[]> = {};
  for (const [name, value] of message.fields) (headers[name.toLowerCase()] ??= []).push(value);
  const signed = await httpbis.signMessage(
    {
      key: { sign: async (base) => signBase(key, base) },
      name: label,
      fields: [...covered],
      params: ['created', ...(expires === undefined ? [] : ['expires']), ...Object.keys(texts)],
      paramValues: {
        ...texts,
        created: created === null ? null : new Date(Math.floor(created) * 1000),
        ...(expires !== undefined && { expires: new Date(expires * 1000) }),
      },
    },
    { method: message.method, url: message.url, headers },
  );
  return ['Signature-Input', 'Signature'].map((name) => [name, String(signed.headers[name])] as const);
}

/** By the one algorithm of the registry that fits the key (RFC 9421 §6.2.2). */
export function signBase(key: KeyObject, base: Buffer): Buffer {
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return sign(null, base, key);
    case 'rsa':
      return sign('sha512', base, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 });
    default: {
      const hash = key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'sha384' : 'sha256';
      return sign(hash, base, { key, dsaEncoding: 'ieee-p1363' });
    }
  }
}
