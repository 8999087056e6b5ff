// Patterns of hosts: one host, one label below a name, any number of them, any host.

/** Any host. */
export const ANY_HOST = '*';

/** A name with or without a final dot, or an address; what no library of a client would send is not taken for a host. */
const PLAIN_HOST = /^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])$/;
const LABELS = /^(?:[a-z0-9_-]+\.)+$/;

/** Whether a host fits a pattern. @param host in lower case, without port; IPv6 in brackets; as a client sent it */
export function fitsPattern(host: string, pattern: string): boolean {
  return PLAIN_HOST.test(host) && sharedPattern(pattern, host) === host;
}

/**
 * The hosts that fit both of two patterns, as the narrower one; undefined: no host does.
 * @param one a host, `*.example.com`, `**.example.com` or `*`; in lower case
 */
export function sharedPattern(one: string, two: string): string | undefined {
  if (one === two || two === ANY_HOST) return one;
  if (one === ANY_HOST) return two;
  return includes(one, two) ? two : includes(two, one) ? one : undefined;
}

/** Whether every host of `inner`, which is not the same pattern, fits `outer`; neither is `*`. */
function includes(outer: string, inner: string): boolean {
  if (outer.startsWith('**.')) {
    const parent = outer.slice(2);
    return inner.startsWith('*') ? inner.replace(/^\*+/, '').endsWith(parent) : hasLabels(inner, parent);
  }
  if (!outer.startsWith('*.') || inner.startsWith('*')) return false;
  const parent = outer.slice(1);
  return hasLabels(inner, parent) && !inner.slice(0, -parent.length).includes('.');
}

/** Labels stand before the parent; those of an address are none. */
function hasLabels(host: string, parent: string): boolean {
  return host.endsWith(parent) && LABELS.test(`${host.slice(0, -parent.length)}.`) && !/^[0-9.]+$/.test(host);
}

/** The higher the narrower, of two patterns that one host fits: the longer name, and of equal ones `*.` before `**.`. */
export function narrownessOf(pattern: string): number {
  return 2 * pattern.replace(/^\*+/, '').length + (pattern.startsWith('**') ? 0 : 1);
}
