// Every file of config/examples/ started as it is, and the promises of its comments.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { NonceKeys } from '../../src/proof/nonce.ts';
import { type Answered, ISSUER_KEY, sendRequest } from '../support/gateway.ts';
import { makeCa, makeCertificate, makeCrl } from '../support/pki.ts';
import { makeKey } from '../support/tokens.ts';
import { startBalancer } from './balancer.ts';
import { playDecides } from './decides.ts';
import {
  compileExample,
  copyExample,
  EXAMPLES,
  type Example,
  issue,
  type ProofWishes,
  prove,
  readExample,
  startExample,
  startIssuer,
  startKeys,
  THIEF,
  TLS,
} from './example.ts';
import { FAPI_FILES, playFapi } from './fapi.ts';
import { playMcp } from './mcp.ts';
import { playMoving } from './moving.ts';
import { playVersions } from './versions.ts';
import { playSigned } from './signed.ts';

const INTERNAL_CA = await makeCa({ subject: 'CN=Internal CA' });
const INTERNAL = await makeCertificate({ names: ['gateway.internal'], ca: INTERNAL_CA });
const ROOT = await makeCa({ subject: 'CN=Partner Root' });
const CA = await makeCa({ subject: 'CN=Partner CA', ca: ROOT });
const certify = (name: string) => makeCertificate({ names: [`${name}.partner.example`], ca: CA });
const PARTNER = await certify('one');
const OTHER_PARTNER = await certify('two');
const REVOKED = await certify('gone');
const CRLS = `${await makeCrl(ROOT, [])}${await makeCrl(CA, [REVOKED])}`;
const PARTNER_KEY = await makeKey('ES256', 'p1');
/** As `openssl rand -base64 32` writes them. */
const SECRETS = { 'secrets/nonce-a': `${'a'.repeat(43)}=\n`, 'secrets/nonce-b': `${'b'.repeat(43)}=\n` };

interface Play {
  /** The files that the first lines of the example name. */
  readonly files: Readonly<Record<string, string>>;
  /** What `check` has to say about it; the example explains each. */
  readonly warnings: readonly string[];
  /** One request that passes and one that does not, at least; or the file in which a real program takes part. */
  readonly play: ((t: TestContext, files: Play['files']) => Promise<void>) | 'programs.system.ts';
}

const PLAYS: Readonly<Record<string, Play>> = {
  'keycloak-behind-balancer.yaml': {
    files: {
      'tls/tls.crt': INTERNAL.chain,
      'tls/tls.key': INTERNAL.key,
      'tls/clients.pem': `${CA.cert}\n${ROOT.cert}`,
    },
    warnings: [
      'listeners[0].origins[0]: is not covered by any certificate of this listener, expected one that names its host',
    ],
    play: playKeycloak,
  },
  'haproxy-passes-tls-on.yaml': {
    files: { ...TLS, 'tls/clients.pem': `${CA.cert}\n${ROOT.cert}` },
    warnings: [],
    play: 'programs.system.ts',
  },
  'bearer-to-dpop-migration.yaml': {
    files: TLS,
    warnings: ['routes[0].require: lets unbound tokens pass on route orders: anyone who steals one can use it'],
    play: playMigration,
  },
  'sidecar-partner-certificates.yaml': {
    files: { ...TLS, 'tls/partners.pem': `${CA.cert}\n${ROOT.cert}`, 'tls/partners.crl': CRLS },
    warnings: [],
    play: playSidecar,
  },
  'browser-application-cors.yaml': { files: TLS, warnings: [], play: playBrowser },
  'several-issuers-one-host.yaml': { files: TLS, warnings: [], play: playIssuers },
  'two-policies-by-path.yaml': {
    files: TLS,
    warnings: ['routes[0].require: lets unbound tokens pass on route catalogue: anyone who steals one can use it'],
    play: playPolicies,
  },
  'nonce-rotation.yaml': { files: { ...TLS, ...SECRETS }, warnings: [], play: playRotation },
  'signed-payments.yaml': { files: TLS, warnings: [], play: playSigned },
  'mcp-server.yaml': { files: TLS, warnings: [], play: playMcp },
  'fapi.yaml': {
    files: FAPI_FILES,
    warnings: [
      'routes[3].require: is public on https://api.example.com, where route accounts asks for nonces of ours: a DPoP-Nonce of its upstream is removed',
    ],
    play: playFapi,
  },
  'moving-a-service.yaml': { files: TLS, warnings: [], play: playMoving },
  'versions-and-maintenance.yaml': { files: TLS, warnings: [], play: playVersions },
  'decides-for-nginx.yaml': { files: TLS, warnings: [], play: playDecides },
  'replicas-with-redis.yaml': {
    files: { ...TLS, 'secrets/redis': 'a-password-of-the-redis-user\n' },
    warnings: [],
    play: 'programs.system.ts',
  },
};

