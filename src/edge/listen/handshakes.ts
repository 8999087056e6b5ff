// Turns for TLS handshakes: a few of each client at once.

import type { Server, Socket } from 'node:net';
import type { Seat } from './admission.ts';
import { awaitClientHello } from './client-hello.ts';

/**
 * Handshakes of one client between its ClientHello and their end. Each takes up to some 2 ms of CPU, so that the requests of others wait
 * for a few hundredths of a second at most, however many ClientHellos one client sends at once.
 */
const AT_ONCE = 16;
/** Milliseconds after which one that waits for its client makes room for another of the same client. A round trip is enough. */
const PATIENCE = 1000;
/** Milliseconds between two looks, while some wait. */
const LOOK = 200;

interface Waiting {
  readonly since: number;
  readonly start: () => void;
}

/** The handshakes of one client, the oldest first. */
interface Line {
  readonly client: string;
  /** Milliseconds since when, on the monotonic clock. */
  readonly underWay: Map<Seat, number>;
  readonly waiting: Map<Seat, Waiting>;
  advancing: boolean;
}

export interface HandshakeTerms {
  /** Milliseconds that one may wait for its turn, and before it for its ClientHello. */
  readonly timeout: number;
  /** Of a socket as accepted. */
  readonly seatOf: (socket: Socket) => Seat | undefined;
  /** Told of one that ended before it began. @param code a name, nothing of the peer's */
  readonly refused: (refusal: 'timed_out' | 'failed', code: string, client: string | undefined) => void;
  /** Told of a connection that speaks without TLS, and is to be answered and ended. */
  readonly plain: (socket: Socket) => void;
  /** Told of one that ended because others of its client waited for it. */
  readonly displaced: (client: string) => void;
}

/**
 * From now on a TLS server gets its connections when their ClientHello is there and it is their turn.
 * NOT bounded: handshakes of peers that speak for many clients, and those of all clients together.
 */
export function takeTurns(server: Server, terms: HandshakeTerms): Handshakes {
  const { timeout, seatOf, refused, plain } = terms;
  const handshakes = new Handshakes(terms);
  const onward = server.rawListeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const seat = seatOf(socket);
    if (seat === undefined) return void socket.destroy();
    const start = () => {
      for (const listener of onward) Reflect.apply(listener, server, [socket]);
    };
    awaitClientHello(socket, timeout, {
      arrived: () => handshakes.begin(seat, start),
      plain: () => plain(socket),
      timedOut: () => refused('timed_out', 'ERR_TLS_HANDSHAKE_TIMEOUT', seat.client),
      tooLong: () => refused('failed', 'CLIENT_HELLO_TOO_LONG', seat.client),
    });
  });
  return handshakes;
}

/** Counts for one door of one worker. */
export class Handshakes {
  readonly #terms: Pick<HandshakeTerms, 'timeout' | 'refused' | 'displaced'>;
  readonly #lines = new Map<string, Line>();
  readonly #lineOf = new Map<Seat, Line>();
  #timer: NodeJS.Timeout | undefined;

  constructor(terms: Pick<HandshakeTerms, 'timeout' | 'refused' | 'displaced'>) {
    this.#terms = terms;
  }

  /** Calls `start` when it has its turn, which ends with `end` or with the connection. */
  begin(seat: Seat, start: () => void): void {
    const { client, socket } = seat;
    if (client === undefined) return start();
    const line = this.#lines.get(client) ?? { client, underWay: new Map(), waiting: new Map(), advancing: false };
    this.#lines.set(client, line);
    this.#lineOf.set(seat, line);
    socket.once('close', () => this.end(seat));
    const since = performance.now();
    if (line.waiting.size === 0 && line.underWay.size < AT_ONCE) {
      line.underWay.set(seat, since);
      return start();
    }
    socket.on('error', () => socket.destroy()); // nothing else listens while it waits
    line.waiting.set(seat, { since, start });
    // What has arrived while this thread was busy is read before it counts as late.
    this.#timer ??= setInterval(() => setImmediate(() => this.#look()), LOOK).unref();
  }

  /** It is over, however it ended. */
  end(seat: Seat): void {
    const line = this.#lineOf.get(seat);
    if (line === undefined) return;
    this.#lineOf.delete(seat);
    line.underWay.delete(seat);
    line.waiting.delete(seat);
    if (line.waiting.size > 0) this.#advance(line);
    else if (line.underWay.size === 0) this.#lines.delete(line.client);
  }

  /** In a turn of the event loop that comes, so that a row of handshakes that fail at once does not hold up everything else. */
  #advance(line: Line): void {
    if (line.advancing) return;
    line.advancing = true;
    setImmediate(() => {
      line.advancing = false;
      for (const [seat, { start }] of line.waiting) {
        if (line.underWay.size >= AT_ONCE) break;
        line.waiting.delete(seat);
        line.underWay.set(seat, performance.now());
        start();
      }
    });
  }

  #look(): void {
    const now = performance.now();
    let waiting = 0;
    for (const line of this.#lines.values()) {
      this.#endLate(line, now);
      waiting += line.waiting.size;
    }
    if (waiting > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #endLate({ client, waiting, underWay }: Line, now: number): void {
    const { timeout, refused, displaced } = this.#terms;
    for (const [{ socket }, { since }] of waiting) {
      if (now - since < timeout) break;
      socket.destroy();
      refused('timed_out', 'ERR_TLS_HANDSHAKE_TIMEOUT', client);
    }
    let wanted = waiting.size;
    for (const [{ top }, since] of underWay) {
      if (wanted === 0 || now - since < PATIENCE) break;
      wanted -= 1;
      top.destroy();
      displaced(client);
    }
  }
}
