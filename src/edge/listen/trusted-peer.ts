// Trusted peers: whose forwarding and certificate fields are believed.

import { BlockList, isIP } from 'node:net';
import type { TrustedPeer } from '../../policy/policy.ts';
import type { CertificateEvidence } from '../../request-facts.ts';

interface PeerRule {
  /** undefined: any address. */
  readonly network: BlockList | undefined;
  /** undefined: any certificate, or none. */
  readonly name: string | undefined;
}

export type TrustedPeers = readonly PeerRule[];

const NEVER = 0;

/** Compiles `trusted_peers`. Throws on a CIDR that is none; the policy refused those before (config/compile/listener.ts). */
export function compileTrustedPeers(peers: readonly TrustedPeer[]): TrustedPeers {
  return peers
    .filter(({ cidr, certificateSan }) => cidr !== undefined || certificateSan !== undefined)
    .map(({ cidr, certificateSan }) => ({
      network: cidr === undefined ? undefined : compileNetwork(cidr),
      name: certificateSan?.toLowerCase(),
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
 * Until when (seconds since the epoch) this peer is trusted: 0 for a stranger, Infinity for an address alone, else the end of
 * the certificate by which it is known. Only a name that the listener's CA vouched for counts, never one under
 * `verify: possession`. Both conditions where a rule has both. A peer on a unix socket has no address and needs a certificate.
 * @param address IPv4-mapped addresses as IPv4
 * @param evidence the certificate of the peer itself
 */
export function trustedUntil(
  peers: TrustedPeers,
  address: string | undefined,
  evidence: CertificateEvidence | undefined,
): number {
  let until = NEVER;
  for (const { network, name } of peers) {
    if (network !== undefined && !contains(network, address)) continue;
    until = Math.max(until, name === undefined ? Number.POSITIVE_INFINITY : vouchedUntil(evidence, name));
  }
  return until;
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
