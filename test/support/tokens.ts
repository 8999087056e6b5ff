// Tokens and proofs for tests: real keys, real signatures, every field open to mutation.

import assert from 'node:assert/strict';
import { createHash, KeyObject, randomUUID, sign } from 'node:crypto';
import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { ALGORITHMS } from '../../src/jose/algorithms.ts';

/** A key pair with its public JWK and thumbprint. */
export interface TestKey {
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
  readonly jkt: string;
}

export async function makeKey(alg = 'ES256', kid?: string): Promise<TestKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const bare = await exportJWK(publicKey);
  const jkt = await calculateJwkThumbprint(bare);
  return { alg, privateKey, jwk: kid === undefined ? bare : { ...bare, kid, alg }, jkt };
}

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** Signs anything: objects, or raw JSON text for what JSON.stringify cannot spell. */
export async function signParts(key: TestKey, header: unknown, payload: unknown): Promise<string> {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${(await signBytes(key, Buffer.from(input))).toString('base64url')}`;
}

/** The signature of anything as JWS has it (RFC 7518 §3). */
export async function signBytes({ alg, privateKey }: TestKey, bytes: Buffer): Promise<Buffer> {
  const { hash, options } = ALGORITHMS.get(alg) ?? assert.fail(`no signer for ${alg}`);
  return sign(hash, bytes, { key: KeyObject.from(privateKey), ...options });
}

export interface TokenOptions {
  readonly header?: Record<string, unknown>;
  /** Merged over good claims; undefined takes a claim out. */
  readonly claims?: Record<string, unknown>;
}

export const ISSUER = 'https://login.example.com';
export const AUDIENCE = 'https://api.example.com';

/** An access token that is good at `now` for ten minutes, unless its claims say otherwise. */
export function makeToken(key: TestKey, now: number, { header = {}, claims = {} }: TokenOptions = {}): Promise<string> {
  return new SignJWT({
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'alice',
    client_id: 'shop',
    iat: Math.floor(now),
    exp: Math.floor(now) + 600,
    scope: 'orders:read',
    ...claims,
  })
    .setProtectedHeader({
      alg: key.alg,
      typ: 'at+jwt',
      ...(key.jwk.kid === undefined ? {} : { kid: key.jwk.kid }),
      ...header,
    })
    .sign(key.privateKey);
}

export const ath = (token: string) => createHash('sha256').update(token).digest('base64url');

export interface ProofOptions {
  readonly method?: string;
  readonly url?: string;
  readonly token?: string;
  readonly header?: Record<string, unknown>;
  /** Merged over good claims; undefined takes a claim out. */
  readonly claims?: Record<string, unknown>;
}

/** Header and claims of a good proof, for tests that change one thing. */
export function proofParts(key: TestKey, now: number, options: ProofOptions = {}) {
  const { method = 'GET', url = `${AUDIENCE}/orders/1`, token = 'token', header = {}, claims = {} } = options;
  const { kid: _kid, alg: _alg, ...jwk } = key.jwk;
  return {
    header: { typ: 'dpop+jwt', alg: key.alg, jwk, ...header },
    claims: { jti: randomUUID(), htm: method, htu: url, iat: Math.ceil(now), ath: ath(token), ...claims },
  };
}

export function makeProof(key: TestKey, now: number, options: ProofOptions = {}): Promise<string> {
  const { header, claims } = proofParts(key, now, options);
  return signParts(key, header, claims);
}
