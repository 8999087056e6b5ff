// Node's HTTP/1.1 server as a listener uses it: its limits, and its defaults turned off.

import { createServer as createPlainServer, type IncomingMessage, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Listener } from '../../policy/policy.ts';
import type { TlsMaterial } from './tls-material.ts';

/** Node has it, @types/node does not know it. */
type HalfOpenServer = Server & { httpAllowHalfOpen?: boolean };

/** @param shouldUpgradeCallback whether a request with Upgrade is taken as one; otherwise it is a request like any other */
export function createServer(
  { limits }: Listener,
  tls: TlsMaterial['options'] | undefined,
  shouldUpgradeCallback: (request: IncomingMessage) => boolean,
): Server {
  const headersTimeout = limits.headerTimeout * 1000;
  const options: ServerOptions = {
    insecureHTTPParser: false,
    requireHostHeader: false, // answered by us, like everything else that is wrong with Host (facts.ts)
    maxHeaderSize: limits.headerSize,
    headersTimeout,
    requestTimeout: 0,
    keepAliveTimeout: limits.idleTimeout * 1000,
    connectionsCheckingInterval: Math.min(1000, headersTimeout / 2),
    shouldUpgradeCallback,
  };
  const server: HalfOpenServer =
    tls === undefined ? createPlainServer(options) : createTlsServer({ ...options, ...tls });
  server.httpAllowHalfOpen = true; // see awaitAnswer in http1.ts
  server.maxHeadersCount = 0; // bounded by bytes: with a number Node would drop the lines beyond it without a word
  return server;
}
