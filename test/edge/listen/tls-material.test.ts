// TLS of listeners with real handshakes: certificates, versions, no resumption.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { before, test } from 'node:test';
import { type ConnectionOptions, getCiphers } from 'node:tls';
import { compileTlsMaterial } from '../../../src/edge/listen/tls-material.ts';
import type { CertificateFiles, ClientCertificatePolicy } from '../../../src/policy/policy.ts';
import { makeListener, openTls, readAll, reasonOf, requestTls, serveListener, statusOf } from '../../support/edge.ts';
import { makeCa, makeCertificate, type TestCertificate } from '../../support/pki.ts';

let ca: TestCertificate;
let api: TestCertificate;
let client: TestCertificate;

before(async () => {
  ca = await makeCa();
  api = await makeCertificate({ names: ['api.example.com'], ca });
  client = await makeCertificate({ names: ['client.example.com'], ca });
});

const files = ({ chain, key }: TestCertificate): CertificateFiles => ({ cert: chain, key, certFile: 'tls/tls.crt' });
const tls = (...certificates: readonly TestCertificate[]) =>
  ({ certificates: certificates.map(files), minVersion: 'TLSv1.2' }) as const;
const asking = (over: Partial<ClientCertificatePolicy> = {}): ClientCertificatePolicy => ({
  request: 'optional',
  verify: 'chain',
  ca: ca.cert,
  crl: undefined,
  ...over,
});

test('SNI picks the certificate by its own names: exact before wildcard, one label, else the first', async (t) => {
  const first = await makeCertificate({ names: ['first.example.com'], ca });
  const wildcard = await makeCertificate({ names: ['*.example.com'], ca });
  const { port } = await serveListener(t, makeListener({ tls: tls(first, wildcard, api) }));
  const shown = async (servername: string) => {
    const socket = await openTls(port, { ca: ca.cert, servername, checkServerIdentity: () => undefined });
    const { subject } = socket.getPeerX509Certificate() ?? {};
    socket.destroy();
    return subject;
  };
  assert.equal(await shown('api.example.com'), 'CN=api.example.com');
  assert.equal(await shown('API.Example.com'), 'CN=api.example.com');
  assert.equal(await shown('other.example.com'), 'CN=.example.com');
  assert.equal(await shown('a.b.example.com'), 'CN=first.example.com');
  assert.equal(await shown('first.example.com'), 'CN=first.example.com', 'exact, although a wildcard fits');
  assert.equal(await shown(''), 'CN=first.example.com', 'no SNI at all');
});

test('a certificate with given names is chosen for these alone, and before one that names them itself', async (t) => {
  const first = await makeCertificate({ names: ['first.example.com', '*.example.com', 'api.example.com'], ca });
  const team = await makeCertificate({ names: ['team.example.com', 'first.example.com', 'other.example.org'], ca });
  const certificates = [
    files(first),
    { ...files(api), names: ['api.example.com'] },
    { ...files(team), names: ['**.team.example.com'] },
  ];
  const { port } = await serveListener(t, makeListener({ tls: { certificates, minVersion: 'TLSv1.2' } }));
  const shown = async (servername: string) => {
    const socket = await openTls(port, { ca: ca.cert, servername, checkServerIdentity: () => undefined });
    const { subject } = socket.getPeerX509Certificate() ?? {};
    socket.destroy();
    return subject;
  };
  assert.equal(await shown('api.example.com'), 'CN=api.example.com');
  assert.equal(await shown('a.team.example.com'), 'CN=team.example.com');
  assert.equal(await shown('a.b.team.example.com'), 'CN=team.example.com');
  assert.equal(await shown('team.example.com'), 'CN=first.example.com', 'one label at least');
  assert.equal(await shown('first.example.com'), 'CN=first.example.com', 'which the other certificate names too');
  assert.equal(await shown('other.example.org'), 'CN=first.example.com', 'the first where none fits');
});

test('versions below min_version are refused, the handshake is counted', async (t) => {
  const listener = await serveListener(t, makeListener({ tls: { ...tls(api), minVersion: 'TLSv1.3' } }));
  const refused = listener.handshakeRefused();
  await assert.rejects(openTls(listener.port, { ca: ca.cert, maxVersion: 'TLSv1.2' }));
  await refused;
  assert.deepEqual(listener.handshakes, [['failed', 'ERR_SSL_UNSUPPORTED_PROTOCOL']]);
  const socket = await openTls(listener.port, { ca: ca.cert });
  assert.equal(socket.getProtocol(), 'TLSv1.3');
  socket.destroy();
});

