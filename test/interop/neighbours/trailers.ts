// Requests with trailers, over HTTP/1.1 and HTTP/2.

import { connect } from 'node:http2';
import { request as requestTls } from 'node:https';
import type { TestContext } from 'node:test';
import { HOST, SERVER_CA } from '../../support/gateway.ts';

type Trailers = Readonly<Record<string, string>>;

const TARGET = { host: '127.0.0.1', ca: SERVER_CA.cert, servername: HOST };

/** A body in chunks. @returns the status; undefined: the connection was closed */
export function sendChunked(
  _t: TestContext,
  port: number,
  trailers: Trailers,
  body = 'hello',
): Promise<number | undefined> {
  return new Promise((resolve) => {
    const headers = { Host: HOST, 'Transfer-Encoding': 'chunked', Trailer: Object.keys(trailers).join(', ') };
    const request = requestTls({ ...TARGET, port, method: 'POST', path: '/open/1', headers, agent: false });
    request.once('error', () => resolve(undefined));
    request.once('response', (response) => response.resume().once('close', () => resolve(response.statusCode)));
    request.write(body);
    request.addTrailers(trailers);
    request.end();
  });
}

/** A body without a length, in a stream. @returns the status; undefined: the stream was closed */
export async function sendStream(
  t: TestContext,
  port: number,
  trailers: Trailers,
  body = 'hello',
): Promise<number | undefined> {
  const session = connect(`https://127.0.0.1:${port}`, TARGET);
  t.after(() => session.destroy());
  session.on('error', () => {}); // the stream says it
  const head = { ':method': 'POST', ':path': '/open/1', ':authority': HOST };
  const stream = session.request(head, { waitForTrailers: Object.keys(trailers).length > 0 });
  let status: number | undefined;
  stream.on('response', (fields) => (status = fields[':status'])).on('error', () => {});
  stream.once('wantTrailers', () => stream.sendTrailers(trailers));
  stream.resume().end(body);
  await new Promise((resolve) => stream.once('close', resolve));
  session.destroy();
  return status;
}
