// Connections that begin with a PROXY header, which is read before anything else.

import type { Server, Socket } from 'node:net';
import { peek } from './peek.ts';
import { type Ends, type ProxyHeader, readProxyHeader } from '../../http/proxy-header.ts';

/** Why a connection was closed before anybody looked at what the client sent: a closed set, fit for labels. */
export type ProxyHeaderRefusal = 'proxy_peer_untrusted' | 'proxy_header_malformed' | 'proxy_header_timed_out';

export interface ProxyHeaderRules {
  /** Milliseconds from accept to the end of the header. */
  readonly timeout: number;
  /** Whether this TCP peer may send a header at all. */
  trusts(peer: Socket): boolean;
  /** Whether there is a place for one that may send a header; where not, it is closed. */
  enters(peer: Socket): boolean;
  /** Told when the header is read, before anybody gets the connection. @param address of the client; undefined: the header does not say */
  found(peer: Socket, address: string | undefined): void;
  /** @param peer the address of the TCP peer: the header did not say whose connection it is */
  refused(refusal: ProxyHeaderRefusal, peer: string): void;
}

export interface ProxiedSockets {
  /**
   * By which ends the connection began, as its header says; `nobody`: the header does not say (proxy-header.ts).
   * undefined: no header was read, or the connection is gone, so that it must not be served.
   * @param socket as accepted, or the TLS socket over it
   */
  endsOf(socket: Socket): Ends | 'nobody' | undefined;
}

/**
 * From now on every connection of this server begins with a PROXY header. Whoever listens to `connection` up to now gets a
 * socket only after its header, which is not in it any more; whoever listens later still gets it as accepted. Everything else is
 * closed and refused: a TCP peer that is not trusted, at once; no header within the timeout; bytes that are none. Peers that
 * connect and leave without a byte, as health checks do, are no refusal.
 * The protocol leaves no choice (§2): without a header nothing is served, so that nobody gains by leaving it out.
 */
export function requireProxyHeaders(server: Server, rules: ProxyHeaderRules): ProxiedSockets {
  const headers = new Map<string, ProxyHeader>();
  const onward = server.rawListeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    // A check that was reset before we looked: nobody can say whose it was.
    if (socket.remoteAddress === undefined) return void socket.destroy();
    if (!rules.trusts(socket)) {
      const peer = socket.remoteAddress;
      socket.destroy();
      return rules.refused('proxy_peer_untrusted', peer);
    }
    if (!rules.enters(socket)) return;
    awaitHeader(socket, rules, (header) => {
      const key = keyOf(socket);
      headers.set(key, header);
      socket.once('close', () => {
        if (headers.get(key) === header) headers.delete(key);
      });
      rules.found(socket, header.ends?.remoteAddress);
      for (const listener of onward) Reflect.apply(listener, server, [socket]);
    });
  });
  return {
    endsOf(socket) {
      const header = headers.get(keyOf(socket));
      return header && (header.ends ?? 'nobody');
    },
  };
}

/** What a socket and the TLS socket over it have in common, and no two open connections. */
function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

function awaitHeader(socket: Socket, rules: ProxyHeaderRules, done: (header: ProxyHeader) => void): void {
  const { remoteAddress: peer = '' } = socket;
  const refuse = (refusal: ProxyHeaderRefusal) => {
    socket.on('error', () => {}).destroy();
    rules.refused(refusal, peer);
  };
  peek(socket, {
    timeout: rules.timeout,
    read: (bytes) => {
      const value = readProxyHeader(bytes);
      if (value === 'incomplete') return undefined;
      return { value, used: value === 'malformed' ? 0 : value.length };
    },
    found: (header) => (header === 'malformed' ? refuse('proxy_header_malformed') : done(header)),
    timedOut: () => refuse('proxy_header_timed_out'),
    ended: (began) => {
      if (began) rules.refused('proxy_header_malformed', peer);
    },
  });
}
