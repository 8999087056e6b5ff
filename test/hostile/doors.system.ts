// Attacks on the connections and handshakes of a listener, and a bystander who is served.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { before, test, type TestContext } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { assertUnharmed, attack, serviceOf } from '../support/bystander.ts';
import { HOST, portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';

/** Who attacks, and who is served beside it. */
const GREEDY = '127.0.0.2';
const OTHER = '127.0.0.3';
const ROUTES =
  '- { name: open, match: { path: /* }, upstream: orders, require: public, weaker_than_defaults: [require] }';
const GET = `GET /x HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
/** Places. */
const MOST = 60;

let hello: Buffer;
before(async () => {
  hello = await recordHello();
});

interface Rig {
  readonly gateway: TestGateway;
  readonly port: number;
  /** A connection of the greedy client without TLS. */
  open(bytes?: Buffer | string, from?: string): Promise<Socket>;
  /** One of TLS, after its handshake. */
  openTls(from?: string, alpn?: string): Promise<TLSSocket>;
  /** A request of somebody on a new connection: whether it was served. */
  ask(from?: string): Promise<boolean>;
}

async function start(t: TestContext, listener = `limits: { connections: ${MOST} }`): Promise<Rig> {
  const gateway = await startTestGateway(t, { listener, routes: ROUTES, more: 'drain: { delay: 0s, grace: 0s }' });
  gateway.upstream.answer = ({ url = '' }, response) => {
    if (url.includes('stream')) response.write('data: 1\n\n');
    else response.end('served');
  };
  const port = portOf(gateway.running.listeners[0]?.bind);
  const sockets: Socket[] = [];
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  const rig: Rig = {
    gateway,
    port,
    async open(bytes, from = GREEDY) {
      const socket = connect({ port, host: '127.0.0.1', localAddress: from });
      socket.on('error', () => socket.destroy());
      sockets.push(socket);
      await once(socket, 'connect');
      if (bytes !== undefined) socket.write(bytes);
      return socket;
    },
    async openTls(from = GREEDY, alpn = 'http/1.1') {
      const plain = await rig.open(undefined, from);
      const socket = connectTls({ socket: plain, ca: SERVER_CA.cert, servername: HOST, ALPNProtocols: [alpn] });
      socket.on('error', () => socket.destroy());
      await once(socket, 'secureConnect');
      return socket;
    },
    async ask(from = OTHER) {
      try {
        const socket = await rig.openTls(from);
        const served = await isServed(socket, GET);
        socket.destroy();
        return served;
      } catch {
        return false;
      }
    },
  };
  return rig;
}

/** Whether a request gets a 200; false where the connection ends first. */
function isServed(socket: Socket, request: string): Promise<boolean> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.includes('served')) resolve(text.startsWith('HTTP/1.1 200 '));
    });
    socket.once('close', () => resolve(false));
    socket.write(request);
  });
}

/** The first bytes of a TLS client that asks for our name. */
async function recordHello(): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connectTls({ port, host: '127.0.0.1', servername: HOST }).on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

const times = <T>(count: number, make: (nth: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, nth) => make(nth)));

/** The greedy client keeps opening more than there is room for, while another one asks on new connections. */
async function assertServedBeside(t: TestContext, rig: Rig, hoard: () => Promise<unknown>): Promise<void> {
  const earlier = await serviceOf(50, () => rig.ask());
  assert.equal(earlier.share, 1);
  await times(MOST, () => hoard().catch(() => 'refused'));
  const going = attack(t, { attackers: 2, pause: 25 }, () => hoard().catch(() => 'refused'));
  await assertUnharmed(50, () => rig.ask(), earlier);
  await going.stop();
  assert.ok((await rig.gateway.count('holdfast_refused_connections_total', { reason: 'share' })) >= 1);
  assert.equal((await rig.gateway.logged({ msg: 'connections are refused', reason: 'share' }))['client'], GREEDY);
  assert.ok((await rig.gateway.count('holdfast_connections')) <= MOST);
}

const HOARDS: Readonly<Record<string, (rig: Rig) => Promise<unknown>>> = {
  'connections that say nothing': (rig) => rig.open(),
  'half a ClientHello': (rig) => rig.open(hello.subarray(0, 100)),
  'handshakes that are not finished': (rig) => rig.open(hello),
  'idle TLS connections': (rig) => rig.openTls(),
  'half-sent header sections': async (rig) => (await rig.openTls()).write('GET /x HTTP/1.1\r\nX: '),
  'HTTP/2 connections without a request': (rig) => rig.openTls(GREEDY, 'h2'),
  'event streams': async (rig) => (await rig.openTls()).write(GET.replace('/x', '/stream')),
};

for (const [what, hoard] of Object.entries(HOARDS)) {
  test(`one client cannot close a listener to others with ${what}`, async (t) => {
    const rig = await start(t);
    await assertServedBeside(t, rig, () => hoard(rig));
  });
}

test('idle connections go first: requests of the client with the most, and every connection of others, live on', async (t) => {
  const rig = await start(t);
  const kept = await rig.openTls(OTHER);
  const streams = await times(10, () => rig.openTls());
  for (const socket of streams) socket.write(GET.replace('/x', '/stream'));
  await Promise.all(streams.map((socket) => once(socket, 'data')));
  await times(MOST - 11, () => rig.openTls());
  for (let nth = 0; nth < 20; nth += 1) assert.ok(await isServed(await rig.openTls(`127.0.0.${nth + 10}`), GET));
  assert.ok(streams.every(({ destroyed }) => !destroyed));
  assert.ok(await isServed(kept, GET), 'a bystander that was idle all the while');
  assert.ok((await rig.gateway.count('holdfast_refused_connections_total', { reason: 'share' })) >= 20);
});

test('an HTTP/2 connection with a request goes after one without', async (t) => {
  const rig = await start(t);
  const sessions = await times(MOST, async () => {
    const plain = await rig.open();
    const session = connectHttp2(`https://${HOST}`, {
      createConnection: () =>
        connectTls({ socket: plain, ca: SERVER_CA.cert, servername: HOST, ALPNProtocols: ['h2'] }),
    });
    session.on('error', () => {});
    await once(session, 'remoteSettings');
    return session;
  });
  const [first] = sessions;
  const stream = first!.request({ ':path': '/stream', ':authority': HOST });
  stream.on('error', () => {});
  await once(stream, 'response');
  for (let nth = 0; nth < 20; nth += 1) assert.ok(await isServed(await rig.openTls(OTHER), GET));
  assert.equal(stream.closed, false);
  await until(() => sessions.filter(({ closed }) => closed).length >= 15);
  for (const session of sessions) session.destroy();
});

