// Connections to one target: verified certificates, every address in turn, clear failures.

import type { LookupFunction, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { buildConnector } from 'undici';
import { names } from '../../dns/resolver.ts';
import type { Target, Upstream } from '../../policy/upstream.ts';
import { requireNames } from './server-identity.ts';

export type Connector = buildConnector.connector;

/** A connection that did not come about: no byte of any request went over it. Keeps the code that Node or undici gave. */
export class ConnectFailure extends Error {
  readonly code: string;
  constructor(cause: NodeJS.ErrnoException) {
    super('no connection to the target', { cause });
    this.code = cause.code ?? cause.name;
  }
}

const OF_OURS = /^(?:EMFILE|ENFILE|ENOBUFS|ENOMEM)$/;

/**
 * Whether a connection failed because this process or its machine has no descriptors or memory left, which says nothing about
 * the target and which clients can bring about. Local ports are not among them: their code is also that of an address that is not here.
 */
export function isShortage(code: string): boolean {
  return OF_OURS.test(code);
}

/** The server does not speak HTTP/2, and nothing else was asked for. */
export class NotHttp2 extends Error {
  readonly code = 'HTTP2_NOT_SPOKEN';
}

/**
 * Makes the connections to a target. https: chain and name are verified, the name being one of `tls.subjectAltNames`, or where there
 * are none `tls.serverName`, or else the target's host.
 * Names are resolved for each connection (dns/resolver.ts). Does not limit how many there are.
 * @param connect seconds, of one connection with its name resolution and handshake
 */
export function compileConnector(
  target: Target,
  { tls, http2 }: Pick<Upstream, 'tls' | 'http2'>,
  connect: number,
  lookup: LookupFunction = names.lookup,
): Connector {
  const { ca, cert, key, subjectAltNames } = tls;
  const build = () =>
    buildConnector({
      timeout: connect * 1000,
      allowH2: http2,
      ...(http2 && { preferH2: true, useH2c: true }),
      socketPath: target.socketPath ?? null,
      rejectUnauthorized: true,
      lookup: takeTurns(lookup),
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(subjectAltNames !== undefined && { checkServerIdentity: requireNames(subjectAltNames) }),
    });
  // With the first connection: there may be ten thousand targets that hardly any request is for.
  let connector: Connector | undefined;
  const servername = target.origin.startsWith('https:') ? (tls.serverName ?? '') : '';
  return (options, callback) => {
    // A URL has brackets around an IPv6 address, a socket has not.
    const hostname = options.hostname.replace(/^\[(.*)\]$/, '$1');
    connector ??= build();
    connector({ ...options, hostname, servername }, (error, socket) => {
      if (error !== null) return callback(new ConnectFailure(error), null);
      if (http2 && socket instanceof TLSSocket && socket.alpnProtocol !== 'h2') {
        socket.destroy();
        return callback(new ConnectFailure(new NotHttp2()), null);
      }
      socket.on('error', tellResetFromEnd);
      callback(null, socket);
    });
  };
}

/**
 * A name may have many addresses, and resolvers mostly give them in the same order: each connection begins with the next one of
 * the first one's family, and Node goes on to the others when that fails. Which family comes first stays as resolved (RFC 6724).
 */
function takeTurns(lookup: LookupFunction): LookupFunction {
  let turn = 0;
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, resolved) => {
      const all = error === null && typeof resolved !== 'string' ? resolved : [];
      const [first] = all;
      if (first === undefined) return callback(error ?? new Error(`${hostname} has no address`), []);
      const near = all.filter(({ family }) => family === first.family);
      const next = turn++ % near.length;
      const inTurn = [...near.slice(next), ...near.slice(0, next), ...all.filter((one) => !near.includes(one))];
      if (options.all) callback(null, inTurn);
      else callback(null, inTurn[0]?.address ?? '', first.family);
    });
  };
}

/**
 * undici takes a reset for the end of an answer that ends with its connection; RFC 9112 §8 calls such an answer incomplete.
 * It goes by the code, and this listener comes before its own.
 */
function tellResetFromEnd(this: Socket, error: NodeJS.ErrnoException): void {
  if (error.code === 'ECONNRESET') error.code = 'UPSTREAM_RESET';
}
