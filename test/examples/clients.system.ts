// The clients of docs/clients.md that Node runs, at a route that demands nonces.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { dpop } from '../gateway/credentials.ts';
import { ORIGIN, startTestGateway } from '../support/gateway.ts';
import { beRefused, CLIENTS, giveUp, learnNonce, sendBodyAgain, signBody, signRequests } from './client-programs.ts';

for (const name of ['browser', 'oauth4webapi', 'openid-client']) {
  describe(name, () => {
    const program = { file: process.execPath, args: [join(CLIENTS, 'call.mjs'), name] };
    test('learns the nonce of a route, keeps it, and proves paths as they are sent', (t) => learnNonce(t, program));
    test('sends a body again with the nonce', (t) => sendBodyAgain(t, program));
    test('is refused with a key that the token is not bound to', (t) => beRefused(t, program));
    test('does not ask for ever', (t) => giveUp(t, program));
  });
}

describe('http-message-signatures', () => {
  const program = { file: process.execPath, args: [join(CLIENTS, 'call.mjs'), 'signed'] };
  test('signs requests as they are sent', (t) => signRequests(t, program));
  test('signs a body, and is refused with a key that the token is not bound to', (t) => signBody(t, program));
});

describe('what other clients send', () => {
  const sent: Readonly<
    Record<string, readonly [path: string, claims: Record<string, unknown>, reason: string | undefined]>
  > = {
    'a decoded path with letters and blanks': ['/x/caf%C3%A9/a%20b', { htu: `${ORIGIN}/x/café/a b` }, undefined],
    'a decoded %2C': ['/x/a%2Cb', { htu: `${ORIGIN}/x/a,b` }, 'proof_uri_mismatch'],
    'a decoded %25': ['/x/50%25', { htu: `${ORIGIN}/x/50%` }, 'proof_uri_mismatch'],
    'a decoded %3B': ['/x/a%3Bb', { htu: `${ORIGIN}/x/a;b` }, 'proof_uri_mismatch'],
    'a path without its ;params': ['/x/1;v=2', { htu: `${ORIGIN}/x/1` }, 'proof_uri_mismatch'],
    'no ath': ['/x/1', { ath: undefined }, 'proof_malformed'],
    'query and fragment in htu': ['/x/1?a=b', { htu: `${ORIGIN}/x/1?a=b#c` }, undefined],
  };
  for (const [what, [path, claims, reason]] of Object.entries(sent)) {
    test(`${what}: ${reason ?? 'passes'}`, async (t) => {
      const routes = '- { name: x, match: { path: /x/* }, upstream: orders, require: dpop }';
      const gateway = await startTestGateway(t, { routes });
      assert.equal((await dpop(gateway, 'GET', path, { proving: { claims } })).reason, reason);
      assert.equal(gateway.upstream.seen.length, reason === undefined ? 1 : 0);
    });
  }
});
