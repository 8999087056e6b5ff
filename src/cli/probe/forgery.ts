// JWTs as the probe makes them: proofs of the holder, and forgeries.

import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { ALGORITHMS } from '../../jose/algorithms.ts';
import type { JsonObject } from '../../jose/jws.ts';
import type { SigningKey } from '../../jose/signing-key.ts';
import { jwkThumbprint } from '../../jose/thumbprint.ts';

/** A private key with its public half. */
export interface ProbeKey {
  readonly alg: string;
  readonly jwk: JsonObject;
  readonly thumbprint: string;
  /** Private members, of a key that was made for this run: it protects nothing but a token of this run. */
  readonly secret?: JsonObject;
  /** Signs the input of a JWS: base64url. */
  readonly sign: Sign;
}

export type Sign = (input: string) => string;

/** @param key as `readSigningKey` read it */
export function probeKeyOf({ key, alg }: SigningKey): ProbeKey {
  const row = ALGORITHMS.get(alg);
  if (row === undefined) throw new Error(`no algorithm ${alg}`);
  const by = { key: createPrivateKey(key), ...row.options };
  const jwk = createPublicKey(key).export({ format: 'jwk' }) as JsonObject;
  return {
    alg,
    jwk,
    thumbprint: jwkThumbprint(jwk),
    sign: (input) => sign(row.hash, Buffer.from(input), by).toString('base64url'),
  };
}

/** A new ES256 key. */
export function makeProbeKey(): ProbeKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { d } = privateKey.export({ format: 'jwk' });
  const made = probeKeyOf({ key: privateKey.export({ type: 'pkcs8', format: 'pem' }), alg: 'ES256', kid: undefined });
  return { ...made, secret: { d } };
}

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');

/** A compact JWS of any header and claims; members that are undefined are left out. */
export function forge(header: object, claims: object, signing: Sign): string {
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${signing(input)}`;
}

/** No signature at all (RFC 7515 §6). */
export const unsigned: Sign = () => '';

/** HS256 with any secret. */
export const hmac = (secret: string | Buffer): Sign => {
  return (input) => createHmac('sha256', secret).update(input).digest('base64url');
};

/** The signature with one bit changed, in its middle. */
export function breakSignature(jws: string): string {
  const [signature = ''] = jws.split('.').slice(-1);
  const bytes = Buffer.from(signature, 'base64url');
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return `${jws.slice(0, jws.length - signature.length)}${bytes.toString('base64url')}`;
}

/** The order of P-256 (FIPS 186-4 D.1.2.3). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The same ES256 signature in its other spelling: (r, n - s) verifies where (r, s) does. */
export function respell(jws: string): string {
  const [signature = ''] = jws.split('.').slice(-1);
  const hex = Buffer.from(signature, 'base64url').toString('hex');
  const s = (ORDER - BigInt(`0x${hex.slice(64)}`)).toString(16).padStart(64, '0');
  const other = Buffer.from(hex.slice(0, 64) + s, 'hex').toString('base64url');
  return `${jws.slice(0, jws.length - signature.length)}${other}`;
}

export const randomId = (): string => randomBytes(16).toString('base64url');
