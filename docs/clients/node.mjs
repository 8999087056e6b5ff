// A DPoP client by oauth4webapi.

// #region page
import * as oauth from 'oauth4webapi';

/** @param keys a CryptoKeyPair to which the token is bound; `oauth.generateKeyPair('ES256')` makes one */
export function makeClient(keys, token) {
  const DPoP = oauth.DPoP({ client_id: 'shop' }, keys); // signs a proof for each request, and keeps the nonces
  return async (method, url, headers, body) => {
    const send = () => oauth.protectedResourceRequest(token, method, new URL(url), new Headers(headers), body, { DPoP });
    return send().catch((error) => {
      if (oauth.isDPoPNonceError(error)) return send(); // the nonce of the refusal is kept by now
      throw error; // any other 401: error.cause has the challenges, error.response the problem document
    });
  };
}
// #endregion
