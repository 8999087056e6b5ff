// The clients of docs/clients.md in other languages, and in a real browser.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { calculateJwkThumbprint, type JWK } from 'jose';
import {
  beRefused,
  CLIENTS,
  giveUp,
  learnNonce,
  sendBodyAgain,
  type Program,
  signBody,
  signRequests,
  startNonceGateway,
} from '../examples/client-programs.ts';
import { issue } from '../gateway/credentials.ts';
import { startBrowser } from '../support/browser.ts';
import { serve } from '../support/issuer-server.ts';
import { findProgram, INSTALLING } from '../support/programs.ts';
import { findGo, findJava, findKotlin, findPython, type Found } from './programs.ts';

/** Java reads no PEM: a key store with the CA. */
function trust(caFile: string, folder: string) {
  const store = join(folder, 'trust.p12');
  const what = `-importcert -noprompt -alias ca -storetype PKCS12 -storepass changeit`.split(' ');
  const made = spawnSync('keytool', [...what, '-file', caFile, '-keystore', store]);
  assert.equal(made.status, 0, String(made.stderr));
  return { JDK_JAVA_OPTIONS: `-Djavax.net.ssl.trustStore=${store} -Djavax.net.ssl.trustStorePassword=changeit` };
}

const PACKAGES = ['httpx==0.28.1', 'requests==2.34.2', 'pyjwt==2.15.1', 'cryptography==50.0.2'] as const;
const python = findPython(PACKAGES, join(CLIENTS, 'dpop.py'));
const FOUND: Readonly<Record<string, { readonly found: Found } & Pick<Program, 'trust'>>> = {
  'httpx, in Python': { found: 'skip' in python ? python : { ...python, args: [...python.args, 'httpx'] } },
  'requests, in Python': { found: 'skip' in python ? python : { ...python, args: [...python.args, 'requests'] } },
  'golang.org/x/oauth2': { found: findGo('go-clients', CLIENTS) },
  'the OAuth 2.0 SDK of Nimbus, in Java': { found: findJava(CLIENTS, 'Client'), trust },
  'OkHttp, in Kotlin': { found: findKotlin(CLIENTS, 'Client'), trust },
};

for (const [name, { found, ...more }] of Object.entries(FOUND)) {
  describe(name, { skip: 'skip' in found ? found.skip : false, timeout: INSTALLING.timeout }, () => {
    if ('skip' in found) return;
    const program = { ...found, ...more };
    test('learns the nonce of a route, keeps it, and proves paths as they are sent', (t) => learnNonce(t, program));
    test('sends a body again with the nonce', (t) => sendBodyAgain(t, program));
    test('is refused with a key that the token is not bound to', (t) => beRefused(t, program));
    test('does not ask for ever', (t) => giveUp(t, program));
  });
}

const SIGNING = ['http-message-signatures==3.0.0', ...PACKAGES] as const;
const signing = findPython(SIGNING, join(CLIENTS, 'signed.py'));

describe('http-message-signatures, in Python', {
  skip: 'skip' in signing ? signing.skip : false,
  ...INSTALLING,
}, () => {
  if ('skip' in signing) return;
  test('signs requests as they are sent', (t) => signRequests(t, signing));
  test('signs a body, and is refused with a key that the token is not bound to', (t) => signBody(t, signing));
});

/** The page makes its keys, gets a token bound to them as from an authorization server, and tells what became of its requests. */
const PAGE = `<!doctype html><script type="module">
  import { dpopFetch, makeKeys } from '/browser.mjs';
  const post = (path, body) => fetch(path, { method: 'POST', body: JSON.stringify(body) });
  try {
    const keys = await makeKeys();
    const answer = await post('/token', await crypto.subtle.exportKey('jwk', keys.publicKey));
    const { token, urls } = await answer.json();
    const statuses = [];
    for (const url of urls) statuses.push((await dpopFetch(keys, token, url)).status);
    statuses.push((await dpopFetch(await makeKeys(), token, urls[0])).status);
    await post('/done', statuses);
  } catch (error) {
    await post('/done', String(error));
  }
</script>`;

const browser = await findProgram('chromium-headless-shell').catch((error: unknown) => ({ skip: String(error) }));

describe('Chromium', { skip: typeof browser === 'string' ? false : browser.skip, ...INSTALLING }, () => {
  test('a page of another origin learns the nonce through CORS, and passes with a key that it cannot read', async (t) => {
    if (typeof browser !== 'string') return;
    const site = await serve(t);
    const { gateway, origin } = await startNonceGateway(t, site.origin);
    const urls = ['/nonce/1?a=b|c', '/nonce/café/a b', '/nonce/2;v=1'].map((target) => origin + target);
    const done = Promise.withResolvers<unknown>();
    const answers: Record<string, (body: string) => string | Promise<string>> = {
      '/': () => PAGE,
      '/browser.mjs': () => readFileSync(join(CLIENTS, 'browser.mjs'), 'utf8'),
      async '/token'(body) {
        const jkt = await calculateJwkThumbprint(JSON.parse(body) as JWK);
        return JSON.stringify({ token: await issue(gateway, { cnf: { jkt } }), urls });
      },
      '/done'(body) {
        done.resolve(JSON.parse(body));
        return '';
      },
    };
    site.answer = (request, response) => {
      response.setHeader('Content-Type', request.url?.endsWith('.mjs') ? 'text/javascript' : 'text/html');
      void text(request).then(async (body) => response.end(await answers[request.url ?? '']?.(body)), done.reject);
    };
    const ended = () => done.reject(new Error('the browser ended'));
    await startBrowser(t, browser, site.origin, { ended, anyCertificate: true });
    assert.deepEqual(await done.promise, [200, 200, 200, 401]);
    assert.equal(await gateway.count('holdfast_rejections_total', { reason: 'nonce_required' }), 1);
    assert.equal(await gateway.count('holdfast_rejections_total', { reason: 'proof_key_mismatch' }), 1);
  });
});
