// A client for Node that signs each request as a whole (RFC 9421), with the key of its DPoP proofs.

import { createHash, createPublicKey, randomUUID, sign } from 'node:crypto';
import { httpbis } from 'http-message-signatures';
import { SignJWT } from 'jose';

const sha256 = (data, encoding) => createHash('sha256').update(data).digest(encoding);
const nonces = new Map(); // by origin

/**
 * As fetch. Every field is covered that is sent from here: those that fetch adds are none that have to be.
 * @param key private key P-256, to which the token is bound (KeyObject)
 */
export async function signedFetch(key, token, url, { method = 'GET', headers = {}, body } = {}) {
  const { href, origin, pathname } = new URL(url);
  const fields = { ...headers, authorization: `DPoP ${token}` };
  if (body !== undefined) {
    fields['content-digest'] = `sha-256=:${sha256(body, 'base64')}:`;
    fields['content-type'] ??= 'application/octet-stream'; // or fetch chooses one, which nobody has signed
  }
  const signer = { sign: async (base) => sign('sha256', base, { key, dsaEncoding: 'ieee-p1363' }) };
  for (let attempt = 1; ; attempt += 1) {
    fields.dpop = await prove(key, token, { htm: method, htu: origin + pathname, nonce: nonces.get(origin) });
    const covered = ['@method', '@target-uri', ...Object.keys(fields)];
    const message = { method, url: href, headers: fields };
    const signed = await httpbis.signMessage({ key: signer, fields: covered, params: ['created'] }, message);
    const response = await fetch(href, { method, headers: signed.headers, body });
    if (response.headers.has('DPoP-Nonce')) nonces.set(origin, response.headers.get('DPoP-Nonce'));
    const asked = response.headers.get('WWW-Authenticate')?.includes('error="use_dpop_nonce"');
    if (response.status !== 401 || !asked || attempt === 2) return response;
  }
}

async function prove(key, token, claims) {
  const { kty, crv, x, y } = createPublicKey(key).export({ format: 'jwk' });
  return new SignJWT({ ...claims, ath: sha256(token, 'base64url') })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } })
    .setJti(randomUUID())
    .setIssuedAt()
    .sign(key);
}
