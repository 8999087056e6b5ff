// Private keys with which the gateway signs, and compact JWS made by them (RFC 7515 §7.1).

import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { ALGORITHMS, algorithmsOfKey, RSA_BITS } from './algorithms.ts';
import { isJsonObject, type JsonObject, readJsonObject } from './jws.ts';
import { jwkThumbprint } from './thumbprint.ts';

/** Plain data, so that it can be handed to threads. */
export interface SigningKey {
  /** PKCS #8, PEM. */
  readonly key: string;
  readonly alg: string;
  /** Of the JWK; undefined: it has none, or the key came as PEM. */
  readonly kid: string | undefined;
}

/** What `readSigningKey` takes, in words. */
export const SIGNING_KEY_EXPECTED =
  'expected a private key in PEM or JWK: EC P-256, P-384 or P-521, Ed25519, or RSA of at least 2048 bits';

/**
 * Reads a private key, as PEM or JWK. Its algorithm is the `alg` of the JWK where it fits, else RS256 for RSA and what the curve says.
 * @returns undefined: not such a key; nothing of the text may leave here
 */
export function readSigningKey(text: string): SigningKey | undefined {
  const jwk = readJsonObject(text);
  const read = readKey(jwk ?? text, jwk?.alg);
  const kid = jwk?.kid;
  return read === undefined || (kid !== undefined && typeof kid !== 'string') ? undefined : { ...read, kid };
}

function readKey(from: JsonObject | string, named: unknown): { key: string; alg: string } | undefined {
  try {
    const key = createPrivateKey(isJsonObject(from) ? { key: from, format: 'jwk' } : from);
    if ((key.asymmetricKeyDetails?.modulusLength ?? RSA_BITS) < RSA_BITS) return undefined;
    const { kty, crv } = createPublicKey(key).export({ format: 'jwk' });
    const possible = algorithmsOfKey(kty, crv);
    const usual = possible.includes('RS256') ? 'RS256' : possible[0];
    const alg = named === undefined ? usual : possible.find((one) => one === named);
    return alg === undefined ? undefined : { key: key.export({ type: 'pkcs8', format: 'pem' }), alg };
  } catch {
    return undefined; // Reported by the caller.
  }
}

/** Names the key in headers and key sets: its own `kid`, else its thumbprint (RFC 7638). */
export function keyIdOf(key: SigningKey): string {
  return key.kid ?? jwkThumbprint(publicJwk(key, ''));
}

/** The public half as a JWK for a key set (RFC 7517 §4). @param kid of the key, or what stands in for it */
export function publicJwk({ key, alg }: SigningKey, kid: string): JsonObject {
  return { ...createPublicKey(key).export({ format: 'jwk' }), kid, alg, use: 'sig' };
}

/** Signs one JWS after another with one key. @param header members beside `alg` */
export function compileSigner({ key, alg }: SigningKey, header: JsonObject): (payload: string) => string {
  const row = ALGORITHMS.get(alg);
  if (row === undefined) throw new Error(`no algorithm ${alg}`);
  const input: KeyObject = createPrivateKey(key);
  const by = { key: input, ...row.options };
  const head = `${encode(JSON.stringify({ alg, ...header }))}.`;
  return (payload) => {
    const text = head + encode(payload);
    return `${text}.${sign(row.hash, Buffer.from(text), by).toString('base64url')}`;
  };
}

const encode = (text: string) => Buffer.from(text).toString('base64url');
