// Good requests as the upstream sees them: verified identity, and no forged one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOST, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { ISSUER } from '../support/tokens.ts';
import { CLIENT, dpop, HOLDER, issue, MARK, prove, SUBJECT, TO_BOTH, TO_CERTIFICATE, TO_KEY } from './credentials.ts';

const ROUTES = `
- { name: any, match: { path: /any/* }, upstream: orders, require: token, weaker_than_defaults: [require] }
- { name: bound, match: { path: /bound/* }, upstream: orders }
- { name: dpop, match: { path: /dpop/*, methods: [GET, POST] }, upstream: orders, require: dpop }
- { name: mtls, match: { path: /mtls/* }, upstream: orders, require: mtls }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
- name: bearer
  match: { path: /bearer/* }
  upstream: orders
  forward: { authorization: bearer, host: upstream }
  weaker_than_defaults: [authorization]
- name: as-received
  match: { path: /as-received/* }
  upstream: orders
  forward: { authorization: as-received }
  weaker_than_defaults: [authorization]
- { name: strip, match: { path: /strip/* }, upstream: orders, rewrite: { strip_prefix: /strip } }
- { name: slash, match: { path: /slash/* }, upstream: orders, encoded: [slash], weaker_than_defaults: [encoded] }
`;
const CERTIFICATES = 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }';

/** What every request brings to the upstream, beside who is calling. */
const ABOUT_THE_WAY = {
  Host: HOST,
  Forwarded: `for=127.0.0.1;host=${HOST};proto=https`,
  'X-Forwarded-For': '127.0.0.1',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': HOST,
};
const ABOUT_ALICE = {
  'X-Auth-Issuer': ISSUER,
  'X-Auth-Subject': SUBJECT,
  'X-Auth-Client': `${MARK}-shop`,
  'X-Auth-Scope': 'orders:read',
};

const inLowerCase = (fields: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]));

/** All fields of the newest request at the upstream but Via and Connection; names in lower case, each once. */
function seenBy({ upstream }: TestGateway): Record<string, string> {
  const { fields } = upstream.seen.at(-1) ?? assert.fail('nothing reached the upstream');
  const lines = fields.lines.map(([name, value]) => [name.toLowerCase(), value] as const);
  const others = lines.filter(([name]) => name !== 'via' && name !== 'connection');
  const seen = Object.fromEntries(others);
  assert.equal(Object.keys(seen).length, others.length, 'a field is there twice');
  return seen;
}

type Lines = readonly (readonly [name: string, value: string])[];

/** What clients write who would like to be somebody else, or elsewhere. */
const forged: Lines = [
  ...Object.entries({ ...ABOUT_ALICE, 'X-Auth-Binding': 'mtls', 'X-Auth-Thumbprint': 'forged' }),
  ...`Forwarded X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Anything X-Real-IP Client-Cert
  Client-Cert-Chain X-Forwarded-Client-Cert ssl-client-cert X-Client-Cert X-SSL-Client-Cert X-Original-URL X-Rewrite-URL
  X-HTTP-Method-Override X-Request-Id`
    .split(/\s+/)
    .map((name) => [name, 'for=forged;by=forged'] as const),
];
/** The same in another case, as HTTP does not tell them apart. */
const shouted: Lines = forged.map(([name, value]) => [name.toUpperCase(), value] as const);

