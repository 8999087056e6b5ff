// Failed handshakes: old versions, renegotiation, other protocols, silence.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test, type TestContext } from 'node:test';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { HOST, SERVER, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { readAll } from '../support/edge.ts';
import { makeCa, makeCertificate } from '../support/pki.ts';
import { until } from '../support/until.ts';
import { clientHello, handshakeFailures, portAt, sendBytes, VERSIONS, visit } from './clients.ts';

const ROUTES =
  '- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }';
const GET = `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;

/** Every value that the label `reason` may have. */
const REASONS = new Set([
  'closed',
  'timeout',
  'certificate_missing',
  'server_certificate_refused',
  'client_certificate_refused',
  'no_tls',
  'proxy_peer_untrusted',
  'proxy_header_malformed',
  'version',
  'parameters',
  'other',
]);

const start = (t: TestContext): Promise<TestGateway> => startTestGateway(t, { routes: ROUTES });

/** Ends in an error, of which the code is returned. */
async function failingClient(gateway: TestGateway, options: ConnectionOptions): Promise<string | undefined> {
  const trust = { ca: SERVER.issuer?.cert, servername: HOST };
  const socket = connectTls({ host: '127.0.0.1', port: portAt(gateway), ...trust, ...options });
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  socket.destroy();
  return error.code;
}

test('min_version: TLSv1.3 refuses TLS 1.2 under each certificate, and takes 1.3', async (t) => {
  const second = await makeCertificate({ names: ['second.example.com'], ...(SERVER.issuer && { ca: SERVER.issuer }) });
  const gateway = await startTestGateway(t, {
    listeners:
      `- { name: public, bind: "127.0.0.1:0", origins: ["https://${HOST}"], tls: { min_version: TLSv1.3, certificates: ` +
      '[{ cert: tls.crt, key_file: tls.key }, { cert: two.crt, key_file: two.key }] } }',
    files: { 'two.crt': second.chain, 'two.key': second.key },
    routes: ROUTES,
  });
  for (const servername of [HOST, 'second.example.com']) {
    await assert.rejects(visit(gateway, { servername, version: 'TLSv1.2' }), /alert protocol version/);
    assert.equal((await visit(gateway, { servername, version: 'TLSv1.3' })).answer.status, 200);
  }
  assert.deepEqual(await handshakeFailures(gateway), { version: 2 });
});

test('a client that renegotiates while its request is under way gets no answer, and the upstream is told', async (t) => {
  const gateway = await start(t);
  const aborted = Promise.withResolvers<void>();
  gateway.upstream.answer = (_request, response) => response.on('close', () => aborted.resolve());
  const socket = connectTls({
    host: '127.0.0.1',
    port: portAt(gateway),
    ca: SERVER.issuer?.cert,
    servername: HOST,
    maxVersion: 'TLSv1.2',
  });
  await once(socket, 'secureConnect');
  const all = readAll(socket);
  gateway.upstream.arrived = () => void socket.renegotiate({}, () => {});
  socket.write(GET);
  assert.equal(await all, '');
  await aborted.promise;
  gateway.upstream.arrived = () => {};
  gateway.upstream.answer = (_request, response) => response.end();
  assert.equal((await visit(gateway)).answer.status, 200);
});

test('what is not TLS gets an HTTP answer on a TLS port only where it is HTTP/1, and is counted as such', async (t) => {
  const gateway = await start(t);
  const requests = [GET, 'POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc', `CONNECT ${HOST}:443 HTTP/1.1\r\n\r\n`];
  for (const bytes of requests) {
    const answer = (await sendBytes(portAt(gateway), Buffer.from(bytes))).toString('latin1');
    assert.match(answer, /^HTTP\/1\.1 400 .*"reason":"tls_required"/s);
  }
  const others = [
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n',
    'SSH-2.0-client\r\n',
    '\0'.repeat(64),
  ];
  for (const bytes of others) {
    assert.doesNotMatch((await sendBytes(portAt(gateway), Buffer.from(bytes))).toString('latin1'), /HTTP/);
  }
  assert.deepEqual(await handshakeFailures(gateway), { no_tls: requests.length + others.length });
  assert.equal((await visit(gateway)).answer.status, 200);
  assert.equal(gateway.upstream.seen.length, 1);
});

test('records that no handshake begins with are refused and counted', async (t) => {
  const gateway = await start(t);
  const records = {
    'longer than a record may be': '160301ffff'.padEnd(300, '61'),
    'an alert': '15030100020228',
    'application data': '17030300056161616161',
    'a ChangeCipherSpec': '140303000101',
    'a ClientHello of SSL 2': '802e0100020015000000106161616161'.padEnd(96, '61'),
    'a ClientHello of one byte': '16030100050100000100',
    'a ClientHello of 16 MiB': '160301000401ffffff',
    'a ServerHello': '160301000402000000',
  };
  for (const [what, hex] of Object.entries(records)) {
    const reply = await sendBytes(portAt(gateway), Buffer.from(hex, 'hex'));
    assert.match(reply.toString('hex'), /^(?:1503..000202..)?$/, what);
  }
  const failures = await handshakeFailures(gateway);
  assert.equal(
    Object.values(failures).reduce((sum, count) => sum + count, 0),
    Object.keys(records).length,
  );
  assert.ok(Object.keys(failures).every((reason) => REASONS.has(reason)));
  assert.equal((await visit(gateway)).answer.status, 200);
});

test('TLS on a plain port is a malformed request, never a connection', async (t) => {
  const gateway = await startTestGateway(t, {
    listeners: `- { name: plain, bind: "127.0.0.1:0", origins: ["http://${HOST}"] }`,
    routes: ROUTES,
  });
  for (const version of VERSIONS) {
    assert.equal(
      await failingClient(gateway, { minVersion: version, maxVersion: version }),
      'ERR_SSL_WRONG_VERSION_NUMBER',
    );
  }
  const reply = await sendBytes(portAt(gateway), await clientHello(Buffer.alloc(0)));
  assert.match(reply.toString('latin1'), /^HTTP\/1\.1 400 [^]*"reason":"request_malformed"/);
  assert.equal(await gateway.count('holdfast_rejections_total', { reason: 'request_malformed' }), 3);
  assert.equal(gateway.upstream.seen.length, 0);
});

test('a client that agrees to nothing we have is counted by what is missing', async (t) => {
  const gateway = await start(t);
  await failingClient(gateway, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' });
  assert.deepEqual(await handshakeFailures(gateway), { parameters: 1 }, 'no cipher in common');
  await failingClient(gateway, { ALPNProtocols: ['spdy/3'] });
  assert.deepEqual(await handshakeFailures(gateway), { parameters: 2 }, 'no protocol in common (RFC 7301 §3.2)');
});

/** Clients that begin a handshake and never come to its end. */
const UNFINISHED: Readonly<Record<string, (port: number) => Promise<unknown>>> = {
  'says nothing': (port) => readAll(connect(port, '127.0.0.1')),
  'stops in the middle of its ClientHello': async (port) =>
    sendBytes(port, (await clientHello(Buffer.alloc(0))).subarray(0, 200)),
  'says nothing more behind its ClientHello': async (port) => sendBytes(port, await clientHello(Buffer.alloc(0))),
  'sends a byte of its ClientHello now and then': async (port) => {
    const hello = await clientHello(Buffer.alloc(0));
    const socket = connect(port, '127.0.0.1');
    let sent = 0;
    const drip = setInterval(() => socket.write(hello.subarray(sent, ++sent)), 50);
    await readAll(socket);
    clearInterval(drip);
    assert.ok(sent > 5 && sent < hello.length, `${sent} bytes`);
  },
};

test('a handshake that never comes to its end is given header_timeout, however busy it keeps us', async (t) => {
  const gateway = await startTestGateway(t, { routes: ROUTES, listener: 'limits: { header_timeout: 2s }' });
  const began = performance.now();
  await Promise.all(Object.values(UNFINISHED).map((client) => client(portAt(gateway))));
  assert.ok(performance.now() - began < 7000, 'all of them at once, each for two seconds');
  const refused = () => gateway.log.filter(({ msg }) => msg === 'handshake refused');
  await until(() => refused().length >= Object.keys(UNFINISHED).length);
  const lines = refused();
  assert.deepEqual(
    lines.map(({ refusal }) => refusal),
    Object.keys(UNFINISHED).map(() => 'timed_out'),
  );
  assert.deepEqual(await handshakeFailures(gateway), { timeout: Object.keys(UNFINISHED).length });
  await until(async () => (await gateway.count('holdfast_connections')) === 0);
});

test('clients that go away in the middle of a handshake, politely or not, leave nothing behind', async (t) => {
  const gateway = await start(t);
  const hello = await clientHello(Buffer.alloc(0));
  for (const [bytes, leave] of [
    [0, 'end'],
    [0, 'resetAndDestroy'],
    [200, 'end'],
    [200, 'resetAndDestroy'],
    [hello.length, 'end'],
    [hello.length, 'resetAndDestroy'],
  ] as const) {
    const socket = connect(portAt(gateway), '127.0.0.1');
    const all = readAll(socket);
    await once(socket, 'connect');
    if (bytes > 0) await new Promise((resolve) => socket.write(hello.subarray(0, bytes), resolve));
    if (bytes === hello.length) await once(socket, 'data');
    socket[leave]();
    await all;
  }
  assert.equal((await visit(gateway)).answer.status, 200);
  const failures = await handshakeFailures(gateway);
  assert.ok(
    Object.keys(failures).every((reason) => reason === 'closed'),
    JSON.stringify(failures),
  );
});

test('required: a client without a certificate, and one with a stranger’s, are counted apart in both versions', async (t) => {
  const ca = await makeCa();
  const stranger = await makeCertificate({ names: ['client.example.net'] });
  const gateway = await startTestGateway(t, {
    listener: 'client_certificate: { request: required, verify: chain, ca_file: ca.pem }',
    files: { 'ca.pem': ca.cert },
    routes: ROUTES,
  });
  for (const version of VERSIONS) {
    await assert.rejects(visit(gateway, { version }));
    await assert.rejects(visit(gateway, { version, client: stranger }));
  }
  const failures = await handshakeFailures(gateway);
  assert.deepEqual(failures, { certificate_missing: 2, client_certificate_refused: 2 });
  assert.equal(gateway.upstream.seen.length, 0);
});
