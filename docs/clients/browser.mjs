// A DPoP client for browsers, by Web Cryptography alone; Node 26 runs it as well.

const bytes = (text) => new TextEncoder().encode(text);
const base64url = (buffer) => new Uint8Array(buffer).toBase64({ alphabet: 'base64url', omitPadding: true });
const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** Keys that no script can read; keep them in IndexedDB. */
export const makeKeys = () => crypto.subtle.generateKey(ES256, false, ['sign', 'verify']);

/** A proof of `claims`. The token request needs one too (RFC 9449 §5), of jti, htm, htu and iat. */
export async function prove({ privateKey, publicKey }, claims) {
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', publicKey);
  const parts = [{ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } }, claims];
  const input = parts.map((part) => base64url(bytes(JSON.stringify(part)))).join('.');
  return `${input}.${base64url(await crypto.subtle.sign(ES256, privateKey, bytes(input)))}`;
}

const nonces = new Map(); // by origin

// #region page
/** As fetch, with the token and a proof for each request. */
export async function dpopFetch(keys, token, url, init) {
  const request = new Request(url, init);
  const { origin, pathname } = new URL(request.url); // percent-encoded, as it is sent
  const ath = base64url(await crypto.subtle.digest('SHA-256', bytes(token)));
  for (let attempt = 1; ; attempt += 1) {
    const headers = new Headers(request.headers);
    const [jti, iat, nonce] = [crypto.randomUUID(), Math.floor(Date.now() / 1000), nonces.get(origin)];
    headers.set('Authorization', `DPoP ${token}`);
    headers.set('DPoP', await prove(keys, { jti, htm: request.method, htu: origin + pathname, iat, ath, nonce }));
    const response = await fetch(request.clone(), { headers });
    if (response.headers.has('DPoP-Nonce')) nonces.set(origin, response.headers.get('DPoP-Nonce'));
    const asked = response.headers.get('WWW-Authenticate')?.includes('error="use_dpop_nonce"');
    if (response.status !== 401 || !asked || attempt === 2) return response;
  }
}
// #endregion
