// Tokens and answers of real authorization servers, end to end, with near misses.

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ISSUER_KEY, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { answering, type Asked, JSON_FIELDS } from '../support/introspector.ts';
import { json, serve } from '../support/issuer-server.ts';
import { makeKey, signParts } from '../support/tokens.ts';

const ROUTES = `
- { name: any, match: { path: /any/* }, upstream: orders, require: token, weaker_than_defaults: [require] }
- { name: scoped, match: { path: /scoped/* }, upstream: orders, require: token, scope: [read], weaker_than_defaults: [require] }
- { name: narrow, match: { path: /narrow/* }, upstream: orders, require: token, audience: [narrow], weaker_than_defaults: [require] }
`;
const IDENTITY = ['x-auth-subject', 'x-auth-client', 'x-auth-scope'];
type Json = Readonly<Record<string, unknown>>;

/** A gateway for one issuer, whose keys are in a file unless `issuer` says otherwise. */
async function start(
  t: TestContext,
  issuer = '',
  iss = 'https://login.example.com',
  keys = '{ jwks_file: keys.json }',
) {
  const gateway = await startTestGateway(t, {
    routes: ROUTES,
    issuers: `login: { issuer: "${iss}", audience: [api-1], keys: ${keys}${issuer && `, ${issuer}`} }`,
    files: { 'issuer.secret': 'secret of a test' },
  });
  const send = async (token: string, path = '/any/1') => {
    const { status, reason } = await gateway.request('GET', path, { token });
    return reason ?? status;
  };
  const sign = (claims: Json, header: Json = { typ: 'JWT' }) =>
    signParts(
      ISSUER_KEY,
      { alg: 'ES256', kid: 'k1', ...header },
      { iss, exp: gateway.now() + 300, sub: 'alice', ...claims },
    );
  const outcome = async (claims: Json, header?: Json, path?: string) => send(await sign(claims, header), path);
  return { gateway, send, sign, outcome };
}
const identityOf = (gateway: TestGateway) => {
  const { fields } = gateway.upstream.seen.at(-1) ?? assert.fail();
  return Object.fromEntries(IDENTITY.map((field) => [field, fields.all(field)]));
};

describe('access tokens whose issuer says what marks them', () => {
  const ONE_REGISTRATION = { aud: 'api-1', azp: 'api-1', scp: 'access_as_user' };
  const BACKWARDS = { aud: 'api-1', azp: 'spa', nonce: 'n-1', typ: 'Bearer', scope: '' };
  const FORMS: [name: string, setting: string, good: Json, bad: Json][] = [
    [
      'one registration',
      'access_token: { scp: present }',
      ONE_REGISTRATION,
      { aud: 'api-1', nonce: 'n', email: 'a@b' },
    ],
    ['a nonce', 'access_token: { typ: [Bearer, DPoP] }', BACKWARDS, { ...BACKWARDS, typ: 'ID' }],
    ['any', 'access_token: any', { aud: 'api-1', azp: 'api-1' }, { aud: 'api-1', azp: 'api-1', at_hash: 'x' }],
  ];
  for (const [name, setting, good, bad] of FORMS) {
    test(`${name}: with ${setting}, and not without`, async (t) => {
      const marked = await start(t, setting);
      assert.deepEqual([await marked.outcome(good), await marked.outcome(bad)], [200, 'token_type_refused']);
      assert.equal(await marked.outcome({ ...good, aud: 'other' }), 'token_audience_mismatch');
      const plain = await start(t);
      assert.equal(await plain.outcome(good), 'token_type_refused');
    });
  }

  test('an ID token that says so is refused whatever else it says', async (t) => {
    const { outcome } = await start(t);
    for (const claims of [{ token_use: 'id', email: 'a@b' }, { typ: 'ID' }, { typ: 'Refresh' }, { typ: 'Logout' }])
      assert.equal(await outcome({ aud: 'api-1', ...claims }), 'token_type_refused');
    assert.equal(await outcome({ aud: 'api-1', token_use: 'access', typ: 'Bearer' }), 200);
  });

  test('a token without aud passes by the claim that takes its place, and an aud that is there counts', async (t) => {
    const cognito = { client_id: 'api-1', token_use: 'access', scope: 'read' };
    const { outcome, gateway } = await start(t, 'audience_claim: client_id, access_token: { token_use: access }');
    assert.equal(await outcome(cognito, {}, '/scoped/1'), 200);
    assert.deepEqual(identityOf(gateway), {
      'x-auth-subject': ['alice'],
      'x-auth-client': ['api-1'],
      'x-auth-scope': ['read'],
    });
    assert.equal(await outcome({ ...cognito, client_id: 'other' }, {}), 'token_audience_mismatch');
    assert.equal(await outcome({ ...cognito, client_id: undefined }, {}), 'token_claim_invalid');
    assert.equal(await outcome({ ...cognito, client_id: ['api-1', 5] }, {}), 'token_claim_invalid');
    for (const aud of [[], '']) {
      assert.equal(await outcome({ ...cognito, aud }, {}), 200);
      assert.equal(await outcome({ ...cognito, aud, client_id: 'other' }, {}), 'token_audience_mismatch');
      assert.equal(await outcome({ ...cognito, aud, client_id: undefined }, {}), 'token_claim_invalid');
    }
    for (const aud of ['other', ['other'], ['']]) {
      assert.equal(await outcome({ ...cognito, aud }, {}), 'token_audience_mismatch');
    }
    assert.equal(await outcome({ ...cognito, aud: null }, {}), 'token_claim_invalid');
    assert.equal(await outcome({ aud: 'api-1', token_use: 'id' }, {}), 'token_type_refused');
    assert.equal(await outcome(cognito, {}, '/narrow/1'), 'token_audience_mismatch');
    assert.equal(await outcome({ ...cognito, client_id: ['narrow', 'api-1'] }, {}, '/narrow/1'), 'token_claim_invalid');
    const plain = await start(t);
    assert.equal(await plain.outcome(cognito, {}), 'token_claim_invalid');
    assert.equal(await plain.outcome({ ...cognito, aud: [] }, {}), 'token_audience_mismatch');
  });
});