test('a good request is forwarded with exactly what was verified about its sender', async (t) => {
  const gateway = await startTestGateway(t, { listener: CERTIFICATES, routes: ROUTES });
  const senders = [
    {
      sender: 'the bearer of an unbound token',
      send: async (fields: Lines) => gateway.request('GET', '/any/1', { token: await issue(gateway), fields }),
      sees: { ...ABOUT_ALICE, 'X-Auth-Binding': 'none' },
    },
    {
      sender: 'the holder of a key',
      send: (fields: Lines) => dpop(gateway, 'GET', '/dpop/1', { fields }),
      sees: { ...ABOUT_ALICE, 'X-Auth-Binding': 'dpop', 'X-Auth-Thumbprint': HOLDER.jkt },
    },
    {
      sender: 'the holder of a certificate',
      send: async (fields: Lines) =>
        gateway.request('GET', '/mtls/1', { token: await issue(gateway, TO_CERTIFICATE), client: CLIENT, fields }),
      sees: { ...ABOUT_ALICE, 'X-Auth-Binding': 'mtls', 'X-Auth-Thumbprint': CLIENT.thumbprint },
    },
    {
      sender: 'the holder of both',
      send: (fields: Lines) => dpop(gateway, 'GET', '/bound/1', { claims: TO_BOTH, client: CLIENT, fields }),
      sees: { ...ABOUT_ALICE, 'X-Auth-Binding': 'dpop+mtls', 'X-Auth-Thumbprint': HOLDER.jkt },
    },
    {
      sender: 'anybody on a public route',
      send: (fields: Lines) => gateway.request('GET', '/open/1', { fields }),
      sees: {},
    },
  ];
  for (const { sender, send, sees } of senders) {
    for (const [fields, lies] of [
      [[], 'without lies'],
      [forged, 'with forged fields'],
      [shouted, 'with shouted ones'],
    ] as const) {
      await t.test(`${sender}, ${lies}`, async () => {
        const answer = await send(fields);
        assert.deepEqual([answer.status, answer.body], [200, 'from the upstream']);
        const aboutTheRequest = { 'X-Request-Id': answer.fields.one('X-Request-Id') ?? '' };
        assert.match(aboutTheRequest['X-Request-Id'], /^[0-9a-f-]{36}$/);
        assert.deepEqual(seenBy(gateway), inLowerCase({ ...ABOUT_THE_WAY, ...aboutTheRequest, ...sees }));
        assert.deepEqual(gateway.upstream.seen.at(-1)?.fields.all('via'), [`1.1 holdfast-${gateway.policy.id}`]);
      });
    }
  }
});

test('both bindings of a token that has two must be shown', async (t) => {
  const gateway = await startTestGateway(t, { listener: CERTIFICATES, routes: ROUTES });
  const token = await issue(gateway, TO_BOTH);
  const proofAlone = await dpop(gateway, 'GET', '/bound/1', { token });
  const certificateAlone = await gateway.request('GET', '/bound/1', { token, client: CLIENT });
  assert.deepEqual([proofAlone.reason, certificateAlone.reason], ['certificate_missing', 'binding_downgraded']);
});

test('credentials reach the upstream as the route says, and as received on public routes', async (t) => {
  const gateway = await startTestGateway(t, { listener: CERTIFICATES, routes: ROUTES });
  const seen = (...names: string[]) => names.map((name) => gateway.upstream.seen.at(-1)?.fields.one(name));
  const token = await issue(gateway, TO_KEY);

  await t.test('remove: neither token nor proof', async () => {
    assert.equal((await dpop(gateway, 'GET', '/dpop/1', { token })).status, 200);
    assert.deepEqual(seen('authorization', 'dpop'), [undefined, undefined]);
  });
  await t.test('bearer: the token as Bearer without the proof, which nobody else could verify', async () => {
    assert.equal((await dpop(gateway, 'GET', '/bearer/1', { token })).status, 200);
    assert.deepEqual(seen('authorization', 'dpop'), [`Bearer ${token}`, undefined]);
  });
  await t.test('as-received: both', async () => {
    const proof = await prove(gateway, token, 'GET', '/as-received/1');
    assert.equal((await gateway.request('GET', '/as-received/1', { token, proof })).status, 200);
    assert.deepEqual(seen('authorization', 'dpop'), [`DPoP ${token}`, proof]);
  });
  await t.test('public: both, unread', async () => {
    assert.equal((await gateway.request('GET', '/open/1', { token: 'x', proof: 'y' })).status, 200);
    assert.deepEqual(seen('authorization', 'dpop'), ['DPoP x', 'y']);
  });
  await t.test('a stray proof beside an unbound token decides nothing and goes no further', async () => {
    const unbound = await issue(gateway);
    assert.equal((await dpop(gateway, 'GET', '/any/1', { token: unbound, scheme: 'Bearer' })).status, 200);
    assert.deepEqual(seen('authorization', 'dpop'), [undefined, undefined]);
  });
});

