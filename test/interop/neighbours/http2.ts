// Requests over HTTP/2 in which two parts disagree, sent through a proxy.

import { connect } from 'node:http2';
import type { TestContext } from 'node:test';
import { HOST, SERVER_CA } from '../../support/gateway.ts';

type Fields = Readonly<Record<string, string>>;

/** Each asks for what a token opens, for another host, or under a forged identity. */
export const REQUESTS: Readonly<Record<string, Fields>> = {
  'another Host than :authority': { host: 'admin.example.com' },
  'another :authority': { ':authority': 'admin.example.com' },
  ':authority with a port': { ':authority': `${HOST}:8443` },
  ':authority with userinfo': { ':authority': `user@${HOST}` },
  'a path with dot segments': { ':path': '/x/../admin/1' },
  'a path with encoded dot segments': { ':path': '/x/%2e%2e/admin/1' },
  'a path with two slashes': { ':path': '//admin/1' },
  'a path with a backslash': { ':path': '/x\\..\\admin\\1' },
  'a path with a parameter': { ':path': '/admin;x=1/1' },
  'a target in absolute-form': { ':path': `https://${HOST}/admin/1` },
  'another :scheme': { ':scheme': 'http', ':path': '/admin/1' },
  'a forged identity': { 'x-auth-subject': 'admin' },
  'an imitated identity': { x_auth_subject: 'admin' },
  'a forged address': { 'x-forwarded-for': '10.0.0.1', forwarded: 'for=10.0.0.1;host=evil.example' },
  'a description of another request': {
    ':path': '/admin/1',
    'x-forwarded-method': 'GET',
    'x-forwarded-uri': '/x',
    'x-forwarded-host': HOST,
    'x-forwarded-proto': 'https',
  },
};

/** Sends one request, and waits for whatever becomes of it. @param to port of loopback, or another address with its port @returns its status; undefined: the stream or the connection was closed */
export async function sendHttp2(
  t: Pick<TestContext, 'after'>,
  to: number | string,
  fields: Fields,
): Promise<number | undefined> {
  const authority = typeof to === 'number' ? `127.0.0.1:${to}` : to;
  const session = connect(`https://${authority}`, { ca: SERVER_CA.cert, servername: HOST });
  t.after(() => session.destroy());
  session.on('error', () => {}); // the stream says it
  const stream = session.request({ ':path': '/x', ':authority': HOST, ...fields }, { endStream: true });
  let status: number | undefined;
  stream.on('response', (head) => (status = head[':status'])).on('error', () => {});
  stream.resume();
  await new Promise((resolve) => stream.once('close', resolve));
  session.destroy();
  return status;
}