test('config/reference.yaml compiles as it is, so that what docs/configuration.md shows of it is good', (t) => {
  const files = {
    ...TLS,
    'tls/redis-ca.pem': CA.cert,
    'tls/internal-ca.pem': CA.cert,
    'secrets/introspection': 'a-secret-of-the-gateway\n',
    'secrets/assertion.pem': CA.key,
    'secrets/metadata.pem': CA.key,
    'secrets/exchange.jwk': FAPI_FILES['secrets/introspection.jwk'] ?? '',
    'secrets/redis': 'a-password-of-the-redis-user\n',
    'secrets/log.key': '0123456789abcdef0123456789abcdef\n',
    'secrets/otlp-token': 'Bearer of-the-collector\n',
  };
  const { warnings } = compileExample(copyExample(t, '../reference.yaml', files), {});
  assert.deepEqual(warnings, []);
});

suite('config/examples/', () => {
  test('every example is played here, and nothing else lies beside them', () => {
    assert.deepEqual(readdirSync(EXAMPLES).toSorted(), Object.keys(PLAYS).toSorted());
  });

  test('docs/examples.md names every example', () => {
    const page = readFileSync(join(EXAMPLES, '../../docs/examples.md'), 'utf8');
    const named = [...page.matchAll(/\| \[(\S+\.yaml)\]/g)].map(([, name]) => name ?? '');
    assert.deepEqual(named.toSorted(), Object.keys(PLAYS).toSorted());
  });

  for (const [name, { files, warnings, play }] of Object.entries(PLAYS)) {
    test(`${name} says its task, what it protects against, what to change, its files and how to start it`, () => {
      const [head = ''] = readExample(name).split('\nversion: 1\n', 1);
      const parts = ['Task: ', 'Protects against: ', 'Change: ', 'Files next to this one: ', 'Start: '];
      for (const part of parts) assert.match(head, new RegExp(`^# ${part}`, 'm'));
      for (const file of Object.keys(files)) assert.match(head, new RegExp(`\\b${file}\\b`));
      assert.ok(head.includes(`npm run --silent holdfast -- check --config config/examples/${name}`));
    });

    test(`${name} compiles as it is, without variables, and check warns only of what it explains`, (t) => {
      const { warnings: found } = compileExample(copyExample(t, name, files), {});
      assert.deepEqual(
        found.map(({ path, message }) => `${path}: ${message}`),
        warnings,
      );
      assert.equal(/`check`(?: then)? warns/.test(readExample(name)), warnings.length > 0);
    });

    if (play !== 'programs.system.ts')
      test(`${name} accepts what it should and refuses what it should`, (t) => play(t, files));
  }
});

const REALM = '/realms/shop';
/** As Keycloak spells them: typ in the payload too, azp in place of client_id, names of client scopes, roles. */
const KEYCLOAK_CLAIMS = {
  typ: 'DPoP',
  aud: ['https://api.example.com', 'account'],
  azp: 'shop-web',
  client_id: undefined,
  scope: 'openid orders profile',
  realm_access: { roles: ['offline_access', 'customer'] },
};