test('a TLS 1.2 client without forward secrecy or AEAD finds no cipher', async (t) => {
  const { port } = await serveListener(t, makeListener({ tls: tls(api) }));
  for (const ciphers of ['ECDHE-ECDSA-AES128-SHA256', 'AES128-GCM-SHA256']) {
    await assert.rejects(openTls(port, { ca: ca.cert, maxVersion: 'TLSv1.2', ciphers }), ciphers);
  }
});

/** Every suite of TLS 1.2 that this OpenSSL has, and which of them a listener takes with certificates of both kinds. */
async function acceptedSuites(port: number): Promise<string[]> {
  const suites = getCiphers()
    .map((name) => name.toUpperCase())
    .filter((name) => !name.startsWith('TLS_'));
  const accepted: string[] = [];
  for (const suite of suites) {
    const socket = await openTls(port, {
      rejectUnauthorized: false,
      servername: suite.includes('ECDSA') ? 'api.example.com' : 'rsa.example.com',
      maxVersion: 'TLSv1.2',
      ciphers: `${suite}:@SECLEVEL=0`,
    }).catch(() => undefined);
    if (socket === undefined) continue;
    assert.equal(socket.getCipher().name, suite);
    accepted.push(suite);
    socket.destroy();
  }
  return accepted.toSorted();
}

const AES_GCM = ['ECDSA', 'RSA'].flatMap((kind) => [
  `ECDHE-${kind}-AES128-GCM-SHA256`,
  `ECDHE-${kind}-AES256-GCM-SHA384`,
]);
const CHACHA20 = ['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'];

for (const [profile, over, expected] of [
  ['modern', { profile: 'modern', minVersion: 'TLSv1.3' }, []],
  ['intermediate', { profile: 'intermediate' }, [...AES_GCM, ...CHACHA20]],
  ['absent', {}, [...AES_GCM, ...CHACHA20]],
  ['fapi', { profile: 'fapi' }, AES_GCM],
] as const) {
  test(`profile ${profile}: TLS 1.2 has the suites of that profile and no other, TLS 1.3 has all three`, async (t) => {
    const rsa = await makeCertificate({ names: ['rsa.example.com'], ca, key: 'RSA' });
    const { port } = await serveListener(t, makeListener({ tls: { ...tls(api, rsa), ...over } }));
    assert.deepEqual(await acceptedSuites(port), expected.map(String).toSorted());
    for (const ciphers of ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256']) {
      const socket = await openTls(port, { ca: ca.cert, minVersion: 'TLSv1.3', ciphers });
      assert.equal(socket.getCipher().name, ciphers);
      socket.destroy();
    }
  });
}

test('ALPN chooses HTTP/2 unless http2 is false, then HTTP/1.1; a client that wants only something else gets no connection', async (t) => {
  for (const http2 of [true, false]) {
    const { port } = await serveListener(t, makeListener({ tls: tls(api), http2 }));
    const socket = await openTls(port, { ca: ca.cert, ALPNProtocols: ['http/1.1', 'h2'] });
    assert.equal(socket.alpnProtocol, http2 ? 'h2' : 'http/1.1');
    socket.destroy();
    await assert.rejects(openTls(port, { ca: ca.cert, ALPNProtocols: [http2 ? 'h3' : 'h2'] }));
  }
});

