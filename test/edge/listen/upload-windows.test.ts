// Windows of HTTP/2 uploads: wide for permitted bodies, bounded per connection.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect, type Settings } from 'node:http2';
import { test, type TestContext } from 'node:test';
import { HOST, portOf, SERVER_CA, startTestGateway } from '../../support/gateway.ts';

const ROUTES = `- { name: open, match: { path: /open/* }, upstream: orders, require: public, weaker_than_defaults: [require] }
- { name: dpop, match: { path: /dpop/* }, upstream: orders, require: dpop }`;

async function open(t: TestContext) {
  const gateway = await startTestGateway(t, { routes: ROUTES });
  const port = portOf(gateway.running.listeners[0]?.bind);
  const session = connect(`https://${HOST}:${port}`, {
    ca: SERVER_CA.cert,
    servername: HOST,
    host: '127.0.0.1',
    lookup: (_name: string, _options: unknown, callback: (error: null, all: object[]) => void) =>
      callback(null, [{ address: '127.0.0.1', family: 4 }]),
  } as object);
  t.after(() => session.destroy());
  await once(session, 'remoteSettings');
  return { gateway, session };
}

const post = (session: ClientHttp2Session, path: string) => {
  const stream = session.request({ ':method': 'POST', ':path': path, ':authority': HOST });
  stream.on('error', () => {});
  stream.resume();
  return stream;
};

async function windowOf(session: ClientHttp2Session): Promise<number | undefined> {
  const [settings] = (await once(session, 'remoteSettings')) as [Settings];
  return settings.initialWindowSize;
}

test('a body that is wanted gets a wide window, and more streams get narrower ones', async (t) => {
  const { session } = await open(t);
  assert.equal(session.remoteSettings.initialWindowSize, 65_535);
  const widened = windowOf(session);
  const first = post(session, '/open/1');
  first.write('x');
  assert.equal(await widened, 1024 * 1024);
  for (let streams = 1; streams < 64; streams += 1) {
    const began = post(session, '/open/more');
    began.write('x');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.equal(session.remoteSettings.initialWindowSize, 65_536);
});

test('a request that is refused widens nothing', async (t) => {
  const { session } = await open(t);
  const refused = post(session, '/dpop/1');
  refused.write('x');
  const [head] = (await once(refused, 'response')) as [Record<string, unknown>];
  assert.equal(head[':status'], 401);
  assert.equal(session.remoteSettings.initialWindowSize, 65_535);
});

test('a whole upload arrives that is larger than every window', async (t) => {
  const { gateway, session } = await open(t);
  const upload = post(session, '/open/1');
  const block = Buffer.alloc(1024 * 1024, 'x');
  for (let nth = 0; nth < 6; nth += 1) if (!upload.write(block)) await once(upload, 'drain');
  upload.end();
  const [head] = (await once(upload, 'response')) as [Record<string, unknown>];
  assert.equal(head[':status'], 200);
  assert.equal(gateway.upstream.seen[0]?.body.length, 6 * block.length);
});
