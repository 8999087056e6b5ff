// Comparison of issuers and of addresses that are spelled in different ways.

import { posix } from 'node:path';
import type { Target } from '../../policy/upstream.ts';
import { isLoopback } from '../../http/address.ts';

/**
 * Spellings of an issuer that people take for the same one. Tokens are compared letter by letter; this is for who may speak in its
 * name, where `https://Login.example.com:443/` is as good as `https://login.example.com`.
 */
export function issuerKey(issuer: string): string {
  const url = URL.parse(issuer);
  const text = url === null ? issuer : `${url.host}${url.pathname}`;
  // A dot at the end of the host makes another one to a resolver at most.
  return text
    .replace(/\/+$/, '')
    .replace(/^([^/]*?)\.(?=[:/]|$)/, '$1')
    .toLowerCase();
}

/** Spellings of one address: by its IP address, every loopback one alike, without a dot at the end of a name. */
export function targetKey({ origin, socketPath }: Target): string {
  if (socketPath !== undefined) return `unix ${posix.normalize(socketPath)}`;
  const { hostname, port, protocol } = new URL(origin);
  const name = unmappedHost(hostname).replace(/\.$/, '');
  const local = isLoopback(name) || name === '0.0.0.0' || name === '[::]' || name.endsWith('.localhost');
  const standard = protocol === 'https:' ? '443' : '80';
  return `${local ? 'loopback' : name} ${port === '' ? standard : port}`;
}

/** `[::ffff:a00:1]`, as WHATWG URLs spell it → `10.0.0.1`. */
function unmappedHost(hostname: string): string {
  const [, high, low] = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(hostname) ?? [];
  if (high === undefined || low === undefined) return hostname;
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [a >> 8, a & 255, b >> 8, b & 255].join('.');
}
