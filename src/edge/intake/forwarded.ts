// What a trusted peer says about the request it got: Forwarded (RFC 7239), X-Forwarded-Host and X-Forwarded-Proto.

import { readAddress } from '../../http/address.ts';
import { readAuthority } from '../../http/uri.ts';
import { type Rejection, reject } from '../../rejection/rejection.ts';
import type { Origin } from '../../http/origin.ts';

/** Lower-cased field name → values of its lines, in order; only fields that the edge looks at (facts.ts). */
export type FieldLines = ReadonlyMap<string, readonly string[]>;

/** The fields that are read here. */
export const FORWARDED_FIELDS: readonly string[] = ['forwarded', 'x-forwarded-host', 'x-forwarded-proto'];

/** Scheme and authority by which the peer was called, as far as it says; the authority not normalised yet. */
export interface StatedOrigin {
  readonly scheme: Origin['scheme'] | undefined;
  readonly host: string | undefined;
}

/** One `name=value` of an element, perhaps empty, and what follows it (RFC 7239 §4). One way to match: the cost stays linear. */
const PAIR =
  /[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)|"((?:[^"\\]|\\[\t -~])*)")[ \t]*)?([;,]|$)/y;

/**
 * Reads what a trusted peer states. Of `Forwarded` the last element counts: each proxy appends its own (RFC 7239 §4), so what
 * stands before is hearsay. The two X- fields have no such rule and must have one element.
 * Rejections: `request_malformed` for more than one line of a field, for what does not parse, and where two fields disagree.
 * NOT checked: who the peer is.
 */
export function readStatedOrigin(lines: FieldLines): StatedOrigin | Rejection {
  const repeated = FORWARDED_FIELDS.find((name) => (lines.get(name)?.length ?? 0) > 1);
  if (repeated !== undefined) return reject('request_malformed', { what: repeated });
  const element = readLastElement(lines.get('forwarded')?.[0] ?? '');
  if (element === undefined) return reject('request_malformed', { what: 'forwarded' });
  const scheme = agree(element.get('proto'), lines.get('x-forwarded-proto')?.[0]);
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') {
    return reject('request_malformed', { what: 'x-forwarded-proto' });
  }
  const host = agree(element.get('host'), lines.get('x-forwarded-host')?.[0]);
  if (host !== undefined && (host.includes(',') || readAuthority(host, scheme ?? 'https') === undefined)) {
    return reject('request_malformed', { what: 'x-forwarded-host' });
  }
  return { scheme, host };
}

/**
 * The address of the client as a trusted peer saw it: `for` of the last element of `Forwarded` (RFC 7239 §6), or else the last of
 * X-Forwarded-For; IPv4-mapped ones as IPv4. undefined: not said, hidden by the peer (`unknown`, `_name`), or no address.
 * NOT checked: who the peer is, and who was before the hop that it saw.
 */
export function readStatedClient(lines: FieldLines): string | undefined {
  const node =
    readLastElement(lines.get('forwarded')?.[0] ?? '')?.get('for') ??
    lines.get('x-forwarded-for')?.at(-1)?.split(',').at(-1)?.trim();
  const [, inBrackets, v4] = /^(?:\[(.*)\]|([0-9.]+))(?::[0-9]{1,5})?$/.exec(node ?? '') ?? [];
  return readAddress(inBrackets ?? v4 ?? node ?? '');
}

/** Neither a scheme nor a host. */
const CONTRADICTION = ',';

function agree(element: string | undefined, field: string | undefined): string | undefined {
  const [one, two] = [element?.toLowerCase(), field?.toLowerCase()];
  return one !== undefined && two !== undefined && one !== two ? CONTRADICTION : (one ?? two);
}

/** Parameters of the last element, names in lower case; undefined: not a list of elements, or a parameter twice in one. */
function readLastElement(value: string): ReadonlyMap<string, string> | undefined {
  const element = new Map<string, string>();
  for (PAIR.lastIndex = 0; ; ) {
    const pair = PAIR.exec(value);
    if (pair === null) return undefined;
    const name = pair[1]?.toLowerCase();
    if (name !== undefined) {
      if (element.has(name)) return undefined;
      element.set(name, pair[2] ?? (pair[3] ?? '').replace(/\\(.)/g, '$1'));
    }
    if (pair[4] === '') return element;
    if (pair[4] === ',') element.clear();
  }
}
