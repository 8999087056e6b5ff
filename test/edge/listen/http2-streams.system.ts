// The streams of one HTTP/2 connection as its client counts them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:http2';
import { test } from 'node:test';
import { issue } from '../../gateway/credentials.ts';
import { portOf, SERVER_CA, startTestGateway } from '../../support/gateway.ts';

const ROUTES =
  '- { name: held, match: { path: /held/* }, upstream: orders, require: token, weaker_than_defaults: [require] }';
const AT_ONCE = 100;
const ALL = 8000;

for (const method of ['GET', 'POST']) {
  test(`a client that opens its next stream where one has ended, as often as it may, never has too many open: ${method}`, async (t) => {
    // The gateway is in a thread: what the client sends is there before a turn of the gateway's loop is over.
    const gateway = await startTestGateway(t, { routes: ROUTES, threads: true });
    const port = portOf(gateway.running.listeners[0]?.bind);
    const session = connect(`https://api.example.com:${port}`, {
      ca: SERVER_CA.cert,
      host: '127.0.0.1',
      servername: 'api.example.com',
    } as object);
    t.after(() => session.destroy());
    await once(session, 'remoteSettings');
    assert.equal(session.remoteSettings.maxConcurrentStreams, AT_ONCE);
    const authorization = `Bearer ${await issue(gateway)}`;
    const ask = async () => {
      const fieldsSent = { ':method': method, ':path': '/held/1', ':authority': 'api.example.com', authorization };
      const stream = session.request(fieldsSent, { endStream: method === 'GET' });
      if (method === 'POST') stream.end('all of it');
      const [fields] = (await once(stream, 'response')) as [Record<string, unknown>];
      stream.resume();
      await once(stream, 'end');
      return fields[':status'];
    };
    let left = ALL;
    const client = async () => {
      for (; left > 0; left -= 1) assert.equal(await ask(), 200);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, client));
  });
}
