// The same answers over HTTP/1.1 and HTTP/2, where Node's libraries differ.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { METHODS } from 'node:http';
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import { describe, it, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import { Received, script } from '../support/forwarding.ts';
import { HOST, ORIGIN, portOf, SERVER_CA, startTestGateway, type TestGateway } from '../support/gateway.ts';

interface Answer {
  /** Of interim answers. */
  readonly interim: readonly string[];
  readonly status: string;
  readonly body: string;
}

async function start(t: TestContext, answer: string): Promise<TestGateway> {
  const origin = await script(t, (socket) => {
    socket.on('error', () => {}).on('data', () => socket.write(answer, 'latin1'));
  });
  return startTestGateway(t, {
    upstreams: `one: { targets: ["${origin}"] }`,
    routes:
      '- { name: one, match: { path: /open/* }, upstream: one, require: public, weaker_than_defaults: [require] }',
  });
}

async function connectTo(t: TestContext, gateway: TestGateway, protocol: string) {
  const port = portOf(gateway.running.listeners[0]?.bind);
  const tls = { ca: SERVER_CA.cert, servername: HOST, ALPNProtocols: [protocol] };
  const socket = connect({ port, host: '127.0.0.1', ...tls });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

const ASK = {
  'HTTP/1.1': async (t: TestContext, gateway: TestGateway, method: string): Promise<Answer> => {
    const socket = await connectTo(t, gateway, 'http/1.1');
    socket.write(`${method} /open/1 HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`);
    const text = await new Received(socket).toEnd();
    const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status ?? '');
    return { interim: statuses.slice(0, -1), status: statuses.at(-1) ?? '', body: text };
  },
  'HTTP/2': async (t: TestContext, gateway: TestGateway, method: string): Promise<Answer> => {
    const socket = await connectTo(t, gateway, 'h2');
    const session = connectHttp2(ORIGIN, { createConnection: () => socket });
    session.on('error', () => {}); // of the end of the gateway
    t.after(() => session.destroy());
    const stream = session.request({ ':method': method, ':path': '/open/1' }, { endStream: true });
    const interim: string[] = [];
    stream.on('headers', (fields: IncomingHttpHeaders) => interim.push(String(fields[':status'])));
    const [fields] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    let body = '';
    for await (const chunk of stream.setEncoding('latin1')) body += String(chunk);
    return { interim, status: String(fields[':status']), body };
  },
} as const;

for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
  describe(version, () => {
    const ask = ASK[version];
    it('passes 103 on, and drops a 100 that nobody asked for', async (t) => {
      const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n';
      const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
      const gateway = await start(t, `HTTP/1.1 100 Continue\r\n\r\n${hints}${ok}`);
      const { interim, status, body } = await ask(t, gateway, 'GET');
      assert.deepEqual([interim, status], [['103'], '200']);
      assert.match(body, /ok$/);
    });

    for (const status of [600, 999]) {
      it(`answers an upstream's ${status} with upstream_invalid`, async (t) => {
        const gateway = await start(t, `HTTP/1.1 ${status} x\r\nContent-Length: 0\r\n\r\n`);
        const answer = await ask(t, gateway, 'GET');
        assert.equal(answer.status, '502');
        assert.match(answer.body, /upstream_invalid/);
      });
    }

    for (const method of ['BREW', 'get', 'X-OWN', 'PRI', 'DESCRIBE', 'GET!', 'GETS', "!#$%&'*+.^_`|~1"]) {
      it(`refuses ${method} as method_unknown: nothing is forwarded`, async (t) => {
        const gateway = await start(t, 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        const answer = await ask(t, gateway, method);
        assert.equal(answer.status, '501');
        assert.match(answer.body, /method_unknown/);
        await gateway.logged({ status: 501, reason: 'method_unknown' });
      });
    }

    it('forwards every method that is known, but for TRACE and CONNECT', async (t) => {
      const gateway = await start(t, 'HTTP/1.1 204 No Content\r\n\r\n');
      for (const method of METHODS.filter((name) => name !== 'TRACE' && name !== 'CONNECT')) {
        assert.equal((await ask(t, gateway, method)).status, '204', method);
      }
    });

    it('passes 599 and 299 on', async (t) => {
      for (const status of ['599', '299']) {
        const gateway = await start(t, `HTTP/1.1 ${status} x\r\nContent-Length: 0\r\n\r\n`);
        assert.equal((await ask(t, gateway, 'GET')).status, status);
      }
    });
  });
}
