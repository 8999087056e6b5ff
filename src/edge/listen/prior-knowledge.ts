// HTTP/2 without TLS: a client that knows begins with the preface (RFC 9113 §3.3), and everybody else speaks HTTP/1.

import type { Socket } from 'node:net';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** Who goes on with a connection, which has lost none of its bytes. */
export interface Versions {
  http1(): void;
  http2(): void;
  /** Nothing that tells has come. */
  timedOut(): void;
}

/**
 * Waits for the first bytes of a connection and calls one of the three, unless it ends before. No other method begins with `PRI`.
 * @param timeout milliseconds
 */
export function awaitPreface(socket: Socket, timeout: number, versions: Versions): void {
  let read = Buffer.alloc(0);
  const leave = () => {
    clearTimeout(timer);
    socket.off('readable', onReadable).off('end', onEnd).off('error', onEnd).off('timeout', onEnd).off('close', leave);
  };
  const onEnd = () => {
    leave();
    socket.on('error', () => {}).destroy();
  };
  const onReadable = () => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    read = Buffer.concat([read, chunk]);
    const length = Math.min(read.length, PREFACE.length);
    const is = read.compare(PREFACE, 0, length, 0, length) === 0;
    if (is && length < PREFACE.length) return;
    leave();
    socket.unshift(read);
    if (is) versions.http2();
    else versions.http1();
  };
  const timer = setTimeout(() => {
    leave();
    if (read.length > 0) socket.unshift(read);
    versions.timedOut();
  }, timeout);
  socket.on('readable', onReadable).on('end', onEnd).on('error', onEnd).on('timeout', onEnd).on('close', leave);
}
