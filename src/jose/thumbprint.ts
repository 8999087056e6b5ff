// Thumbprints: SHA-256 of a JWK (RFC 7638 §3) or of an access token (`ath`).

import { hash } from 'node:crypto';
import { type KeyType, REQUIRED_MEMBERS } from './algorithms.ts';
import type { JsonObject } from './jws.ts';

/** Thumbprint of a public JWK whose members were checked to be strings; synchronous, unlike jose's. */
export function jwkThumbprint(jwk: JsonObject): string {
  const members = Object.hasOwn(REQUIRED_MEMBERS, String(jwk.kty)) ? REQUIRED_MEMBERS[jwk.kty as KeyType] : [];
  return sha256(JSON.stringify(Object.fromEntries(members.map((member) => [member, jwk[member]]))));
}

/** base64url SHA-256 of text: `ath` of an access token. */
export function sha256(text: string): string {
  return hash('sha256', text, 'base64url');
}
