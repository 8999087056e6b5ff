// The facts of connections with real clients: trusted certificates and their chains.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Rejection } from '../../../src/rejection/rejection.ts';
import type { ClientCertificatePolicy, Listener } from '../../../src/policy/policy.ts';
import {
  makeListener,
  openTls,
  readAll,
  requestTls,
  sendRaw,
  serveListener,
  statusOf,
  type TestListener,
} from '../../support/edge.ts';
import { makeCa, makeCertificate, makeCrl, type TestCertificate } from '../../support/pki.ts';

const NOW = Date.now() / 1000;
let root: TestCertificate;
let issuing: TestCertificate;
let server: TestCertificate;
let client: TestCertificate;
let selfSigned: TestCertificate;

before(async () => {
  root = await makeCa({ subject: 'CN=Root' });
  issuing = await makeCa({ subject: 'CN=Issuing', ca: root });
  server = await makeCertificate({ names: ['api.example.com'], ca: root });
  client = await makeCertificate({ names: ['client.example.com', 'spiffe://example.com/client'], ca: issuing });
  selfSigned = await makeCertificate({ names: ['client.example.com'] });
});

function listenerFor(policy: Partial<ClientCertificatePolicy>, over: Partial<Listener> = {}): Listener {
  return makeListener({
    tls: { certificates: [{ cert: server.chain, key: server.key, certFile: 'tls.crt' }], minVersion: 'TLSv1.2' },
    clientCertificate: { request: 'optional', verify: 'chain', ca: root.cert, crl: undefined, ...policy },
    ...over,
  });
}

const showing = (certificate: TestCertificate) => ({ ca: root.cert, cert: certificate.chain, key: certificate.key });

/** The evidence of one request with this certificate, undefined for none. */
async function evidenceOf(listener: TestListener, certificate: TestCertificate | undefined) {
  const shown = certificate === undefined ? { ca: root.cert } : showing(certificate);
  assert.equal(statusOf(await requestTls(listener.port, shown)), 200);
  const { facts, connection } = listener.served.at(-1) ?? {};
  assert.ok(facts && !(facts instanceof Rejection));
  assert.equal(facts.certificate, connection?.evidence);
  return facts.certificate;
}

test('a certificate that the CA vouches for is trusted, with its names and the chain as built', async (t) => {
  const listener = await serveListener(t, listenerFor({}));
  const evidence = await evidenceOf(listener, client);
  assert.ok(evidence);
  assert.deepEqual([evidence.verify, evidence.trusted], ['chain', true]);
  assert.equal(evidence.facts.thumbprint, client.thumbprint);
  assert.deepEqual(evidence.facts.dnsNames, ['client.example.com']);
  assert.deepEqual(evidence.facts.uris, ['spiffe://example.com/client']);
  assert.deepEqual(
    evidence.facts.chain.map((der) => Buffer.from(der)),
    [issuing.der, root.der],
  );
});

test('one connection has one evidence, however many requests it carries', async (t) => {
  const listener = await serveListener(t, listenerFor({}));
  const socket = await openTls(listener.port, showing(client));
  socket.write(
    'GET /1 HTTP/1.1\r\nHost: api.example.com\r\n\r\nGET /2 HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n',
  );
  await readAll(socket);
  assert.equal(listener.served.length, 2);
  assert.equal(listener.served[0]?.connection, listener.served[1]?.connection);
});

test('optional: no certificate is no evidence, and the request is served', async (t) => {
  assert.equal(await evidenceOf(await serveListener(t, listenerFor({})), undefined), undefined);
});

test('optional under chain: an untrusted certificate gets through the handshake and is evidence that is not trusted', async (t) => {
  const expired = await makeCertificate({
    names: ['client.example.com'],
    ca: issuing,
    notBefore: NOW - 7200,
    notAfter: NOW - 3600,
  });
  const future = await makeCertificate({ names: ['client.example.com'], ca: issuing, notBefore: NOW + 3600 });
  const otherCa = await makeCa({ subject: 'CN=Root' });
  const stranger = await makeCertificate({ names: ['client.example.com'], ca: otherCa });
  const byLeaf = await makeCertificate({
    names: ['client.example.com'],
    ca: client,
  });
  const listener = await serveListener(t, listenerFor({}));
  for (const certificate of [selfSigned, expired, future, stranger, byLeaf]) {
    const evidence = await evidenceOf(listener, certificate);
    assert.equal(evidence?.trusted, false);
    assert.equal(evidence?.facts.thumbprint, certificate.thumbprint);
    assert.deepEqual(evidence?.facts.chain, []);
  }
  assert.deepEqual(listener.handshakes, []);
});

