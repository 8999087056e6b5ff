// Transactions over HTTP/2: field lines as in HTTP/1, and streams that end or are reset.

import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { readAuthority } from '../../http/uri.ts';
import { withoutNamed } from '../fields/fields.ts';
import { readFraming } from '../../http/framing.ts';
import type { Rest, Transaction } from './transaction.ts';

/** Milliseconds after which a client that opens no window for an answer of ours is given up, at most twice as many. */
const LINGER = 2000;

const INTERRUPTED = new Error('the answer was broken off');

/** A stream of node:http2, its core API: nghttp2 has checked names, values and pseudo-header fields (RFC 9113 §8.2.1, §8.3). */
export class Http2Transaction implements Transaction {
  readonly body: ServerHttp2Stream;
  readonly method: string;
  readonly target: string;
  readonly scheme: string;
  readonly httpVersion = '2.0';
  readonly rawHeaders: readonly string[];
  readonly expectsContinue: boolean;
  #trailers: readonly string[] = [];
  /** Trailers, perhaps none, are still to be sent: END_STREAM comes with them. */
  #trailing = false;
  /** The sender is stopped behind them. */
  #discarding = false;
  #listener: (() => void) | undefined;

  readonly wantBody: () => void;

  /**
   * @param received names and values in turn, pseudo-header fields first
   * @param wantBody of the connection
   */
  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    received: readonly string[],
    wantBody: () => void = () => {},
  ) {
    this.wantBody = wantBody;
    this.body = stream;
    this.method = headers[':method'] ?? '';
    this.target = headers[':path'] ?? '';
    this.scheme = headers[':scheme'] ?? '';
    this.rawHeaders = fieldLines(received, this.scheme);
    this.expectsContinue = headers.expect?.toLowerCase() === '100-continue' && !stream.endAfterHeaders;
  }

  bodyLength(): number | undefined {
    if (this.body.endAfterHeaders) return 0;
    const framing = readFraming(this.rawHeaders);
    return typeof framing === 'number' ? framing : undefined;
  }

  /** A stream that was reset ends as well, even with NO_ERROR; what matters is that it ended before. */
  get received(): boolean {
    return this.body.endAfterHeaders || (this.body.readableEnded && !this.body.closed);
  }

  get begun(): boolean {
    return this.body.headersSent;
  }

  /**
   * Node ends the answer to HEAD before it has begun, and any other when its stream is reset. A stream whose request had ended closes
   * with its answer, before Node says that the answer is finished: then its code tells a whole answer from one that was cut.
   */
  get finished(): boolean {
    const { headersSent, aborted, writableEnded, writableFinished, closed, rstCode } = this.body;
    const ended = writableFinished || (writableEnded && closed && rstCode === constants.NGHTTP2_NO_ERROR);
    return headersSent && ended && !this.#trailing && !aborted;
  }

  get gone(): boolean {
    return this.body.destroyed || this.body.closed;
  }

  /** A stream closes when both sides have ended; the client may go on sending after the answer. */
  onClose(listener: () => void): void {
    this.body.once('close', listener);
    if (this.received) return;
    this.#listener = listener;
    this.body.once('finish', () => this.#tellFinished());
  }

  onDrain(listener: () => void): void {
    this.body.on('drain', listener);
  }

  writeContinue(): void {
    if (!this.gone) this.body.additionalHeaders({ ':status': 100 });
  }

  writeInterim(status: number, fields: readonly string[]): void {
    if (this.gone || this.begun) return;
    this.body.additionalHeaders({ ...linesByName(fields), ':status': status });
  }

  writeHead(status: number, fields: readonly string[], rest: Rest): void {
    if (this.gone) return;
    const bodyless = rest === 'nothing' || this.method === 'HEAD' || status === 204 || status === 304;
    this.#trailing = rest === 'trailers' && !bodyless;
    if (this.#trailing) this.body.once('wantTrailers', () => this.#sendTrailers());
    const lines = [':status', String(status), ...fields];
    this.body.respond(lines, { endStream: bodyless, waitForTrailers: this.#trailing });
  }

  /** They were sent at once. */
  flushHead(): void {}

  write(chunk: Uint8Array): boolean {
    return this.body.writableEnded || this.body.write(chunk);
  }

  end(trailers: readonly string[] = [], last?: Buffer): void {
    this.#trailers = trailers;
    if (last === undefined || this.body.writableEnded) this.body.end();
    else this.body.end(last);
  }

  #sendTrailers(): void {
    this.body.sendTrailers(linesByName(this.#trailers));
    // Node sends them from a callback like this one, which is before it.
    setImmediate(() => {
      this.#trailing = false;
      this.#tellFinished();
      if (this.#discarding) this.discard();
    });
  }

  #tellFinished(): void {
    if (this.finished) this.#listener?.();
  }

  /** RFC 9113 §8.1: the answer, then RST_STREAM with NO_ERROR where the client is still sending. */
  answer(status: number, fields: readonly string[], body: string): void {
    if (this.gone) return;
    this.writeHead(status, withoutNamed([...fields], 'connection'), body === '' ? 'nothing' : 'body');
    if (!this.body.writableEnded) this.body.end(body);
    if (!this.body.writableFinished) this.body.setTimeout(LINGER, () => this.breakOff());
    this.discard();
  }

  discard(): void {
    if (this.received || this.gone) return;
    // Trailers come when the answer is finished, and a reset stream sends none.
    if (this.#trailing) this.#discarding = true;
    else if (this.body.writableFinished) this.#stopSender();
    else this.body.once('finish', () => this.#stopSender());
  }

  /** Not in the same turn: nghttp2 sends nothing more on a stream that is about to be reset, not even fields that wait to be sent. */
  #stopSender(): void {
    setImmediate(() => {
      this.body.close(constants.NGHTTP2_NO_ERROR);
      // What has arrived has to be read before the stream lets go of it.
      this.body.resume();
    });
  }

  /** `destroy`, since `close` ends the stream before it resets it. */
  breakOff(): void {
    this.body.destroy(INTERRUPTED);
  }
}

/** The upstream chooses the names: `constructor` is one like any other. */
function linesByName(fields: readonly string[]): Record<string, string[]> {
  const lines = Object.create(null) as Record<string, string[]>;
  for (let at = 0; at < fields.length; at += 2) {
    (lines[fields[at]?.toLowerCase() ?? ''] ??= []).push(fields[at + 1] ?? '');
  }
  return lines;
}

/**
 * The field lines without pseudo-header fields: `:authority` is the Host line, beside which another Host stays only where it says
 * something else, and then there are two; the cookies are one line (RFC 9113 §8.2.3).
 */
function fieldLines(received: readonly string[], scheme: string): string[] {
  const lines: string[] = [];
  let authority: string | undefined;
  let cookie = -1;
  for (let at = 0; at < received.length; at += 2) {
    const name = received[at] ?? '';
    const value = received[at + 1] ?? '';
    if (name === ':authority') {
      authority = value;
      lines.push('Host', value);
    } else if (name === 'cookie' && cookie !== -1) lines[cookie] += `; ${value}`;
    else if (!name.startsWith(':') && !(name === 'host' && isSame(value, authority, scheme))) {
      if (name === 'cookie') cookie = lines.length + 1;
      lines.push(name, value);
    }
  }
  return lines;
}

function isSame(host: string, authority: string | undefined, scheme: string): boolean {
  if (host === authority) return true;
  if (authority === undefined || (scheme !== 'https' && scheme !== 'http')) return false;
  const normal = readAuthority(host, scheme);
  return normal !== undefined && normal === readAuthority(authority, scheme);
}