async function playKeycloak(t: TestContext, files: Play['files']): Promise<void> {
  const issuer = await startIssuer(t, REALM);
  const env = { KEYCLOAK_REALM: issuer, BALANCER_CIDR: '127.0.0.1/32' };
  const { upstream, port } = await startExample(t, 'keycloak-behind-balancer.yaml', files, ['ORDERS_URL'], env);
  const balancer = await startBalancer(t, port, INTERNAL_CA);
  const keycloakToken = (claims: object = {}) =>
    issue(issuer, { ...KEYCLOAK_CLAIMS, ...claims }, ISSUER_KEY, { typ: 'JWT' });

  const token = await keycloakToken();
  const forged = [['X-Forwarded-Host', 'evil.example'] as const, ['X-Auth-Client', 'admin'] as const];
  const { status } = await sendRequest(balancer, 'GET', '/orders/1', {
    ...(await prove(token, 'GET', '/orders/1')),
    fields: forged,
  });
  assert.equal(status, 200);
  const [seen] = upstream.seen;
  assert.equal(seen?.fields.one('X-Auth-Client'), 'shop-web');
  assert.equal(seen?.fields.one('X-Auth-Issuer'), issuer);
  assert.equal(seen?.fields.one('X-Forwarded-Host'), 'api.example.com');
  assert.equal(seen?.fields.one('X-Forwarded-For'), '127.0.0.1, 127.0.0.1');

  const bound = await keycloakToken({ cnf: { 'x5t#S256': PARTNER.thumbprint } });
  const withCertificate = await sendRequest(balancer, 'GET', '/orders/1', { token: bound, client: PARTNER });
  assert.equal(withCertificate.status, 200);
  assert.equal(upstream.seen[1]?.fields.one('X-Auth-Binding'), 'mtls');
  assert.deepEqual(upstream.seen[1]?.fields.all('ssl-client-cert'), []);

  const written = [['ssl-client-cert', encodeURIComponent(PARTNER.cert)] as const];
  const thief = await sendRequest(balancer, 'GET', '/orders/1', { token: bound, fields: written });
  refused(thief, 401, 'certificate_missing');
  const another = await sendRequest(balancer, 'GET', '/orders/1', { token: bound, client: OTHER_PARTNER });
  refused(another, 401, 'certificate_mismatch');
  const send = async (claims: object) =>
    sendRequest(balancer, 'GET', '/orders/1', await prove(await keycloakToken(claims), 'GET', '/orders/1'));
  refused(await send({ aud: 'account' }), 401, 'token_audience_mismatch');
  refused(await send({ aud: 'shop-web' }), 401, 'token_type_refused');
  refused(await send({ nonce: 'of the login' }), 401, 'token_type_refused');
  refused(await send({ realm_access: { roles: ['guest'] } }), 403, 'claim_mismatch');
  assert.equal(upstream.seen.length, 2);
}

async function playMigration(t: TestContext, files: Play['files']): Promise<void> {
  const issuer = await startIssuer(t);
  const example = await startExample(t, 'bearer-to-dpop-migration.yaml', files, ['ORDERS_URL'], {
    LOGIN_ISSUER: issuer,
  });
  const shadowed = () => example.count('holdfast_rejections_total', { route: 'orders', mode: 'shadow' });
  const forwarded = (binding: string) =>
    example.count('holdfast_requests_total', { route: 'orders', outcome: 'forwarded', binding });

  const unbound = await issue(issuer, { cnf: undefined });
  assert.equal((await example.call('GET', '/orders/1', { token: unbound })).status, 200);
  assert.equal(example.upstream.seen[0]?.fields.one('X-Auth-Binding'), 'none');
  assert.equal(example.upstream.seen[0]?.fields.one('X-Auth-Client'), 'shop');
  assert.equal(await shadowed(), 1);
  assert.equal(await example.count('holdfast_rejections_total', { mode: 'shadow', reason: 'binding_required' }), 1);

  const bound = await issue(issuer);
  const { status } = await example.call('GET', '/orders/1', await prove(bound, 'GET', '/orders/1'));
  assert.equal(status, 200);
  assert.equal(await shadowed(), 1);
  assert.deepEqual([await forwarded('none'), await forwarded('dpop')], [1, 1]);

  refused(await example.call('GET', '/orders/1', { token: bound }), 401, 'binding_downgraded');
  const challenges = (await example.call('GET', '/orders/1')).fields.all('WWW-Authenticate');
  assert.deepEqual(
    challenges.map((challenge) => challenge.split(' ', 1)[0]),
    ['DPoP', 'Bearer'],
  );
  assert.equal(example.upstream.seen.length, 2);
}

async function playSidecar(t: TestContext, files: Play['files']): Promise<void> {
  const issuer = await startIssuer(t);
  const { call, upstream } = await startExample(t, 'sidecar-partner-certificates.yaml', files, ['APP_URL'], {
    PARTNER_ISSUER: issuer,
  });
  const token = await issue(issuer, { cnf: { 'x5t#S256': PARTNER.thumbprint } });
  const forged = [['Client-Cert', ':Zm9yZ2Vk:'] as const];
  assert.equal((await call('POST', '/reports', { token, client: PARTNER, fields: forged, body: 'hello' })).status, 200);
  const asByteSequence = (der: Buffer) => `:${der.toString('base64')}:`;
  assert.equal(upstream.seen[0]?.body, 'hello');
  assert.equal(upstream.seen[0]?.fields.one('Client-Cert'), asByteSequence(PARTNER.der));
  assert.equal(
    upstream.seen[0]?.fields.one('Client-Cert-Chain'),
    [CA, ROOT].map(({ der }) => asByteSequence(der)).join(', '),
  );

  refused(await call('GET', '/reports', { token, client: OTHER_PARTNER }), 401, 'certificate_mismatch');
  const toKey = await prove(await issue(issuer), 'GET', '/reports');
  refused(await call('GET', '/reports', { ...toKey, client: PARTNER }), 401, 'binding_required');
  await assert.rejects(call('GET', '/reports', { token }));
  await assert.rejects(call('GET', '/reports', { token, client: REVOKED }));
  assert.equal(upstream.seen.length, 1);
}

