// Encodings of the demo page: base64url, SHA-256, thumbprints, parts of a JWT.

export const bytes = (text) => new TextEncoder().encode(text);

export const base64url = (buffer) => new Uint8Array(buffer).toBase64({ alphabet: 'base64url', omitPadding: true });

export const sha256 = async (text) => base64url(await crypto.subtle.digest('SHA-256', bytes(text)));

/** Header or payload of a JWT; its signature is not looked at. */
export const readPart = (part) =>
  JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(part, { alphabet: 'base64url' })));

/** The SHA-256 thumbprint of a public key (RFC 7638): what `cnf.jkt` of a token has to be. */
export async function thumbprintOf({ publicKey }) {
  const { crv, kty, x, y } = await crypto.subtle.exportKey('jwk', publicKey);
  return sha256(JSON.stringify({ crv, kty, x, y }));
}
