// The thief of the demo page: a worker that has nothing of the client but one text.

import { makeKeys, prove } from '../../docs/clients/browser.mjs';
import { base64url, bytes, sha256, readPart, thumbprintOf } from './encoding.mjs';
import { overhear } from './overhear.mjs';

/** Each theft: what the thief does, as a request of { method, url, headers }. */
const THEFTS = {
  bearer: ({ method, url, token }) => ({ method, url, headers: { Authorization: `Bearer ${token}` } }),
  'no-proof': ({ method, url, token }) => ({ method, url, headers: { Authorization: `DPoP ${token}` } }),
  'own-key': async ({ method, url, token, proof, keys }) => {
    const [jti, iat, { nonce }] = [crypto.randomUUID(), Math.floor(Date.now() / 1000), readPart(proof.split('.')[1])];
    const own = await prove(keys, { jti, htm: method, htu: url, iat, ath: await sha256(token), nonce });
    return { method, url, headers: { Authorization: `DPoP ${token}`, DPoP: own } };
  },
  'own-thumbprint': async ({ method, url, token, proof, keys }) => {
    const [header, payload, signature] = token.split('.');
    const claims = { ...readPart(payload), cnf: { jkt: await thumbprintOf(keys) } };
    const changed = base64url(bytes(JSON.stringify(claims)));
    const forged = `${header}.${changed}.${signature}`;
    return THEFTS['own-key']({ method, url, token: forged, proof, keys });
  },
  replay: ({ method, url, token, proof }) => ({
    method,
    url,
    headers: { Authorization: `DPoP ${token}`, DPoP: proof },
  }),
  'other-url': ({ method, url, token, proof }) => ({
    method,
    url: url.replace(/[^/]+$/, '2'),
    headers: { Authorization: `DPoP ${token}`, DPoP: proof },
  }),
  'other-method': ({ url, token, proof }) => ({
    method: 'POST',
    url,
    headers: { Authorization: `DPoP ${token}`, DPoP: proof },
  }),
};

let last;
overhear((exchange) => (last = exchange));

const tell = (message) => globalThis.postMessage(JSON.stringify(message));

/** The loot is a text: method, url, token and proof of one request. Every theft is told about as a text, too. */
globalThis.onmessage = async ({ data }) => {
  try {
    const loot = { ...JSON.parse(data), keys: await makeKeys() };
    for (const [name, theft] of Object.entries(THEFTS)) {
      const { method, url, headers } = await theft(loot);
      const trace = crypto.randomUUID();
      await fetch(url, { method, headers: { ...headers, 'X-Demo-Request': trace } });
      tell({ name, trace, exchange: last });
    }
    tell({ done: true });
  } catch ({ message }) {
    tell({ failed: message });
  }
};
