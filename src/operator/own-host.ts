// The check of Host on operators' ports, against DNS rebinding.

import { isIP } from 'node:net';
import { isLoopback } from '../http/address.ts';
import { formatBind } from '../policy/addresses.ts';
import { hostOf, readAuthority } from '../http/uri.ts';
import type { Bind } from '../policy/policy.ts';

/**
 * Whether `Host` is loopback, the address as bound, any address where the port is bound to all of them, or one of `names`. A browser
 * sends the name in its address bar, and a page of another site can make any of its own names resolve here; it cannot make an address
 * or a name of ours resolve elsewhere first. Ports do not matter: they may be forwarded. On a unix socket everything passes.
 * @param host value of the field; undefined where there is none
 * @param names hosts without ports, in lower case
 */
export function isOwnHost(host: string | undefined, bind: Bind, names: readonly string[] = []): boolean {
  if ('path' in bind) return true;
  const authority = readAuthority(host ?? '', 'http');
  if (authority === undefined) return false;
  const name = hostOf(authority);
  if (isLoopback(name) || name === hostOf(readAuthority(formatBind(bind), 'http') ?? '')) return true;
  if (names.includes(name)) return true;
  return (bind.host === '0.0.0.0' || bind.host === '::') && isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0;
}
