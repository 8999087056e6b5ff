// The quickstart's authorization server: each kind of token, with its claims and binding.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { calculateJwkThumbprint, createLocalJWKSet, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import { type AuthorizationServer, startAuthorizationServer } from '../../quickstart/authorization-server.ts';
import { type DevelopmentCertificates, makeDevelopmentCertificates } from '../../quickstart/development-ca.ts';
import { makeProof } from '../../quickstart/dpop-client.ts';
import type { Answer } from '../../quickstart/answer.ts';
import { Parties, type Party, requestToken, type TokenKind } from '../../quickstart/parties.ts';
import { makeSecrets, type Secrets } from '../../quickstart/secrets.ts';

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
});
