// A DPoP client by openid-client, which sends a request again by itself when a nonce is asked for.

// #region page
import * as client from 'openid-client';

/** @param config of `client.discovery`; @param keys a CryptoKeyPair to which the token is bound */
export function makeClient(config, keys, token) {
  const DPoP = client.getDPoPHandle(config, keys); // one for all requests: it keeps the nonces
  return (method, url, headers, body) =>
    client.fetchProtectedResource(config, token, new URL(url), method, body, new Headers(headers), { DPoP });
}
// #endregion
