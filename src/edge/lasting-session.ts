// HTTP/2 sessions that outlast their streams, which an assertion within Node demands.

import type { Http2Session, Http2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';

/** Handles of streams, each with the handle of its session, which stays at least as long. */
const streams = new FinalizationRegistry<object>(() => (waiting -= 1));
let waiting = 0;

/** Whether there are sessions that wait for the garbage collector to take a stream. A thread that ends with them ends the process. */
export function sessionsWait(): boolean {
  return waiting > 0;
}

/**
 * A session of node:http2 and what Node holds of it. Node 26 ends the process when a session is collected while one of its streams
 * still holds field lines (`current_nghttp2_memory_ == 0`), as a stream does whose last HEADERS had not come as a whole; and it
 * leaves destroyed streams to the collector in any order, or until the next turn of its loop. Every peer can bring that about (decision 132).
 */
export class LastingSession<Session extends Http2Session> {
  readonly session: Session;
  #handle: object | undefined;

  /** @param open makes the session of this socket */
  constructor(socket: Duplex, open: () => Session) {
    const before = new Set(socket.listeners('error'));
    this.session = open();
    for (const listener of socket.listeners('error')) {
      if (!before.has(listener)) hearAtClose(socket, listener);
    }
    this.#handle = nativeOf(this.session);
    // What was destroyed in this turn is freed before this is called. To hold it for longer would be for ever: Node may hold the session's listeners.
    this.session.once('close', () => setImmediate(() => (this.#handle = undefined)));
  }

  /**
   * Told of every stream when it begins. @param whole asked when it is closed: END_STREAM had come before, after which Node holds no
   * field lines of it. In doubt false, which costs memory until the next collection
   */
  hold(stream: Http2Stream, whole: () => boolean): void {
    const handle = nativeOf(stream);
    if (handle === undefined) return void stream.once('ready', () => this.hold(stream, whole));
    stream.once('close', () => {
      if (this.#handle === undefined || whole()) return;
      waiting += 1;
      streams.register(handle, this.#handle);
    });
  }
}

type Listener = (error: Error) => void;

/**
 * Node destroys a session when its socket fails, before the socket has given up what it still had to write; such writes hold streams
 * for ever. When the socket has closed there are none.
 */
function hearAtClose(socket: Duplex, listener: Listener): void {
  socket.off('error', listener);
  socket.on('error', (error) => socket.prependOnceListener('close', () => Reflect.apply(listener, socket, [error])));
}

let kHandle: symbol | undefined;

/** The object in JavaScript that stands for the one in C++. Node names it for nobody else, so that another version may have none. */
function nativeOf(owner: object): object | undefined {
  kHandle ??= Object.getOwnPropertySymbols(owner).find(({ description }) => description === 'kHandle');
  return kHandle && (owner as Readonly<Record<symbol, object | undefined>>)[kHandle];
}
