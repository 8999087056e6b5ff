// An RSA key with a public exponent over 32 bits, which Node does not generate.

import { generateKeyPairSync, webcrypto } from 'node:crypto';
import { calculateJwkThumbprint, type JWK } from 'jose';
import type { TestKey } from '../support/tokens.ts';

/** A 2048-bit key for RS256 whose e is the first one from 2³² + 1 on that fits its primes. */
export async function makeLongExponentKey(): Promise<TestKey> {
  const whole = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }) as JWK;
  const [p, q] = [read(whole.p), read(whole.q)];
  const order = (p - 1n) * (q - 1n);
  let e = 0x1_0000_0001n;
  while (gcd(e, order) !== 1n) e += 2n;
  const d = inverse(e, order);
  const jwk = { kty: 'RSA', n: String(whole.n), e: write(e) };
  const numbers = {
    d: write(d),
    p: write(p),
    q: write(q),
    dp: write(d % (p - 1n)),
    dq: write(d % (q - 1n)),
    qi: String(whole.qi),
  };
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const privateKey = await webcrypto.subtle.importKey('jwk', { ...jwk, ...numbers }, algorithm, false, ['sign']);
  return { alg: 'RS256', privateKey, jwk, jkt: await calculateJwkThumbprint(jwk) };
}

const read = (text: string | undefined) => BigInt(`0x${Buffer.from(text ?? '', 'base64url').toString('hex')}`);

function write(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url');
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}

/** Of `a` modulo `m`, by Euclid. */
function inverse(a: bigint, m: bigint): bigint {
  let [r, next, s, nextS] = [a, m, 1n, 0n];
  while (next !== 0n) {
    const quotient = r / next;
    [r, next] = [next, r - quotient * next];
    [s, nextS] = [nextS, s - quotient * nextS];
  }
  return ((s % m) + m) % m;
}
