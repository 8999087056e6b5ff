// The quickstart's authorization server: each kind of token, with its claims and binding.

import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { calculateJwkThumbprint, createLocalJWKSet, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import { type AuthorizationServer, startAuthorizationServer } from '../../quickstart/authorization-server.ts';
import { type DevelopmentCertificates, makeDevelopmentCertificates } from '../../quickstart/development-ca.ts';
import { makeProof } from '../../quickstart/dpop-client.ts';
import type { Answer } from '../../quickstart/answer.ts';
import { Parties, type Party, requestToken, type TokenKind } from '../../quickstart/parties.ts';
import { makeKey, makeSecrets, type Secrets } from '../../quickstart/secrets.ts';

const AUDIENCE = 'https://api.example.com';

suite('the authorization server of the quickstart', () => {
  let certificates: DevelopmentCertificates;
  let secrets: Secrets;
  let server: AuthorizationServer;
  let parties: Parties;

  before(async () => {
    certificates = await makeDevelopmentCertificates(Date.now() / 1000);
    secrets = await makeSecrets();
    server = await startAuthorizationServer({ port: 0, audience: AUDIENCE, certificates, secrets });
    parties = new Parties(certificates.ca, certificates);
  });

  after(async () => {
    await parties.close();
    await server.close();
  });

  const get = async (path: string) => {
    const { body } = await parties.send('nobody', { method: 'GET', url: server.issuer + path });
    return JSON.parse(body) as Record<string, unknown>;
  };

  const ask = (party: Party, form: Record<string, string>, fields: Record<string, string> = {}): Promise<Answer> =>
    parties.send(party, {
      method: 'POST',
      url: `${server.issuer}/token`,
      fields: { 'Content-Type': 'application/x-www-form-urlencoded', ...fields },
      body: new URLSearchParams({ grant_type: 'client_credentials', ...form }).toString(),
    });

  const basic = (name: keyof Secrets['clientSecret']) => ({
    Authorization: `Basic ${Buffer.from(`${name}-client:${secrets.clientSecret[name]}`).toString('base64')}`,
  });

  /** Signature, typ, iss, aud and exp as any resource server checks them; `clock` for tokens of another time. */
  const claimsOf = async (kind: TokenKind, clock = new Date()): Promise<JWTPayload> => {
    const keys = createLocalJWKSet((await get('/jwks')) as unknown as JSONWebKeySet);
    const token = await requestToken(parties, server, secrets, kind);
    const { payload } = await jwtVerify(token, keys, {
      issuer: server.issuer,
      audience: AUDIENCE,
      typ: 'at+jwt',
      algorithms: ['ES256'],
      currentDate: clock,
    });
    return payload;
  };

  test('metadata names the issuer as it is reached, and the key set holds no private member', async () => {
    const metadata = await get('/.well-known/oauth-authorization-server');
    assert.equal(metadata['issuer'], server.issuer);
    assert.equal(metadata['jwks_uri'], `${server.issuer}/jwks`);
    const { keys } = (await get('/jwks')) as { keys: object[] };
    assert.equal(keys.length, 1);
    assert.ok(!('d' in keys[0]!));
  });

  test('an unbound token has the claims of RFC 9068 and no confirmation', async () => {
    const claims = await claimsOf('bearer');
    assert.equal(claims.sub, 'bearer-client');
    assert.equal(claims['client_id'], 'bearer-client');
    assert.equal(claims['scope'], 'orders:read');
    assert.equal(claims.exp! - claims.iat!, 600);
    assert.equal(typeof claims.jti, 'string');
    assert.ok(!('cnf' in claims));
  });

  test('a DPoP-bound token is confirmed by the thumbprint of the key that signed the proof, and by nothing else', async () => {
    const { cnf } = await claimsOf('dpop');
    assert.deepEqual(cnf, { jkt: await calculateJwkThumbprint(secrets.proofKey) });
  });

  test("a certificate-bound token is confirmed by the SHA-256 of alice's certificate, and by nothing else", async () => {
    const { cnf, client_id } = await claimsOf('mtls');
    const alice = new X509Certificate(certificates.alice.cert);
    const digest = await crypto.subtle.digest('SHA-256', new Uint8Array(alice.raw));
    assert.deepEqual(cnf, { 'x5t#S256': Buffer.from(digest).toString('base64url') });
    assert.equal(client_id, 'mtls-client');
  });

  test('an expired token is good in everything but its time', async () => {
    await assert.rejects(claimsOf('expired'), { code: 'ERR_JWT_EXPIRED', claim: 'exp' });
    const claims = await claimsOf('expired', new Date(Date.now() - 3_600_000));
    assert.equal(claims['client_id'], 'expired-client');
  });

  test('the DPoP client gets no token without a proof', async () => {
    const { status, body } = await ask('nobody', {}, basic('dpop'));
    assert.equal(status, 400);
    assert.match(body, /invalid_grant/);
  });

  test('a proof that was used for a token is refused when it comes again', async () => {
    const DPoP = await makeProof(secrets.proofKey, { method: 'POST', url: `${server.issuer}/token` });
    const answers = [
      await ask('nobody', {}, { ...basic('dpop'), DPoP }),
      await ask('nobody', {}, { ...basic('dpop'), DPoP }),
    ];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 400],
    );
  });

  test("the mTLS client gets no token with another client's certificate, or without one", async () => {
    for (const party of ['mallory', 'nobody'] as const) {
      const { status, body } = await ask(party, { client_id: 'mtls-client' });
      assert.equal(status, 401);
      assert.match(body, /invalid_client/);
    }
  });

  test('the mTLS client gets no token with a certificate in its name that another CA issued', async () => {
    const foreign = await makeDevelopmentCertificates(Date.now() / 1000);
    const impostor = new Parties(certificates.ca, { alice: foreign.alice });
    const { status } = await impostor.send('alice', {
      method: 'POST',
      url: `${server.issuer}/token`,
      fields: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: 'grant_type=client_credentials&client_id=mtls-client',
    });
    await impostor.close();
    assert.equal(status, 401);
  });

  test('a wrong client secret, and a resource that is not ours, are refused', async () => {
    const wrong = { Authorization: `Basic ${Buffer.from('bearer-client:wrong').toString('base64')}` };
    assert.equal((await ask('nobody', {}, wrong)).status, 401);
    const other = await ask('nobody', { resource: 'https://other.example.com' }, basic('bearer'));
    assert.equal(other.status, 400);
    assert.match(other.body, /invalid_target/);
  });

  suite('for a page', () => {
    const PAGE = 'http://localhost:9';
    let withPage: AuthorizationServer;
    before(async () => {
      withPage = await startAuthorizationServer({ port: 0, audience: AUDIENCE, certificates, secrets, page: PAGE });
    });
    after(() => withPage.close());

    const VERIFIER = 'v'.repeat(43);
    const challengeOf = (text: string) => createHash('sha256').update(text).digest('base64url');

    /** Follows the redirects of an authorization request; what the page gets back, or the status of an error. */
    const authorize = async (changes: Record<string, string | undefined> = {}): Promise<URLSearchParams | number> => {
      const wanted = {
        response_type: 'code',
        client_id: 'browser-client',
        redirect_uri: `${PAGE}/`,
        scope: 'orders:read',
        state: 'state',
        code_challenge: challengeOf(VERIFIER),
        code_challenge_method: 'S256',
        dpop_jkt: await calculateJwkThumbprint(secrets.proofKey),
        ...changes,
      };
      const query = Object.entries(wanted).filter((pair): pair is [string, string] => pair[1] !== undefined);
      const cookies = new Map<string, string>();
      let url = `${withPage.issuer}/auth?${new URLSearchParams(query).toString()}`;
      for (let hop = 0; hop < 6; hop += 1) {
        const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
        const { status, fields } = await parties.send('nobody', { method: 'GET', url, fields: { cookie } });
        for (const line of [fields['set-cookie'] ?? []].flat()) {
          const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
          cookies.set(name, value);
        }
        if (typeof fields['location'] !== 'string') return status;
        url = new URL(fields['location'], url).href;
        if (!url.startsWith(withPage.issuer)) return new URL(url).searchParams;
      }
      throw new Error(`redirects for ever: ${url}`);
    };

    const redeem = async (code: string, { key = secrets.proofKey, verifier = VERIFIER } = {}) => {
      const url = `${withPage.issuer}/token`;
      const form = { client_id: 'browser-client', redirect_uri: `${PAGE}/`, code, code_verifier: verifier };
      return parties.send('nobody', {
        method: 'POST',
        url,
        fields: {
          'Content-Type': 'application/x-www-form-urlencoded',
          DPoP: await makeProof(key, { method: 'POST', url }),
        },
        body: new URLSearchParams({ grant_type: 'authorization_code', ...form }).toString(),
      });
    };
    const codeFor = async (changes?: Record<string, string | undefined>) => {
      const answer = await authorize(changes);
      assert.ok(answer instanceof URLSearchParams);
      assert.equal(answer.get('iss'), withPage.issuer);
      assert.equal(answer.get('state'), 'state');
      return String(answer.get('code'));
    };

    test('alice is logged in, and her token is bound to the key of the page', async () => {
      const { status, body } = await redeem(await codeFor());
      assert.equal(status, 200, body);
      const { access_token: token, token_type: type } = JSON.parse(body) as Record<string, string>;
      assert.equal(type, 'DPoP');
      const { sub, aud, client_id, scope, cnf } = JSON.parse(
        Buffer.from(token!.split('.')[1]!, 'base64url').toString(),
      ) as JWTPayload;
      const jkt = await calculateJwkThumbprint(secrets.proofKey);
      assert.deepEqual([sub, aud, client_id, scope], ['alice', AUDIENCE, 'browser-client', 'orders:read']);
      assert.deepEqual(cnf, { jkt });
    });

    test('a code is worth nothing with another key, another verifier, or a second time', async () => {
      assert.equal((await redeem(await codeFor(), { key: await makeKey() })).status, 400);
      assert.equal((await redeem(await codeFor(), { verifier: 'w'.repeat(43) })).status, 400);
      const code = await codeFor();
      assert.deepEqual([(await redeem(code)).status, (await redeem(code)).status], [200, 400]);
    });

    test('no code goes to another address, to another client, or without PKCE', async () => {
      assert.equal(await authorize({ redirect_uri: 'https://evil.example.com/' }), 400);
      assert.equal(await authorize({ redirect_uri: `${PAGE}/other` }), 400);
      assert.equal(await authorize({ client_id: 'dpop-client' }), 400);
      const unproved = await authorize({ code_challenge: undefined, code_challenge_method: undefined });
      assert.ok(unproved instanceof URLSearchParams);
      assert.deepEqual([unproved.get('code'), unproved.get('error')], [null, 'invalid_request']);
    });

    test('what would have to be asked of a person is denied, and nothing goes round in circles', async () => {
      const answer = await authorize({ prompt: 'consent' });
      assert.ok(answer instanceof URLSearchParams);
      assert.deepEqual([answer.get('code'), answer.get('error')], [null, 'access_denied']);
    });

    test('without a page there is no such client', async () => {
      const url = `${server.issuer}/auth?client_id=browser-client&response_type=code&redirect_uri=${PAGE}/`;
      assert.equal((await parties.send('nobody', { method: 'GET', url })).status, 400);
    });
  });
});
