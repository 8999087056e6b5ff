// A program around the clients in JavaScript: requests URLs by the one named first, by POST if BODY is set.

import { createPrivateKey } from 'node:crypto';
import { Configuration } from 'openid-client';
import { dpopFetch } from './browser.mjs';
import { makeClient as makeOauth4webapi } from './node.mjs';
import { makeClient as makeOpenidClient } from './openid-client.mjs';
import { signedFetch } from './signed.mjs';

const [name, ...urls] = process.argv.slice(2);
const jwk = JSON.parse(process.env.DPOP_KEY);
const { kty, crv, x, y } = jwk;
const load = (key, use) => crypto.subtle.importKey('jwk', key, { name: 'ECDSA', namedCurve: 'P-256' }, true, [use]);
const keys = { privateKey: await load(jwk, 'sign'), publicKey: await load({ kty, crv, x, y }, 'verify') };
const token = process.env.ACCESS_TOKEN;
const call = {
  browser: (method, url, headers, body) => dpopFetch(keys, token, url, { method, headers, body }),
  oauth4webapi: makeOauth4webapi(keys, token),
  signed: (method, url, headers, body) =>
    signedFetch(createPrivateKey({ key: jwk, format: 'jwk' }), token, url, { method, headers, body }),
  'openid-client': makeOpenidClient(new Configuration({ issuer: 'https://login.example.com' }, 'shop'), keys, token),
}[name];

const body = process.env.BODY;
for (const url of urls) {
  // Both libraries throw what the gateway refuses, with the answer in the error.
  const { status } = await call(body ? 'POST' : 'GET', url, {}, body).catch(({ response }) => response);
  console.log(status);
}
