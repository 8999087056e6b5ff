// The ClientHello of a TLS connection, awaited whole before its handshake begins.

import type { Socket } from 'node:net';
import { peek } from './peek.ts';

/** Of a TLS record, and of a handshake message (RFC 8446 §5.1, §4). */
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER = 5;
const MESSAGE_HEADER = 4;
/** Bytes of one with its record headers. Those of today's clients have 300 to 2,000; one byte in each record makes six of each. */
const MOST = 32_768;
/** `plain`: a request of HTTP/1 without TLS. `other`: what it is, TLS decides, and says so. */
export type FirstBytes = 'client_hello' | 'plain' | 'other' | 'too_long';

/**
 * Makes a reader of the first bytes of one connection, which says whether they hold a whole ClientHello, in as many records as it
 * likes (RFC 8446 §5.1). It is given all bytes each time, and reads no record twice.
 * @returns undefined from the reader: more bytes are needed
 * NOT checked: anything in it.
 */
export function firstBytesReader(): (bytes: Buffer) => FirstBytes | undefined {
  /** Where the record begins that is not whole yet; the first bytes of the message before it, and how many there are. */
  let at = 0;
  let head: readonly number[] = [];
  let got = 0;
  return (bytes) => {
    for (;;) {
      const type = bytes[at] ?? HANDSHAKE;
      if (type !== HANDSHAKE) return at === 0 ? readPlain(bytes) : 'other';
      if (bytes.length < at + RECORD_HEADER) break;
      const end = at + RECORD_HEADER + bytes.readUInt16BE(at + 3);
      const piece = bytes.subarray(at + RECORD_HEADER, end);
      const begin = [...head, ...piece.subarray(0, MESSAGE_HEADER - head.length)];
      if (begin.length > 0 && begin[0] !== CLIENT_HELLO) return 'other';
      if (begin.length === MESSAGE_HEADER && got + piece.length >= lengthOf(begin)) return 'client_hello';
      if (bytes.length < end) break;
      [at, head, got] = [end, begin, got + piece.length];
    }
    return bytes.length > MOST ? 'too_long' : undefined;
  };
}

/** A request line as far as it tells the protocol (RFC 9112 §3): method, and the first character of its target. PRI is HTTP/2. */
const REQUEST = /^(?:CONNECT |(?!PRI )[A-Z]{3,16} [/*h])/;
const BEGUN = /^[A-Z]{1,16} ?$/;

function readPlain(bytes: Buffer): FirstBytes | undefined {
  const text = bytes.toString('latin1', 0, 20);
  return REQUEST.test(text) ? 'plain' : BEGUN.test(text) ? undefined : 'other';
}

/** Of a message with its header. */
function lengthOf([, high = 0, middle = 0, low = 0]: readonly number[]): number {
  return MESSAGE_HEADER + high * 65_536 + middle * 256 + low;
}

export interface AwaitedHello {
  /** All bytes are in the socket again. */
  readonly arrived: () => void;
  /** So they are here; it is still open. */
  readonly plain: () => void;
  /** It is closed. */
  readonly timedOut: () => void;
  readonly tooLong: () => void;
}

/**
 * Waits for a whole ClientHello, or for bytes that are none. A connection that ends before is nothing, as health checks do it.
 * @param timeout milliseconds
 */
export function awaitClientHello(
  socket: Socket,
  timeout: number,
  { arrived, plain, timedOut, tooLong }: AwaitedHello,
): void {
  const close = (tell: () => void) => {
    socket.on('error', () => {}).destroy();
    tell();
  };
  const read = firstBytesReader();
  peek<FirstBytes>(socket, {
    timeout,
    read: (bytes) => {
      const value = read(bytes);
      return value && { value, used: 0 };
    },
    found: (value) => (value === 'too_long' ? close(tooLong) : value === 'plain' ? plain() : arrived()),
    timedOut: () => close(timedOut),
    ended: () => {},
  });
}
