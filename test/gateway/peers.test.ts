// Proxies in front: statements of trusted peers count, those of strangers do not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLIENT_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { makeCertificate } from '../support/pki.ts';
import { policyOf } from '../support/policies.ts';
import { readSnippet } from './behind.ts';
import { CLIENT, dpop, issue, OTHER_CLIENT, TO_CERTIFICATE, TO_KEY, prove } from './credentials.ts';

const ROUTES = `
- { name: dpop, match: { path: /dpop/* }, upstream: orders, require: dpop }
- name: mtls
  match: { path: /mtls/* }
  upstream: orders
  require: mtls
  forward: { client_certificate: [{ format: rfc9440, field: Client-Cert }] }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
`;

const behind = (peer: string, more = '') => `trusted_peers: [${peer}]
client_certificate: { request: optional, verify: chain, ca_file: clients.pem }
client_certificate_from: { format: rfc9440, field: Client-Cert }
${more}`;
const TRUSTED = behind('{ cidr: 127.0.0.0/8 }');
const STRANGER = behind('{ cidr: 192.0.2.0/24 }');

/** As a load balancer calls us: by an inner name, with the client's origin in fields. */
const balanced = (...fields: (readonly [string, string])[]) => ({
  host: 'gateway.internal:8443',
  fields: [['X-Forwarded-Host', 'api.example.com'], ['X-Forwarded-Proto', 'https'], ...fields] as const,
});
const inField = `:${CLIENT.der.toString('base64')}:`;
const seenBy = ({ upstream }: TestGateway) =>
  upstream.seen.at(-1)?.fields ?? assert.fail('nothing reached the upstream');

test('a trusted peer says by which origin the client called, and htu is held against that one', async (t) => {
  const gateway = await startTestGateway(t, { listener: TRUSTED, routes: ROUTES });
  const forwardedFor = ['X-Forwarded-For', '198.51.100.7'] as const;
  assert.equal((await dpop(gateway, 'GET', '/dpop/1', balanced(forwardedFor))).status, 200);
  assert.equal(seenBy(gateway).one('x-forwarded-for'), '198.51.100.7, 127.0.0.1');
  assert.equal(seenBy(gateway).one('x-forwarded-host'), 'api.example.com');
  assert.equal(seenBy(gateway).one('host'), 'api.example.com');

  const inner = { claims: { htu: 'https://gateway.internal:8443/dpop/1' } };
  assert.equal((await dpop(gateway, 'GET', '/dpop/1', { ...balanced(), proving: inner })).reason, 'proof_uri_mismatch');
  const elsewhere = { host: 'gateway.internal', fields: [['Forwarded', 'host=else.example;proto=https']] as const };
  assert.equal((await dpop(gateway, 'GET', '/dpop/1', elsewhere)).reason, 'misdirected');
  const contradicting = balanced(['Forwarded', 'host=else.example']);
  assert.equal((await dpop(gateway, 'GET', '/dpop/1', contradicting)).reason, 'request_malformed');
});

test('the log names the client as a trusted peer states it, and that peer; what a stranger states is not believed', async (t) => {
  const fields = [['X-Forwarded-For', '192.0.2.66, 198.51.100.7']] as const;
  const logged = async (listener: string) => {
    const gateway = await startTestGateway(t, { listener, routes: ROUTES });
    await gateway.request('GET', '/open/1', { fields });
    assert.equal((await gateway.request('GET', '/dpop/1', { fields })).reason, 'credentials_missing');
    const lines = [await gateway.logged({ route: 'open' }), await gateway.logged({ reason: 'credentials_missing' })];
    return lines.map(({ client, peer }) => ({ client, peer }));
  };
  const stated = { client: '198.51.100.7', peer: '127.0.0.1' };
  assert.deepEqual(await logged(TRUSTED), [stated, stated]);
  const own = { client: '127.0.0.1', peer: undefined };
  assert.deepEqual(await logged(STRANGER), [own, own]);
});

