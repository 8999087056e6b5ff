// Transactions over HTTP/1: keep-alive, unwanted bodies and broken answers.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { readBodyLength } from '../../http/framing.ts';
import { takesTrailers } from '../fields/trailers.ts';
import type { Rest, Transaction, Upgrade } from './transaction.ts';

/** Bytes of a body that are read after an answer of ours, and the longest one for which the connection is kept. */
const LINGER_BYTES = 1024 * 1024;
const KEPT_BODY = 64 * 1024;
/** Bytes of a whole body that Node writes behind its fields as one text, without the lists that several buffers cost. */
const ONE_TEXT = 8 * 1024;
/** Milliseconds for which a client may go on sending after the answer (RFC 9112 §9.6). */
export const LINGER = 2000;
/** Milliseconds for which a body that nobody wants is still read: a client that is sending would miss the answer to a closed connection. */
const DISCARD = 5000;

/** node:http's request and response as one. The parser was strict (listener.ts). */
export class Http1Transaction implements Transaction {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly expectsContinue: boolean;
  readonly upgrade: Upgrade | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, expectsContinue = false, upgrade?: Upgrade) {
    this.request = request;
    this.response = response;
    this.expectsContinue = expectsContinue;
    this.upgrade = upgrade;
  }

  get method(): string {
    return this.request.method ?? '';
  }

  get target(): string {
    return this.request.url ?? '';
  }

  get httpVersion(): string {
    return this.request.httpVersion;
  }

  get rawHeaders(): readonly string[] {
    return this.request.rawHeaders;
  }

  get body(): IncomingMessage {
    return this.request;
  }

  bodyLength(): number | undefined {
    return readBodyLength(this.request.rawHeaders);
  }

  get received(): boolean {
    return this.request.complete;
  }

  get begun(): boolean {
    return this.response.headersSent;
  }

  get finished(): boolean {
    return this.response.writableFinished;
  }

  /** Where the parser gave up, its answer was the last one. */
  get gone(): boolean {
    return this.response.destroyed || !this.request.socket.writable;
  }

  onClose(listener: () => void): void {
    this.response.on('close', listener); // Node emits it once, and `once` costs as much as the rest of this
  }

  onDrain(listener: () => void): void {
    this.response.on('drain', listener);
  }

  writeContinue(): void {
    continued.add(this.response);
    this.response.writeContinue();
  }

  /** RFC 9110 §15.2: never to a client of HTTP/1.0. */
  writeInterim(status: number, fields: readonly string[]): void {
    if (this.request.httpVersionMinor === 0 || this.begun || this.gone) return;
    this.response.writeInformation(status, fields as string[]);
  }

  writeHead(status: number, fields: readonly string[], _rest: Rest): void {
    this.response.writeHead(status, fields as string[]);
  }

  flushHead(): void {
    this.response.flushHeaders();
  }

  write(chunk: Uint8Array): boolean {
    return this.response.write(chunk);
  }

  /** RFC 9110 §6.5.1: only to a client that asked for them, and only after chunks, which Node sees to. */
  end(trailers: readonly string[] = [], last?: Buffer): void {
    if (trailers.length > 0 && takesTrailers(String(this.request.headers.te))) {
      this.response.addTrailers(
        trailers.flatMap((name, at) => (at % 2 === 0 ? [[name, trailers[at + 1] ?? ''] as const] : [])),
      );
    }
    // Node would close a connection that is not kept, and its reset could take the answer from a client that is still sending.
    if (!this.request.complete && !this.response.shouldKeepAlive) {
      if (last !== undefined) this.response.write(last);
      linger(this.request, this.response);
    } else if (last === undefined) this.response.end();
    else if (last.length > ONE_TEXT) this.response.end(last);
    else this.response.end(last.toString('latin1'), 'latin1');
  }

  /**
   * What is left of the request's body is read and thrown away within 1 MiB and 2 s: closing at once would reset the connection
   * under the answer. A body that is announced as longer than 64 KiB, or not announced, costs the client its connection.
   */
  answer(status: number, fields: readonly string[], body: string): void {
    const { request, response } = this;
    const length = request.complete ? 0 : this.bodyLength();
    if (length === undefined || length > KEPT_BODY || closes(fields)) response.shouldKeepAlive = false;
    response.writeHead(status, fields as string[]);
    if (length === 0) {
      response.end(body);
      return;
    }
    // The answer is complete for the client from here on. Node would close a connection that is not kept at `end`.
    if (body === '' || request.method === 'HEAD') response.flushHeaders();
    else response.write(body);
    linger(request, response);
  }

  /** Reads the rest, and closes the connection if that takes longer than five seconds (RFC 9112 §9.6). */
  discard(): void {
    const { request } = this;
    if (request.complete) return;
    const timer = setTimeout(() => request.socket.destroy(), DISCARD);
    timer.unref();
    request.once('end', () => clearTimeout(timer));
    request.resume();
  }

  breakOff(): void {
    const { socket, httpVersionMinor } = this.request;
    // An HTTP/1.0 client takes the end of the connection for the end of the answer, unless TLS or TCP say that it is none.
    if (httpVersionMinor === 0 && !(socket instanceof TLSSocket) && socket.remoteFamily !== undefined) {
      socket.resetAndDestroy();
    } else socket.destroy();
  }
}

/** The only option that an answer of ours has in Connection is `close`. */
function closes(fields: readonly string[]): boolean {
  return fields.some((name, at) => at % 2 === 0 && name === 'Connection');
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

/** Milliseconds that a connection may rest on which the client has said that it sends no more. */
const HALF_CLOSED = 2000;

/**
 * A client that ends its side may still read (RFC 9293 §3.6), or be gone: the two look alike until something is written. It gets its
 * answer as long as bytes move within two seconds each.
 * @param newest the answer to its last request
 */
export function awaitAnswer(socket: Socket, newest: ServerResponse | undefined): void {
  if (newest === undefined || !isPending(newest)) return;
  if (!newest.headersSent) newest.shouldKeepAlive = false;
  socket.setTimeout(HALF_CLOSED);
}

/** Whether an answer is still on its way; undefined: there was no request yet. */
export function isPending(response: ServerResponse | undefined): boolean {
  return response !== undefined && !response.writableFinished;
}

/** Whether request and answer were whole and the connection goes on, as if there had been none. */
export function isOver(response: ServerResponse | undefined): boolean {
  return response !== undefined && response.req.complete && response.shouldKeepAlive && !isPending(response);
}

/** Answers before which the client was told to send its body. */
const continued = new WeakSet<ServerResponse>();

/**
 * Whether the client has an expectation and was told nothing yet: what it sends all the same may be a body that is not wanted, behind which
 * the connection ends (RFC 9110 §10.1.1).
 */
export function isUnasked(response: ServerResponse | undefined): boolean {
  return response?.req.headers.expect !== undefined && !response.headersSent && !continued.has(response);
}

/** Whether nothing that comes behind this answer is a request any more (RFC 9112 §9.6). */
export function endsConnection(response: ServerResponse | undefined): boolean {
  return response !== undefined && response.headersSent && !response.shouldKeepAlive;
}

/**
 * Whether an answer to bytes that are no request can be taken for nothing else: all requests were whole and have their answers, or
 * the only answer on its way has not begun and belongs to the very request whose body broke.
 */
export function mayAnswer(newest: ServerResponse | undefined): boolean {
  if (newest === undefined) return true;
  if (!isPending(newest)) return newest.req.complete;
  return !newest.headersSent && newest.socket !== null && !newest.req.complete;
}
