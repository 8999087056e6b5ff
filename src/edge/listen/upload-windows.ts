// The flow-control windows of HTTP/2 uploads: wide for bodies that are permitted.

import type { ServerHttp2Session } from 'node:http2';

/** Octets that a stream may send unread: as RFC 9113 §6.9.2 begins, and at most. */
const NARROW = 65_535;
const WIDE = 1024 * 1024;
/** Octets that all streams of a connection may send unread, beyond the narrow windows that they have in any case. */
const BUDGET = 4 * 1024 * 1024;

/**
 * A window is what an upload can move in one round trip. Nobody gets a wide one before a request of the connection was permitted. The window
 * is halved each time the number of streams doubles, so that what a connection can make us hold grows little with them. One
 * SETTINGS at a time: a client that does not acknowledge it keeps the windows that it had (RFC 9113 §6.5.3).
 */
export class UploadWindows {
  readonly #session: ServerHttp2Session;
  #window = NARROW;

  constructor(session: ServerHttp2Session) {
    this.#session = session;
  }

  /** A body is wanted. @param streams open on the connection */
  widen(streams: number): void {
    if (windowFor(streams) > this.#window) this.#set(windowFor(streams));
  }

  /** A stream has begun. @param streams open on the connection, with it */
  narrow(streams: number): void {
    if (windowFor(streams) < this.#window) this.#set(windowFor(streams));
  }

  #set(window: number): void {
    if (this.#session.pendingSettingsAck) return;
    this.#window = window;
    // Not between the frames of one piece that came: what nghttp2 has to say of the rest, such as GOAWAY, would be lost.
    setImmediate(tell, this.#session, window);
  }
}

function tell(session: ServerHttp2Session, window: number): void {
  if (session.closed || session.destroyed) return;
  session.settings({ initialWindowSize: window });
  // Node gives the window of the connection back whatever is read (RFC 9113 §6.9.1), so that this one holds nothing.
  session.setLocalWindowSize(BUDGET);
}

function windowFor(streams: number): number {
  const sharing = 2 ** Math.ceil(Math.log2(Math.max(1, streams)));
  return Math.max(NARROW, Math.min(WIDE, BUDGET / sharing));
}
