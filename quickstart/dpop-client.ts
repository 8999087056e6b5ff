// The client's side of DPoP: proofs, and a retry with the server's nonce.

import { createHash, randomUUID } from 'node:crypto';
import { importJWK, type JWK, SignJWT } from 'jose';
import type { Answer } from './answer.ts';

export interface ProofParts {
  readonly method: string;
  readonly url: string;
  /** Absent at the token endpoint (RFC 9449 §4.2). */
  readonly accessToken?: string | undefined;
  readonly nonce?: string | undefined;
  /** Seconds by which the clock of the client is ahead (positive) or behind (negative). */
  readonly clockOffset?: number | undefined;
}

/** A DPoP proof (RFC 9449 §4.2) by a private ES256 JWK, for one request. */
export async function makeProof(key: JWK, parts: ProofParts): Promise<string> {
  const { origin, pathname } = new URL(parts.url);
  const { kty, crv, x, y } = key as Record<string, string>;
  return new SignJWT({
    jti: randomUUID(),
    htm: parts.method,
    htu: origin + pathname,
    iat: Math.floor(Date.now() / 1000) + (parts.clockOffset ?? 0),
    ...(parts.accessToken === undefined ? {} : { ath: sha256(parts.accessToken) }),
    ...(parts.nonce === undefined ? {} : { nonce: parts.nonce }),
  })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } as JWK })
    .sign(await importJWK(key, 'ES256'));
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('base64url');

/**
 * Sends a request with a proof; asked for a nonce (RFC 9449 §9), sends it once more with it. Returns the answers in
 * order, one or two. `send` gets the credential fields and adds whatever else the request has.
 */
export async function sendWithProof<A extends { answer: Answer }>(
  key: JWK,
  parts: ProofParts & { accessToken: string },
  send: (fields: Record<string, string>) => Promise<A>,
): Promise<A[]> {
  const attempt = async (nonce?: string) =>
    send({ Authorization: `DPoP ${parts.accessToken}`, DPoP: await makeProof(key, { ...parts, nonce }) });
  const first = await attempt();
  const { status, fields } = first.answer;
  const nonce = fields['dpop-nonce'];
  const challenged = status === 401 && String(fields['www-authenticate']).includes('use_dpop_nonce');
  return challenged && typeof nonce === 'string' ? [first, await attempt(nonce)] : [first];
}
