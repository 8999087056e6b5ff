// Statements of trusted peers: Forwarded (RFC 7239) and X-Forwarded-For, -Host, -Proto.

import { readAddress } from '../../http/address.ts';
import { readAuthority } from '../../http/uri.ts';
import { type Rejection, reject } from '../../rejection/rejection.ts';
import type { Origin } from '../../http/origin.ts';
import type { Forwarding } from '../../policy/policy.ts';

/** Lower-cased field name → values of its lines, in order; only fields that the edge looks at (facts.ts). */
export type FieldLines = ReadonlyMap<string, readonly string[]>;

/** The fields that are read here. */
export const FORWARDED_FIELDS: readonly string[] = ['forwarded', 'x-forwarded-host', 'x-forwarded-proto'];

/** Scheme and authority by which the peer was called, as far as it says; the authority not normalised yet. */
export interface StatedOrigin {
  readonly scheme: Origin['scheme'] | undefined;
  readonly host: string | undefined;
  /** Names of the fields that said so. */
  readonly schemeIn?: string | undefined;
  readonly hostIn?: string | undefined;
}

/** One `name=value` of an element, perhaps empty, and what follows it (RFC 7239 §4). One way to match: the cost stays linear. */
const PAIR =
  /[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)|"((?:[^"\\]|\\[\t -~])*)")[ \t]*)?([;,]|$)/y;

/**
 * Reads what a trusted peer states, in the fields that it writes. Where the policy does not say which, both kinds may be there only if
 * they say the same: a balancer passes on what it does not write, and a client must not choose its address or origin by that. Of
 * `Forwarded` the last element counts: each proxy appends its own (RFC 7239 §4), so what stands before is hearsay. X-Forwarded-Host
 * and -Proto have no such rule and must have one element.
 * Rejections: `request_malformed` for more than one line of a field, for what does not parse, and where the two kinds disagree.
 * @param forwarding the kind that the peer writes
 * NOT checked: who the peer is.
 */
export function readStatedOrigin(lines: FieldLines, forwarding?: Forwarding): StatedOrigin | Rejection {
  const repeated = FORWARDED_FIELDS.find((name) => (valuesOf(lines, name, forwarding)?.length ?? 0) > 1);
  if (repeated !== undefined) return reject('request_malformed', { what: repeated });
  const element = readLastElement(valuesOf(lines, 'forwarded', forwarding)?.[0] ?? '');
  if (element === undefined) return reject('request_malformed', { what: 'forwarded' });
  if (forwarding === undefined && differ(element, lines)) {
    return reject('request_malformed', { what: 'forwarded and x-forwarded' });
  }
  const scheme = element.get('proto') ?? valuesOf(lines, 'x-forwarded-proto', forwarding)?.[0];
  if (scheme !== undefined && !/^https?$/i.test(scheme))
    return reject('request_malformed', { what: 'x-forwarded-proto' });
  const isHttp = scheme?.toLowerCase() === 'http';
  const host = element.get('host') ?? valuesOf(lines, 'x-forwarded-host', forwarding)?.[0];
  if (host !== undefined && (host.includes(',') || readAuthority(host, isHttp ? 'http' : 'https') === undefined)) {
    return reject('request_malformed', { what: 'x-forwarded-host' });
  }
  return {
    scheme: scheme === undefined ? undefined : isHttp ? 'http' : 'https',
    host,
    schemeIn: scheme === undefined ? undefined : element.has('proto') ? 'Forwarded' : 'X-Forwarded-Proto',
    hostIn: host === undefined ? undefined : element.has('host') ? 'Forwarded' : 'X-Forwarded-Host',
  };
}

/**
 * The address of the client as a trusted peer saw it: `for` of the last element of `Forwarded` (RFC 7239 §6), or else the last of
 * X-Forwarded-For; IPv4-mapped ones as IPv4. undefined: not said, hidden by the peer (`unknown`, `_name`), or no address.
 * @param forwarding the kind of fields that the peer writes; undefined: either (`readStatedOrigin` refuses two that differ)
 * NOT checked: who the peer is, and who was before the hop that it saw.
 */
export function readStatedClient(lines: FieldLines, forwarding?: Forwarding): string | undefined {
  const element = readLastElement(valuesOf(lines, 'forwarded', forwarding)?.at(-1) ?? '');
  return readNode(element?.get('for') ?? lastOf(valuesOf(lines, 'x-forwarded-for', forwarding)));
}

/** Lines of a field, if it is of the kind that the peer writes. */
function valuesOf(lines: FieldLines, name: string, forwarding: Forwarding | undefined): readonly string[] | undefined {
  const isWritten = forwarding === undefined || (name === 'forwarded') === (forwarding === 'forwarded');
  return isWritten ? lines.get(name) : undefined;
}

/** Whether both kinds of fields are there, and one says what the other does not. */
function differ(element: ReadonlyMap<string, string>, lines: FieldLines): boolean {
  const [addresses, host, proto] = ['for', 'host', 'proto'].map((name) => lines.get(`x-forwarded-${name}`));
  if (!lines.has('forwarded') || (addresses ?? host ?? proto) === undefined) return false;
  const [node, address] = [element.get('for'), lastOf(addresses)];
  const unlike = (one: string | undefined, two: string | undefined) => one?.toLowerCase() !== two?.toLowerCase();
  const unlikeNodes = (node === undefined) !== (address === undefined) || readNode(node) !== readNode(address);
  return unlikeNodes || unlike(element.get('host'), host?.[0]) || unlike(element.get('proto'), proto?.[0]);
}

/** The last item of a list field, whose lines are one list (RFC 9110 §5.3). */
function lastOf(lines: readonly string[] | undefined): string | undefined {
  return lines?.at(-1)?.split(',').at(-1)?.trim();
}

function readNode(node: string | undefined): string | undefined {
  const [, inBrackets, v4] = /^(?:\[(.*)\]|([0-9.]+))(?::[0-9]{1,5})?$/.exec(node ?? '') ?? [];
  return readAddress(inBrackets ?? v4 ?? node ?? '');
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