/** Two requests, the second with the session of the first; whether that was resumed. */
async function resumes(port: number, options: ConnectionOptions): Promise<boolean> {
  const first = await openTls(port, options);
  const session =
    options.maxVersion === 'TLSv1.2' ? Promise.resolve([first.getSession()]) : once(first, 'session').catch(() => []);
  first.write('GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n');
  assert.equal(statusOf(await readAll(first)), 200);
  const [kept] = (await session) as [Buffer | undefined];
  assert.ok(kept, 'a client that has nothing to resume would prove nothing');
  const second = await openTls(port, { ...options, session: kept });
  const resumed = second.isSessionReused();
  second.destroy();
  return resumed;
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${version}: sessions are resumed where no certificates are asked for, and never where they are`, async (t) => {
    const options = { ca: ca.cert, minVersion: version, maxVersion: version };
    const plain = await serveListener(t, makeListener({ tls: tls(api) }));
    assert.equal(await resumes(plain.port, options), true);
    const other = await makeCertificate({ names: ['other.example.com'], ca });
    const asked = await serveListener(t, makeListener({ tls: tls(other, api), clientCertificate: asking() }));
    assert.equal(await resumes(asked.port, { ...options, cert: client.cert, key: client.key }), false);
    assert.equal(await resumes(asked.port, options), false, 'without a certificate');
    assert.ok(asked.served.every(({ connection }) => connection.servername === 'api.example.com'));
  });

  test(`${version}: a session of one listener is no session of another`, async (t) => {
    const options = { ca: ca.cert, minVersion: version, maxVersion: version };
    const [one, two] = [
      await serveListener(t, makeListener({ tls: tls(api) })),
      await serveListener(t, makeListener({ tls: tls(api) })),
    ];
    const first = await openTls(one.port, options);
    const [session] = version === 'TLSv1.2' ? [first.getSession()] : ((await once(first, 'session')) as [Buffer]);
    first.destroy();
    assert.ok(session);
    const second = await openTls(two.port, { ...options, session });
    assert.equal(second.isSessionReused(), false);
    second.destroy();
  });
}

test('a client cannot renegotiate', async (t) => {
  const { port, served } = await serveListener(t, makeListener({ tls: tls(api) }));
  const socket = await openTls(port, { ca: ca.cert, maxVersion: 'TLSv1.2' });
  const all = readAll(socket);
  socket.renegotiate({}, () => socket.write('GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n'));
  assert.equal(await all, '', 'the connection ends without an answer');
  assert.deepEqual(served, []);
});

test('unusable material is an Error that names listener and file, and says nothing of the key', () => {
  const material = (over: Parameters<typeof makeListener>[0]) => () => {
    const listener = makeListener(over);
    assert.ok(listener.tls);
    return compileTlsMaterial(listener, listener.tls);
  };
  const mixed = { ...files(api), key: client.key };
  assert.throws(
    material({ tls: { ...tls(), certificates: [mixed] } }),
    /^Error: listener "public": TLS with certificate tls\/tls\.crt and its key: .*mismatch/,
  );
  assert.throws(material({ tls: tls() }), /listener "public": tls\.certificates is empty/);
  assert.throws(
    material({ tls: tls(api), clientCertificate: asking({ ca: undefined }) }),
    /ca_file holds no certificate/,
  );
  assert.throws(
    material({ tls: tls(api), clientCertificate: asking({ ca: 'garbage' }) }),
    /ca_file holds no certificate/,
  );
  assert.throws(material({ tls: tls(api), clientCertificate: asking({ crl: 'garbage' }) }), /crl_file holds no CRL/);
});

test('a client that never finishes its handshake is dropped', async (t) => {
  const limits = { ...makeListener().limits, headerTimeout: 0.1 };
  const listener = await serveListener(t, makeListener({ tls: tls(api), limits }));
  const refused = listener.handshakeRefused();
  assert.equal(await readAll(connect(listener.port, '127.0.0.1')), '');
  await refused;
  assert.deepEqual(listener.handshakes, [['timed_out', 'ERR_TLS_HANDSHAKE_TIMEOUT']]);
});

test('plain HTTP on a TLS port is answered in plain HTTP, and takes nothing down', async (t) => {
  const listener = await serveListener(t, makeListener({ tls: tls(api) }));
  const socket = connect(listener.port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n');
  const answer = await readAll(socket);
  assert.deepEqual([statusOf(answer), reasonOf(answer)], [400, 'tls_required']);
  assert.deepEqual(listener.handshakes, [['failed', 'ERR_SSL_HTTP_REQUEST']]);
  const other = connect(listener.port, '127.0.0.1');
  other.write('\u0080\u0001 no HTTP and no TLS');
  assert.doesNotMatch(await readAll(other), /HTTP\//);
  assert.equal(statusOf(await requestTls(listener.port, { ca: ca.cert })), 200);
});
