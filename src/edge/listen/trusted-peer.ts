// Trusted peers: whose forwarding and certificate fields are believed.

import { BlockList, isIP } from 'node:net';
import type { Forwarding, TrustedPeer } from '../../policy/policy.ts';
import type { CertificateEvidence } from '../../request-facts.ts';

interface PeerRule {
  /** undefined: any address. */
  readonly network: BlockList | undefined;
  /** undefined: any certificate, or none. */
  readonly name: string | undefined;
  readonly forwarding: Forwarding | undefined;
}

/** How far a peer is trusted. */
export interface Trust {
  /** Seconds since the epoch; 0: not at all. */
  readonly until: number;
  /** Which of its fields are believed, as the first entry says that fits. */
  readonly forwarding: Forwarding | undefined;
}

const NONE: Trust = { until: 0, forwarding: undefined };

export type TrustedPeers = readonly PeerRule[];

const NEVER = 0;

/** Compiles `trusted_peers`. Throws on a CIDR that is none; the policy refused those before (config/compile/listener.ts). */
export function compileTrustedPeers(peers: readonly TrustedPeer[]): TrustedPeers {
  return peers
    .filter(({ cidr, certificateSan }) => cidr !== undefined || certificateSan !== undefined)
    .map(({ cidr, certificateSan, forwarding }) => ({
      network: cidr === undefined ? undefined : compileNetwork(cidr),
      name: certificateSan?.toLowerCase(),
      forwarding,
    }));
}

function compileNetwork(cidr: string): BlockList {
  const [address = '', prefix] = cidr.split('/');
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  const network = new BlockList();
  network.addSubnet(address, prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix), family);
  return network;
}

/**
 * How far this peer is trusted: until 0 for a stranger, Infinity for an address alone, else the end of the certificate by which it
 * is known. Only a name that the listener's CA vouched for counts, never one under
 * `verify: possession`. Both conditions where a rule has both. A peer on a unix socket has no address and needs a certificate.
 * @param address IPv4-mapped addresses as IPv4
 * @param evidence the certificate of the peer itself
 */
export function trustOf(
  peers: TrustedPeers,
  address: string | undefined,
  evidence: CertificateEvidence | undefined,
): Trust {
  let trust = NONE;
  for (const { network, name, forwarding } of peers) {
    if (network !== undefined && !contains(network, address)) continue;
    const until = name === undefined ? Number.POSITIVE_INFINITY : vouchedUntil(evidence, name);
    if (until === NEVER) continue;
    trust = trust === NONE ? { until, forwarding } : { ...trust, until: Math.max(trust.until, until) };
  }
  return trust;
}

/** Until when a peer is trusted (`trustOf`). */
export function trustedUntil(...asked: Parameters<typeof trustOf>): number {
  return trustOf(...asked).until;
}

function contains(network: BlockList, address: string | undefined): boolean {
  return address !== undefined && network.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/** DNS names are compared without case (RFC 4343); of a URI that is a little lenient and names no one else's identity. */
function vouchedUntil(evidence: CertificateEvidence | undefined, name: string): number {
  if (evidence?.verify !== 'chain' || !evidence.trusted) return NEVER;
  const { dnsNames, uris, notAfter } = evidence.facts;
  return [...dnsNames, ...uris].some((each) => each.toLowerCase() === name) ? notAfter : NEVER;
}
