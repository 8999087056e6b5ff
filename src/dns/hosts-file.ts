// The grammar of /etc/hosts (hosts(5)).

import { isIP } from 'node:net';
import type { LookupAddress } from 'node:dns';

/** @returns the addresses of one name in a hosts file, in its order; names count without case. Lines that are none are skipped */
export function addressesInHosts(text: string, name: string): LookupAddress[] {
  const wanted = name.toLowerCase();
  const found: LookupAddress[] = [];
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const family = isIP(address);
    if (family !== 0 && names.some((one) => one.toLowerCase() === wanted)) found.push({ address, family });
  }
  return found;
}
