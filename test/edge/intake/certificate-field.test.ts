// The certificate field of a trusted peer: one line, one certificate, not the peer's.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Connection } from '../../../src/edge/listen/connection.ts';
import { compileCertificateField } from '../../../src/edge/intake/certificate-field.ts';
import { compileIntake, readFacts } from '../../../src/edge/intake/facts.ts';
import { compileManagedFields } from '../../../src/policy/managed-fields.ts';
import type { ClientCertificatePolicy, Listener } from '../../../src/policy/policy.ts';
import { Rejection } from '../../../src/rejection/rejection.ts';
import { makeListener } from '../../support/edge.ts';
import { makeCa, makeCertificate, type TestCertificate } from '../../support/pki.ts';

let ca: TestCertificate;
let client: TestCertificate;
let stranger: TestCertificate;
let peerEvidence: NonNullable<Connection['evidence']>;

before(async () => {
  ca = await makeCa();
  client = await makeCertificate({ names: ['client.example.com'], ca });
  stranger = await makeCertificate({ names: ['client.example.com'] });
  const facts = {
    der: ca.der,
    thumbprint: ca.thumbprint,
    chain: [],
    subject: '',
    issuer: '',
    uris: [],
    dnsNames: [],
    notBefore: 0,
    notAfter: 9e9,
  };
  peerEvidence = { facts, verify: 'chain', trusted: true };
});

const rfc9440 = ({ der }: TestCertificate) => `:${der.toString('base64')}:`;

function read(
  lines: readonly string[],
  over: Partial<ClientCertificatePolicy> = {},
  connection: Partial<Connection> = {},
) {
  const clientCertificate = { request: 'none', verify: 'possession', ca: undefined, crl: undefined, ...over } as const;
  const listener: Listener = makeListener({
    clientCertificate,
    clientCertificateFrom: { format: 'rfc9440', field: 'client-cert' },
  });
  const rules = compileIntake(listener, compileManagedFields([], [listener]), 'holdfast-0a1b');
  const rawHeaders = ['Host', 'api.example.com', ...lines.flatMap((value) => ['Client-Cert', value])];
  const from: Connection = {
    remoteAddress: '192.0.2.7',
    remotePort: 1,
    localAddress: undefined,
    localPort: undefined,
    servername: undefined,
    evidence: peerEvidence,
    trustedUntil: Number.POSITIVE_INFINITY,
    ...connection,
  };
  const facts = readFacts({ method: 'GET', target: '/', httpVersion: '1.1', rawHeaders }, from, rules, 1_800_000_000);
  return facts instanceof Rejection ? facts.reason : facts.certificate;
}

test('the certificate in the field is the evidence, not the one of the peer', () => {
  const evidence = read([rfc9440(client)]);
  assert.ok(typeof evidence === 'object');
  assert.equal(evidence.facts.thumbprint, client.thumbprint);
  assert.equal(evidence.verify, 'possession');
  assert.equal(evidence.trusted, false);
});

test('without the field, or with an empty one, there is no certificate: the one of the peer is not taken instead', () => {
  assert.equal(read([]), undefined);
  assert.equal(read(['']), undefined);
});

test('of a stranger the field counts for nothing, its own certificate does', () => {
  assert.equal(read([rfc9440(client)], {}, { trustedUntil: 0 }), peerEvidence);
});

test('two lines, two elements, a rest behind the DER and anything else are malformed', () => {
  const good = rfc9440(client);
  const long = `:${Buffer.concat([client.der, Buffer.from([0])]).toString('base64')}:`;
  for (const lines of [
    [good, good],
    [good, ''],
    ['', good],
    [`${good}, ${good}`],
    [long],
    ['garbage'],
    ['::'],
    [client.cert.replaceAll('\n', ' ')],
  ]) {
    assert.equal(read(lines), 'malformed', String(lines));
  }
});

test('under verify: chain a certificate is trusted if a CA of the listener issued it', () => {
  const chain = { verify: 'chain', ca: ca.cert } as const;
  const [good, bad] = [read([rfc9440(client)], chain), read([rfc9440(stranger)], chain)];
  assert.ok(typeof good === 'object' && typeof bad === 'object');
  assert.deepEqual([good.trusted, good.facts.chain.length, bad.trusted, bad.facts.chain.length], [true, 1, false, 0]);
});

test('one certificate is parsed once and stays the same evidence', () => {
  const clientCertificate = { request: 'none', verify: 'possession', ca: undefined, crl: undefined } as const;
  const listener = makeListener({
    clientCertificate,
    clientCertificateFrom: { format: 'rfc9440', field: 'client-cert' },
  });
  const { certificateField } = compileIntake(listener, compileManagedFields([], [listener]), 'x');
  assert.equal(certificateField?.([rfc9440(client)]), certificateField?.([rfc9440(client)]));
});

const XFCC = { format: 'xfcc', field: 'x-forwarded-client-cert' } as const;
const POSSESSION = { request: 'none', verify: 'possession', ca: undefined, crl: undefined } as const;
const hashOf = ({ thumbprint }: TestCertificate) => Buffer.from(thumbprint, 'base64url').toString('hex');

test('XFCC: a Hash without its certificate is the evidence under possession, with no name and nothing to forward', () => {
  const evidence = compileCertificateField(
    XFCC,
    POSSESSION,
  )([`By=x;Hash=${hashOf(client)};Subject="CN=admin";URI=spiffe://a/b`]);
  assert.ok(typeof evidence === 'object');
  const { der, thumbprint, subject, uris } = evidence.facts;
  assert.deepEqual([der, thumbprint, subject, uris, evidence.trusted], [undefined, client.thumbprint, '', [], false]);
});

test('XFCC: a Hash without its certificate is malformed under chain, where the certificate has to be verified', () => {
  const chain = { ...POSSESSION, verify: 'chain', ca: ca.cert } as const;
  assert.equal(compileCertificateField(XFCC, chain)([`Hash=${hashOf(client)}`]), 'malformed');
});

test('XFCC: behind two proxies the first of two elements is the client; the second alone says that there was none', () => {
  const read = compileCertificateField({ ...XFCC, element: 2 }, POSSESSION);
  const gateway = `By=x;Hash=${hashOf(stranger)};Subject="";URI=spiffe://a/gateway`;
  const evidence = read([`Hash=${hashOf(client)},${gateway}`]);
  assert.ok(typeof evidence === 'object');
  assert.equal(evidence.facts.thumbprint, client.thumbprint);
  assert.equal(read([gateway]), undefined);
  assert.equal(read([`${gateway},Hash=${hashOf(client)},${gateway}`]), 'malformed');
});
