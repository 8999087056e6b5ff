// The connections to one upstream: a pool of HTTP/1.1 connections with certificates always verified.

import type { Socket } from 'node:net';
import { buildConnector, Pool } from 'undici';
import type { Upstream } from '../policy/route.ts';

/** Bytes of an answer's fields; longer ones are `upstream_invalid`. */
const MAX_ANSWER_FIELDS = 65_536;

export interface OpenUpstream {
  readonly pool: Pool;
  /** What undici is told in place of the client's Host, so that it neither verifies nor reconnects for that name. */
  readonly serverName: string;
  readonly secure: boolean;
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
    allowH2: false,
    socketPath: target.socketPath ?? null,
    rejectUnauthorized: true,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  });
  const pool = new Pool(target.origin, {
    connections: upstream.connections,
    pipelining: 1,
    allowH2: false,
    maxHeaderSize: MAX_ANSWER_FIELDS,
    headersTimeout: 0,
    bodyTimeout: 0,
    strictContentLength: true,
    connect: (options, callback) => {
      connector({ ...options, servername: serverName ?? '' }, (error, socket) => {
        if (error !== null) return callback(error, null);
        socket.on('error', tellResetFromEnd);
        callback(null, socket);
      });
    },
  });
  const { hostname, protocol } = new URL(target.origin);
  return { pool, serverName: serverName ?? hostname, secure: protocol === 'https:' };
}

/**
 * undici takes a reset for the end of an answer that ends with its connection; RFC 9112 §8 calls such an answer incomplete.
 * It goes by the code, and this listener comes before its own.
 */
function tellResetFromEnd(this: Socket, error: NodeJS.ErrnoException): void {
  if (error.code === 'ECONNRESET') error.code = 'UPSTREAM_RESET';
}