test('the client that has the most gets no more, and loses nothing by asking', async (t) => {
  const rig = await start(t);
  const inside = await times(MOST, () => rig.openTls());
  for (let nth = 0; nth < 10; nth += 1) assert.equal(await rig.ask(GREEDY), false);
  assert.deepEqual(
    await Promise.all(inside.map((socket) => isServed(socket, GET))),
    inside.map(() => true),
  );
  assert.equal(await rig.gateway.count('holdfast_refused_connections_total', { reason: 'share' }), 0);
});

test('a trusted peer keeps all of its connections, and strangers get none of its places', async (t) => {
  const rig = await start(t, `limits: { connections: ${MOST} }\ntrusted_peers: [{ cidr: ${GREEDY}/32 }]`);
  const inside = await times(MOST, () => rig.openTls());
  for (let nth = 0; nth < 10; nth += 1) assert.equal(await rig.ask(), false);
  assert.deepEqual(
    await Promise.all(inside.map((socket) => isServed(socket, GET))),
    inside.map(() => true),
  );
  assert.ok((await rig.gateway.count('holdfast_refused_connections_total', { reason: 'limit' })) >= 10);
});

test('behind PROXY headers the client is who the header names, not the balancer', async (t) => {
  const rig = await start(
    t,
    `limits: { connections: ${MOST} }\nproxy_protocol: required\ntrusted_peers: [{ cidr: ${GREEDY}/32 }]`,
  );
  const through = async (client: string) => {
    const plain = await rig.open(`PROXY TCP4 ${client} 198.51.100.1 40000 443\r\n`);
    const socket = connectTls({ socket: plain, ca: SERVER_CA.cert, servername: HOST });
    socket.on('error', () => socket.destroy());
    await once(socket, 'secureConnect');
    return socket;
  };
  const kept = await through('192.0.2.9');
  const hoard = await times(MOST - 1, () => through('192.0.2.7'));
  for (let nth = 0; nth < 20; nth += 1) {
    const socket = await through(`192.0.2.${100 + nth}`);
    assert.ok(await isServed(socket, GET));
  }
  assert.ok(await isServed(kept, GET));
  const ended = () => hoard.filter(({ destroyed }) => destroyed).length;
  await until(() => ended() >= 20);
  assert.equal(ended(), 20);
  const refused = await rig.gateway.logged({ msg: 'connections are refused', reason: 'share' });
  assert.equal(refused['client'], '192.0.2.7');
});

