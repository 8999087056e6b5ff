// One HTTP/2 request to an upstream, reported to its handler as undici reports HTTP/1.1.

import { type ClientHttp2Session, type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2';
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { LastingSession } from '../lasting-session.ts';
import { Closed, OVERBURDENED, RefusedStream } from './loss.ts';
import type { ResetBudget } from './resets.ts';

export interface Http2RequestOptions {
  readonly method: string;
  readonly path: string;
  readonly scheme: string;
  /** Of the target, for requests without a Host. */
  readonly authority: string;
  /** Names and values in turn, with one Host at most. */
  readonly fields: readonly string[];
  readonly body: Readable | undefined;
}

/** Milliseconds and bytes within which the answer to a request that is given up may still end by itself. */
const LINGER = 1000;
const READ_ON = 262_144;

/** What went wrong with a stream; `code` is `HTTP2_` and the name of RFC 9113 §7, or a code of Node. */
class StreamFailure extends Error {
  readonly code: string;
  constructor(code: string) {
    super('the stream ended before the answer did');
    this.code = code;
  }
}

/** The connection that carries a request, as far as it says what became of it. */
export interface Carrier {
  readonly session: ClientHttp2Session;
  readonly lasting: LastingSession<ClientHttp2Session>;
  readonly resets: ResetBudget;
  /** The last stream that the server may have looked at: what GOAWAY said (RFC 9113 §6.8). */
  lastStream: number;
  /** A request was answered on it. */
  answered: boolean;
}

/**
 * The handler hears of it as of a request over undici, with raw field lines in `rawHeaders` and `rawTrailers`, and of failures with
 * a `code`. An answer is complete with END_STREAM only: RST_STREAM breaks it, whatever its code (RFC 9113 §8.1).
 */
export class Http2Request implements Dispatcher.DispatchController {
  rawHeaders: string[] | null = null;
  rawTrailers: string[] | null = null;
  /** The answer has no body, and no trailers either (END_STREAM came with its fields). */
  bodyless = false;
  aborted = false;
  reason: Error | null = null;
  readonly #options: Http2RequestOptions;
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #cancel = new AbortController();
  #stream: ClientHttp2Stream | undefined;
  #carrier: Carrier | undefined;
  /** The request is sent as a whole. */
  #sent = false;
  #settled = false;
  #answered = false;
  /** Others were answered on the connection before. */
  #reused = false;
  /** The HEADERS frame never left. */
  #unsent = false;
  /** END_STREAM was received. */
  #whole = false;
  #code: string | undefined;

  constructor(options: Http2RequestOptions, handler: Dispatcher.DispatchHandler) {
    this.#options = options;
    this.#handler = handler;
  }

  get paused(): boolean {
    return this.#stream?.isPaused() ?? false;
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  /** RST_STREAM with CANCEL, where the connection has one left; else what is still to come of the answer is thrown away. */
  abort(reason: Error): void {
    this.aborted = true;
    const [stream, carrier] = [this.#stream, this.#carrier];
    if (stream?.closed === false && carrier !== undefined) {
      if (carrier.resets.take()) this.#cancel.abort();
      else this.#readOn(stream, carrier);
    }
    this.fail(reason);
  }

  #readOn(stream: ClientHttp2Stream, { session }: Carrier): void {
    const reset = () => {
      clearTimeout(timer);
      if (stream.closed) return;
      session.close(); // the connection takes no more requests
      this.#cancel.abort();
    };
    const timer = setTimeout(reset, LINGER);
    stream.once('close', () => clearTimeout(timer));
    if (!this.#sent) return reset(); // half a body cannot be ended in any other way
    let left = READ_ON;
    stream.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) reset();
    });
    stream.resume();
  }

  /** @param done called once, when the stream is closed; with true where nothing at all came back */
  send(carrier: Carrier, done: (silent: boolean) => void): void {
    try {
      this.#carrier = carrier;
      this.#reused = carrier.answered;
      this.#handler.onRequestStart?.(this, undefined);
      if (this.#settled) return done(false);
      this.#open(carrier, done);
    } catch (error) {
      this.fail(error as Error);
      done(false);
    }
  }

  #open(carrier: Carrier, done: (silent: boolean) => void): void {
    const { body } = this.#options;
    const stream = carrier.session.request(this.#fields(), {
      endStream: body === undefined,
      signal: this.#cancel.signal,
    });
    this.#stream = stream;
    this.#watchEnd(stream);
    carrier.lasting.hold(stream, () => this.#whole);
    stream.on('headers', (headers, _flags, received) => this.#onInterim(headers, received));
    stream.once('response', (headers, flags, received) => this.#onResponse(headers, flags, received));
    stream.on('data', (chunk: Buffer) => {
      if (!this.#settled) this.#handler.onResponseData?.(this, chunk);
    });
    stream.once('trailers', (_headers, _flags, received) => (this.rawTrailers = received));
    stream.once('end', () => this.#onEnd());
    stream.once('frameError', (type) => (this.#unsent ||= type === HEADERS_FRAME));
    stream.on('error', ({ code }: NodeJS.ErrnoException) => (this.#code = code));
    stream.once('close', () => {
      this.fail(this.#failureOf(stream));
      done(!this.#answered);
    });
    if (body === undefined) this.#onSent();
    else this.#upload(body, stream);
  }

  /** A stream above the one that GOAWAY named, one that was refused, and one that never left were not processed (RFC 9113 §8.7). */
  #failureOf(stream: ClientHttp2Stream): Error {
    const { session, lastStream = 0 } = this.#carrier ?? {};
    const code = codeOf(stream.rstCode) ?? this.#code ?? 'HTTP2_NO_ERROR';
    if (this.#answered) return new StreamFailure(code);
    const refused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
    if (refused || this.#unsent || stream.id === undefined || stream.id > lastStream) return new RefusedStream(code);
    if (code === OVERBURDENED) session?.close(); // the connection takes no more requests
    return this.#reused && session?.destroyed === true ? new Closed(code) : new StreamFailure(code);
  }

  #fields(): readonly string[] {
    const { method, path, scheme, authority, fields } = this.#options;
    const lines = [':method', method, ':path', path, ':scheme', scheme, ':authority', authority];
    for (let at = 0; at < fields.length; at += 2) {
      const [name = '', value = ''] = [fields[at], fields[at + 1]];
      if (name === 'Host') lines[7] = value;
      else lines.push(name, value);
    }
    return lines;
  }

  /** Node ends a stream that was reset with NO_ERROR as if END_STREAM had come; only the order of its flags tells. */
  #watchEnd(stream: ClientHttp2Stream): void {
    const push = stream.push.bind(stream);
    stream.push = (chunk: unknown) => {
      if (chunk === null && !stream.closed) this.#whole = true;
      return push(chunk);
    };
  }

  #upload(body: Readable, stream: ClientHttp2Stream): void {
    body.on('data', (chunk: Buffer) => {
      if (!stream.closed && !stream.write(chunk)) body.pause();
    });
    stream.on('drain', () => body.resume());
    body.once('end', () => {
      if (stream.closed) return;
      stream.end();
      this.#onSent();
    });
  }

  #onSent(): void {
    this.#sent = true;
    if (!this.#settled) this.#handler.onRequestSent?.();
  }

  /** RFC 9110 §15.2. */
  #onInterim(headers: IncomingHttpHeaders, received: string[]): void {
    if (!this.#settled) this.#start(headers, received);
  }

  #onResponse(headers: IncomingHttpHeaders, flags: number, received: string[]): void {
    if (this.#settled) return;
    this.bodyless = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    this.#start(headers, received);
  }

  #start(headers: IncomingHttpHeaders, received: string[]): void {
    this.#hear();
    this.rawHeaders = received.slice(2); // :status is the only pseudo-header field, and the first (RFC 9113 §8.3.2)
    try {
      this.#handler.onResponseStart?.(this, Number(headers[':status']), {}, '');
    } catch (error) {
      this.abort(error as Error);
    }
  }

  #hear(): void {
    this.#answered = true;
    if (this.#carrier !== undefined) this.#carrier.answered = true;
    this.#handler.onResponseStarted?.();
  }

  #onEnd(): void {
    if (!this.#whole || !this.#answered || this.#settled) return;
    this.#settled = true;
    this.#handler.onResponseEnd?.(this, {});
  }

  fail(error: Error): void {
    if (this.#settled) return;
    this.#settled = true;
    this.reason = error;
    this.#handler.onResponseError?.(this, error);
  }
}

/** RFC 9113 §6.2. */
const HEADERS_FRAME = 1;

const NAMES = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
].concat(
  ['FRAME_SIZE_ERROR', 'REFUSED_STREAM', 'CANCEL', 'COMPRESSION_ERROR', 'CONNECT_ERROR', 'ENHANCE_YOUR_CALM'],
  ['INADEQUATE_SECURITY', 'HTTP_1_1_REQUIRED'],
);

function codeOf(code: number): string | undefined {
  return code === 0 ? undefined : `HTTP2_${NAMES[code] ?? 'UNKNOWN'}`;
}
