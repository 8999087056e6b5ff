// Listeners that require a PROXY header, on real sockets.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { before, describe, test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Listener } from '../../../src/policy/policy.ts';
import { Rejection } from '../../../src/rejection/rejection.ts';
import {
  makeListener,
  readAll,
  reasonOf,
  requestTls,
  serveListener,
  statusOf,
  type TestListener,
} from '../../support/edge.ts';
import { makeCa, makeCertificate, type TestCertificate } from '../../support/pki.ts';
import { block, ipv4, vector } from '../../support/proxy-headers.ts';

const GET = 'GET / HTTP/1.1\r\nHost: api.example.com\r\n';
const LAST = `${GET}Connection: close\r\n\r\n`;
const LINE = 'PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n';
const LOOPBACK = { cidr: '127.0.0.0/8', certificateSan: undefined };
const FRONT = { cidr: '192.0.2.7/32', certificateSan: undefined };
const AS_SAID = { remoteAddress: '192.0.2.7', remotePort: 40_000, localAddress: '198.51.100.1', localPort: 443 };
const NOBODY = { remoteAddress: undefined, remotePort: undefined, localAddress: undefined, localPort: undefined };

let ca: TestCertificate;
let server: TestCertificate;
before(async () => {
  ca = await makeCa();
  server = await makeCertificate({ names: ['api.example.com'], ca });
});

function behind(over: Partial<Listener> = {}): Listener {
  return makeListener({ proxyProtocol: true, trustedPeers: [LOOPBACK], ...over });
}

function tlsBehind(over: Partial<Listener> = {}): Listener {
  const tls = {
    certificates: [{ cert: server.chain, key: server.key, certFile: 'tls.crt' }],
    minVersion: 'TLSv1.2',
  } as const;
  return behind({ tls, ...over });
}

const within = (seconds: number) => ({ limits: { ...makeListener().limits, headerTimeout: seconds } });

/** Sends pieces one after the other and reads until the end; '' where the listener only closed. */
async function send({ port }: TestListener, ...pieces: readonly (string | Buffer)[]): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  const answer = readAll(socket);
  await writeAll(socket, pieces);
  return await answer;
}

async function writeAll(socket: Socket, pieces: readonly (string | Buffer)[]): Promise<void> {
  for (const piece of pieces) {
    if (!socket.writable) return;
    await new Promise((resolve) => socket.write(Buffer.from(piece as string, 'latin1'), resolve));
    await turn();
  }
}

const endsOf = ({ served }: TestListener) => {
  const { remoteAddress, remotePort, localAddress, localPort } = served.at(-1)?.connection ?? assert.fail('not served');
  return { remoteAddress, remotePort, localAddress, localPort };
};

