// One HTTP/2 connection: its streams become requests, and its cost is bounded.

import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerSessionOptions,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import type { ListenerLimits } from '../../policy/policy.ts';
import { reject } from '../../rejection/rejection.ts';
import { answer } from '../transaction/answer.ts';
import { LastingSession } from '../lasting-session.ts';
import type { Connection } from './connection.ts';
import { Http2Transaction } from '../transaction/http2.ts';
import { headerTooLarge, NO_CONNECT, sizeOfLines } from './refusals.ts';
import type { Serve } from './serve.ts';
import { UploadWindows } from './upload-windows.ts';

/** Milliseconds that a client gets to close a connection on which nothing will be answered any more. */
const LAST_CALL = 1000;

/** Streams that a client may open and reset at once, and how many per second after that (CVE-2023-44487). */
const RESETS = 200;
const RESETS_PER_SECOND = 33;

/** Serves the streams of one connection until it ends. */
export class Http2Connection {
  readonly #socket: Duplex;
  readonly connection: Connection;
  readonly #limits: ListenerLimits;
  readonly #serve: Pick<Serve, 'request' | 'refused'>;
  readonly #lasting: LastingSession<ServerHttp2Session>;
  readonly #session: ServerHttp2Session;
  readonly #windows: UploadWindows;
  /** Ends a connection without requests: the first has `header_timeout`, the next ones `idle_timeout`. */
  #idle: NodeJS.Timeout;
  #seen = false;
  #retired = false;
  #announced = false;
  #streams = 0;

  /**
   * @param socket after ALPN chose `h2`, or before the client's preface on a plain connection
   * NOT checked here: the grammar of frames and fields, which nghttp2 refuses by itself with RST_STREAM or GOAWAY.
   */
  constructor(
    socket: Duplex,
    connection: Connection,
    limits: ListenerLimits,
    serve: Pick<Serve, 'request' | 'refused'>,
  ) {
    this.#socket = socket;
    this.connection = connection;
    this.#limits = limits;
    this.#serve = serve;
    // Node's sessions hear of the end of a connection from its close alone; half of one is nothing to HTTP/2 anyway.
    socket.allowHalfOpen = false;
    this.#lasting = new LastingSession(socket, () => performServerHandshake(socket, optionsOf(limits)));
    this.#session = this.#lasting.session;
    this.#windows = new UploadWindows(this.#session);
    this.#idle = setTimeout(() => this.#onIdle(), limits.headerTimeout * 1000);
    this.#session.on('stream', (stream, headers, _flags, received) => this.#onStream(stream, headers, received));
    // The connection has ended; streams tell their requests.
    this.#session.on('error', () => {});
    this.#session.once('close', () => clearTimeout(this.#idle));
  }

  /** A request is under way. */
  get busy(): boolean {
    return this.#streams > 0;
  }

  /**
   * GOAWAY with the last stream that is served: those in flight finish, later ones are the client's to repeat elsewhere (RFC 9113 §6.8).
   * Not the two GOAWAY of that section: nghttp2 would ignore the streams between them, and Node has no notice without that.
   */
  stop(): void {
    this.#session.close();
    if (this.#streams === 0) this.#lastCall();
  }

  /**
   * The connection ends soon, and clients that come back find another one: GOAWAY at once where there was a request, else behind the
   * first one, so that a client that has just connected is served.
   */
  announce(): void {
    this.#announced = true;
    if (this.#seen && !this.#session.closed) this.stop();
  }

  /** The same, and no stream that begins later is served: what is known of this client does not count any more. */
  retire(): void {
    this.#retired = true;
    this.stop();
  }

  #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, received: readonly string[]): void {
    stream.on('error', () => {}); // whoever waits for it hears 'close'
    if (stream.closed || stream.destroyed) return;
    this.#hold(stream);
    this.#count(stream);
    if (this.#retired) return stream.close(constants.NGHTTP2_REFUSED_STREAM); // not looked at (RFC 9113 §8.7)
    const transaction = new Http2Transaction(stream, headers, received, this.#bodyWanted);
    const refusal =
      transaction.method === 'CONNECT'
        ? reject('method_not_allowed', NO_CONNECT)
        : sizeOfLines(received) > this.#limits.headerSize
          ? reject('header_too_large', headerTooLarge(this.#limits))
          : undefined;
    if (refusal === undefined) this.#serve.request(transaction, this.connection);
    else answer(transaction, this.#serve.refused(refusal, { connection: this.connection, transaction }));
  }

  /** A stream that was reset ends as well. */
  #hold(stream: ServerHttp2Stream): void {
    // Node lets go of a stream with its answer only where the end of its request was read. Until then it counts it against the limit of
    // streams, and resets the next one of a client that takes it for closed.
    if (stream.endAfterHeaders) return void stream.resume();
    let whole = false;
    stream.once('end', () => (whole = !stream.closed));
    this.#lasting.hold(stream, () => whole);
  }

  readonly #bodyWanted = (): void => this.#windows.widen(this.#streams);

  #count(stream: ServerHttp2Stream): void {
    this.#streams += 1;
    this.#windows.narrow(this.#streams);
    if (!this.#seen) {
      this.#seen = true;
      clearTimeout(this.#idle);
      this.#idle = setTimeout(() => this.#onIdle(), this.#limits.idleTimeout * 1000);
    }
    stream.once('close', () => {
      this.#streams -= 1;
      if (this.#announced && !this.#session.closed) return this.stop();
      if (this.#streams > 0) return;
      if (this.#session.closed) this.#lastCall();
      else this.#idle.refresh();
    });
  }

  #onIdle(): void {
    if (this.#streams === 0) this.stop();
  }

  /** What the client does not read keeps a closed session open. */
  #lastCall(): void {
    const timer = setTimeout(() => this.#socket.destroy(), LAST_CALL);
    this.#socket.once('close', () => clearTimeout(timer));
  }
}

function optionsOf(limits: ListenerLimits): ServerSessionOptions {
  return {
    settings: {
      maxConcurrentStreams: limits.streamsPerConnection,
      // Twice the limit, so that what is a little too large is answered and not only reset; nghttp2 counts 32 more per line.
      maxHeaderListSize: limits.headerSize * 2,
      enablePush: false,
    },
    maxHeaderListPairs: Math.ceil(limits.headerSize / 64),
    // Megabytes: Node's 10 for fields and frames, and the windows of all streams.
    maxSessionMemory: 10 + Math.ceil(limits.streamsPerConnection / 10),
    streamResetBurst: RESETS,
    streamResetRate: RESETS_PER_SECOND,
    strictSingleValueFields: false, // answers pass as the upstream wrote them
  };
}
