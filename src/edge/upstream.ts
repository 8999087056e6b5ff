// The connections to one upstream: a pool with certificates always verified.

import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { buildConnector, Pool } from 'undici';
import type { Upstream } from '../policy/route.ts';
import { Http2Pool, NotHttp2 } from './http2-pool.ts';

/** Bytes of an answer's fields; longer ones are `upstream_invalid`. */
const MAX_ANSWER_FIELDS = 65_536;

export interface OpenUpstream {
  readonly pool: Pick<Pool, 'dispatch' | 'close' | 'destroy'>;
  /** What undici is told in place of the client's Host, so that it neither verifies nor reconnects for that name. */
  readonly serverName: string;
  readonly secure: boolean;
  readonly http2: boolean;
}

/**
 * Opens nothing yet: connections are made when requests need them, and closed after 4 s without one. `pool.close()` lets running
 * requests finish, `pool.destroy()` does not.
 * https: the server's chain and name are verified, the name being `tls.serverName` or else the target's host.
 * @param connect seconds; the longest `timeouts.connect` of the upstream's routes, each of which enforces its own (forward.ts)
 */
export function openUpstream(upstream: Upstream, connect: number): OpenUpstream {
  const [target] = upstream.targets;
  if (target === undefined) throw new Error(`upstream ${upstream.name} has no target`);
  const { ca, cert, key, serverName } = upstream.tls;
  const connector = buildConnector({
    timeout: connect * 1000,
    ...(upstream.http2 && { preferH2: true, useH2c: true }),
    allowH2: upstream.http2,
    socketPath: target.socketPath ?? null,
    rejectUnauthorized: true,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  });
  const connectNamed: buildConnector.connector = (options, callback) => {
    connector({ ...options, servername: serverName ?? '' }, (error, socket) => {
      if (error !== null) return callback(error, null);
      if (upstream.http2 && socket instanceof TLSSocket && socket.alpnProtocol !== 'h2') {
        socket.destroy();
        return callback(new NotHttp2(), null);
      }
      socket.on('error', tellResetFromEnd);
      callback(null, socket);
    });
  };
  const { hostname, protocol } = new URL(target.origin);
  const terms = { serverName: serverName ?? hostname, secure: protocol === 'https:', http2: upstream.http2 };
  if (upstream.http2) {
    return {
      ...terms,
      pool: new Http2Pool(target.origin, { connections: upstream.connections, connect: connectNamed }),
    };
  }
  const pool = new Pool(target.origin, {
    connections: upstream.connections,
    pipelining: 1,
    allowH2: false,
    maxHeaderSize: MAX_ANSWER_FIELDS,
    headersTimeout: 0,
    bodyTimeout: 0,
    strictContentLength: true,
    connect: connectNamed,
  });
  return { ...terms, pool };
}

/**
 * undici takes a reset for the end of an answer that ends with its connection; RFC 9112 §8 calls such an answer incomplete.
 * It goes by the code, and this listener comes before its own.
 */
function tellResetFromEnd(this: Socket, error: NodeJS.ErrnoException): void {
  if (error.code === 'ECONNRESET') error.code = 'UPSTREAM_RESET';
}
