// Answers of our own, written so that the client can read them, and nothing of a body that nobody wants is taken for a request.

import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Answer, Field } from '../rejection/response.ts';
import { readBodyLength } from './framing.ts';

/** Bytes of a body that are read after the answer, and the longest one for which the connection is kept. */
const LINGER_BYTES = 1024 * 1024;
const KEPT_BODY = 64 * 1024;
/** Milliseconds for which a client may go on sending after the answer (RFC 9112 §9.6). */
const LINGER = 2000;

/**
 * Answers a request instead of forwarding it: HEAD gets no body, Node adds Date. What is left of the request's body is read
 * and thrown away within 1 MiB and 2 s: closing at once would reset the connection under the answer (RFC 9112 §9.6). A
 * body that is announced as longer than 64 KiB, or not announced, costs the client its connection.
 * Does nothing if an answer has begun. The answer's fields must hold neither Content-Length nor Date.
 */
export function answer(request: IncomingMessage, response: ServerResponse, { status, fields, body }: Answer): void {
  if (response.headersSent) return;
  const length = request.complete ? 0 : readBodyLength(request.rawHeaders);
  if (length === undefined || length > KEPT_BODY || fields.some(isConnection)) response.shouldKeepAlive = false;
  const framing = status === 204 ? [] : ['Content-Length', String(Buffer.byteLength(body))];
  response.writeHead(status, [...fields.flat(), ...framing]);
  if (length === 0) {
    response.end(body);
    return;
  }
  // The answer is complete for the client from here on. Node would close a connection that is not kept at `end`.
  if (body === '' || request.method === 'HEAD') response.flushHeaders();
  else response.write(body);
  linger(request, response);
}

/** The only option that an answer of ours has there is `close`. */
function isConnection([name]: Field): boolean {
  return name === 'Connection';
}

function linger(request: IncomingMessage, response: ServerResponse): void {
  let left = LINGER_BYTES;
  const end = () => {
    clearTimeout(timer);
    request.off('data', count);
    response.end();
  };
  const hangUp = () => {
    end();
    request.socket.destroySoon();
  };
  const count = (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) hangUp();
  };
  const timer = setTimeout(hangUp, LINGER);
  request.on('data', count);
  request.once('end', end);
  request.once('close', end);
  request.resume();
}

/**
 * Answers on a connection where the parser gave up, so that there is no request to answer; then closes it. A socket that can no
 * longer be written to is only closed.
 */
export function answerRaw(socket: Duplex, { status, fields, body }: Answer): void {
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `Date: ${new Date().toUTCString()}`,
    ...fields.filter((field) => !isConnection(field)).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  hangUp(socket, `${lines.join('\r\n')}\r\n\r\n${body}`);
}

/** Sends what is waiting and says that it was all, then gives the client a moment to read it before the connection ends. */
export function hangUp(socket: Duplex, last = ''): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const timer = setTimeout(() => socket.destroy(), LINGER);
  socket.once('close', () => clearTimeout(timer));
  socket.on('error', () => socket.destroy());
  socket.end(last);
  socket.resume();
}
