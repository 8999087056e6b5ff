// A real Keycloak: its tokens, its introspection answers, its ended sessions.

import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { exportJWK } from 'jose';
import { Agent, request } from 'undici';
import { CLIENT, dpop, HOLDER, OTHER_CLIENT, THIEF } from '../gateway/credentials.ts';
import { CLIENT_CA, CLIENT_ROOT, type GatewayWishes, startTestGateway } from '../support/gateway.ts';
import { makeCa, makeCertificate, type TestCertificate } from '../support/pki.ts';
import { freePort, startProgram } from '../support/programs.ts';
import { AUDIENCE, makeKey, makeProof, type TestKey } from '../support/tokens.ts';
import { CALLBACK, REALM, realm, SECRET, UPSTREAM, USER } from './keycloak-realm.ts';
import { findKeycloak } from './programs.ts';

const found = findKeycloak();
const ADMIN = { username: 'admin', password: 'admin of a test' };
/** Milliseconds: it is a large program, and sets up a database each time. */
const PATIENCE = 240_000;

const ROUTES = `
- { name: any, match: { path: /any/* }, upstream: orders, require: token, weaker_than_defaults: [require] }
- { name: dpop, match: { path: /dpop/* }, upstream: orders, require: dpop, scope: [orders:read] }
- { name: mtls, match: { path: /mtls/* }, upstream: orders, require: mtls, scope: [orders:read] }
`;
const METHODS = {
  secret: 'client_id: gateway, client_secret_file: gateway.secret',
  key: 'client_id: gateway-by-key, private_key_file: gateway.jwk',
  certificate: 'client_id: gateway-by-certificate, cert: gateway.crt, key_file: gateway.key',
};