test('a client behind a balancer that passes Forwarded on does not choose its origin by it, nor the address that goes on', async (t) => {
  const client = [
    ['Forwarded', 'for=203.0.113.66;host=b.example.org;proto=https'],
    ['X-Forwarded-For', '198.51.100.7'],
  ] as const;
  const origins = ['https://api.example.com', 'https://b.example.org'];
  const chosen = await startTestGateway(t, {
    listener: behind('{ cidr: 127.0.0.0/8, forwarding: x-forwarded }'),
    routes: ROUTES,
    origins,
  });
  assert.equal((await chosen.request('GET', '/open/1', balanced(...client))).status, 200);
  assert.equal(seenBy(chosen).one('x-forwarded-host'), 'api.example.com');
  assert.equal(seenBy(chosen).one('x-forwarded-for'), '198.51.100.7, 127.0.0.1');
  assert.equal(seenBy(chosen).one('forwarded'), 'for=127.0.0.1;host=api.example.com;proto=https');

  const unsaid = await startTestGateway(t, { listener: TRUSTED, routes: ROUTES, origins });
  assert.equal((await unsaid.request('GET', '/open/1', balanced(...client))).reason, 'request_malformed');
  const same = ['Forwarded', 'for=198.51.100.7;host=api.example.com;proto=https'] as const;
  assert.equal((await unsaid.request('GET', '/open/1', balanced(same, client[1]))).status, 200);
});

test('behind a trusted peer that rewrites Host and says nothing, the only origin counts; with two nobody guesses', async (t) => {
  const one = await startTestGateway(t, { listener: TRUSTED, routes: ROUTES });
  assert.equal((await dpop(one, 'GET', '/dpop/1', { host: 'gateway.internal' })).status, 200);
  const origins = ['https://api.example.com', 'https://b.example.org'];
  const two = await startTestGateway(t, { listener: TRUSTED, routes: ROUTES, origins });
  assert.equal((await dpop(two, 'GET', '/dpop/1', { host: 'gateway.internal' })).reason, 'misdirected');
});

test('a path that the peer strips is part of the origin, and of htu', async (t) => {
  const origins = ['https://api.example.com/shop'];
  const gateway = await startTestGateway(t, { listener: TRUSTED, routes: ROUTES, origins });
  const token = await issue(gateway, TO_KEY);
  const [outer, inner] = [
    await prove(gateway, token, 'GET', '/shop/dpop/1'),
    await prove(gateway, token, 'GET', '/dpop/1'),
  ];
  assert.equal((await gateway.request('GET', '/dpop/1', { token, proof: outer })).status, 200);
  assert.equal((await gateway.request('GET', '/dpop/1', { token, proof: inner })).reason, 'proof_uri_mismatch');
});

test('a trusted peer says which certificate the client showed', async (t) => {
  const gateway = await startTestGateway(t, { listener: TRUSTED, routes: ROUTES });
  const token = await issue(gateway, TO_CERTIFICATE);
  const ask = (...fields: (readonly [string, string])[]) => gateway.request('GET', '/mtls/1', { token, fields });

  assert.equal((await ask(['Client-Cert', inField])).status, 200);
  assert.equal(seenBy(gateway).one('x-auth-binding'), 'mtls');
  assert.equal(seenBy(gateway).one('client-cert'), inField);
  assert.equal((await ask()).reason, 'certificate_missing');
  assert.equal((await ask(['Client-Cert', inField], ['Client-Cert', inField])).reason, 'certificate_field_malformed');
  const other = `:${OTHER_CLIENT.der.toString('base64')}:`;
  assert.equal((await ask(['Client-Cert', other])).reason, 'certificate_mismatch');
  const { der } = await makeCertificate({ names: ['client.example.net'] });
  assert.equal((await ask(['Client-Cert', `:${der.toString('base64')}:`])).reason, 'certificate_untrusted');
});

