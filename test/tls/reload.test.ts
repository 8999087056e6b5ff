// A listener that changes its certificates and CAs while connections live.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import type { ClientCertificatePolicy, Listener } from '../../src/policy/policy.ts';
import { makeListener, openTls, readAll, requestTls, serveListener, statusOf } from '../support/edge.ts';
import { makeCa, makeCertificate, makeCrl, type TestCertificate } from '../support/pki.ts';

const serverCa = await makeCa({ subject: 'CN=Server CA' });
const clientCa = await makeCa({ subject: 'CN=Client CA' });
const otherCa = await makeCa({ subject: 'CN=Other CA' });
const server = await makeCertificate({ names: ['api.example.com'], ca: serverCa });
const renewed = await makeCertificate({
  names: ['api.example.com'],
  ca: serverCa,
  notAfter: Date.now() / 1000 + 172_800,
});
const client = await makeCertificate({ names: ['client.example.com'], ca: clientCa });

const tls = (...certificates: readonly TestCertificate[]): NonNullable<Listener['tls']> => ({
  certificates: certificates.map(({ chain, key }) => ({ cert: chain, key, certFile: 'tls.crt' })),
  minVersion: 'TLSv1.2',
});
const asking = (over: Partial<ClientCertificatePolicy> = {}): ClientCertificatePolicy => ({
  request: 'optional',
  verify: 'chain',
  ca: clientCa.cert,
  crl: undefined,
  ...over,
});
const plain = makeListener({ tls: tls(server) });
const mutual = makeListener({ tls: tls(server), clientCertificate: asking() });
const showing = (certificate: TestCertificate): ConnectionOptions => ({
  ca: serverCa.cert,
  cert: certificate.chain,
  key: certificate.key,
});
const GET = 'GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n';

/** A client's connection, and what came on it. */
class Line {
  readonly socket: TLSSocket;
  readonly ended: Promise<string>;
  text = '';
  #look = () => {};

  constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      this.text += chunk;
      this.#look();
    });
    socket.on('error', () => socket.destroy());
    this.ended = new Promise((resolve) => socket.once('close', () => resolve(this.text)));
  }

  /** Asks, and waits for one more `ok`. */
  async ask(): Promise<void> {
    const answers = this.#answers();
    this.socket.write(GET);
    await new Promise<void>((resolve, reject) => {
      this.#look = () => void (this.#answers() > answers && resolve());
      this.socket.once('close', () => reject(new Error('the connection ended without an answer')));
    });
  }

  #answers(): number {
    return this.text.split('\r\n\r\nok').length;
  }
}

const line = async (port: number, options: ConnectionOptions = { ca: serverCa.cert }) =>
  new Line(await openTls(port, options));
const serialOf = async (port: number, servername = 'api.example.com') => {
  const socket = await openTls(port, { ca: serverCa.cert, servername, checkServerIdentity: () => undefined });
  const serial = socket.getPeerX509Certificate()?.serialNumber;
  socket.destroy();
  return serial;
};
const serial = ({ cert }: TestCertificate) => new X509Certificate(cert).serialNumber;

/** A listener whose answers are held back until they are released. */
async function holding(t: TestContext, listener: Listener) {
  const held: ServerResponse[] = [];
  let arrived = () => {};
  const serving = await serveListener(t, listener, (_request, response) => {
    held.push(response);
    arrived();
  });
  return { ...serving, held, next: () => new Promise<void>((resolve) => (arrived = resolve)) };
}

test('a renewed certificate meets new connections, and a connection that was there goes on', async (t) => {
  const { open, port, served } = await serveListener(t, plain);
  const before = await line(port);
  await before.ask();
  open.prepare({ ...plain, tls: tls(renewed) })();
  assert.equal(await serialOf(port), serial(renewed));
  await before.ask();
  assert.equal(served.length, 2);
  assert.equal(before.socket.getPeerX509Certificate()?.serialNumber, serial(server));
  before.socket.destroy();
});

