// The target origin of a request, decided once, with which `htu` is compared.

import type { Listener, ListenerOrigin } from '../../policy/policy.ts';
import { fitsPattern, narrownessOf } from '../../http/host-pattern.ts';
import { hostOf, readAuthority } from '../../http/uri.ts';
import type { Origin } from '../../http/origin.ts';
import { mismatch, untrusted } from '../../rejection/difference.ts';
import type { RejectionFacts } from '../../rejection/facts.ts';
import type { StatedOrigin } from './forwarded.ts';

/** What the client asked for; `authority` undefined: nothing that any origin could equal. */
export interface AskedOrigin {
  readonly scheme: Origin['scheme'];
  readonly authority: string | undefined;
}

/**
 * Scheme and authority as the client used them (C0.2 to C0.6). Strangers are judged by their Host and by how they connected.
 * Behind a trusted peer what it states counts; for what it leaves out, the listener's only origin where there is exactly one
 * (the peer may have rewritten Host), else Host and the connection.
 * @param host value of the Host field; its grammar was checked
 */
export function readAskedOrigin(listener: Listener, host: string, trusted: boolean, stated: StatedOrigin): AskedOrigin {
  const [first, second] = listener.origins;
  const only = trusted && second === undefined && first?.wildcard === false ? first : undefined;
  const scheme = stated.scheme ?? only?.scheme ?? (listener.tls === undefined ? 'http' : 'https');
  const authority = stated.host === undefined ? only?.authority : readAuthority(stated.host, scheme);
  return { scheme, authority: authority ?? readAuthority(stated.host ?? host, scheme) };
}

/**
 * The origin of the list that was asked for; undefined: none, which is `misdirected`. Where one with stars fits, what was asked
 * for takes the place of the stars: `htu` has to name that very host and port. Without origins, which only a listener of public
 * routes can be, any is taken.
 * NOT checked: that any host belongs to us where `https://*` says so; routes that are not public name theirs (reach.ts).
 */
export function chooseOrigin(
  origins: readonly ListenerOrigin[],
  { scheme, authority }: AskedOrigin,
): Origin | undefined {
  if (authority === undefined) return undefined;
  if (origins.length === 0) return { scheme, authority, pathPrefix: '' };
  const exact = find(origins, scheme, authority);
  if (exact !== undefined && !exact.wildcard) return exact;
  const host = hostOf(authority);
  const port = authority.slice(host.length);
  let chosen: ListenerOrigin | undefined;
  for (const origin of origins) {
    if (!origin.wildcard || origin.scheme !== scheme || !fits(origin, host, port)) continue;
    if (chosen === undefined || narrowness(origin) > narrowness(chosen)) chosen = origin;
  }
  return chosen && { scheme, authority, pathPrefix: chosen.pathPrefix };
}

/**
 * A request on a connection for another host (C0.5; RFC 9110 §7.4): of the patterns another one fits the host that was asked for best
 * than fits the name of the connection.
 * @param servername from SNI, as the client sent it
 * @returns undefined: it is for this one
 */
export function otherConnection(
  patterns: ReadonlySet<string>,
  servername: string,
  { authority = '' }: AskedOrigin,
): RejectionFacts | undefined {
  const [named, host] = [servername.toLowerCase(), hostOf(authority)];
  if (named === host || narrowest(patterns, named) === narrowest(patterns, host)) return undefined;
  return { ...mismatch('SNI', [untrusted(named)], host), receivedIn: 'Host' };
}

/** Asks once for each label of the host, however many patterns there are: this comes before anything is known of a client. */
function narrowest(patterns: ReadonlySet<string>, host: string): string | undefined {
  const parents = host.split('.').map((_, at, labels) => labels.slice(at + 1).join('.'));
  const candidates = [host, `*.${parents[0]}`, ...parents.map((parent) => `**.${parent}`)];
  return candidates.find((pattern) => patterns.has(pattern) && fitsPattern(host, pattern));
}

/** The more labels a pattern names the narrower it is; of two alike the one that names the port. */
function narrowness({ authority }: ListenerOrigin): number {
  return 2 * narrownessOf(hostOf(authority)) + (authority.endsWith(':*') ? 0 : 1);
}

function fits({ authority }: ListenerOrigin, host: string, port: string): boolean {
  const pattern = hostOf(authority);
  const itsPort = authority.slice(pattern.length);
  return (itsPort === port || itsPort === ':*') && fitsPattern(host, pattern);
}

function find(origins: readonly ListenerOrigin[], scheme: Origin['scheme'], authority: string) {
  return origins.find((origin) => origin.authority === authority && origin.scheme === scheme);
}

/**
 * The facts of an origin that the listener does not serve: what differs from the nearest one, and which field, or the connection, said so.
 * A wildcard is named as it is configured.
 */
export function misdirection(asked: {
  readonly listener: Listener;
  /** Value of the Host field. */
  readonly host: string;
  readonly trusted: boolean;
  readonly stated: StatedOrigin;
}): RejectionFacts {
  const { listener, host, trusted, stated } = asked;
  const { scheme, authority } = readAskedOrigin(listener, host, trusted, stated);
  const origins = listener.origins.map((origin) => `${origin.scheme}://${origin.authority}`);
  const facts = mismatch('origin', origins, `${scheme}://${authority ?? host}`);
  const receivedIn = facts.differs === 'scheme' ? (stated.schemeIn ?? 'the connection') : (stated.hostIn ?? 'Host');
  return { ...facts, receivedIn };
}