test('under chain a revoked certificate is not trusted, nor any one once a list has expired or is missing', async (t) => {
  const good = await makeCertificate({ names: ['good.example.com'], ca: issuing });
  const [ofRoot, ofIssuing] = [await makeCrl(root, []), await makeCrl(issuing, [client])];
  const expired = await makeCrl(issuing, [], NOW - 60);
  const trusts = async (crl: string, certificate: TestCertificate) =>
    (await evidenceOf(await serveListener(t, listenerFor({ crl })), certificate))?.trusted;
  assert.equal(await trusts(`${ofRoot}${ofIssuing}`, good), true);
  assert.equal(await trusts(`${ofIssuing}${ofRoot}`, client), false, 'revoked');
  assert.equal(await trusts(`${ofRoot}${expired}`, good), false, 'expired list');
  assert.equal(await trusts(ofRoot, good), false, 'no list of the issuing CA');
});

test('required under chain: without a certificate, or with an untrusted one, no request is served, and it is counted why', async (t) => {
  const listener = await serveListener(t, listenerFor({ request: 'required' }));
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const shown of [{ ca: root.cert }, showing(selfSigned)]) {
      const refused = listener.handshakeRefused();
      const raw = await requestTls(listener.port, { ...shown, minVersion: version, maxVersion: version }).catch(
        () => '',
      );
      assert.equal(raw, '');
      await refused;
    }
  }
  assert.deepEqual(
    listener.handshakes.map(([refusal]) => refusal),
    ['certificate_missing', 'certificate_untrusted', 'certificate_missing', 'certificate_untrusted'],
  );
  assert.equal(listener.handshakes[1]?.[1], 'DEPTH_ZERO_SELF_SIGNED_CERT');
  assert.deepEqual(listener.served, []);
  assert.equal((await evidenceOf(listener, client))?.trusted, true);
});

test('possession: any certificate is evidence of its key alone, without chain, whatever its names', async (t) => {
  const listener = await serveListener(t, listenerFor({ verify: 'possession', ca: undefined }));
  for (const certificate of [selfSigned, client]) {
    const evidence = await evidenceOf(listener, certificate);
    assert.deepEqual([evidence?.verify, evidence?.trusted, evidence?.facts.chain], ['possession', false, []]);
    assert.equal(evidence?.facts.thumbprint, certificate.thumbprint);
  }
});

test('required under possession: without a certificate no request is served, with any one it is', async (t) => {
  const listener = await serveListener(t, listenerFor({ verify: 'possession', request: 'required', ca: undefined }));
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const refused = listener.handshakeRefused();
    const options = { ca: root.cert, minVersion: version, maxVersion: version };
    assert.equal(await requestTls(listener.port, options).catch(() => ''), '');
    await refused;
  }
  assert.deepEqual(listener.handshakes, [
    ['certificate_missing', 'CERTIFICATE_MISSING'],
    ['certificate_missing', 'CERTIFICATE_MISSING'],
  ]);
  assert.deepEqual(listener.served, []);
  assert.equal((await evidenceOf(listener, selfSigned))?.facts.thumbprint, selfSigned.thumbprint);
});

test('where none is asked for, a certificate that a client has is not seen', async (t) => {
  assert.equal(await evidenceOf(await serveListener(t, listenerFor({ request: 'none' })), client), undefined);
});

test('a peer that a rule knows by its certificate is trusted as long as that lasts, and it is not the certificate of the client', async (t) => {
  const trustedPeers = [{ cidr: undefined, certificateSan: 'client.example.com' }];
  const listener = await serveListener(t, listenerFor({}, { trustedPeers }));
  assert.equal(statusOf(await requestTls(listener.port, showing(client))), 200);
  const [served] = listener.served;
  assert.equal(served?.connection.trustedUntil, served?.connection.evidence?.facts.notAfter);
  assert.ok(served && !(served.facts instanceof Rejection));
  assert.equal(served.facts.peer.trusted, true);
  assert.equal(served.facts.certificate, undefined);
  await requestTls(listener.port, showing(selfSigned));
  assert.equal(listener.served[1]?.connection.trustedUntil, 0, 'the same name, but from nobody');
});

test('an IPv4 client of an IPv6 socket has its IPv4 address', async (t) => {
  const listener = makeListener({
    bind: { host: '::', port: 0 },
    trustedPeers: [{ cidr: '127.0.0.0/8', certificateSan: undefined }],
  });
  const { port, served } = await serveListener(t, listener);
  await sendRaw(port, 'GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n');
  assert.equal(served[0]?.connection.remoteAddress, '127.0.0.1');
  assert.equal(served[0]?.connection.trustedUntil, Number.POSITIVE_INFINITY);
});
