// One open HTTP/1.1 connection: its state, how it ends, and what its failures mean.

import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { hangUp } from '../transaction/answer.ts';
import { endsConnection, isOver, isPending, isUnasked } from '../transaction/http1.ts';
import { readUpgrade } from '../transaction/upgrade.ts';
import type { Connection } from './connection.ts';
import type { HandshakeRefusal, Serve } from './serve.ts';

/** What is kept per connection that is ready. */
export interface Open {
  readonly connection: Connection;
  /** The answer to the newest request; undefined also where it left nothing behind: an idle connection keeps no request in memory. */
  newest: ServerResponse | undefined;
  /** Requests that wait for their answers, those behind the last one included, which get none. */
  waiting: number;
  readonly answered: () => void;
  /** The newest request is the last one. */
  last: boolean;
  /** The parser gave up. */
  broken: boolean;
  /** A request is under way. */
  readonly busy: boolean;
}

export function openConnection(connection: Connection): Open {
  const open: Open = {
    connection,
    newest: undefined,
    waiting: 0,
    answered: () => {
      open.waiting -= 1;
      if (open.waiting === 0 && !open.last && isOver(open.newest)) open.newest = undefined;
    },
    last: false,
    broken: false,
    get busy() {
      return isPending(open.newest);
    },
  };
  return open;
}

/**
 * Requests that may wait on one connection; one that sends more is cut off. Node would keep as many as a client can send
 * (RFC 9112 §9.3.2 lets it repeat those that got no answer).
 */
const PIPELINED = 100;

/** One more message came. @returns whether it is a request; else it gets no answer */
export function takesRequest(socket: Socket, open: Open): boolean {
  open.waiting += 1;
  if (open.waiting > PIPELINED) socket.destroy();
  else if (isUnasked(open.newest)) finish(socket, open);
  // RFC 9112 §9.6: what follows an answer that closes the connection is not a request any more.
  return !socket.destroyed && !open.last && !endsConnection(open.newest);
}

/** Where there is TLS, its handshake is over: it is reported, and there is no second one. */
export function settleTls(socket: Socket, serve: Pick<Serve, 'handshake'>): void {
  if (!(socket instanceof TLSSocket)) return;
  socket.disableRenegotiation();
  serve.handshake(socket.getProtocol(), socket.isSessionReused());
}

/** Ends a connection behind the answers on their way; what else comes is no request. A tunnel knows no end of its own: it is cut. */
export function finish(socket: Duplex, open: Open): void {
  const { newest } = open;
  open.last = true;
  if (newest === undefined || !isPending(newest)) return hangUp(socket);
  if (readUpgrade(newest.req) !== undefined) return void socket.destroy();
  newest.shouldKeepAlive = false;
  newest.once('close', () => hangUp(socket));
}

/** By codes of Node and OpenSSL. */
const HANDSHAKE_REFUSALS: Readonly<Record<string, HandshakeRefusal>> = {
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'certificate_missing',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'timed_out',
};

/** Why a handshake failed; undefined: the client went away, which is no refusal. */
export function handshakeRefusal(error: NodeJS.ErrnoException, socket: TLSSocket) {
  const code = error.code ?? error.name;
  // A code, whatever its type says. Node ends the handshake of an untrusted certificate without an error of its own.
  const untrusted = socket.authorizationError as unknown as string | null;
  if (untrusted !== null) return { refusal: 'certificate_untrusted', code: untrusted } as const;
  return code === 'ECONNRESET' ? undefined : { refusal: HANDSHAKE_REFUSALS[code] ?? ('failed' as const), code };
}