test('empty claims refuse nothing and make no field; scp reaches X-Auth-Scope', async (t) => {
  const { outcome, gateway } = await start(t);
  for (const scope of ['', [], ' ']) {
    assert.equal(await outcome({ aud: 'api-1', scope, client_id: '', azp: 'spa', sub: '' }), 200);
    assert.deepEqual(identityOf(gateway), { 'x-auth-subject': [], 'x-auth-client': ['spa'], 'x-auth-scope': [] });
    assert.equal(await outcome({ aud: 'api-1', scope }, {}, '/scoped/1'), 'scope_insufficient');
  }
  assert.equal(await outcome({ aud: 'api-1', scope: 'read write ' }, {}, '/scoped/1'), 200);
  assert.deepEqual(identityOf(gateway)['x-auth-scope'], ['read write']);
  assert.equal(await outcome({ aud: 'api-1', scp: ['read', 'write'], appid: 'job' }, {}, '/scoped/1'), 200);
  assert.deepEqual(identityOf(gateway), {
    'x-auth-subject': ['alice'],
    'x-auth-client': ['job'],
    'x-auth-scope': ['read write'],
  });
});

test('a key without alg verifies what the list of the issuer has, one token as another', async (t) => {
  const key = await makeKey('RS256', 'rsa');
  const { alg: _alg, ...jwk } = key.jwk;
  const server = await serve(t);
  server.answer = (request, response) =>
    response
      .writeHead(200, { 'content-encoding': 'gzip' })
      .end(gzipSync(JSON.stringify({ keys: [{ ...jwk, use: 'sig' }] })));
  const iss = 'http://adfs.example.com/adfs/services/trust';
  const { send, gateway } = await start(t, 'algorithms: [RS512, PS256]', iss, `{ jwks_uri: "${server.origin}" }`);
  const claims = { iss, aud: 'api-1', exp: gateway.now() + 300 };
  const by = async (alg: string) => send(await signParts({ ...key, alg }, { alg, kid: 'rsa' }, claims));
  assert.deepEqual(
    [await by('RS512'), await by('PS256'), await by('RS512'), await by('RS256'), await by('PS512')],
    [200, 200, 200, 'token_algorithm_refused', 'token_algorithm_refused'],
  );
});