test('a broken certificate field refuses every route that is not public, and is never forwarded by one that is', async (t) => {
  const gateway = await startTestGateway(t, {
    listener: TRUSTED,
    routes: `${ROUTES}
- name: open-forwarding
  match: { path: /shown/* }
  upstream: orders
  require: public
  weaker_than_defaults: [require]
  forward: { client_certificate: [{ format: rfc9440, field: Client-Cert }] }
- { name: any, match: { path: /any/* }, upstream: orders, require: token, weaker_than_defaults: [require] }`,
  });
  const broken = [
    [['Client-Cert', ':MARK:']],
    [
      ['Client-Cert', inField],
      ['Client-Cert', inField],
    ],
  ] as const;
  for (const fields of broken) {
    for (const path of ['/open/1', '/shown/1']) {
      assert.equal((await gateway.request('GET', path, { fields })).status, 200);
      assert.equal(seenBy(gateway).one('client-cert'), undefined);
    }
    const refused = async (path: string, claims: Readonly<Record<string, unknown>>) =>
      (await gateway.request('GET', path, { token: await issue(gateway, claims), fields })).reason;
    assert.equal(await refused('/mtls/1', TO_CERTIFICATE), 'certificate_field_malformed');
    assert.equal(await refused('/any/1', {}), 'certificate_field_malformed');
    assert.equal((await dpop(gateway, 'GET', '/dpop/1', { fields })).reason, 'certificate_field_malformed');
    assert.equal((await gateway.request('GET', '/dpop/1', { fields })).reason, 'certificate_field_malformed');
  }
  assert.equal((await gateway.request('GET', '/shown/1', { fields: [['Client-Cert', inField]] })).status, 200);
  assert.equal(seenBy(gateway).one('client-cert'), inField);
});

test('XFCC of an ingress gateway and a sidecar: the element of the client counts, by its hash alone under possession', async (t) => {
  const gateway = await startTestGateway(t, {
    listener: `trusted_peers: [{ cidr: 127.0.0.0/8 }]
client_certificate: { verify: possession }
client_certificate_from: { format: xfcc, element: 2 }`,
    routes: `
- name: mtls
  match: { path: /mtls/* }
  upstream: orders
  require: mtls
  forward:
    client_certificate: [{ format: rfc9440, field: Client-Cert }, { format: xfcc, field: X-Forwarded-Client-Cert }]
`,
  });
  const token = await issue(gateway, TO_CERTIFICATE);
  const hashOf = ({ thumbprint }: typeof CLIENT) => Buffer.from(thumbprint, 'base64url').toString('hex');
  const ask = (value: string) =>
    gateway.request('GET', '/mtls/1', { token, fields: [['X-Forwarded-Client-Cert', value]] });
  const own = `By=spiffe://cluster.local/ns/a/sa/b;Hash=${hashOf(OTHER_CLIENT)};Subject="";URI=spiffe://cluster.local/ns/edge/sa/gateway`;

  assert.equal(
    (await ask(`Hash=${hashOf(CLIENT)};Cert="${encodeURIComponent(`${CLIENT.cert.trim()}\n`)}",${own}`)).status,
    200,
  );
  assert.equal(seenBy(gateway).one('client-cert'), inField);
  assert.equal((await ask(`Hash=${hashOf(CLIENT)};URI=x,${own}`)).status, 200);
  assert.equal(seenBy(gateway).one('client-cert'), undefined, 'a hash is no certificate');
  assert.equal(seenBy(gateway).one('x-forwarded-client-cert'), `Hash=${hashOf(CLIENT)}`);

  assert.equal((await ask(own)).reason, 'certificate_missing', 'the gateway is not the client');
  assert.equal((await ask(`${own},${own}`)).reason, 'certificate_mismatch');
  assert.equal((await ask(`Hash=${hashOf(CLIENT)},${own},${own}`)).reason, 'certificate_field_malformed');
  const bound = await issue(gateway, { cnf: { 'x5t#S256': OTHER_CLIENT.thumbprint } });
  const asGateway = await gateway.request('GET', '/mtls/1', {
    token: bound,
    fields: [['X-Forwarded-Client-Cert', own]],
  });
  assert.equal(asGateway.reason, 'certificate_missing');
});

