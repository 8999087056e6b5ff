// Generations of listeners: limits, peers and TLS that change under open connections.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { test } from 'node:test';
import { compileStanding, type Connection } from '../../../src/edge/listen/connection.ts';
import type { Listener } from '../../../src/policy/policy.ts';
import { makeListener, readAll, requestTls, sendRaw, serveListener, statusOf } from '../../support/edge.ts';
import { makeCertificate } from '../../support/pki.ts';

const GET = 'GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n';
const plain = makeListener();
const limited = (limits: Partial<Listener['limits']>): Listener =>
  makeListener({ limits: { ...plain.limits, ...limits } });

/** A connection that was answered once. */
async function alive(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await ask(socket);
  return socket;
}

async function ask(socket: Socket): Promise<void> {
  socket.write(GET);
  await once(socket, 'data');
}

test('limits hold for connections that come in after the change', async (t) => {
  const { open, port } = await serveListener(t, plain);
  const before = await alive(port);
  open.prepare(limited({ headerSize: 1000 }))();
  const long = `GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\nX: ${'x'.repeat(2000)}\r\n\r\n`;
  assert.equal(statusOf(await sendRaw(port, long)), 431);
  before.write(long);
  assert.equal(statusOf(await readAll(before)), 200);
});

test('the number of connections is that of the new limit, over old and new connections', async (t) => {
  const { open, port } = await serveListener(t, plain);
  const before = await alive(port);
  open.prepare(limited({ connections: 1 }))();
  assert.equal(await sendRaw(port, GET), '', 'dropped');
  before.destroy();
  while (open.connections() > 0) await new Promise(setImmediate);
  await alive(port).then((socket) => socket.destroy());
});

test('header_timeout is kept on old connections and new ones', async (t) => {
  const { open, port } = await serveListener(t, limited({ headerTimeout: 0.2 }));
  const before = await alive(port);
  open.prepare(limited({ headerTimeout: 0.3 }))();
  const after = await alive(port);
  for (const socket of [before, after]) {
    socket.write('GET / HTTP/1.1\r\n');
    assert.equal(statusOf(await readAll(socket)), 408);
  }
});

test('a peer that is trusted no longer has to connect anew, and is not believed then', async (t) => {
  const trusting = makeListener({ trustedPeers: [{ cidr: '127.0.0.0/8', certificateSan: undefined }] });
  const { open, port, served } = await serveListener(t, trusting);
  const before = await alive(port);
  assert.equal(served[0]?.connection.trustedUntil, Number.POSITIVE_INFINITY);
  open.prepare(plain)();
  assert.equal(await readAll(before), '');
  (await alive(port)).destroy();
  assert.equal(served[1]?.connection.trustedUntil, 0);
});

test('a connection to which a change of trusted_peers means nothing lives on', async (t) => {
  const { open, port, served } = await serveListener(t, plain);
  const before = await alive(port);
  open.prepare(makeListener({ trustedPeers: [{ cidr: '10.0.0.0/8', certificateSan: undefined }] }))();
  await ask(before);
  assert.equal(served.length, 2);
  before.destroy();
});

test('TLS comes to a plain listener: its connections end, and the port speaks TLS', async (t) => {
  const server = await makeCertificate({ names: ['api.example.com'] });
  const certificates = [{ cert: server.chain, key: server.key, certFile: 'tls.crt' }];
  const { open, port, served } = await serveListener(t, plain);
  const before = await alive(port);
  open.prepare({ ...plain, tls: { certificates, minVersion: 'TLSv1.2' } })();
  assert.equal(await readAll(before), '');
  await requestTls(port, { ca: server.cert });
  assert.equal(served.length, 2);
  open.prepare(plain)();
  assert.equal(statusOf(await sendRaw(port, GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))), 200);
});

const LOOPBACK = { cidr: '127.0.0.0/8', certificateSan: undefined };
const behind = (...trustedPeers: Listener['trustedPeers']) => makeListener({ proxyProtocol: true, trustedPeers });

/** A connection that began with a PROXY header and was answered once. */
async function proxied(port: number, header: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.write(header);
  await ask(socket);
  return socket;
}

test('a balancer that may send PROXY headers no longer: its connections end, whatever address they are said to come from', async (t) => {
  const before = behind(LOOPBACK, { cidr: '10.0.0.0/8', certificateSan: undefined });
  const { open, port } = await serveListener(t, before);
  const said = await proxied(port, 'PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n');
  const nobody = await proxied(port, 'PROXY UNKNOWN\r\n');
  open.prepare(behind(LOOPBACK))();
  for (const socket of [said, nobody]) await ask(socket);
  open.prepare(behind({ cidr: '10.0.0.0/8', certificateSan: undefined }))();
  assert.deepEqual(await Promise.all([said, nobody].map(readAll)), ['', '']);
});

test('a connection whose PROXY header names an address that is trusted no longer ends, others of its balancer live on', async (t) => {
  const { open, port } = await serveListener(t, behind(LOOPBACK, { cidr: '192.0.2.7/32', certificateSan: undefined }));
  const trusted = await proxied(port, 'PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n');
  const other = await proxied(port, 'PROXY TCP4 192.0.2.8 198.51.100.1 40000 443\r\n');
  open.prepare(behind(LOOPBACK))();
  assert.equal(await readAll(trusted), '');
  await ask(other);
  other.destroy();
});

test('stop and close end the connections of every version of a listener', async (t) => {
  const { open, port } = await serveListener(t, plain);
  const sockets = [await alive(port)];
  for (const headerSize of [10_000, 20_000]) {
    open.prepare(limited({ headerSize }))();
    sockets.push(await alive(port));
  }
  assert.equal(open.connections(), 3);
  const ended = Promise.all(sockets.map(readAll));
  await open.stop();
  assert.deepEqual(await ended, ['', '', '']);
  assert.equal(open.connections(), 0);
});

test('the same listener once more is no change', async (t) => {
  const { open, port } = await serveListener(t, plain);
  open.prepare(makeListener())();
  (await alive(port)).destroy();
});

test('a connection stands if a change leaves its facts as they are', () => {
  const stranger: Connection = {
    remoteAddress: '192.0.2.1',
    remotePort: 1,
    localAddress: '192.0.2.2',
    localPort: 2,
    servername: undefined,
    evidence: undefined,
    trustedUntil: 0,
  };
  const stands = (now: Partial<Listener>) => compileStanding(plain, { ...plain, ...now })(stranger, new Socket());
  assert.equal(stands({}), true);
  assert.equal(stands({ trustedPeers: [{ cidr: '192.0.2.0/24', certificateSan: undefined }] }), false, 'trusted now');
  const byAddress = { cidr: '192.0.2.0/24', certificateSan: undefined };
  const trusted = { ...stranger, trustedUntil: Number.POSITIVE_INFINITY };
  const trusting = compileStanding(plain, { ...plain, trustedPeers: [{ ...byAddress, forwarding: 'forwarded' }] });
  assert.equal(trusting(trusted, new Socket()), false, 'believed in other fields');
  assert.equal(trusting({ ...trusted, forwarding: 'forwarded' }, new Socket()), true);
  assert.equal(
    stands({ trustedPeers: [{ cidr: '192.0.2.0/24', certificateSan: 'lb.internal' }] }),
    true,
    'no name shown',
  );
  assert.equal(
    stands({ clientCertificate: { ...plain.clientCertificate, crl: 'a list' } }),
    true,
    'no certificate shown',
  );
  assert.equal(stands({ clientCertificate: { ...plain.clientCertificate, request: 'required' } }), false);
});