async function playBrowser(t: TestContext, files: Play['files']): Promise<void> {
  const issuer = await startIssuer(t);
  const { call, upstream } = await startExample(t, 'browser-application-cors.yaml', files, ['ORDERS_URL'], {
    LOGIN_ISSUER: issuer,
  });
  const page = (origin: string, ...more: (readonly [string, string])[]) => [['Origin', origin] as const, ...more];
  const app = 'https://app.example.com';
  const preflight = (origin: string) =>
    call('OPTIONS', '/orders/1', {
      fields: page(
        origin,
        ['Access-Control-Request-Method', 'POST'],
        ['Access-Control-Request-Headers', 'authorization,dpop,content-type'],
      ),
    });
  const allowed = await preflight(app);
  assert.equal(allowed.status, 204);
  assert.equal(allowed.fields.one('Access-Control-Allow-Origin'), app);
  assert.equal(allowed.fields.one('Access-Control-Allow-Headers'), 'Authorization, DPoP, content-type');
  assert.equal(allowed.fields.one('Access-Control-Max-Age'), '600');
  assert.equal((await preflight('https://evil.example')).fields.one('Access-Control-Allow-Origin'), undefined);

  const token = await issue(issuer);
  const send = async (wishes: ProofWishes) =>
    call('POST', '/orders/1', { ...(await prove(token, 'POST', '/orders/1', wishes)), fields: page(app), body: '{}' });
  const challenged = await send({});
  refused(challenged, 401, 'nonce_required');
  assert.equal(challenged.fields.one('Access-Control-Allow-Origin'), app);
  assert.match(challenged.fields.one('Access-Control-Expose-Headers') ?? '', /DPoP-Nonce, WWW-Authenticate, Location/);
  const nonce = challenged.fields.one('DPoP-Nonce');
  upstream.answer = (_request, response) => response.writeHead(201, { 'access-control-allow-origin': '*' }).end();
  const created = await send({ nonce, skew: -3600 });
  assert.deepEqual([created.status, created.fields.one('Access-Control-Allow-Origin')], [201, app]);

  refused(await send({ nonce, key: THIEF }), 401, 'proof_key_mismatch');
  refused(await call('POST', '/orders/1', { token, fields: page(app), body: '{}' }), 401, 'binding_downgraded');
  assert.equal(upstream.seen.length, 1);
}

async function playIssuers(t: TestContext, files: Play['files']): Promise<void> {
  const env = { LOGIN_ISSUER: await startIssuer(t), PARTNER_KEYS: await startKeys(t, PARTNER_KEY) };
  const urls = ['ORDERS_URL', 'INVOICES_URL'];
  const { call, upstream } = await startExample(t, 'several-issuers-one-host.yaml', files, urls, env);
  const [orders, invoices] = ['https://api.example.com/orders', 'https://api.example.com/invoices'];
  const user = await issue(env.LOGIN_ISSUER, { aud: [orders, invoices] });
  const partner = await issue('https://partners.example.net', { aud: orders }, PARTNER_KEY);
  const send = async (token: string, path: string) => call('GET', path, await prove(token, 'GET', path));

  for (const [token, path] of [
    [user, '/orders/1'],
    [user, '/invoices/1'],
    [partner, '/orders/1'],
  ] as const) {
    assert.equal((await send(token, path)).status, 200);
  }
  assert.deepEqual(
    upstream.seen.map(({ fields }) => fields.one('X-Auth-Issuer')),
    [env.LOGIN_ISSUER, env.LOGIN_ISSUER, 'https://partners.example.net'],
  );

  refused(await send(partner, '/invoices/1'), 401, 'token_issuer_unknown');
  const ordersOnly = await issue(env.LOGIN_ISSUER, { aud: orders });
  refused(await send(ordersOnly, '/invoices/1'), 401, 'token_audience_mismatch');
  const crossed = await issue('https://partners.example.net', { aud: orders });
  refused(await send(crossed, '/orders/1'), 401, 'token_key_unknown');
  assert.equal(upstream.seen.length, 3);
}