test('target, method, body and fields that are not ours reach the upstream as the client sent them', async (t) => {
  const gateway = await startTestGateway(t, { listener: CERTIFICATES, routes: ROUTES });
  const newest = () => gateway.upstream.seen.at(-1) ?? assert.fail('nothing reached the upstream');

  for (const [path, arrives] of [
    ['/dpop/%7ealice;v=1/x?q=%41&empty', '/dpop/%7ealice;v=1/x?q=%41&empty'],
    ['/dpop/', '/dpop/'],
    ['/slash/a%2Fb', '/slash/a%2Fb'],
    ['/strip/orders/1?x=/strip', '/orders/1?x=/strip'],
    ['/%73trip/1', '/1'],
    ['/strip', '/'],
  ] as const) {
    await t.test(`${path} arrives as ${arrives}`, async () => {
      assert.equal((await dpop(gateway, 'GET', path)).status, 200);
      assert.equal(newest().target, arrives);
    });
  }
  await t.test('a proof may spell the path otherwise where RFC 3986 §6.2.2 says that it means the same', async () => {
    const claims = { htu: `https://API.example.com:443/dpop/~alice;v=1?not=compared` };
    assert.equal((await dpop(gateway, 'GET', '/dpop/%7Ealice;v=1', { proving: { claims } })).status, 200);
  });
  await t.test('HEAD passes where GET is listed, without a body, and needs a proof for HEAD', async () => {
    const answer = await dpop(gateway, 'HEAD', '/dpop/1');
    assert.deepEqual([answer.status, answer.body, newest().method], [200, '', 'HEAD']);
    const other = await dpop(gateway, 'HEAD', '/dpop/1', { proving: { claims: { htm: 'GET' } } });
    assert.deepEqual([other.status, other.body], [401, '']);
    await gateway.logged({ method: 'HEAD', reason: 'proof_method_mismatch' });
  });
  await t.test('a body arrives whole, and repeated fields in order', async () => {
    const fields = [
      ['X-Mine', 'one'],
      ['Accept', 'text/plain'],
      ['x-mine', 'two'],
    ] as const;
    const body = 'x'.repeat(100_000);
    assert.equal((await dpop(gateway, 'POST', '/dpop/1', { fields, body })).status, 200);
    assert.deepEqual([newest().method, newest().body === body], ['POST', true]);
    assert.deepEqual([newest().fields.all('x-mine'), newest().fields.all('accept')], [['one', 'two'], ['text/plain']]);
  });
  await t.test('Via is continued, fields of the connection end here, and host: upstream names the target', async () => {
    const fields = [
      ['Via', '1.0 front'],
      ['Connection', 'keep-alive, X-Hop'],
      ['X-Hop', '1'],
      ['TE', 'trailers'],
    ] as const;
    assert.equal((await dpop(gateway, 'GET', '/bearer/1', { fields })).status, 200);
    const { fields: seen } = newest();
    assert.equal(seen.one('via'), `1.0 front, 1.1 holdfast-${gateway.policy.id}`);
    assert.deepEqual([seen.all('x-hop'), seen.all('te')], [[], []]);
    assert.equal(`http://${seen.one('host')}`, gateway.upstream.origin);
    assert.equal(seen.one('x-forwarded-host'), HOST);
  });
});

test("the upstream's answer reaches the client without what only concerns the two of us", async (t) => {
  const gateway = await startTestGateway(t, { listener: CERTIFICATES, routes: ROUTES });
  const theirs = {
    'Set-Cookie': ['a=1', 'b=2'],
    'Cache-Control': 'max-age=60',
    'WWW-Authenticate': 'Basic realm="x"',
    'Client-Cert': ':AA==:',
    'Client-Cert-Chain': ':AA==:',
    'DPoP-Nonce': 'theirs',
    Vary: 'Authorization',
  };
  gateway.upstream.answer = (_request, response) => response.writeHead(404, theirs).end('not here');
  const answer = await dpop(gateway, 'GET', '/dpop/1');
  assert.deepEqual([answer.status, answer.body], [404, 'not here']);
  const all = (...names: string[]) => names.map((name) => answer.fields.all(name));
  assert.deepEqual(all('set-cookie', 'cache-control', 'www-authenticate'), [
    ['a=1', 'b=2'],
    ['max-age=60'],
    ['Basic realm="x"'],
  ]);
  assert.deepEqual(all('client-cert', 'client-cert-chain', 'dpop-nonce', 'vary'), [[], [], [], ['*']]);
  const onPublic = await gateway.request('GET', '/open/1');
  assert.equal(onPublic.fields.one('dpop-nonce'), 'theirs');
});
