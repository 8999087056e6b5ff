// The transaction: a request and the way to answer it, over any version of HTTP.

import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { Forwarding } from '../../policy/policy.ts';
import type { StatedOrigin } from '../intake/forwarded.ts';

/** What a request looks like to the edge. */
export interface ReceivedRequest {
  readonly method: string;
  /** The request target as received (RFC 9112 §3.2); in HTTP/2 `:path`. */
  readonly target: string;
  /** `:scheme` (RFC 9113 §8.3.1); undefined in HTTP/1, where the connection says it. */
  readonly scheme?: string | undefined;
  /** `1.0`, `1.1` or `2.0`, as `Via` names it. */
  readonly httpVersion: string;
  /** Names and values in turn, repeated lines included; without pseudo-header fields, whose authority is a Host line. */
  readonly rawHeaders: readonly string[];
  /** Octets of body that the request announces: 0 without one, undefined where it does not say how many. Absent: there is none. */
  bodyLength?(): number | undefined;
  /** undefined: no WebSocket is asked for, or this version of HTTP has no such thing. */
  readonly upgrade?: object | undefined;
  /** By which origin the client called the proxy in front, where that one asks for a decision (edge/decide). */
  readonly stated?: StatedOrigin & { readonly forwarding?: Forwarding };
}

/** A WebSocket that the client asks for (upgrade.ts). */
export interface Upgrade {
  /** Sec-WebSocket-Key. */
  readonly key: string;
  /** Writes the 101. @returns the client's connection, with what it sent behind its request */
  open(fields: string[]): Socket;
}

/** What follows an answer's fields; with `trailers` both a body and they may come. */
export type Rest = 'nothing' | 'body' | 'trailers';

/** One request with its answer. Nothing here throws but `writeHead` and `writeInterim`, for a status or value that Node does not write. */
export interface Transaction extends ReceivedRequest {
  /** `Expect: 100-continue` was sent and not answered yet. */
  readonly expectsContinue: boolean;
  readonly upgrade?: Upgrade | undefined;
  /** The request's body. */
  readonly body: Readable;
  bodyLength(): number | undefined;
  /** Whether the request has arrived as a whole. */
  readonly received: boolean;
  /** Whether the answer's fields were written. */
  readonly begun: boolean;
  /** Whether the answer as a whole was handed to the system. */
  readonly finished: boolean;
  /** Whether the client can no longer be answered. */
  readonly gone: boolean;
  /** Calls when the answer is finished or the client gone, perhaps more than once. */
  onClose(listener: () => void): void;
  /** Calls whenever `write` may go on. */
  onDrain(listener: () => void): void;
  /** The request was permitted and its body will be read: it may come faster. Absent where nothing holds it back. */
  readonly wantBody?: () => void;
  writeContinue(): void;
  /** An answer before the answer (RFC 9110 §15.2), to a client whose version has such; none once the answer has begun. */
  writeInterim(status: number, fields: readonly string[]): void;
  /** @param fields names and values in turn; `Date` is added where there is none */
  writeHead(status: number, fields: readonly string[], rest: Rest): void;
  /** Sends the fields without waiting for the body. */
  flushHead(): void;
  /** @returns false: wait for `onDrain` */
  write(chunk: Uint8Array): boolean;
  /**
   * @param trailers names and values in turn; sent where `rest` announced them and the client takes them
   * @param last piece of the body; undefined: there is none that was not written
   */
  end(trailers?: readonly string[], last?: Buffer): void;
  /** An answer of our own, as a whole; what is left of the request's body is not wanted (RFC 9112 §9.6, RFC 9113 §8.1). */
  answer(status: number, fields: readonly string[], body: string): void;
  /** The answer is finished, and what is left of the request's body not wanted. */
  discard(): void;
  /** Ends the answer so that the client cannot take it for a complete one. */
  breakOff(): void;
}
