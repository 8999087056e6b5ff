// DPoP nonces (RFC 9449 §8, §9): a stateless expiry under an HMAC.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { decodeBase64url } from '../jose/jws.ts';

const TAG_BYTES = 16;
const BODY_BYTES = 8;
/** Milliseconds for which all clients get the same one. */
const SHARED_FOR = 1000;

/** A nonce that one of our secrets minted and that has not expired; seconds since the epoch. */
export interface ValidNonce {
  readonly mintedAt: number;
  readonly expiresAt: number;
  /** No other process takes it: what was used with it, the memory of this process knows. */
  readonly own?: boolean;
}

export interface Nonces {
  /** @param now seconds since the epoch */
  mint(now: number): string;
  /** @returns undefined for a nonce that does not count */
  read(nonce: string, now: number): ValidNonce | undefined;
}

/**
 * Mints and reads nonces: expiry (6 bytes, milliseconds), lifetime (2 bytes, seconds), HMAC-SHA-256 tag (16 bytes), base64url.
 * The lifetime is inside so that a changed setting cannot move the moment at which an older nonce was minted.
 */
export class NonceKeys implements Nonces {
  readonly #secrets: readonly [Uint8Array, ...Uint8Array[]];
  readonly #lifetime: number;
  #minted = { at: -Infinity, nonce: '' };

  /** @param secrets the first mints, all read; empty: a random one. @param lifetime seconds, at most 600 */
  constructor(secrets: readonly Uint8Array[], lifetime: number) {
    const [first = randomBytes(32), ...others] = secrets;
    this.#secrets = [first, ...others];
    this.#lifetime = Math.floor(lifetime);
  }

  /** A nonce at most a second old; clients may share it, because it proves freshness and nothing else. */
  mint(now: number): string {
    const at = Math.round(now * 1000);
    if (!(at >= this.#minted.at && at < this.#minted.at + SHARED_FOR)) {
      const body = Buffer.alloc(BODY_BYTES);
      body.writeUIntBE(at + this.#lifetime * 1000, 0, 6);
      body.writeUInt16BE(this.#lifetime, 6);
      const nonce = Buffer.concat([body, tag(this.#secrets[0], body)]).toString('base64url');
      this.#minted = { at, nonce };
    }
    return this.#minted.nonce;
  }

  /** @returns undefined for a nonce that is malformed, expired or of a secret that we do not have */
  read(nonce: string, now: number): ValidNonce | undefined {
    const bytes = nonce.length <= 64 ? decodeBase64url(nonce) : undefined;
    if (bytes?.length !== BODY_BYTES + TAG_BYTES) return undefined;
    const body = bytes.subarray(0, BODY_BYTES);
    const expiresAt = body.readUIntBE(0, 6) / 1000;
    if (expiresAt < now) return undefined;
    const given = bytes.subarray(BODY_BYTES);
    if (!this.#secrets.some((secret) => timingSafeEqual(given, tag(secret, body)))) return undefined;
    return { mintedAt: expiresAt - body.readUInt16BE(6), expiresAt };
  }
}

function tag(secret: Uint8Array, body: Buffer): Buffer {
  return createHmac('sha256', secret).update('holdfast nonce 1').update(body).digest().subarray(0, TAG_BYTES);
}