test('a key that is not that of the certificate changes nothing, and says so before anything is changed', async (t) => {
  const { open, port } = await serveListener(t, mutual);
  const before = await line(port, showing(client));
  const wrong = {
    ...mutual,
    tls: { ...tls(renewed), certificates: [{ cert: renewed.chain, key: server.key, certFile: 'new.crt' }] },
  };
  assert.throws(() => open.prepare(wrong), /^Error: listener "public": TLS with certificate new\.crt and its key: /);
  assert.throws(() => open.prepare({ ...mutual, clientCertificate: asking({ ca: 'no CA' }) }), /holds no certificate/);
  await before.ask();
  assert.equal(await serialOf(port), serial(server));
  before.socket.destroy();
});

test('what was made ready and never put into force changes nothing', async (t) => {
  const { open, port } = await serveListener(t, plain);
  open.prepare({ ...plain, tls: tls(renewed) });
  assert.equal(await serialOf(port), serial(server));
});

test('the names of SNI are those of the new certificates: one came, one went', async (t) => {
  const [gone, come] = [
    await makeCertificate({ names: ['gone.example.com'], ca: serverCa }),
    await makeCertificate({ names: ['come.example.com'], ca: serverCa }),
  ];
  const { open, port } = await serveListener(t, { ...plain, tls: tls(server, gone) });
  assert.equal(await serialOf(port, 'gone.example.com'), serial(gone));
  assert.equal(await serialOf(port, 'come.example.com'), serial(server));
  open.prepare({ ...plain, tls: tls(server, come) })();
  assert.equal(await serialOf(port, 'gone.example.com'), serial(server), 'the first one, as for any other name');
  assert.equal(await serialOf(port, 'come.example.com'), serial(come));
});

test('min_version holds for new connections', async (t) => {
  const { open, port } = await serveListener(t, plain);
  const before = await line(port, { ca: serverCa.cert, maxVersion: 'TLSv1.2' });
  open.prepare({ ...plain, tls: { ...tls(server), minVersion: 'TLSv1.3' } })();
  await assert.rejects(openTls(port, { ca: serverCa.cert, maxVersion: 'TLSv1.2' }));
  await before.ask();
  before.socket.destroy();
});

test('a CA removed while a connection lives: the connection ends, and the certificate counts nowhere any more', async (t) => {
  const { open, port, served } = await serveListener(t, mutual);
  const before = await line(port, showing(client));
  await before.ask();
  assert.equal(served[0]?.connection.evidence?.trusted, true);
  open.prepare({ ...mutual, clientCertificate: asking({ ca: otherCa.cert }) })();
  before.socket.write(GET);
  await before.ended;
  assert.equal(served.length, 1, 'its next request is not served');
  await requestTls(port, showing(client));
  assert.equal(served[1]?.connection.evidence?.trusted, false);
});

test('a CA removed: the answer on its way is whole and the last one, what was sent behind it is no request', async (t) => {
  const { open, port, served, held, next } = await holding(t, mutual);
  const before = await line(port, showing(client));
  const arrived = next();
  before.socket.write(GET);
  await arrived;
  open.prepare({ ...mutual, clientCertificate: asking({ ca: otherCa.cert }) })();
  before.socket.write(GET);
  held[0]?.end('ok');
  const text = await before.ended;
  assert.equal(statusOf(text), 200);
  assert.match(text, /\r\nConnection: close\r\n[^]*\r\n\r\nok$/);
  assert.equal(served.length, 1);
});

test('a CA removed in the middle of an answer: it comes to its end, then its connection does', async (t) => {
  const { open, port, served, held, next } = await holding(t, mutual);
  const before = await line(port, showing(client));
  const arrived = next();
  before.socket.write(GET);
  await arrived;
  held[0]?.write('first half, ');
  await once(before.socket, 'data');
  open.prepare({ ...mutual, clientCertificate: asking({ ca: otherCa.cert }) })();
  held[0]?.end('second half');
  const text = await before.ended;
  assert.match(text, /second half\r\n0\r\n\r\n$/);
  before.socket.destroy();
  assert.equal(served.length, 1);
});

