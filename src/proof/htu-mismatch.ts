// The difference between a proof's `htu` and the target URI, without secrets.

import { readAuthority, readTargetUri } from '../http/uri.ts';
import {
  type Difference,
  firstDifference,
  type Mismatch,
  untrusted,
  uriDifference,
  uriParts,
} from '../rejection/difference.ts';

/**
 * The facts of a `proof_uri_mismatch`: the first part that differs, `form` where `htu` is not a URI that can be compared, and both URIs
 * without userinfo, query and fragment, which may be secrets of a careless client.
 * @param targetUri of the request, normalised
 * @param htu as received
 */
export function htuMismatch(targetUri: string, htu: string): Mismatch {
  const visible = withoutSecrets(htu);
  const received = untrusted(visible, undefined, firstDifference(targetUri, visible));
  return { what: 'htu', differs: partThatDiffers(targetUri, htu, visible), expected: targetUri, received };
}

/** Userinfo first: without it, what is left may be the target URI. */
function partThatDiffers(targetUri: string, htu: string, visible: string): Difference {
  const [ours, theirs] = [uriParts(targetUri), uriParts(visible === '' ? '' : (readTargetUri(htu) ?? htu))];
  if (ours === undefined || theirs === undefined) return 'form';
  return theirs.userinfo ? 'userinfo' : uriDifference(ours, theirs);
}

/**
 * Userinfo ends at the last "@" of an authority and is shown as stars; what cannot be an authority without it is shown to no one, for a
 * password with a slash in it looks like that. Of a text without scheme and authority a path is shown.
 */
function withoutSecrets(htu: string): string {
  const [, scheme = '', authority = '', path = ''] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)/i.exec(htu) ?? [];
  if (scheme === '') return /^\/(?!\/)[^?#@]*/.exec(htu)?.[0] ?? '';
  const at = authority.lastIndexOf('@');
  const host = authority.slice(at + 1);
  return readAuthority(host, 'https') === undefined ? '' : `${scheme}://${at === -1 ? '' : '***@'}${host}${path}`;
}