/** A balancer in front of the listener that sends whatever `begin` makes of the client's first bytes. @returns its port */
async function startRelay(t: TestContext, port: number, begin: (first: Buffer) => readonly Buffer[]): Promise<number> {
  const relay = createServer((client) => {
    const onward = connect({ port, host: '127.0.0.1', noDelay: true });
    client.on('error', () => onward.destroy());
    onward.on('error', () => client.destroy());
    client.once('data', (first: Buffer) => {
      void writeAll(onward, begin(first)).then(() => client.pipe(onward));
    });
    onward.pipe(client);
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  t.after(() => relay.close());
  return (relay.address() as { port: number }).port;
}

const cut = (bytes: Buffer, at: number) => [bytes.subarray(0, at), bytes.subarray(at)];
const nothingRefused = ({ refused, handshakes }: TestListener) => assert.deepEqual([...refused, ...handshakes], []);

describe('a header', () => {
  test('says the ends of the connection, and the request behind it in the same segment is served', async (t) => {
    const listener = await serveListener(t, behind());
    assert.equal(statusOf(await send(listener, LINE + LAST)), 200);
    assert.deepEqual(endsOf(listener), AS_SAID);
    assert.equal(statusOf(await send(listener, Buffer.concat([block(), Buffer.from(LAST)]))), 200);
    assert.deepEqual(endsOf(listener), AS_SAID);
    nothingRefused(listener);
  });

  test('with IPv4-mapped addresses says IPv4 ones', async (t) => {
    const listener = await serveListener(t, behind());
    await send(listener, `PROXY TCP6 ::ffff:192.0.2.7 ::FFFF:C633:6401 40000 443\r\n${LAST}`);
    assert.deepEqual(endsOf(listener), AS_SAID);
  });

  test('may come in two parts, cut at every byte, before a plain request', async (t) => {
    const listener = await serveListener(t, behind());
    for (const bytes of [Buffer.from(LINE + LAST), Buffer.concat([block(), Buffer.from(LAST)])]) {
      for (let at = 1; at < 60; at += 1) {
        assert.equal(statusOf(await send(listener, ...cut(bytes, at))), 200, `cut at ${at}`);
        assert.deepEqual(endsOf(listener), AS_SAID);
      }
    }
    assert.equal(statusOf(await send(listener, ...(LINE + LAST).split(''))), 200, 'byte by byte');
  });

  test('may come with the ClientHello in one segment, or cut at every byte', async (t) => {
    const listener = await serveListener(t, tlsBehind());
    const header = block({ vectors: [vector(0x02, 'api.example.com')] });
    const whole = await startRelay(t, listener.port, (hello) => [Buffer.concat([header, hello])]);
    assert.equal(statusOf(await requestTls(whole, { ca: ca.cert })), 200);
    assert.deepEqual(endsOf(listener), AS_SAID);
    let at = 1;
    const halved = await startRelay(t, listener.port, (hello) => cut(Buffer.concat([header, hello]), at));
    for (; at <= header.length + 6; at += 1) {
      assert.equal(statusOf(await requestTls(halved, { ca: ca.cert })), 200, `cut at ${at}`);
      assert.deepEqual(endsOf(listener), AS_SAID);
    }
    nothingRefused(listener);
  });

  test('counts for every request of its connection, and is no part of the bytes that follow', async (t) => {
    let body = '';
    const listener = await serveListener(t, behind(), (request, response) => {
      body = '';
      request.setEncoding('latin1').on('data', (chunk: string) => (body += chunk));
      request.on('end', () => response.end(String(body.length)));
    });
    const sent = 'x'.repeat(300_000);
    const post = `POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: ${sent.length}\r\n`;
    const raw = await send(listener, `${LINE}${GET}\r\n${post}\r\n${sent}`, `${post}Connection: close\r\n\r\n${sent}`);
    assert.equal(raw.match(/HTTP\/1\.1 200/g)?.length, 3);
    assert.equal(body, sent);
    for (const { connection } of listener.served) assert.equal(connection.remoteAddress, '192.0.2.7');
  });
});

describe('whom to believe', () => {
  const forwarding = `${GET}X-Forwarded-Host: api.example.com\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n`;
  const origins = [{ scheme: 'https', authority: 'api.example.com', pathPrefix: '', wildcard: false }] as const;
  const schemeOf = ({ served }: TestListener) => {
    const facts = served.at(-1)?.facts;
    return facts instanceof Rejection ? facts.reason : facts?.origin.scheme;
  };

  test('fields are believed by the source address inside the header, not by the peer that sent it', async (t) => {
    const listener = await serveListener(t, behind({ origins, trustedPeers: [LOOPBACK, FRONT] }));
    assert.equal(statusOf(await send(listener, block(), forwarding)), 200);
    assert.equal(schemeOf(listener), 'https');
    const client = block({ addresses: ipv4('203.0.113.9') });
    assert.equal(reasonOf(await send(listener, client, forwarding)), 'misdirected');
  });

  test('nobody, v1 UNKNOWN and v2 LOCAL, is served without an address and believed in nothing', async (t) => {
    const everybody = [
      LOOPBACK,
      { cidr: '0.0.0.0/0', certificateSan: undefined },
      { cidr: '::/0', certificateSan: undefined },
    ];
    const listener = await serveListener(t, behind({ origins, trustedPeers: everybody }));
    for (const header of [
      'PROXY UNKNOWN\r\n',
      block({ command: 0x20, kind: 0x11 }),
      block({ kind: 0x31, addresses: Buffer.alloc(216) }),
    ]) {
      assert.equal(reasonOf(await send(listener, header, forwarding)), 'misdirected');
      assert.deepEqual(endsOf(listener), NOBODY);
      assert.equal(listener.served.at(-1)?.connection.trustedUntil, 0);
    }
  });

  test('a certificate inside the TLS connection is that of the source, which may be a peer known by it', async (t) => {
    const front = await makeCertificate({ names: ['front.internal'], ca });
    const named = { cidr: undefined, certificateSan: 'front.internal' };
    const clientCertificate = { request: 'optional', verify: 'chain', ca: ca.cert, crl: undefined } as const;
    const listener = await serveListener(t, tlsBehind({ trustedPeers: [LOOPBACK, named], clientCertificate }));
    const through = async (header: Buffer) => {
      const port = await startRelay(t, listener.port, (hello) => [Buffer.concat([header, hello])]);
      await requestTls(port, { ca: ca.cert, cert: front.chain, key: front.key });
      return listener.served.at(-1)?.connection.trustedUntil ?? assert.fail('not served');
    };
    assert.ok((await through(block({ addresses: ipv4('203.0.113.9') }))) > Date.now() / 1000);
    assert.equal(await through(block({ command: 0x20 })), 0);
  });

  test('a TCP peer that is not trusted is closed at once, header or not', async (t) => {
    const listener = await serveListener(t, behind({ trustedPeers: [FRONT] }));
    for (const bytes of ['', LINE, LINE + LAST, LAST]) {
      const socket = connect(listener.port, '127.0.0.1');
      if (bytes !== '') socket.write(bytes);
      assert.equal(await readAll(socket), '');
      assert.deepEqual(listener.handshakes.at(-1), ['proxy_peer_untrusted', 'PROXY_PEER_UNTRUSTED']);
    }
    assert.equal(listener.handshakes.length, 4);
    assert.equal(listener.served.length, 0);
  });

  test('an entry with a name in it lets nobody send a header: the certificate comes too late, and is not the peer’s', async (t) => {
    const listener = await serveListener(t, behind({ trustedPeers: [{ ...LOOPBACK, certificateSan: 'lb.internal' }] }));
    assert.equal(await send(listener, LINE + LAST), '');
    assert.equal(listener.handshakes[0]?.[0], 'proxy_peer_untrusted');
  });
});

describe('without a good header nothing is served', () => {
  const REFUSED: Readonly<Record<string, readonly (string | Buffer)[]>> = {
    'a request': [LAST],
    'a ClientHello': [Buffer.from('16030100', 'hex')],
    'a header behind an empty line': [`\r\n${LINE}${LAST}`],
    'a wrong line': [LINE.replace('TCP4', 'TCP9') + LAST],
    'a line without end': [`PROXY TCP4 ${'1'.repeat(200)}`],
    'a line that the client ended with LF': [LINE.replace('\r\n', '\n') + LAST],
    'a block that says it is huge': [block({ length: 65_535 })],
    'a block with vectors that do not fit': [block({ vectors: [Buffer.from([4, 255, 255])] }), LAST],
    'a block with a wrong checksum': [block({ vectors: [vector(3, 'abcd')] }), LAST],
    'version 3': [block({ command: 0x31 }), LAST],
  };
  for (const [what, pieces] of Object.entries(REFUSED)) {
    test(`${what}: closed without an answer, counted once`, async (t) => {
      const listener = await serveListener(t, behind());
      assert.equal(await send(listener, ...pieces), '');
      assert.deepEqual(listener.handshakes, [['proxy_header_malformed', 'PROXY_HEADER_MALFORMED']]);
      assert.deepEqual([listener.served.length, listener.refused.length], [0, 0]);
    });
  }

  test('half a header and then the end is refused', async (t) => {
    const listener = await serveListener(t, behind());
    const socket = connect(listener.port, '127.0.0.1');
    socket.end(LINE.slice(0, 20));
    assert.equal(await readAll(socket), '');
    assert.equal(listener.handshakes[0]?.[0], 'proxy_header_malformed');
  });

  test('silence, and a byte now and then, end with header_timeout', async (t) => {
    const listener = await serveListener(t, behind(within(0.2)));
    assert.equal(await send(listener), '');
    const slow = connect({ port: listener.port, host: '127.0.0.1', noDelay: true });
    const ended = readAll(slow);
    const bytes = Buffer.from(LINE);
    let at = 0;
    const drip = setInterval(() => void slow.write(bytes.subarray(at, (at += 1))), 20);
    assert.equal(await ended, '');
    clearInterval(drip);
    assert.ok(at < bytes.length);
    const timedOut = ['proxy_header_timed_out', 'PROXY_HEADER_TIMED_OUT'];
    assert.deepEqual(listener.handshakes, [timedOut, timedOut]);
  });

  test('header_timeout ends with the header: the request has its own', async (t) => {
    const listener = await serveListener(t, behind(within(0.6)), (_request, response) => {
      setTimeout(() => response.end('late'), 900);
    });
    assert.equal(statusOf(await send(listener, LINE + LAST)), 200);
    nothingRefused(listener);
  });

  test('a second header is the client’s bytes: no request, and no ClientHello', async (t) => {
    const plain = await serveListener(t, behind());
    const raw = await send(plain, `${LINE}PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n${LAST}`);
    assert.deepEqual([statusOf(raw), reasonOf(raw), plain.served.length], [400, 'request_malformed', 0]);
    const tls = await serveListener(t, tlsBehind());
    const port = await startRelay(t, tls.port, (hello) => [Buffer.concat([block(), block(), hello])]);
    await assert.rejects(requestTls(port, { ca: ca.cert }));
    assert.deepEqual([tls.served.length, tls.handshakes[0]?.[0]], [0, 'failed']);
  });
});

describe('around it', () => {
  test('peers that connect and leave, with LOCAL or without a byte, are no refusal and leave nothing behind', async (t) => {
    for (const listener of [await serveListener(t, behind()), await serveListener(t, tlsBehind())]) {
      for (const bytes of [
        undefined,
        block({ command: 0x20, kind: 0, addresses: Buffer.alloc(0) }),
        'PROXY UNKNOWN\r\n',
      ]) {
        for (const leave of ['end', 'resetAndDestroy'] as const) {
          const socket = connect(listener.port, '127.0.0.1');
          await once(socket, 'connect');
          if (bytes !== undefined) await new Promise((resolve) => socket.write(bytes, resolve));
          const ended = readAll(socket);
          socket[leave]();
          await ended;
        }
      }
      assert.equal(await send(listener, 'GET'), ''); // refused after all of them
      assert.deepEqual(
        listener.handshakes.map(([refusal]) => refusal),
        ['proxy_header_malformed'],
      );
      while (listener.open.connections() > 0) await turn();
    }
  });

  test('where none is required a header is a malformed request, and changes nothing', async (t) => {
    const listener = await serveListener(t, makeListener({ trustedPeers: [LOOPBACK] }));
    for (const header of [LINE, block().toString('latin1')]) {
      const raw = await send(listener, header + LAST);
      assert.deepEqual([statusOf(raw), reasonOf(raw)], [400, 'request_malformed']);
    }
    assert.equal(listener.served.length, 0);
  });

  test('connections that wait for their header are counted, limited, and gone when the listener closes', async (t) => {
    const listener = await serveListener(t, behind({ limits: { ...makeListener().limits, connections: 2 } }));
    const waiting = [connect(listener.port, '127.0.0.1'), connect(listener.port, '127.0.0.1')];
    for (const socket of waiting) socket.write('PROXY ');
    while (listener.open.connections() < 2) await turn();
    assert.equal(await readAll(connect(listener.port, '127.0.0.1')), '');
    const ended = Promise.all(waiting.map(readAll));
    await listener.open.close();
    assert.deepEqual(await ended, ['', '']);
    nothingRefused(listener);
  });
});
