// The part of a proof's `htu` that differs from the target URI, without secrets.

import { hostOf, readAuthority, readTargetUri } from '../http/uri.ts';
import type { RejectionFacts } from '../rejection/rejection.ts';

const LONGEST = 256;
const PARTS = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)/i;

/**
 * The facts of a `proof_uri_mismatch`: `what` is the first part that differs (`scheme`, `host`, `port`, `path`), `userinfo`, which no
 * target URI has, or `htu` where that is not a URI that can be compared; both URIs without userinfo, query and fragment, which may be secrets of a careless client.
 * @param targetUri of the request, normalised
 * @param htu as received
 */
export function htuMismatch(targetUri: string, htu: string): Pick<RejectionFacts, 'what' | 'htu'> {
  const read = readTargetUri(htu);
  const what = read !== undefined ? firstDifference(targetUri, read) : hasUserinfo(htu) ? 'userinfo' : 'htu';
  return { what, htu: { expected: shown(targetUri), received: shown(htu) } };
}

function hasUserinfo(htu: string): boolean {
  return PARTS.exec(htu)?.[2]?.includes('@') === true;
}

function firstDifference(targetUri: string, read: string): string {
  const [ours, theirs] = [partsOf(targetUri), partsOf(read)];
  return (['scheme', 'host', 'port'] as const).find((part) => ours[part] !== theirs[part]) ?? 'path';
}

function partsOf(uri: string): { scheme: string; host: string; port: string } {
  const [, scheme = '', authority = ''] = PARTS.exec(uri) ?? [];
  const host = hostOf(authority);
  return { scheme, host, port: authority.slice(host.length) };
}

/** Userinfo ends at the last "@" of an authority; what cannot be one without it is shown to no one. */
function shown(uri: string): string {
  const [, scheme = '', authority = '', path = ''] = PARTS.exec(uri) ?? [];
  const host = authority.slice(authority.lastIndexOf('@') + 1);
  return readAuthority(host, 'https') === undefined ? '' : `${scheme}://${host}${path}`.slice(0, LONGEST);
}