describe('answers of issuers that are asked', () => {
  async function asking(t: TestContext, answer: Json, setting = '', more = '') {
    const server = await serve(t);
    server.answer = answering([], json(answer, JSON_FIELDS));
    const introspection = `introspection: { endpoint: "${server.origin}/introspect", client_id: gateway, client_secret_file: issuer.secret${setting} }`;
    const { send, gateway } = await start(t, introspection + more);
    return { send: (path?: string) => send('opaque', path), gateway };
  }
  const until = { exp: Math.floor(Date.now() / 1000) + 3600 };
  const HYDRA = {
    active: true,
    token_type: 'Bearer',
    token_use: 'access_token',
    client_id: 'c',
    sub: 's',
    aud: [],
    ...until,
  };
  const BARE = { active: true, scope: 'read', client_id: 'c', username: 'u', ...until };
  const SALESFORCE = { active: true, scope: 'id api', token_type: 'access_token', client_id: 'c', ...until };

  test('an empty aud counts as absent: it passes where none is demanded', async (t) => {
    const { send } = await asking(t, HYDRA);
    assert.deepEqual([await send(), await send('/narrow/1')], [200, 'token_audience_mismatch']);
    const refresh = await asking(t, { ...HYDRA, token_use: 'refresh_token' });
    assert.equal(await refresh.send(), 'token_type_refused');
  });

  test('neither token_type nor aud: where the setting says that the endpoint vouches for access tokens', async (t) => {
    assert.equal(await (await asking(t, BARE)).send(), 'token_type_refused');
    const vouched = await asking(t, BARE, ', access_token: any');
    assert.deepEqual([await vouched.send(), await vouched.send('/narrow/1')], [200, 'token_audience_mismatch']);
    for (const more of [{ token_use: 'refresh_token' }, { token_type: 'refresh_token' }, { typ: 'Refresh' }])
      assert.equal(await (await asking(t, { ...BARE, ...more }, ', access_token: any')).send(), 'token_type_refused');
    for (const active of ['true', 1]) {
      const unsaid = await asking(t, { ...BARE, active }, ', access_token: any');
      assert.equal(await unsaid.send(), 'issuer_unavailable');
    }
    const expired = await asking(t, { ...BARE, exp: 1_000_000_000 }, ', access_token: any');
    assert.equal(await expired.send(), 'token_expired');
  });

  test('another word for Bearer: where the setting names it', async (t) => {
    assert.equal(await (await asking(t, SALESFORCE)).send(), 'token_type_refused');
    const named = ', access_token: { token_type: access_token }';
    assert.equal(await (await asking(t, SALESFORCE, named)).send(), 200);
    assert.equal(
      await (await asking(t, { ...SALESFORCE, token_type: 'refresh_token' }, named)).send(),
      'token_type_refused',
    );
    assert.equal(await (await asking(t, BARE, named)).send(), 'token_type_refused');
  });

  test('an audience in another claim counts, and satisfies a route that demands one', async (t) => {
    const by = (client_id: string) =>
      asking(t, { ...BARE, client_id }, ', access_token: any', ', audience_claim: client_id');
    assert.equal(await (await by('api-1')).send(), 200);
    assert.equal(await (await by('other')).send(), 'token_audience_mismatch');
    assert.equal(await (await by('api-1')).send('/narrow/1'), 'token_audience_mismatch');
  });

  /** An issuer that answers about tokens with JWTs, signed by `key`. */
  async function signing(
    t: TestContext,
    answer: Json,
    key = ISSUER_KEY,
    mediaType = 'application/token-introspection+jwt',
  ) {
    const server = await serve(t);
    const asked: Asked[] = [];
    const claims = { iss: 'https://login.example.com', aud: 'gateway', iat: Math.floor(Date.now() / 1000), ...answer };
    const text = await signParts(key, { alg: 'ES256', kid: 'k1', typ: 'token-introspection+jwt' }, claims);
    server.answer = answering(asked, json(text, { 'content-type': mediaType }));
    const introspection = `introspection: { endpoint: "${server.origin}/introspect", client_id: gateway, client_secret_file: issuer.secret, signed: true }`;
    const { send, gateway } = await start(t, introspection);
    return { send: () => send('opaque'), gateway, asked };
  }
  const SAYS = { active: true, token_type: 'Bearer', aud: 'api-1', sub: 'alice', scope: 'read', ...until };

  test('signed ones are asked for, and verified by the keys of the issuer (RFC 9701)', async (t) => {
    const { send, gateway, asked } = await signing(t, { token_introspection: SAYS });
    assert.equal(await send(), 200);
    assert.deepEqual(identityOf(gateway), {
      'x-auth-subject': ['alice'],
      'x-auth-client': [],
      'x-auth-scope': ['read'],
    });
    assert.equal(asked[0]?.fields.accept, 'application/token-introspection+jwt');
    const inactive = await signing(t, { token_introspection: { active: false } });
    assert.equal(await inactive.send(), 'token_inactive');
  });

  test('unsigned ones, and those signed by another key, say nothing where signed ones are expected', async (t) => {
    const forged = await signing(t, { token_introspection: SAYS }, await makeKey('ES256', 'k1'));
    assert.equal(await forged.send(), 'issuer_unavailable');
    const elsewhere = await signing(t, { token_introspection: SAYS, aud: 'another server' });
    assert.equal(await elsewhere.send(), 'issuer_unavailable');
    const plain = await signing(t, { token_introspection: SAYS }, ISSUER_KEY, 'application/json');
    assert.equal(await plain.send(), 'issuer_unavailable');
    const unsigned = await asking(t, SAYS, ', signed: true');
    assert.equal(await unsigned.send(), 'issuer_unavailable');
    const lines = forged.gateway.log.filter(({ msg }) => msg === 'the issuer gave no answer about a token');
    assert.deepEqual(
      lines.map(({ error }) => error),
      ['the signed answer is refused: the signature does not count: token_signature_invalid'],
    );
  });
});

test('an issuer that no route uses does not hold back readiness, one that a route uses does', async (t) => {
  const issuers = (names: string) => ({
    routes: `- { name: any, match: { path: /any/* }, upstream: orders, issuers: [${names}] }`,
    issuers: `login: { issuer: "https://login.example.com", audience: [api-1], keys: { jwks_file: keys.json } }
spare: { issuer: "https://spare.example.com", audience: [api-1], keys: { jwks_uri: "http://127.0.0.1:9/keys" } }`,
  });
  const unused = await startTestGateway(t, issuers('login'));
  assert.equal((await unused.page('/readyz')).status, 200);
  const used = await startTestGateway(t, { ...issuers('login, spare'), unready: true });
  assert.equal((await used.page('/readyz')).status, 503);
});
