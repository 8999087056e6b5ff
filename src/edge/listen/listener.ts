// A listener: opened once, with a new door for each policy.

import { randomBytes } from 'node:crypto';
import type { Listener } from '../../policy/policy.ts';
import { openDoors, type OpenListener } from './generations.ts';
import { HttpDoor } from './http-door.ts';
import type { Serve } from './serve.ts';

/**
 * Opens a listener. HTTP/1.1, strict parser, and HTTP/2 where TLS negotiates it or, without TLS, the client begins with it. Every
 * TLS handshake is a full one where client certificates are asked for, and without renegotiation everywhere.
 * Throws an Error for people where TLS material is unusable (tls-material.ts) or the address cannot be bound (bind.ts).
 * @param reusePort other threads listen there as well
 * @param ticketSecret from which ticket keys are derived; listeners of several threads that share it resume each other's sessions
 * NOT checked: anything about requests (facts.ts), the number of requests on a connection, and how long bodies take (upload.ts).
 */
export async function openListener(
  first: Listener,
  serve: Serve,
  reusePort = false,
  ticketSecret: Uint8Array = randomBytes(32),
): Promise<OpenListener> {
  return await openDoors(first, {
    reusePort,
    ticketSecret,
    door: (listener, secret, admission) => new HttpDoor(listener, { serve, admission }, secret),
    accepted: () => serve.accepted(),
    onError: ({ name, code = name }) => serve.refusedHandshake('failed', code), // of accept(2)
    displaced: (client) => serve.refusedConnection('share', client),
  });
}
