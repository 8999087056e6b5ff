// Hostnames of listeners and routes: their intersection, and which is the more specific one.

/** A host without a port, IP addresses excluded (RFC 1123), or `*.` and a host. Undefined: every host. */
export type Hostname = string | undefined;

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const HOSTNAME = new RegExp(`^(?:\\*\\.)?${LABEL}(?:\\.${LABEL})*$`);

/** Whether the text can be a hostname of the Gateway API; the API server checks the same. */
export function isHostname(text: string): boolean {
  return text.length <= 253 && HOSTNAME.test(text) && /[a-z][^.]*$/.test(text);
}

/**
 * Hosts that belong to both; `*.` stands for one or more labels. @returns false where there are none
 * @param one of a listener, in small letters
 * @param other of a route, in small letters
 */
export function intersect(one: Hostname, other: Hostname): Hostname | false {
  if (one === undefined || other === undefined) return one ?? other;
  if (one === other) return one;
  if (covers(one, other)) return other;
  return covers(other, one) && one;
}

/** Whether every host of `inner` is one of `outer`, and these are more. `example.com` itself is none of `*.example.com`. */
function covers(outer: string, inner: string): boolean {
  return outer.startsWith('*.') && inner !== outer && inner.replace(/^\*/, '').endsWith(outer.slice(1));
}

/**
 * To which of several hostnames of listeners all hosts of a pattern belong: the most specific one (listener isolation).
 * @returns undefined: to that of every host
 */
export function mostSpecific(hostnames: readonly Hostname[], host: Hostname): Hostname {
  if (host === undefined || hostnames.includes(host)) return host;
  const fitting = hostnames.filter((one) => one !== undefined && covers(one, host));
  return fitting.toSorted((a = '', b = '') => b.length - a.length)[0];
}

/** As the configuration writes it: `**.` for one or more labels. */
export function hostPattern(hostname: Hostname): string | undefined {
  return hostname?.startsWith('*.') ? `*${hostname}` : hostname;
}
