// Verifies an assertion of Holdfast. npm install jose
import { createRemoteJWKSet, jwtVerify } from 'jose';

const keys = createRemoteJWKSet(new URL(process.env.ASSERTION_KEYS));

/** @returns the claims; throws where the request must be refused */
export async function verify(assertion, method, url) {
  const { payload } = await jwtVerify(assertion, keys, {
    issuer: process.env.ASSERTION_ISSUER,
    audience: process.env.ASSERTION_AUDIENCE,
    typ: 'holdfast-assertion+jwt',
    requiredClaims: ['exp', 'jti', 'htm', 'htu'],
  });
  if (payload.htm !== method || payload.htu !== url) throw new Error('the assertion is about another request');
  return payload;
}

if (import.meta.main ?? process.argv[1]?.endsWith('verify.mjs')) {
  const [assertion, method, url] = process.argv.slice(2);
  console.log(JSON.stringify(await verify(assertion, method, url)));
}