async function playPolicies(t: TestContext, files: Play['files']): Promise<void> {
  const issuer = await startIssuer(t);
  const example = await startExample(t, 'two-policies-by-path.yaml', files, ['SHOP_URL'], { LOGIN_ISSUER: issuer });
  const { call, upstream } = example;
  const loggedIn = { acr: 'urn:example:loa3', auth_time: Math.floor(Date.now() / 1000) - 60 };
  const nonce = await nonceOf(example, await issue(issuer), '/payments/7');
  const send = async (method: string, path: string, claims: object) => {
    const token = await issue(issuer, { ...loggedIn, ...claims });
    return call(method, path, await prove(token, method, path, { nonce }));
  };

  const unbound = await issue(issuer, { cnf: undefined });
  assert.equal((await call('GET', '/catalogue/7', { token: unbound })).status, 200);
  assert.equal((await send('GET', '/payments/7', { scope: 'payments:read' })).status, 200);
  assert.equal((await send('POST', '/payments/7', { scope: 'payments:read payments:write' })).status, 200);
  const treasurer = { scope: 'payments:refund', tenant: 'acme', realm_access: { roles: ['staff', 'treasurer'] } };
  assert.equal((await send('POST', '/payments/refunds/7', treasurer)).status, 200);

  refused(await call('GET', '/payments/7', { token: unbound }), 401, 'binding_required');
  refused(await send('GET', '/payments/7', { scope: 'orders:read' }), 403, 'scope_insufficient');
  refused(await send('POST', '/payments/7', { scope: 'payments:write' }), 403, 'scope_insufficient');
  const stale = { scope: 'payments:read payments:write', auth_time: loggedIn.auth_time - 3600 };
  const insufficient = await send('POST', '/payments/7', stale);
  refused(insufficient, 401, 'authentication_insufficient');
  assert.match(insufficient.fields.one('WWW-Authenticate') ?? '', /acr_values="urn:example:loa3", max_age="600"/);
  refused(await send('POST', '/payments/refunds/7', { ...treasurer, tenant: 'other' }), 403, 'claim_mismatch');
  const reader = await send('GET', '/payments/refunds/7', { scope: 'payments:read' });
  refused(reader, 405, 'method_not_allowed');
  assert.equal(reader.fields.one('Allow'), 'POST');
  assert.equal(upstream.seen.length, 4);
}

async function playRotation(t: TestContext, files: Play['files']): Promise<void> {
  const issuer = await startIssuer(t);
  const env = { LOGIN_ISSUER: issuer };
  const example = await startExample(t, 'nonce-rotation.yaml', files, ['ORDERS_URL'], env);
  const keysOf = (text: string) => new NonceKeys([Buffer.from(text.trim())], example.policy.nonce.lifetime);
  const [before, after] = [SECRETS['secrets/nonce-a'], SECRETS['secrets/nonce-b']].map(keysOf);
  const now = Date.now() / 1000;
  const token = await issue(issuer);
  const send = async (nonce: string | undefined) =>
    example.call('GET', '/orders/1', await prove(token, 'GET', '/orders/1', { nonce }));

  assert.equal((await send(before?.mint(now))).status, 200);
  refused(await send(undefined), 401, 'nonce_required');
  const unknown = new NonceKeys([Buffer.from('c'.repeat(44))], 60).mint(now);
  const challenged = await send(unknown);
  refused(challenged, 401, 'nonce_stale');
  const fresh = challenged.fields.one('DPoP-Nonce') ?? '';
  assert.ok(after?.read(fresh, now));
  assert.equal(before?.read(fresh, now), undefined);
  assert.equal((await send(fresh)).status, 200);
  assert.equal(example.upstream.seen.length, 2);
}

/** From the challenge to a proof without one. */
async function nonceOf({ call }: Example, token: string, path: string): Promise<string | undefined> {
  const challenged = await call('POST', path, await prove(token, 'POST', path));
  refused(challenged, 401, 'nonce_required');
  return challenged.fields.one('DPoP-Nonce');
}

function refused(answer: Answered, status: number, reason: string): void {
  assert.deepEqual([answer.status, answer.reason], [status, reason]);
}