test('a list of revoked certificates that comes in ends connections with certificates, and the revoked one is untrusted', async (t) => {
  const { open, port, served } = await serveListener(t, mutual);
  const [shown, without] = [await line(port, showing(client)), await line(port)];
  open.prepare({ ...mutual, clientCertificate: asking({ crl: await makeCrl(clientCa, [client]) }) })();
  await shown.ended;
  await without.ask();
  assert.equal(served.length, 1, 'a connection without a certificate lives on');
  without.socket.destroy();
  await requestTls(port, showing(client));
  assert.equal(served[1]?.connection.evidence?.trusted, false);
  await requestTls(port, showing(await makeCertificate({ names: ['other.example.com'], ca: clientCa })));
  assert.equal(served[2]?.connection.evidence?.trusted, true);
});

test('a certificate that is required from now on ends connections without one', async (t) => {
  const { open, port, served } = await serveListener(t, mutual);
  const without = await line(port);
  open.prepare({ ...mutual, clientCertificate: asking({ request: 'required' }) })();
  await without.ended;
  assert.equal(served.length, 0);
  await requestTls(port, showing(client));
  assert.equal(served[0]?.connection.evidence?.trusted, true);
});

test('a renewed server certificate does not end connections that carry certificates', async (t) => {
  const { open, port, served } = await serveListener(t, mutual);
  const before = await line(port, showing(client));
  open.prepare({ ...mutual, tls: tls(renewed) })();
  await before.ask();
  assert.equal(served[0]?.connection.evidence?.trusted, true);
  open.prepare({ ...mutual, tls: tls(renewed), clientCertificate: asking({ ca: otherCa.cert }) })();
  await before.ended;
});

/** A TCP connection on which what is written behind the first segment waits until it is let through. */
class Gate extends Duplex {
  readonly #socket;
  readonly #waiting: (() => void)[] = [];
  #first = true;
  #open = false;
  readonly reached: Promise<void>;
  #reach = () => {};

  constructor(port: number) {
    super();
    this.reached = new Promise((resolve) => (this.#reach = resolve));
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk) => this.push(chunk));
    this.#socket.on('error', () => this.destroy());
    this.#socket.on('close', () => this.destroy());
  }