test('a peer that may send no PROXY header takes nobody’s place', async (t) => {
  const rig = await start(
    t,
    `limits: { connections: 3 }\nproxy_protocol: required\ntrusted_peers: [{ cidr: ${GREEDY}/32 }]`,
  );
  const inside = await times(3, () => rig.open('PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n'));
  while ((await rig.gateway.count('holdfast_connections')) < 3) await new Promise(setImmediate);
  for (let nth = 0; nth < 10; nth += 1) {
    const stranger = await rig.open('PROXY TCP4 192.0.2.8 198.51.100.1 40000 443\r\n', OTHER);
    await once(stranger, 'close');
  }
  assert.ok(inside.every(({ destroyed }) => !destroyed));
});

/** Connects with a ClientHello and leaves when the server has done its part. */
async function leave(socket: Socket): Promise<void> {
  await Promise.race([once(socket, 'data'), once(socket, 'close')]);
  socket.destroy();
}

test('a flood of handshakes from one address leaves time for the requests and the handshakes of others', async (t) => {
  const rig = await start(t, 'limits: { connections: 5000 }');
  const kept = await rig.openTls(OTHER);
  const request = async () => await isServed(kept, GET);
  const [earlier, newcomer] = [await serviceOf(100, request), await serviceOf(50, () => rig.ask())];
  const going = attack(t, { attackers: 10, pause: 20 }, async () => await leave(await rig.open(hello)));
  while (going.count < 10) await new Promise(setImmediate);
  await assertUnharmed(100, request, earlier);
  await assertUnharmed(50, () => rig.ask(), newcomer);
  await going.stop();
});

test('of five hundred ClientHellos of one address that come at once few are served before the request of another', async (t) => {
  const rig = await start(t, 'limits: { connections: 5000 }');
  const kept = await rig.openTls(OTHER);
  const flood = await times(500, () => rig.open());
  // The system queues them, and one is accepted in each turn of the event loop.
  while ((await rig.gateway.count('holdfast_connections')) < 501) await new Promise(setImmediate);
  let served = 0;
  const all = Promise.all(
    flood.map(async (socket) => {
      socket.write(hello);
      await leave(socket);
      served += 1;
    }),
  );
  assert.ok(await isServed(kept, GET));
  assert.ok(served <= 100, `${served} before the request`);
  assert.ok(await rig.ask());
  assert.ok(served <= 400, `${served} before a handshake and a request`);
  await all;
});

test('handshakes of one client that are never finished end when others of its own wait', async (t) => {
  const rig = await start(t, 'limits: { connections: 5000 }');
  const unfinished = await times(40, () => rig.open(hello));
  assert.ok(await rig.ask(GREEDY));
  await Promise.any(unfinished.map((socket) => once(socket.resume(), 'close')));
  const told = await rig.gateway.logged({ msg: 'connections are refused', reason: 'handshakes' });
  assert.equal(told['client'], GREEDY);
});

test('a burst of five hundred handshakes from one address is served, all of it', async (t) => {
  const rig = await start(t, 'limits: { connections: 5000 }');
  const served = await times(500, () => rig.ask(GREEDY));
  assert.equal(served.filter(Boolean).length, 500);
});
