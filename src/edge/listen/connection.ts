// The facts of a connection, read once: its peer and its certificate.

import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { buildChain } from '../../certificate/chain.ts';
import { readCertificate } from '../../certificate/leaf.ts';
import { unmapped } from '../../http/address.ts';
import type { Forwarding, Listener } from '../../policy/policy.ts';
import type { CertificateEvidence } from '../../request-facts.ts';
import type { Ends } from '../../http/proxy-header.ts';
import { compileTrustedPeers, type TrustedPeers, trustOf, trustedUntil } from './trusted-peer.ts';

export interface Connection {
  /** Of the client, as the PROXY header says where one is required; IPv4-mapped addresses as IPv4; undefined: unix socket, or nobody's. */
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  /** From SNI; undefined: none sent, or no TLS. */
  readonly servername: string | undefined;
  /** The certificate shown on this connection: the client's, or the peer's own where the peer is trusted. */
  readonly evidence: CertificateEvidence | undefined;
  /** Seconds since the epoch until which the peer is trusted; 0: it is not (trusted-peer.ts). */
  readonly trustedUntil: number;
  /** Which fields of a trusted peer are believed. */
  readonly forwarding?: Forwarding | undefined;
}

/** What a listener knows that connections are read by. */
export interface ConnectionRules {
  readonly verify: 'chain' | 'possession';
  readonly authorities: readonly X509Certificate[];
  readonly peers: TrustedPeers;
}

/**
 * Reads a connection; of TLS ones after the handshake. `unreadable`: a certificate was shown that is not one we can read.
 * @param ends of the connection where a PROXY header says them; `nobody`: the header does not say, and so nobody is trusted
 */
export function readConnection(
  socket: Socket,
  rules: ConnectionRules,
  ends: Ends | 'nobody' = socket,
): Connection | 'unreadable' {
  const evidence = socket instanceof TLSSocket ? readEvidence(socket, rules) : undefined;
  if (evidence === 'unreadable') return evidence;
  const { remoteAddress, remotePort, localAddress, localPort } = ends === 'nobody' ? NO_ENDS : readEnds(ends);
  const servername = socket instanceof TLSSocket ? socket.servername : undefined;
  const trust = ends === 'nobody' ? undefined : trustOf(rules.peers, remoteAddress, evidence);
  return {
    remoteAddress,
    remotePort,
    localAddress,
    localPort,
    servername: typeof servername === 'string' ? servername : undefined,
    evidence,
    trustedUntil: trust?.until ?? 0,
    forwarding: trust?.forwarding,
  };
}

const NO_ENDS = { remoteAddress: undefined, remotePort: undefined, localAddress: undefined, localPort: undefined };

function readEnds({ remoteAddress, remotePort, localAddress, localPort }: Ends) {
  return {
    remoteAddress: unmapped(remoteAddress),
    remotePort,
    localAddress: unmapped(localAddress),
    localPort,
  };
}

/**
 * Whether a TCP peer may send a PROXY header: by its address alone, as its certificate is not known then, and the one that comes
 * later is not its own.
 */
export function maySendHeader(peer: Socket, peers: TrustedPeers): boolean {
  return trustedUntil(peers, unmapped(peer.remoteAddress), undefined) > 0;
}

/** Whether a connection may live on. @param peer its socket, whose address is the TCP peer's */
export type Standing = (connection: Connection, peer: Socket) => boolean;

/**
 * Whether connections made under `before` may live on under `now`, because their facts would be the same: they came the same way,
 * their peer is trusted as it was, also to send PROXY headers, and if there is a certificate, the rules by which it was read have
 * not changed (C5.4).
 */
export function compileStanding(before: Listener, now: Listener): Standing {
  const { proxyProtocol, clientCertificate } = now;
  const sameTransport =
    (before.tls === undefined) === (now.tls === undefined) && before.proxyProtocol === proxyProtocol;
  // Under another name it is another listener, with other routes.
  const same = sameTransport && before.name === now.name;
  const sameRules = isDeepStrictEqual(before.clientCertificate, clientCertificate);
  const peers = compileTrustedPeers(now.trustedPeers);
  return ({ remoteAddress, evidence, trustedUntil: until, forwarding }, peer) => {
    const sameEvidence = sameRules || (evidence === undefined && clientCertificate.request !== 'required');
    const nobody = proxyProtocol && remoteAddress === undefined;
    const trust = nobody ? undefined : trustOf(peers, remoteAddress, evidence);
    const sameTrust = (trust?.until ?? 0) === until && trust?.forwarding === forwarding;
    return same && sameEvidence && sameTrust && (!proxyProtocol || maySendHeader(peer, peers));
  };
}

/**
 * The certificate of this very handshake. A resumed session vouches for nothing (C5.2): resumption is off where
 * certificates are asked for (tls-material.ts), and if it ever were not, `trusted` is false.
 */
function readEvidence(
  socket: TLSSocket,
  { verify, authorities }: ConnectionRules,
): CertificateEvidence | 'unreadable' | undefined {
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) return undefined;
  const trusted = verify === 'chain' && socket.authorized && !socket.isSessionReused();
  const chain = trusted ? buildChain(leaf, offeredBeside(leaf), authorities) : [];
  const facts = readCertificate(leaf.raw, chain);
  return facts === undefined ? 'unreadable' : { facts, verify, trusted };
}

function offeredBeside(leaf: X509Certificate): X509Certificate[] {
  const offered: X509Certificate[] = [];
  let next = leaf.issuerCertificate;
  // Node hands out what the client sent; ten are more than buildChain looks at, and a self-signed one would go on for ever.
  while (next !== undefined && offered.length < 10) {
    offered.push(next);
    next = next.issuerCertificate;
  }
  return offered;
}
