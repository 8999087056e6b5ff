// The client's certificate on its way to the upstream, in every format, and forgeries.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { CLIENT_CA, CLIENT_ROOT, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { makeCa, makeCertificate, makeCrl, type TestCertificate } from '../support/pki.ts';
import { CLIENT, issue, TO_CERTIFICATE } from './credentials.ts';

const ROUTES = `
- name: any
  match: { path: /any/* }
  upstream: orders
  require: token
  weaker_than_defaults: [require]
  forward:
    client_certificate:
      - { format: rfc9440, field: Client-Cert }
      - { format: xfcc, field: X-Forwarded-Client-Cert }
      - { format: pem-escaped, field: X-SSL-Cert }
- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
`;
const CHAIN = 'client_certificate: { request: optional, verify: chain, ca_file: clients.pem }';
const POSSESSION = 'client_certificate: { request: optional, verify: possession }';

/** RFC 9440 §2.1: a byte sequence of structured fields (RFC 9651 §3.3.5). */
const byteSequence = ({ der }: TestCertificate) => `:${der.toString('base64')}:`;
const escaped = (...certificates: TestCertificate[]) =>
  encodeURIComponent(certificates.map(({ der }) => pem(der.toString('base64'))).join(''));
const pem = (base64: string) =>
  `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`;

async function ask(gateway: TestGateway, client?: TestCertificate): Promise<(name: string) => string | undefined> {
  const answer = await gateway.request('GET', '/any/1', {
    token: await issue(gateway),
    fields: [['X-SSL-Cert', 'forged']],
    ...(client && { client }),
  });
  assert.equal(answer.status, 200);
  const { fields } = gateway.upstream.seen.at(-1) ?? assert.fail('nothing reached the upstream');
  return (name) => fields.one(name);
}

test('under verify: chain the upstream gets the certificate of the handshake in each format the route names', async (t) => {
  const gateway = await startTestGateway(t, { listener: CHAIN, routes: ROUTES });
  const seen = await ask(gateway, CLIENT);

  await t.test('rfc9440: the DER as byte sequence, and its chain without the leaf', () => {
    assert.equal(seen('client-cert'), byteSequence(CLIENT));
    assert.equal(seen('client-cert-chain'), [CLIENT_CA, CLIENT_ROOT].map(byteSequence).join(', '));
  });
  await t.test('pem-escaped: the leaf as nginx escapes it', () => {
    assert.equal(seen('x-ssl-cert'), escaped(CLIENT));
  });
  await t.test('xfcc: one element, in which no name can begin a pair of its own', () => {
    const quoted = /[^;"]*(?:"(?:[^"\\]|\\.)*")?/y;
    const value = seen('x-forwarded-client-cert') ?? '';
    const pairs: string[] = [];
    for (quoted.lastIndex = 0; quoted.lastIndex < value.length; quoted.lastIndex += 1) {
      pairs.push(quoted.exec(value)?.[0] ?? assert.fail(value));
    }
    const [hash, cert, chain, subject, ...names] = pairs;
    assert.equal(hash, `Hash=${createHash('sha256').update(CLIENT.der).digest('hex')}`);
    assert.equal(cert, `Cert="${escaped(CLIENT)}"`);
    assert.equal(chain, `Chain="${escaped(CLIENT, CLIENT_CA, CLIENT_ROOT)}"`);
    assert.match(subject ?? '', /^Subject="O=Example.*; Hash=0.*,CN=MARK Client"$/);
    assert.deepEqual(names, ['URI=spiffe://example.net/client', 'DNS=client.example.net']);
  });
});

test('under verify: possession names and chain stay behind, because the client wrote them itself', async (t) => {
  const gateway = await startTestGateway(t, { listener: POSSESSION, routes: ROUTES });
  const selfSigned = await makeCertificate({ names: ['admin.example.com'] });
  const seen = await ask(gateway, selfSigned);
  assert.equal(seen('client-cert'), byteSequence(selfSigned));
  assert.equal(seen('client-cert-chain'), undefined);
  assert.match(seen('x-forwarded-client-cert') ?? '', /^Hash=[0-9a-f]{64};Cert="[^";]*"$/);

  const token = await issue(gateway, { cnf: { 'x5t#S256': selfSigned.thumbprint } });
  const bound = await gateway.request('GET', '/any/1', { token, client: selfSigned });
  assert.equal(bound.status, 200, 'RFC 8705 §6.2: its own key is all that counts');
});

test('a certificate that the listener does not trust is forwarded on no route, and neither is a forged one', async (t) => {
  const gateway = await startTestGateway(t, { listener: CHAIN, routes: ROUTES });
  for (const client of [undefined, await makeCertificate({ names: ['client.example.net'] })]) {
    const seen = await ask(gateway, client);
    for (const name of ['client-cert', 'client-cert-chain', 'x-forwarded-client-cert', 'x-ssl-cert']) {
      assert.equal(seen(name), undefined, name);
    }
  }
});

test('a field that one route writes its certificate into is taken from clients on every route', async (t) => {
  const gateway = await startTestGateway(t, { listener: CHAIN, routes: ROUTES });
  const fields = [['X-SSL-Cert', 'forged'] as const];
  assert.equal((await gateway.request('GET', '/open/1', { fields })).status, 200);
  assert.equal(gateway.upstream.seen.at(-1)?.fields.one('x-ssl-cert'), undefined);
  const alias = await gateway.request('GET', '/open/1', { fields: [['X_SSL_Cert', 'forged']] });
  assert.equal(alias.reason, 'field_forbidden');
});

test('with request: required nobody without a trusted certificate gets as far as a request', async (t) => {
  const listener = CHAIN.replace('optional', 'required');
  const gateway = await startTestGateway(t, { listener, routes: ROUTES });
  const token = await issue(gateway, TO_CERTIFICATE);
  assert.equal((await gateway.request('GET', '/any/1', { token, client: CLIENT })).status, 200);
  const strangers = [undefined, await makeCertificate({ names: ['client.example.net'] })];
  for (const client of strangers) {
    await assert.rejects(gateway.request('GET', '/any/1', { token, ...(client && { client }) }));
  }
  await gateway.logged({ msg: 'handshake refused', refusal: 'certificate_missing' });
  await gateway.logged({ msg: 'handshake refused', refusal: 'certificate_untrusted' });
  assert.equal(await gateway.count('holdfast_tls_handshake_failures_total'), 2);
});

test('a revoked certificate is not trusted any more', async (t) => {
  const ca = await makeCa({ subject: 'CN=Revoking CA' });
  const [good, revoked] = [await makeCertificate({ names: ['a'], ca }), await makeCertificate({ names: ['b'], ca })];
  const gateway = await startTestGateway(t, {
    listener: 'client_certificate: { request: optional, verify: chain, ca_file: ca.pem, crl_file: ca.crl }',
    files: { 'ca.pem': ca.cert, 'ca.crl': await makeCrl(ca, [revoked]) },
    routes: ROUTES,
  });
  const present = async (client: TestCertificate) => {
    const token = await issue(gateway, { cnf: { 'x5t#S256': client.thumbprint } });
    return gateway.request('GET', '/any/1', { token, client });
  };
  assert.equal((await present(good)).status, 200);
  assert.equal((await present(revoked)).reason, 'certificate_untrusted');
});
