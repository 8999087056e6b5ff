// The client of the demo page: its key, its login and its token.

import { makeKeys, prove } from '../../docs/clients/browser.mjs';
import { base64url, sha256, thumbprintOf } from './encoding.mjs';

const CLIENT_ID = 'browser-client';
const SCOPE = 'orders:read';
/** Where the login waits while the page is away. */
const PENDING = 'holdfast-demo-login';

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

/** What every way to read the private key comes to: the error of the browser, or `undefined` for one that worked. */
export async function tryToExport({ privateKey }) {
  const wrapping = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['wrapKey']);
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const ways = {
    'exportKey("jwk")': () => crypto.subtle.exportKey('jwk', privateKey),
    'exportKey("pkcs8")': () => crypto.subtle.exportKey('pkcs8', privateKey),
    'wrapKey("pkcs8")': () => crypto.subtle.wrapKey('pkcs8', privateKey, wrapping, { name: 'AES-GCM', iv }),
  };
  const outcomes = {};
  for (const [way, attempt] of Object.entries(ways)) {
    try {
      await attempt();
      outcomes[way] = undefined;
    } catch ({ name, message }) {
      // "Failed to execute 'exportKey' on 'SubtleCrypto': key is not extractable"
      outcomes[way] = `${name}: ${message.replace(/^.*': /, '')}`;
    }
  }
  return outcomes;
}

/** New keys, kept in IndexedDB, which stores them without showing them. */
export async function makeAndKeepKeys() {
  const keys = await makeKeys();
  await inStore('readwrite', (store) => store.put(keys, 'keys'));
  return keys;
}

/** The keys of before the login. */
export const findKeys = () => inStore('readonly', (store) => store.get('keys'));

async function inStore(mode, work) {
  const settled = (request) =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(new Error('IndexedDB failed', { cause: request.error }));
    });
  const opening = indexedDB.open('holdfast-demo', 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore('demo');
  const database = await settled(opening);
  try {
    return await settled(work(database.transaction('demo', mode).objectStore('demo')));
  } finally {
    database.close();
  }
}

/**
 * Leaves the page for the authorization server: code flow with PKCE (RFC 7636), and the code bound to the key (RFC 9449 §10).
 * `kept` comes back with the login.
 */
export async function logIn(keys, audience, kept) {
  const [verifier, state] = [random(), random()];
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: CLIENT_ID,
    redirect_uri: `${location.origin}/`,
    scope: SCOPE,
    resource: audience,
    state,
    code_challenge: await sha256(verifier),
    code_challenge_method: 'S256',
    dpop_jkt: await thumbprintOf(keys),
  });
  const url = `${location.origin}/auth?${query}`;
  sessionStorage.setItem(PENDING, JSON.stringify({ verifier, state, url, kept }));
  location.assign(url);
}

/** A login that has come back: its answer, what was kept for it, and the address without them; undefined where there is none. */
export function takeLogin() {
  const answer = new URLSearchParams(location.search);
  const pending = sessionStorage.getItem(PENDING);
  sessionStorage.removeItem(PENDING);
  if (!answer.has('state')) return undefined;
  history.replaceState(null, '', '/');
  return { answer, ...(pending === null ? {} : JSON.parse(pending)) };
}

/** Throws where an answer is not for a login of this page, comes from another issuer (RFC 9207), or is an error. */
export function checkAnswer(issuer, { answer, state }) {
  if (state === undefined || answer.get('state') !== state)
    throw new Error('The answer belongs to no login of this page.');
  if (answer.get('iss') !== issuer) throw new Error('The answer names another issuer.');
  if (answer.has('error')) throw new Error(`${answer.get('error')}: ${answer.get('error_description')}`);
}

/** The token for a login whose answer was checked (RFC 9449 §5). */
export async function requestToken(keys, { answer, verifier }) {
  const url = `${location.origin}/token`;
  const claims = { jti: crypto.randomUUID(), htm: 'POST', htu: url, iat: Math.floor(Date.now() / 1000) };
  const form = {
    grant_type: 'authorization_code',
    client_id: CLIENT_ID,
    redirect_uri: `${location.origin}/`,
    code: answer.get('code'),
    code_verifier: verifier,
  };
  const response = await fetch(url, {
    method: 'POST',
    headers: { DPoP: await prove(keys, claims) },
    body: new URLSearchParams(form),
  });
  const token = await response.json();
  if (!response.ok) throw new Error(`${token.error}: ${token.error_description}`);
  return String(token.access_token);
}
