// IP addresses as text: one spelling for each, and IPv4-mapped ones as IPv4.

import { isIPv4, SocketAddress } from 'node:net';

/**
 * Reads an IP address, IPv4-mapped ones as IPv4 (RFC 4291 §2.5.5.2).
 * @returns its one spelling; undefined: not an address, or one with a zone
 */
export function readAddress(text: string): string | undefined {
  return unmapped(spellAddress(text, text.includes(':') ? 'ipv6' : 'ipv4'));
}

/** One spelling for each address, whatever the sender's was, because rates are counted by it; undefined: not an address. */
export function spellAddress(text: string, family: 'ipv4' | 'ipv6'): string | undefined {
  // A zone (RFC 4007 §11) means something on the sender's machine only, and Node stops reading at a NUL.
  if (!/^[0-9A-Fa-f:.]+$/.test(text)) return undefined;
  // It has one spelling: four numbers without leading zeros.
  if (family === 'ipv4') return isIPv4(text) ? text : undefined;
  try {
    return new SocketAddress({ address: text, family }).address;
  } catch {
    return undefined;
  }
}

/** `::ffff:192.0.2.1` → `192.0.2.1`: which one a socket says depends on how it was bound, not on the peer. */
export function unmapped(address: string | undefined): string | undefined {
  return address?.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}

/** `localhost`, 127.0.0.0/8 and ::1 (bare or in brackets); other names that resolve there do not count. */
export function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.[0-9]{1,3}){3}|::1|\[::1\])$/.test(host);
}
