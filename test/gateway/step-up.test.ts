// Step-up authentication end to end (RFC 9470): refused, authenticated again, accepted.

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { type Asked, CODE_CLIENT, openCodeClient, type Tokens } from '../support/code-client.ts';
import { startTestGateway } from '../support/gateway.ts';
import { startLoginServer } from '../support/login-server.ts';
import { AUDIENCE, makeKey, makeProof } from '../support/tokens.ts';

const ROUTES = `
- { name: orders, match: { path: /orders/* }, upstream: orders, require: dpop }
- { name: payments, match: { path: /payments/* }, upstream: orders, require: dpop, acr: [phr, phrh] }
- { name: secrets, match: { path: /secrets/* }, upstream: orders, require: dpop, max_auth_age: 5m }
- { name: both, match: { path: /both/* }, upstream: orders, require: dpop, acr: [phr], max_auth_age: 5m }
`;
const HOUR = 3600;
const seconds = () => Math.floor(Date.now() / 1000);

/** A gateway and an authorization server, a client with its key and a browser with its user. */
async function start(t: TestContext, authenticatedAt: () => number | undefined = () => undefined) {
  const login = await startLoginServer(t, {
    resources: { [AUDIENCE]: ['orders:read'] },
    acr: ['pwd', 'phr'],
    authenticatedAt,
    clients: [CODE_CLIENT],
  });
  const gateway = await startTestGateway(t, {
    routes: ROUTES,
    issuers: `login: { issuer: "${login.issuer}", audience: [${AUDIENCE}] }`,
  });
  const key = await makeKey();
  const { authorize, refresh } = await openCodeClient(login.issuer, key);
  const browser = login.browse();
  /** One request with a proof, and another one where a nonce is asked for. */
  const call = async ({ access: token }: Tokens, path: string) => {
    const send = async (nonce?: string) => {
      const claims = nonce === undefined ? {} : { nonce };
      const proof = await makeProof(key, seconds(), { method: 'GET', url: `${AUDIENCE}${path}`, token, claims });
      return await gateway.request('GET', path, { token, proof });
    };
    const first = await send();
    const answer = first.reason === 'nonce_required' ? await send(first.fields.one('DPoP-Nonce')) : first;
    const { status, reason, fields } = answer;
    return { status, reason, challenge: challengeOf(fields.all('WWW-Authenticate')) };
  };
  return { gateway, login, refresh, call, authorize: (asked?: Asked) => authorize(browser, asked) };
}

/** What a challenge of DPoP says a client has to do. */
function challengeOf(lines: readonly string[]): Record<string, string> {
  const line = lines.find((one) => one.startsWith('DPoP ')) ?? '';
  return Object.fromEntries([...line.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]));
}

function asked({ acr_values, max_age }: Record<string, string>): Asked {
  return { ...(acr_values !== undefined && { acr_values }), ...(max_age !== undefined && { max_age }) };
}

describe('a stronger authentication', () => {
  test('is asked for by acr_values, and a token got with it is accepted', async (t) => {
    const { login, authorize, call, gateway } = await start(t);
    const weak = await authorize();
    assert.equal((await call(weak, '/orders/1')).status, 200);
    const { status, reason, challenge } = await call(weak, '/payments/1');
    assert.deepEqual([status, reason], [401, 'authentication_insufficient']);
    assert.equal(challenge['error'], 'insufficient_user_authentication');
    assert.deepEqual(asked(challenge), { acr_values: 'phr phrh' });

    const strong = await authorize(asked(challenge));
    assert.deepEqual(login.logins, [
      { acr_values: undefined, max_age: undefined },
      { acr_values: 'phr phrh', max_age: undefined },
    ]);
    assert.equal((await call(strong, '/payments/1')).status, 200);
    assert.equal((await call(strong, '/orders/1')).status, 200);
    // The token from before is what it was.
    assert.equal((await call(weak, '/payments/1')).reason, 'authentication_insufficient');
    assert.equal(gateway.upstream.seen.length, 3);
  });

  test('does not come from a refreshed token, nor from one that was only authenticated again', async (t) => {
    const { login, authorize, refresh, call } = await start(t);
    const weak = await authorize();
    assert.equal((await call(await refresh(weak), '/payments/1')).reason, 'authentication_insufficient');
    const again = await authorize({ prompt: 'login consent' });
    assert.equal(login.logins.length, 2);
    assert.equal((await call(again, '/payments/1')).reason, 'authentication_insufficient');
    assert.equal((await call(again, '/orders/1')).status, 200);
  });
});

describe('a recent authentication', () => {
  test('is asked for by max_age, and a token got with it is accepted', async (t) => {
    const times = [seconds() - HOUR];
    const { login, authorize, refresh, call } = await start(t, () => times.shift());
    const old = await authorize();
    assert.equal((await call(old, '/orders/1')).status, 200);
    const { reason, challenge } = await call(old, '/secrets/1');
    assert.equal(reason, 'authentication_insufficient');
    assert.deepEqual(asked(challenge), { max_age: '300' });
    // A refreshed token is new, its authentication is not (RFC 9470 §6.1).
    assert.equal((await call(await refresh(old), '/secrets/1')).reason, 'authentication_insufficient');

    const recent = await authorize(asked(challenge));
    assert.deepEqual(login.logins.at(-1), { acr_values: undefined, max_age: '300' });
    assert.equal((await call(recent, '/secrets/1')).status, 200);
    assert.equal((await call(old, '/secrets/1')).reason, 'authentication_insufficient');
  });

  test('does not do where a stronger one is needed as well: the challenge has both', async (t) => {
    const times = [seconds() - HOUR];
    const { authorize, call } = await start(t, () => times.shift());
    const { challenge } = await call(await authorize(), '/both/1');
    assert.deepEqual(asked(challenge), { acr_values: 'phr', max_age: '300' });
    assert.equal((await call(await authorize({ max_age: '300' }), '/both/1')).reason, 'authentication_insufficient');
    assert.equal((await call(await authorize(asked(challenge)), '/both/1')).status, 200);
  });
});
