// HTTP/2 without TLS, told from HTTP/1 by its preface (RFC 9113 §3.3).

import type { Socket } from 'node:net';
import { peek } from './peek.ts';

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
  peek(socket, {
    timeout,
    read: (bytes) => {
      const length = Math.min(bytes.length, PREFACE.length);
      const is = bytes.compare(PREFACE, 0, length, 0, length) === 0;
      return is && length < PREFACE.length ? undefined : { value: is, used: 0 };
    },
    found: (isHttp2) => (isHttp2 ? versions.http2() : versions.http1()),
    timedOut: () => versions.timedOut(),
    ended: () => {},
  });
}
