// One request over HTTP/2 to an upstream: its stream, reported to the handler as undici reports those over HTTP/1.1.

import { type ClientHttp2Session, type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2';
import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';

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

/** What went wrong with a stream; `code` is `HTTP2_` and the name of RFC 9113 §7, or a code of Node. */
class StreamFailure extends Error {
  readonly code: string;
  constructor(code: string) {
    super('the stream ended before the answer did');
    this.code = code;
  }
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
  #settled = false;
  #answered = false;
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

  /** RST_STREAM with CANCEL, which `close` would send after END_STREAM. */
  abort(reason: Error): void {
    this.aborted = true;
    if (this.#stream?.closed === false) this.#cancel.abort();
    this.fail(reason);
  }

  /** @param done called once, when the stream is closed; with true where nothing at all came back */
  send(session: ClientHttp2Session, done: (silent: boolean) => void): void {
    try {
      this.#handler.onRequestStart?.(this, undefined);
      if (this.#settled) return done(false);
      this.#open(session, done);
    } catch (error) {
      this.fail(error as Error);
      done(false);
    }
  }

  #open(session: ClientHttp2Session, done: (silent: boolean) => void): void {
    const { body } = this.#options;
    const stream = session.request(this.#fields(), { endStream: body === undefined, signal: this.#cancel.signal });
    this.#stream = stream;
    this.#watchEnd(stream);
    stream.once('response', (headers, flags, received) => this.#onResponse(headers, flags, received));
    stream.on('data', (chunk: Buffer) => {
      if (!this.#settled) this.#handler.onResponseData?.(this, chunk);
    });
    stream.once('trailers', (_headers, _flags, received) => (this.rawTrailers = received));
    stream.once('end', () => this.#onEnd());
    stream.on('error', ({ code }: NodeJS.ErrnoException) => (this.#code = code));
    stream.once('close', () => {
      this.fail(new StreamFailure(codeOf(stream.rstCode) ?? this.#code ?? 'HTTP2_NO_ERROR'));
      done(!this.#answered);
    });
    if (body === undefined) this.#handler.onRequestSent?.();
    else this.#upload(body, stream);
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
      if (!this.#settled) this.#handler.onRequestSent?.();
    });
  }

  #onResponse(headers: IncomingHttpHeaders, flags: number, received: string[]): void {
    if (this.#settled) return;
    this.#answered = true;
    this.#handler.onResponseStarted?.();
    this.rawHeaders = received.slice(2); // :status is the only pseudo-header field, and the first (RFC 9113 §8.3.2)
    this.bodyless = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    try {
      this.#handler.onResponseStart?.(this, Number(headers[':status']), {}, '');
    } catch (error) {
      this.abort(error as Error);
    }
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
