// Compilation of trusted peers: names that can be verified, ranges without strangers.

import type { TrustedPeer } from '../../policy/policy.ts';
import type { ConfigPath } from '../problem.ts';
import type { Config } from '../schema/schema.ts';
import type { Compilation } from './compilation.ts';

type ListenerConfig = Config['listeners'][number];

/**
 * Problems: a certificate name that nothing verifies, and ranges that together have a large part of all addresses, unless
 * `insecure_trusted_peers` names the risk; then it is a warning. Warning: a peer that may write either kind of forwarding fields.
 * NOT checked: who is behind an address.
 */
export function compilePeerRules(
  compilation: Compilation,
  at: ConfigPath,
  config: ListenerConfig,
): readonly TrustedPeer[] {
  for (const [index, peer] of config.trusted_peers.entries()) {
    if (peer.certificate_san !== undefined) checkVerified(compilation, [...at, 'trusted_peers', index], config);
  }
  checkRanges(compilation, at, config);
  warnOfBothKinds(compilation, [...at, 'trusted_peers'], config);
  return config.trusted_peers.map((peer) => ({
    cidr: peer.cidr,
    certificateSan: peer.certificate_san,
    forwarding: peer.forwarding,
  }));
}

function checkVerified(compilation: Compilation, at: ConfigPath, { tls, client_certificate }: ListenerConfig): void {
  const { request, verify } = client_certificate;
  if (tls !== undefined && request !== 'none' && verify === 'chain') return;
  compilation.problem(
    [...at, 'certificate_san'],
    'can never be verified here, expected tls, and client_certificate with request: optional or required and verify: chain',
  );
}

/**
 * Balancers pass on the kind of fields that they do not write, so that a client's own `Forwarded` disagrees with their X-Forwarded-*.
 * Behind a PROXY header the peer writes no fields; with `mode: decide` a kind is chosen.
 */
function warnOfBothKinds(compilation: Compilation, at: ConfigPath, config: ListenerConfig): void {
  if (config.mode === 'decide' || config.proxy_protocol === 'required') return;
  const index = config.trusted_peers.findIndex(({ forwarding }) => forwarding === undefined);
  if (index === -1) return;
  compilation.warning(
    [...at, index],
    'does not say which fields this peer writes: where it writes X-Forwarded-* and passes on a Forwarded of the client, or the ' +
      'other way round, such requests are refused (request_malformed); say forwarding: x-forwarded, or forwarding: forwarded, ' +
      'of each peer',
  );
}

/** Ranges with more of the addresses than this are not those of a proxy. */
const LARGE = 1 / 16;

/** By address alone: with `certificate_san` beside it a range admits nobody by itself. */
function checkRanges(compilation: Compilation, at: ConfigPath, config: ListenerConfig): void {
  const ranges = config.trusted_peers.flatMap(({ cidr, certificate_san: san }, index) =>
    cidr === undefined || san !== undefined ? [] : [{ index, cidr, shares: sharesOf([cidr]) }],
  );
  const together = sharesOf(ranges.map(({ cidr }) => cidr));
  const version = (['v4', 'v6'] as const).find((one) => together[one] >= LARGE);
  if (version === undefined) return;
  const [widest, other] = ranges.toSorted((one, two) => two.shares[version] - one.shares[version]);
  const what =
    `${other?.shares[version] ? 'and the other ranges are' : 'is'} ${Math.round(together[version] * 100)} % of all ` +
    `IP${version} addresses: nearly anybody who reaches this port chooses origin, client address and certificate`;
  const here = [...at, 'trusted_peers', widest?.index ?? 0, 'cidr'];
  if (config.insecure_trusted_peers) {
    compilation.warning(here, what);
    return;
  }
  compilation.problem(
    here,
    `${what}, expected the addresses of the proxy, certificate_san with cidr, or insecure_trusted_peers: true on the listener`,
  );
}

/** The length of the prefix. */
function bitsOf(cidr: string): number {
  const [address = '', prefix] = cidr.split('/');
  return prefix === undefined ? (address.includes(':') ? 128 : 32) : Number(prefix);
}

type Interval = readonly [from: bigint, to: bigint];

/** ::ffff:0:0/96, by which IPv6 ranges have IPv4 addresses as well (RFC 4291 §2.5.5.2). */
const MAPPED: Interval = [0xffff_0000_0000n, 0x1_0000_0000_0000n];
/** 2000::/3: all addresses that are given to networks of the internet (RFC 4291 §2.5.4). */
const UNICAST: Interval = [0x2n << 124n, 0x4n << 124n];

/** Which part of all addresses some ranges have together, 0 to 1. */
function sharesOf(cidrs: readonly string[]): { readonly v4: number; readonly v6: number } {
  const ranges = cidrs.map(rangeOf);
  return { v4: shareOf(ranges, MAPPED), v6: shareOf(ranges, UNICAST) };
}

function shareOf(ranges: readonly Interval[], [first, end]: Interval): number {
  const inside = ranges.map(([from, to]) => [from > first ? from : first, to < end ? to : end] as const);
  let covered = 0n;
  let reached = first;
  for (const [from, to] of inside.toSorted(([one], [two]) => (one < two ? -1 : one > two ? 1 : 0))) {
    const start = from > reached ? from : reached;
    if (to <= start) continue;
    covered += to - start;
    reached = to;
  }
  return Number((covered * 1_000_000n) / (end - first)) / 1_000_000;
}

/** A range as numbers of IPv6, IPv4 ones as mapped. */
function rangeOf(cidr: string): Interval {
  const [address = ''] = cidr.split('/');
  const mapped = !address.includes(':');
  const free = BigInt((mapped ? 32 : 128) - bitsOf(cidr));
  const from = (numberOf(mapped ? `::ffff:${address}` : address) >> free) << free;
  return [from, from + (1n << free)];
}

/** URLs have one spelling for each IPv6 address: groups in hex, at most one `::`. */
function numberOf(address: string): bigint {
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const [before, after] = [head, tail ?? ''].map((part) => (part === '' ? [] : part.split(':')));
  const groups = [
    ...(before ?? []),
    ...Array<string>(tail === undefined ? 0 : 8 - (before?.length ?? 0) - (after?.length ?? 0)).fill('0'),
    ...(after ?? []),
  ];
  return groups.reduce((number, group) => (number << 16n) | BigInt(`0x${group}`), 0n);
}