describe('Keycloak', { skip: 'skip' in found ? found.skip : false, timeout: PATIENCE }, () => {
  const cleanups: (() => unknown)[] = [];
  const agents = new Map<string | undefined, Agent>();
  let origin: string;
  let issuer: string;
  let ca: TestCertificate;
  let gatewayCertificate: TestCertificate;
  let gatewayKey: TestKey;

  before(
    async () => {
      ca = await makeCa({ subject: 'CN=Issuer CA' });
      const own = await makeCertificate({ names: ['localhost'], ca });
      gatewayCertificate = await makeCertificate({ subject: 'CN=gateway.internal', ca });
      gatewayKey = await makeKey('ES256', 'gateway');
      const folder = mkdtempSync(join(tmpdir(), 'holdfast-keycloak-'));
      const clients = [ca, CLIENT_CA, CLIENT_ROOT].map(({ cert }) => cert).join('\n');
      const files = { 'own.pem': own.chain, 'own.key': own.key, 'clients.pem': clients };
      for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
      const [port, management] = [await freePort(), await freePort()];
      origin = `https://localhost:${port}`;
      issuer = `${origin}/realms/${REALM}`;
      const args = [
        'start',
        '--optimized',
        '--cache=local',
        '--http-enabled=false',
        '--http-host=127.0.0.1',
        `--https-port=${port}`,
        `--http-management-port=${management}`,
        `--hostname=${origin}`,
        `--https-certificate-file=${join(folder, 'own.pem')}`,
        `--https-certificate-key-file=${join(folder, 'own.key')}`,
        `--https-trust-store-file=${join(folder, 'clients.pem')}`,
      ];
      const env = { KC_BOOTSTRAP_ADMIN_USERNAME: ADMIN.username, KC_BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password };
      const file = 'file' in found ? found.file : '';
      await startProgram(
        { after: (end: () => unknown) => cleanups.push(end) },
        {
          file,
          args,
          env,
          script: true,
          folder,
          ports: [port],
        },
      );
      await admin('/admin/realms', realm(gatewayKey.jwk));
    },
    { timeout: PATIENCE },
  );

  after(async () => {
    for (const agent of agents.values()) await agent.destroy();
    for (const end of cleanups.toReversed()) await end();
  });

  async function send(
    url: string,
    body: string,
    fields: Record<string, string>,
    by?: TestCertificate,
  ): Promise<string> {
    const shown = by && { cert: by.chain, key: by.key };
    const agent = agents.get(by?.thumbprint) ?? new Agent({ connect: { ca: ca.cert, ...shown } });
    agents.set(by?.thumbprint, agent);
    const { statusCode, body: answer } = await request(url, {
      dispatcher: agent,
      method: 'POST',
      headers: fields,
      body,
    });
    const text = await answer.text();
    assert.ok(statusCode < 300, `${url}: ${statusCode} ${text}`);
    return text;
  }
  const form = { 'content-type': 'application/x-www-form-urlencoded' };

  async function admin(path: string, body: object): Promise<void> {
    const login = new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', ...ADMIN }).toString();
    const answer = await send(`${origin}/realms/master/protocol/openid-connect/token`, login, form);
    const authorization = `Bearer ${String(JSON.parse(answer).access_token)}`;
    await send(`${origin}${path}`, JSON.stringify(body), { authorization, 'content-type': 'application/json' });
  }

  /** An access token of client_credentials. */
  async function issue(
    to: { readonly key?: TestKey; readonly certificate?: TestCertificate; readonly client?: string } = {},
  ): Promise<string> {
    const client = to.client ?? (to.certificate ? 'mtls' : to.key ? 'dpop' : 'bearer');
    const url = `${issuer}/protocol/openid-connect/token`;
    const claims = { ath: undefined };
    const proof = to.key && (await makeProof(to.key, Date.now() / 1000, { method: 'POST', url, claims }));
    const wanted = new URLSearchParams({ grant_type: 'client_credentials', client_id: client, client_secret: SECRET });
    const answer = await send(url, wanted.toString(), { ...form, ...(proof && { dpop: proof }) }, to.certificate);
    return String(JSON.parse(answer).access_token);
  }

  /** Access token and ID token of a user who logs in, as a browser gets them. */
  async function login(): Promise<{ readonly access_token: string; readonly id_token: string }> {
    const endpoint = `${issuer}/protocol/openid-connect`;
    const dispatcher = new Agent({ connect: { ca: ca.cert } });
    cleanups.push(() => dispatcher.destroy());
    const asked = new URLSearchParams({
      response_type: 'code',
      client_id: 'browser',
      redirect_uri: CALLBACK,
      scope: 'openid',
      nonce: 'a nonce of the login',
    });
    const page = await request(`${endpoint}/auth?${asked.toString()}`, { dispatcher });
    const action = /action="([^"]+)"/.exec(await page.body.text())?.[1]?.replaceAll('&amp;', '&');
    const cookie = [page.headers['set-cookie'] ?? []]
      .flat()
      .map((one) => one.split(';')[0])
      .join('; ');
    const body = new URLSearchParams(USER).toString();
    const entered = await request(action ?? assert.fail('no form to log in'), {
      dispatcher,
      method: 'POST',
      headers: { ...form, cookie },
      body,
    });
    await entered.body.dump();
    const code = new URL(String(entered.headers.location)).searchParams.get('code') ?? assert.fail('no code');
    const exchanged = new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      redirect_uri: CALLBACK,
      client_id: 'browser',
      client_secret: SECRET,
    });
    return JSON.parse(await send(`${endpoint}/token`, exchanged.toString(), form));
  }

  const revoke = (token: string, client: string) =>
    send(
      `${issuer}/protocol/openid-connect/revoke`,
      new URLSearchParams({
        token,
        token_type_hint: 'access_token',
        client_id: client,
        client_secret: SECRET,
      }).toString(),
      form,
    );

  async function start(
    t: TestContext,
    introspection?: string,
    { audience = AUDIENCE, setting = '', routes = ROUTES } = {},
  ) {
    const asked = introspection === undefined ? '' : `, introspection: { ${introspection} }`;
    const wishes: GatewayWishes = {
      listener: 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }',
      routes,
      issuers: `login: { issuer: "${issuer}", audience: ["${audience}"], ca_file: issuer-ca.pem${asked}${setting} }`,
      files: {
        'issuer-ca.pem': ca.cert,
        'gateway.secret': SECRET,
        'gateway.jwk': JSON.stringify({ ...(await exportJWK(gatewayKey.privateKey)), kid: 'gateway', alg: 'ES256' }),
        'gateway.crt': gatewayCertificate.chain,
        'gateway.key': gatewayCertificate.key,
      },
    };
    return startTestGateway(t, wishes);
  }
  const outcome = async (answer: Promise<{ status: number; reason: string | undefined }>) => {
    const { status, reason } = await answer;
    return reason ?? status;
  };

  test('binds a token to a key: its holder alone can use it', async (t) => {
    const gateway = await start(t);
    const token = await issue({ key: HOLDER });
    assert.equal(await outcome(dpop(gateway, 'GET', '/dpop/1', { token })), 200);
    const { fields } = gateway.upstream.seen.at(-1) ?? assert.fail();
    const said = ['x-auth-issuer', 'x-auth-client', 'x-auth-scope', 'x-auth-binding', 'x-auth-thumbprint'];
    assert.deepEqual(
      said.map((field) => fields.one(field)),
      [issuer, 'dpop', 'orders:read', 'dpop', HOLDER.jkt],
    );
    assert.equal(
      await outcome(dpop(gateway, 'GET', '/dpop/1', { token, proving: { key: THIEF } })),
      'proof_key_mismatch',
    );
    assert.equal(await outcome(gateway.request('GET', '/any/1', { token })), 'binding_downgraded');
  });

  test('binds a token to a certificate: whoever shows it can use it, and nobody else', async (t) => {
    const gateway = await start(t);
    const token = await issue({ certificate: CLIENT });
    assert.equal(await outcome(gateway.request('GET', '/mtls/1', { token, client: CLIENT })), 200);
    assert.equal(
      await outcome(gateway.request('GET', '/mtls/1', { token, client: OTHER_CLIENT })),
      'certificate_mismatch',
    );
    assert.equal(await outcome(gateway.request('GET', '/any/1', { token })), 'certificate_missing');
  });

  test('binds no token of a client that does not ask for it', async (t) => {
    const gateway = await start(t);
    const token = await issue();
    assert.equal(await outcome(gateway.request('GET', '/any/1', { token })), 200);
    assert.equal(await outcome(gateway.request('GET', '/mtls/1', { token, client: CLIENT })), 'binding_required');
  });

  const claimsOf = (token: string): Record<string, unknown> =>
    JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  const EXCHANGE = {
    setting: ', token_exchange: { client_id: exchanger, client_secret_file: gateway.secret }',
    routes: [UPSTREAM, 'nobody']
      .map(
        (audience) => `
- name: ${audience}
  match: { path: /${audience}/* }
  upstream: orders
  require: token
  forward: { authorization: exchange, token_exchange: { audience: [${audience}] } }
  weaker_than_defaults: [require, authorization]
`,
      )
      .join(''),
  };

  test('exchanges tokens that name the gateway for those of the upstream, bound ones too, and no others', async (t) => {
    const gateway = await start(t, undefined, EXCHANGE);
    const token = await issue({ client: 'exchangeable' });
    assert.equal(await outcome(gateway.request('GET', `/${UPSTREAM}/1`, { token })), 200);
    const bearer = () => (gateway.upstream.seen.at(-1)?.fields.one('authorization') ?? '').replace(/^Bearer /, '');
    const { aud, azp, sub } = claimsOf(bearer());
    assert.deepEqual([aud, azp, sub], [UPSTREAM, 'exchanger', claimsOf(token).sub]);
    const bound = await issue({ client: 'exchangeable-dpop', key: HOLDER });
    assert.equal(await outcome(dpop(gateway, 'GET', `/${UPSTREAM}/1`, { token: bound })), 200);
    assert.equal(claimsOf(bearer()).cnf, undefined);
    // It answers invalid_client to the one, access_denied to the other.
    assert.equal(await outcome(gateway.request('GET', '/nobody/1', { token })), 'token_exchange_unavailable');
    const stranger = gateway.request('GET', `/${UPSTREAM}/1`, { token: await issue() });
    assert.equal(await outcome(stranger), 'token_exchange_refused');
  });

  const MARKED = { setting: ', access_token: { typ: [Bearer, DPoP] }' };

  test('gives a client without scopes an empty one, which is no scope and no field', async (t) => {
    const gateway = await start(t);
    const token = await issue({ client: 'quiet' });
    assert.equal(claimsOf(token).scope, '');
    assert.equal(await outcome(gateway.request('GET', '/any/1', { token })), 200);
    const { fields } = gateway.upstream.seen.at(-1) ?? assert.fail();
    assert.deepEqual([fields.one('x-auth-client'), fields.one('x-auth-scope')], ['quiet', undefined]);
  });

  test('marks its tokens: with a nonce of the login an access token passes where typ is the mark, an ID token nowhere', async (t) => {
    const { access_token: token, id_token: idToken } = await login();
    const [access, identity] = [claimsOf(token), claimsOf(idToken)];
    assert.deepEqual([access.typ, access.nonce, access.azp], ['Bearer', 'a nonce of the login', 'browser']);
    assert.deepEqual([identity.typ, identity.aud], ['ID', 'browser']);
    const guessing = await start(t);
    assert.equal(await outcome(guessing.request('GET', '/any/1', { token })), 'token_type_refused');
    const marked = await start(t, undefined, MARKED);
    assert.equal(await outcome(marked.request('GET', '/any/1', { token })), 200);
    for (const setting of ['', MARKED.setting, ', access_token: any', ', access_token: { azp: present }']) {
      const gateway = await start(t, undefined, { audience: 'browser', setting });
      assert.equal(await outcome(gateway.request('GET', '/any/1', { token: idToken })), 'token_type_refused', setting);
    }
  });

  test('makes a client the audience of its own tokens, which pass where typ is the mark', async (t) => {
    const token = await issue({ client: 'self' });
    const { aud, azp, typ } = claimsOf(token);
    assert.deepEqual([aud, azp, typ], ['self', 'self', 'Bearer']);
    const guessing = await start(t, undefined, { audience: 'self' });
    assert.equal(await outcome(guessing.request('GET', '/any/1', { token })), 'token_type_refused');
    const marked = await start(t, undefined, { audience: 'self', ...MARKED });
    assert.equal(await outcome(marked.request('GET', '/any/1', { token })), 200);
    const bound = await issue({ key: HOLDER });
    assert.match(String(claimsOf(bound).typ), /^(?:Bearer|DPoP)$/);
    const other = await start(t, undefined, MARKED);
    assert.equal(await outcome(dpop(other, 'GET', '/dpop/1', { token: bound })), 200);
  });

  for (const [name, method] of Object.entries(METHODS)) {
    test(`answers about its tokens to a gateway that says who it is by its ${name}, and a revoked one is refused`, async (t) => {
      const gateway = await start(t, `${method}, always: true, cache: 0s`);
      const [toKey, toCertificate] = [await issue({ key: HOLDER }), await issue({ certificate: CLIENT })];
      const asHolder = () => outcome(dpop(gateway, 'GET', '/dpop/1', { token: toKey }));
      const withCertificate = () =>
        outcome(gateway.request('GET', '/mtls/1', { token: toCertificate, client: CLIENT }));
      assert.deepEqual([await asHolder(), await withCertificate()], [200, 200]);
      await revoke(toCertificate, 'mtls');
      assert.deepEqual([await asHolder(), await withCertificate()], [200, 'token_inactive']);
      assert.equal(await gateway.count('holdfast_introspections_total', { result: 'inactive' }), 1);
    });
  }
});
