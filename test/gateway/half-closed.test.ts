// Clients that end their side behind their request, over TCP and TLS.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect as connectTcp, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { listen, Received } from '../support/forwarding.ts';
import { HOST, portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';

const GET = `GET /open/1 HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;

const PLAIN = `- { name: public, bind: "127.0.0.1:0", origins: ["http://${HOST}"] }`;

interface Rig {
  readonly gateway: TestGateway;
  /** The next request that the upstream has. */
  asked(): Promise<ServerResponse>;
  connect(): Promise<Socket>;
}

/** An upstream that answers when the test says so, behind a listener with TLS or without. */
async function start(t: TestContext, tls: boolean): Promise<Rig> {
  const responses: ServerResponse[] = [];
  let told = () => {};
  const upstream = createServer((_request, response) => {
    responses.push(response);
    told();
  });
  const target = `http://127.0.0.1:${await listen(t, upstream)}`;
  const gateway = await startTestGateway(t, {
    ...(!tls && { listeners: PLAIN }),
    upstreams: `one: { targets: ["${target}"] }`,
    routes:
      '- { name: one, match: { path: /open/* }, upstream: one, require: public, weaker_than_defaults: [require] }',
  });
  const port = portOf(gateway.running.listeners[0]?.bind);
  return {
    gateway,
    async asked() {
      while (responses.length === 0) await new Promise<void>((resolve) => (told = resolve));
      return responses.shift() as ServerResponse;
    },
    async connect() {
      const wishes = { port, host: '127.0.0.1', allowHalfOpen: true };
      const socket = tls
        ? connectTls({ ...wishes, ca: SERVER_CA.cert, servername: HOST, ALPNProtocols: ['http/1.1'] })
        : connectTcp(wishes);
      t.after(() => socket.destroy());
      await once(socket, tls ? 'secureConnect' : 'connect');
      return socket;
    },
  };
}

for (const tls of [false, true]) {
  describe(`over ${tls ? 'TLS' : 'TCP'} a client that ends its side`, () => {
    it('behind its request gets its answer, and then the end of the connection', async (t) => {
      const rig = await start(t, tls);
      const socket = await rig.connect();
      socket.end(GET);
      const response = await rig.asked();
      await new Promise((resolve) => setTimeout(resolve, 50));
      response.end('the answer');
      const text = await new Received(socket).toEnd();
      assert.match(text, /^HTTP\/1\.1 200 OK\r\n[^]*\r\nConnection: close\r\n[^]*the answer/);
      await rig.gateway.logged({ outcome: 'forwarded', status: 200 });
    });

    it('behind several requests gets all answers', async (t) => {
      const rig = await start(t, tls);
      const socket = await rig.connect();
      socket.end(GET.repeat(2));
      for (const word of ['first', 'second']) (await rig.asked()).end(word);
      assert.match(await new Received(socket).toEnd(), /first[^]*second/);
    });

    it('while the answer comes gets the rest of it', async (t) => {
      const rig = await start(t, tls);
      const socket = await rig.connect();
      const received = new Received(socket);
      socket.write(GET);
      const response = await rig.asked();
      response.write('half, ');
      await received.until(/half, /);
      socket.end();
      await new Promise((resolve) => setTimeout(resolve, 50));
      response.end('and the rest');
      assert.match(await received.toEnd(), /half, [^]*and the rest[^]*\r\n0\r\n\r\n$/);
    });

    it('in the middle of its body is gone', async (t) => {
      const rig = await start(t, tls);
      const socket = await rig.connect();
      socket.end(`POST /open/1 HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 10\r\n\r\nhalf`);
      await rig.gateway.logged({ outcome: 'client_gone' });
      assert.doesNotMatch(await new Received(socket).toEnd(), /200 OK/);
    });
  });
}

it('a client that is gone is noticed after two seconds without a byte, and the upstream told', async (t) => {
  const rig = await start(t, true);
  const socket = await rig.connect();
  socket.write(GET);
  const response = await rig.asked();
  response.write('some');
  await new Received(socket).until(/some/);
  socket.destroy();
  const began = performance.now();
  await once(response, 'close');
  await rig.gateway.logged({ outcome: 'client_gone' });
  assert.ok(performance.now() - began > 1000, 'it was taken for gone at once');
});