  letThrough(): void {
    this.#open = true;
    for (const write of this.#waiting) write();
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    const write = () => void this.#socket.write(bytes, done);
    if (this.#open || this.#first) write();
    else {
      this.#waiting.push(write);
      this.#reach();
    }
    this.#first = false;
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}

test('a handshake that was under way when its CA was removed leads to no connection', async (t) => {
  const { open, port, served } = await serveListener(t, mutual);
  const gate = new Gate(port);
  const socket = connectTls({ ...showing(client), socket: gate, servername: 'api.example.com' });
  const ended = readAll(socket);
  await gate.reached; // the client's certificate is ready to be sent
  open.prepare({ ...mutual, clientCertificate: asking({ ca: otherCa.cert }) })();
  gate.letThrough();
  socket.write(GET);
  assert.equal(await ended, '');
  assert.equal(served.length, 0);
  while (open.connections() > 0) await new Promise(setImmediate);
});

/** An HTTP/2 connection that shows a certificate. */
async function session(port: number): Promise<ClientHttp2Session> {
  const opened = connectHttp2(`https://127.0.0.1:${port}`, { ...showing(client), servername: 'api.example.com' });
  opened.on('error', () => {});
  await once(opened, 'connect');
  return opened;
}

const stream = (of: ClientHttp2Session) => of.request({ ':path': '/', ':authority': 'api.example.com' }).resume();

test('HTTP/2: a CA removed: streams in flight get their answers, later ones are refused, and the connection ends', async (t) => {
  const { open, port, served } = await serveListener(t, mutual);
  const [busy, idle] = [await session(port), await session(port)];
  const first = stream(busy);
  while (served.length < 1) await new Promise(setImmediate);
  const [goneAway, ended] = [once(busy, 'goaway'), Promise.all([busy, idle].map((one) => once(one, 'close')))];
  // Both ends are of this process: the client writes this before it can have heard of anything.
  const late = stream(busy);
  const refused = assert.rejects(once(late, 'close'), /NGHTTP2_REFUSED_STREAM/);
  open.prepare({ ...mutual, clientCertificate: asking({ ca: otherCa.cert }) })();
  await goneAway;
  served[0]?.transaction.writeHead(200, [], 'nothing');
  served[0]?.transaction.end();
  const [headers] = await once(first, 'response');
  assert.equal(headers[':status'], 200);
  await refused;
  await ended;
  assert.equal(served.length, 1);
});

test('HTTP/2: a certificate of the server renewed: the connection and its streams go on', async (t) => {
  const { open, port, served } = await serveListener(t, mutual);
  const before = await session(port);
  open.prepare({ ...mutual, tls: tls(renewed) })();
  const later = stream(before);
  while (served.length < 1) await new Promise(setImmediate);
  served[0]?.transaction.writeHead(200, [], 'nothing');
  served[0]?.transaction.end();
  await once(later, 'close');
  assert.equal(before.closed, false);
  before.destroy();
});

test('http2 comes and goes for new connections', async (t) => {
  const { open, port } = await serveListener(t, plain);
  const agreed = async () => {
    const socket = await openTls(port, { ca: serverCa.cert, ALPNProtocols: ['h2', 'http/1.1'] });
    socket.destroy();
    return socket.alpnProtocol;
  };
  assert.equal(await agreed(), 'h2');
  open.prepare({ ...plain, http2: false })();
  assert.equal(await agreed(), 'http/1.1');
  open.prepare(plain)();
  assert.equal(await agreed(), 'h2');
});

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${version}: listeners of one name that share a secret resume each other's sessions until it changes`, async (t) => {
    const options: ConnectionOptions = { ca: serverCa.cert, minVersion: version, maxVersion: version };
    const session = async (port: number) => {
      const socket = await openTls(port, options);
      const kept = version === 'TLSv1.2' ? socket.getSession() : ((await once(socket, 'session')) as [Buffer])[0];
      socket.destroy();
      assert.ok(kept);
      return kept;
    };
    const resumed = async (port: number, kept: Buffer) => {
      const socket = await openTls(port, { ...options, session: kept });
      const reused = socket.isSessionReused();
      socket.destroy();
      return reused;
    };
    const secret = Buffer.alloc(32, 7);
    const [one, two, other] = [
      await serveListener(t, plain, undefined, secret),
      await serveListener(t, plain, undefined, secret),
      await serveListener(t, { ...plain, name: 'other' }, undefined, secret),
    ];
    const kept = await session(one.port);
    assert.equal(await resumed(two.port, kept), true);
    assert.equal(await resumed(other.port, kept), false, 'another listener');
    two.open.prepare({ ...plain, tls: tls(renewed) })();
    assert.equal(await resumed(two.port, kept), true, 'a reload that changes a certificate');
    two.open.prepare({ ...plain, clientCertificate: { ...plain.clientCertificate, ca: clientCa.cert } })();
    assert.equal(await resumed(two.port, kept), false, 'a reload that changes the CA');
    one.open.setTicketSecret(Buffer.alloc(32, 8));
    assert.equal(await resumed(one.port, kept), false, 'another secret');
    one.open.prepare({ ...plain, tls: tls(renewed) })();
    const again = await session(one.port);
    one.open.prepare(plain)();
    assert.equal(await resumed(one.port, again), true, 'the secret outlives a reload');
  });
}
