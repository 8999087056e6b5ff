// A look at the first bytes of a connection, before anything else reads them.

import type { Socket } from 'node:net';

/** What is looked for, and what becomes of the connection. Exactly one of `found`, `timedOut` and `ended` is called. */
export interface Look<T> {
  /** Milliseconds. */
  readonly timeout: number;
  /** @returns what it is and how many bytes belong to it alone; undefined: more bytes are needed */
  read(bytes: Buffer): { readonly value: T; readonly used: number } | undefined;
  /** All bytes but the used ones are in the socket again. */
  found(value: T): void;
  /** So are all bytes here. */
  timedOut(): void;
  /** The connection ended or failed before; it is destroyed. @param began whether there was a byte */
  ended(began: boolean): void;
}

/** Waits for the first bytes of a connection. Nothing is called where it is destroyed meanwhile. */
export function peek<T>(socket: Socket, look: Look<T>): void {
  let bytes = Buffer.alloc(0);
  const leave = () => {
    clearTimeout(timer);
    socket.off('readable', onReadable).off('end', onEnd).off('error', onEnd).off('timeout', onEnd).off('close', leave);
  };
  const onEnd = () => {
    leave();
    socket.on('error', () => {}).destroy();
    look.ended(bytes.length > 0);
  };
  const onReadable = () => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    bytes = Buffer.concat([bytes, chunk]);
    const read = look.read(bytes);
    if (read === undefined) return;
    leave();
    if (bytes.length > read.used) socket.unshift(bytes.subarray(read.used));
    look.found(read.value);
  };
  const timer = setTimeout(() => {
    leave();
    if (bytes.length > 0) socket.unshift(bytes);
    look.timedOut();
  }, look.timeout);
  socket.on('readable', onReadable).on('end', onEnd).on('error', onEnd).on('timeout', onEnd).on('close', leave);
}
