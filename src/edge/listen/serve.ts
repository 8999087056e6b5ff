// The outputs of a listener: requests, early refusals and failed handshakes.

import type { ConnectionRefusal } from '../../observe/labels.ts';
import type { Answer } from '../../rejection/answer.ts';
import type { Rejection } from '../../rejection/rejection.ts';
import type { Transaction } from '../transaction/transaction.ts';
import type { Connection } from './connection.ts';
import type { ProxyHeaderRefusal } from './proxied-socket.ts';

/** Why a connection never carried a request: a closed set, fit for labels. */
export type HandshakeRefusal =
  | 'certificate_missing'
  | 'certificate_untrusted'
  | 'certificate_unreadable'
  | 'timed_out'
  | 'failed'
  | ProxyHeaderRefusal;

/** Where something came that is refused before it became a request. */
export interface Refused {
  readonly connection: Connection;
  /** Its method and fields are known. */
  readonly transaction?: Transaction | undefined;
}

/** Whom a listener serves. */
export interface Serve {
  /** A connection came; nothing is known of it. */
  accepted(): void;
  /** A connection came over which requests may: behind its handshake, and without TLS behind its first bytes where they tell the version. */
  connected(): void;
  request(transaction: Transaction, connection: Connection): void;
  /** Counts what was refused before it became a request, and gives the answer to write. */
  refused(rejection: Rejection, refused: Refused): Answer;
  /**
   * @param code of OpenSSL or Node, for the log: a name, nothing of the peer's
   * @param client whose connection it was, an address or an IPv6 network, where that is known
   */
  refusedHandshake(refusal: HandshakeRefusal, code: string, client?: string): void;
  /** A TLS handshake succeeded. @param version as OpenSSL names it */
  handshake(version: string | null, resumed: boolean): void;
  /** @param client whose connection it was, where that is known */
  refusedConnection(refusal: ConnectionRefusal, client?: string): void;
}
