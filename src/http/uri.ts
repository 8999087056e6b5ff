// URI grammar (RFC 3986): authorities, request paths and `htu` in the form for comparison.

import type { Origin } from './origin.ts';

const HOST_AND_PORT = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=-]+)(?::([0-9]{0,10}))?$/;
/** Scheme, authority and path; whatever follows is query and fragment. */
const URI = /^(https?):\/\/([^/?#]*)([^?#]*)/i;
const DEFAULT_PORT = { http: 80, https: 443 };

/**
 * Reads `host [":" port]` (RFC 3986 §3.2.2, §3.2.3; RFC 9110 §7.2) into the form in which authorities are compared: lower
 * case, default port of `scheme` dropped, IPv6 in its shortest form. A trailing dot stays: it names another host.
 * @returns undefined for userinfo, paths, zone ids, percent-encoded hosts, empty hosts and ports over 65535
 * NOT checked: that the host exists or belongs to us.
 */
export function readAuthority(text: string, scheme: Origin['scheme']): string | undefined {
  const match = text.length <= 300 ? HOST_AND_PORT.exec(text) : null;
  if (match === null) return undefined;
  const host = readHost(match[1] ?? '');
  if (host === undefined) return undefined;
  const port = match[2] ? Number(match[2]) : DEFAULT_PORT[scheme];
  if (port > 65_535) return undefined;
  return port === DEFAULT_PORT[scheme] ? host : `${host}:${port}`;
}

function readHost(text: string): string | undefined {
  if (!text.startsWith('[')) return text.toLowerCase();
  // Only hex digits, colons and dots got here, so URL can do no more than shorten the address, or refuse it.
  return URL.parse(`http://${text}/`)?.hostname;
}

/** The authority, or that of an origin with stars, without its port: what `match.host` is compared with. */
export function hostOf(authority: string): string {
  return authority.replace(/:(?:[0-9]+|\*)$/, '');
}

/** A request path in the forms in which it is compared and matched; see RequestFacts. */
export interface RequestPath {
  readonly path: string;
  readonly matchPath: string;
  readonly encodedSlash: boolean;
}

const PLAIN_PATH = /^\/[A-Za-z0-9\-._~!$&'()*+,=:@/]*$/;
/** Control characters, backslash, and overlong UTF-8 (RFC 3629 §3; of five and six octets: RFC 2279), which some servers still decode to a dot or slash. */
const FORBIDDEN_ENCODED = /%(?:[01][0-9A-F]|7F|5C|C[01]|E0%[89]|F0%8|F8%8[0-7]|FC%8[0-3])/;
const FORBIDDEN_RAW = /[^\x21-\x7e]|[\\#?]/;

/**
 * Reads the path of a request target (C0.10 to C0.15, RFC 3986 §6.2.2). Several servers read such bytes differently, so
 * whatever could mean two paths is refused instead of repaired. Of what browsers send raw, `|` and its kind are compared and
 * matched in their encoded form.
 * @returns undefined for: no leading slash, `%` without two hex digits, encoded control characters, backslash and overlong UTF-8, raw
 * backslash, `#` and non-ASCII, an empty segment in the middle, and segments that are `.` or `..` after decoding
 * NOT checked: whether the route admits an encoded slash.
 */
export function readRequestPath(raw: string): RequestPath | undefined {
  if (PLAIN_PATH.test(raw) && !raw.includes('//') && !raw.includes('/.')) {
    return { path: raw, matchPath: raw, encodedSlash: false };
  }
  if (!raw.startsWith('/') || FORBIDDEN_RAW.test(raw)) return undefined;
  const path = normalizePath(raw);
  if (path === undefined || FORBIDDEN_ENCODED.test(path)) return undefined;
  const segments = splitPath(path);
  if (segments.slice(1, -1).includes('')) return undefined;
  if (path.split(/\/|%2F/).some((segment) => /^\.\.?(?:(?:;|%3B).*)?$/.test(segment))) return undefined;
  return { path, matchPath: segments.join('/'), encodedSlash: path.includes('%2F') };
}

function splitPath(path: string): string[] {
  return path.split('/').map((segment) => segment.replace(/;.*$/, ''));
}

/**
 * The paths, as `matchPath`, that servers see which decode delimiters before they split (against RFC 3986 §7.3) and skip empty
 * segments: `%2F` and `%3B` split and cut, and `%3F` or `%23` may end the path. Nothing else of the grammar changes.
 * @param path as `RequestPath.path`
 * @returns none where they see what everybody sees
 */
export function readDecodedPaths(path: string): readonly string[] {
  if (!/%(?:2F|3B|3F|23)/.test(path)) return [];
  const decoded = path.replaceAll('%2F', '/').replaceAll('%3B', ';');
  return [decoded, decoded.replace(/%(?:3F|23).*$/, '')].map((each) => {
    const [, ...segments] = splitPath(each);
    const last = segments.pop() ?? '';
    return ['', ...segments.filter((segment) => segment !== ''), last].join('/');
  });
}

/** `%XX`, or a run of characters that no path of a URI has (RFC 3986 §3.3). */
const NOT_PLAIN = /%[0-9A-Fa-f]{2}|[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]+/g;

/**
 * RFC 3986 §6.2.2.1 and §6.2.2.2: hex digits in upper case, percent-encoded unreserved characters decoded. A character that no
 * path may have can mean nothing but its octets (§2.1, in UTF-8 as in RFC 3987 §3.1), and so is encoded.
 * @returns undefined for `%` without two hex digits, and for half a surrogate pair
 */
function normalizePath(text: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(text) || !text.isWellFormed()) return undefined;
  return text.replace(NOT_PLAIN, (part) => {
    if (!part.startsWith('%')) return encodeURIComponent(part);
    const character = String.fromCharCode(Number.parseInt(part.slice(1), 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : part.toUpperCase();
  });
}

/** RFC 3986 §6.2.2.3 and §5.2.4, of a path that starts with a slash. */
function removeDotSegments(path: string): string {
  if (!path.includes('/.')) return path;
  const kept: string[] = [];
  for (const segment of path.split('/').slice(1)) {
    if (segment === '..') kept.pop();
    else if (segment !== '.') kept.push(segment);
  }
  if (/\/\.\.?$/.test(path)) kept.push('');
  return `/${kept.join('/')}`;
}

/** The target URI without query and fragment, as clients see it (RFC 9449 §4.2, `htu`). */
export function targetUri(origin: Origin, path: string): string {
  return `${origin.scheme}://${origin.authority}${origin.pathPrefix}${path}`;
}

/**
 * Reads `htu` (RFC 9449 §4.3 check 9) for comparison with `targetUri`: an absolute http or https URI in the form of RFC 3986
 * §6.2.2 and §6.2.3. Query and fragment are cut before anything is judged. A path in the characters that people read (`café`,
 * a blank) is compared as the bytes on the wire are: UTF-8, percent-encoded.
 * @returns undefined for another scheme, a host with other than ASCII characters, userinfo, `%` without two hex digits, and half a
 * surrogate pair
 * NOT checked: that a request could have this path; readRequestPath refuses many that are read here.
 */
export function readTargetUri(htu: string): string | undefined {
  const parts = URI.exec(htu);
  if (parts === null) return undefined;
  const scheme = (parts[1] ?? '').toLowerCase() === 'https' ? 'https' : 'http';
  const authority = readAuthority(parts[2] ?? '', scheme);
  const path = normalizePath(parts[3] || '/');
  return authority === undefined || path === undefined
    ? undefined
    : `${scheme}://${authority}${removeDotSegments(path)}`;
}

/** A pattern of hosts, with a port, or any port after `*`. */
const ORIGIN = /^(https?):\/\/(?:(\*\*?\.)?([^/?#*]+)|\*(:\*|:[0-9]{1,5})?)(\/[^?#]*)?$/i;

/**
 * Reads an origin of the configuration: `https://api.example.com`, with a port, with a path prefix that a proxy in front
 * strips; `https://*.example.com` and `https://**.example.com`, whose authority keeps the stars; `https://*` and
 * `https://*:8443` for any host, and `https://*:*` for any port of it too.
 * @returns undefined for userinfo, query, fragment and forbidden path bytes
 */
export function readOrigin(text: string): (Origin & { readonly wildcard: boolean }) | undefined {
  const [whole, protocol = '', stars = '', name, anyPort, path = '/'] = ORIGIN.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const scheme = protocol.toLowerCase() === 'https' ? 'https' : 'http';
  const authority = name === undefined ? anyHost(anyPort, scheme) : readAuthority(name, scheme);
  const prefix = readRequestPath(path);
  if (authority === undefined || prefix === undefined || prefix.encodedSlash) return undefined;
  return {
    scheme,
    authority: `${stars}${authority}`,
    pathPrefix: prefix.path.replace(/\/$/, ''),
    wildcard: stars !== '' || name === undefined,
  };
}

/** `*`, with its port unless that is the default one. */
function anyHost(port: string | undefined, scheme: Origin['scheme']): string | undefined {
  if (port === ':*') return '*:*';
  const read = readAuthority(`any${port ?? ''}`, scheme);
  return read?.replace('any', '*');
}