test('the listener that docs/balancers.md has for Istio compiles, and reads the first of two elements', () => {
  const { listeners } = policyOf({
    listeners: readSnippet('yaml', 'terminating-istio').split('listeners:\n')[1] ?? '',
  });
  const field = 'x-forwarded-client-cert';
  assert.deepEqual(listeners[0]?.clientCertificateFrom, { format: 'xfcc', field, element: 2 });
  assert.equal(listeners[0]?.clientCertificate.verify, 'possession');
});

test('Traefik writes the intermediates of a client behind its certificate, in one line and in a field of its own name', async (t) => {
  const gateway = await startTestGateway(t, {
    listener: `trusted_peers: [{ cidr: 127.0.0.0/8 }]
client_certificate: { verify: chain, ca_file: clients.pem }
client_certificate_from: { format: traefik }`,
    routes: ROUTES,
  });
  const token = await issue(gateway, TO_CERTIFICATE);
  const ask = async (...certificates: (typeof CLIENT)[]) => {
    const value = certificates.map(({ der }) => der.toString('base64')).join(',');
    const { status, reason } = await gateway.request('GET', '/mtls/1', {
      token,
      fields: [['X-Forwarded-Tls-Client-Cert', value]],
    });
    return reason ?? status;
  };
  assert.equal(await ask(CLIENT), 200);
  assert.equal(await ask(CLIENT, CLIENT_CA), 200);
  assert.equal(
    await ask(CLIENT, OTHER_CLIENT),
    'certificate_field_malformed',
    'whose certificate it is must not be chosen',
  );
  assert.equal(await ask(OTHER_CLIENT, CLIENT_CA), 'certificate_mismatch');
});

test("the certificate of the peer itself is never taken for the client's", async (t) => {
  const balancer = await makeCertificate({ names: ['lb.internal'], ca: CLIENT_CA });
  const gateway = await startTestGateway(t, { listener: behind('{ certificate_san: lb.internal }'), routes: ROUTES });
  const ofBalancer = await issue(gateway, { cnf: { 'x5t#S256': balancer.thumbprint } });
  const asClient = await gateway.request('GET', '/mtls/1', { token: ofBalancer, client: balancer });
  assert.equal(asClient.reason, 'certificate_missing');

  const token = await issue(gateway, TO_CERTIFICATE);
  const fields = [['Client-Cert', inField]] as const;
  assert.equal((await gateway.request('GET', '/mtls/1', { token, client: balancer, fields })).status, 200);
  // The same words from a client that is none of the peers: its own certificate counts, and nothing it wrote.
  const asPeer = await gateway.request('GET', '/mtls/1', { token, client: OTHER_CLIENT, fields });
  assert.equal(asPeer.reason, 'certificate_mismatch');
});

test('of a stranger nothing is believed: neither origin nor certificate nor address', async (t) => {
  const gateway = await startTestGateway(t, { listener: STRANGER, routes: ROUTES });
  assert.equal((await dpop(gateway, 'GET', '/dpop/1', balanced())).reason, 'misdirected');
  const fields = [
    ['Client-Cert', inField],
    ['X-Forwarded-Host', 'else.example'],
    ['X-Forwarded-For', '198.51.100.7'],
    ['Forwarded', 'for=198.51.100.7;host=else.example'],
  ] as const;
  const token = await issue(gateway, TO_CERTIFICATE);
  assert.equal((await gateway.request('GET', '/mtls/1', { token, fields })).reason, 'certificate_missing');
  assert.equal((await gateway.request('GET', '/open/1', { fields })).status, 200);
  assert.equal(seenBy(gateway).one('client-cert'), undefined);
  assert.equal(seenBy(gateway).one('x-forwarded-for'), '127.0.0.1');
  assert.equal(seenBy(gateway).one('forwarded'), 'for=127.0.0.1;host=api.example.com;proto=https');
});
