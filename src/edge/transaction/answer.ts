// Answers of our own, written so that the client can read them.

import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Answer } from '../../rejection/answer.ts';
import { LINGER } from './http1.ts';
import type { Transaction } from './transaction.ts';

/**
 * Answers a request instead of forwarding it: HEAD gets no body, Node adds Date. A body of the request that nobody wants
 * neither disturbs the answer nor is taken for another request (transaction.ts).
 * Does nothing if an answer has begun. The answer's fields must hold neither Content-Length nor Date.
 */
export function answer(transaction: Transaction, { status, fields, body }: Answer): void {
  if (transaction.begun) return;
  const framing = status === 204 ? [] : ['Content-Length', String(Buffer.byteLength(body))];
  transaction.answer(status, [...fields.flat(), ...framing], body);
}

/**
 * Answers on a connection where the parser gave up, so that there is no request to answer; then closes it. A socket that can no
 * longer be written to is only closed.
 */
export function answerRaw(socket: Duplex, { status, fields, body }: Answer): void {
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `Date: ${new Date().toUTCString()}`,
    ...fields.filter(([name]) => name !== 'Connection').map(([name, value]) => `${name}: ${value}`),
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
