// The order of a name's addresses, by families that this host reaches (RFC 6724).

import type { LookupAddress } from 'node:dns';
import { networkInterfaces } from 'node:os';

/** IPv6 loopback, unique local, or anything else that is not link-local. */
type Scope = 'loopback' | 'local' | 'global';

/**
 * IPv6 addresses of a scope in which this host has an address, then IPv4, then the rest; within each the order stays.
 * NOT checked: routes. The connection goes on to the next address where one cannot be reached.
 */
export function byReach(addresses: readonly LookupAddress[], own: ReadonlySet<Scope> = ownScopes()): LookupAddress[] {
  const rank = ({ address, family }: LookupAddress) => {
    if (family === 4) return 1;
    return own.has(scopeOf(address)) ? 0 : 2;
  };
  return addresses.toSorted((one, other) => rank(one) - rank(other));
}

/** Empty, so that IPv4 comes first, where a sandbox forbids to look (AF_NETLINK). */
function ownScopes(): ReadonlySet<Scope> {
  const all = interfaces().flatMap((list) => list ?? []);
  return new Set(
    all.flatMap(({ family, address }) => (family === 'IPv6' && !isLinkLocal(address) ? [scopeOf(address)] : [])),
  );
}

function interfaces() {
  try {
    return Object.values(networkInterfaces());
  } catch {
    return [];
  }
}

const isLinkLocal = (address: string) => /^fe[89ab]/i.test(address);

function scopeOf(address: string): Scope {
  if (address === '::1') return 'loopback';
  return /^f[cd]/i.test(address) ? 'local' : 'global';
}
