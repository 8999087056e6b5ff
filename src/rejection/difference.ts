// The difference between an expected value and the one that came, in one word.

import { hostOf } from '../http/uri.ts';

/** The words for what differs: a closed set. In the order in which the nearest of several expected values is chosen. */
export const DIFFERENCES = [
  'trailing slash',
  'case',
  'white space',
  'encoding',
  'query',
  'userinfo',
  'path',
  'port',
  'scheme',
  'host',
  'form',
  'type',
  'milliseconds',
  'age',
  'future',
  'size',
  'missing',
  'value',
] as const;
export type Difference = (typeof DIFFERENCES)[number];

/** One value that was not as expected. `expected` is a list where any of several would do. */
export interface Mismatch {
  /** Name of the claim, parameter, field or part of the request. */
  readonly what: string;
  readonly differs: Difference;
  readonly expected: string | readonly string[];
  readonly received: string;
}

/**
 * Compares a text with the ones that would do.
 * @param received as it came; what is shown of it is cut and escaped (`untrusted`)
 * @returns what differs from the nearest of them
 * NOT checked: that it is none of them; callers know that.
 */
export function mismatch(what: string, expected: readonly string[], received: string | undefined): Mismatch {
  if (received === undefined) return { what, differs: 'missing', expected, received: '' };
  return { what, differs: nearest(expected, received), expected, received: shownBeside(expected, received) };
}

/** The same for several verified values of which one would have had to fit, such as those of `aud`. */
export function mismatchOfAll(what: string, expected: readonly string[], received: readonly string[]): Mismatch {
  if (received.length === 0) return { what, differs: 'missing', expected, received: '' };
  const words = received.map((one) => nearest(expected, one));
  const differs = DIFFERENCES.find((word) => words.includes(word)) ?? 'value';
  const shown = received.slice(0, MOST_RECEIVED).map((one) => untrusted(one, VERIFIED));
  return { what, differs, expected, received: shown.join(', ') };
}

/** Values of one claim that are shown, and characters of each: an issuer vouches for them. */
const MOST_RECEIVED = 8;
const VERIFIED = 1000;

function nearest(expected: readonly string[], received: string): Difference {
  const words = expected.map((one) => textDifference(one, received));
  return DIFFERENCES.find((word) => words.includes(word)) ?? 'value';
}

/** What differs between two texts that are not the same: URIs by their parts, others by how they are written. */
function textDifference(expected: string, received: string): Difference {
  if (received === `${expected}/` || expected === `${received}/`) return 'trailing slash';
  if (received.trim() === expected.trim()) return 'white space';
  if (received.toLowerCase() === expected.toLowerCase()) return 'case';
  const [ours, theirs] = [uriParts(expected), uriParts(received)];
  if (ours === undefined) return 'value';
  return theirs === undefined ? 'form' : uriDifference(ours, theirs);
}

/** A URI in the parts that are compared; nothing in it is judged. */
export interface UriParts {
  readonly scheme: string;
  readonly userinfo: boolean;
  readonly host: string;
  readonly port: string;
  /** What stands before query and fragment. */
  readonly path: string;
}

const URI = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)/i;

/** @returns undefined: not scheme, authority and path */
export function uriParts(uri: string): UriParts | undefined {
  const [whole, scheme = '', all = '', path = ''] = URI.exec(uri) ?? [];
  if (whole === undefined) return undefined;
  const at = all.lastIndexOf('@');
  const authority = all.slice(at + 1).toLowerCase();
  const host = hostOf(authority);
  return { scheme: scheme.toLowerCase(), userinfo: at !== -1, host, port: authority.slice(host.length), path };
}

/** The first part that differs; where none does, what stands outside of them. */
export function uriDifference(ours: UriParts, theirs: UriParts): Difference {
  const part = (['scheme', 'host', 'port'] as const).find((each) => ours[each] !== theirs[each]);
  if (part !== undefined) return part;
  if (ours.path !== theirs.path) return pathDifference(ours.path, theirs.path);
  return theirs.userinfo ? 'userinfo' : 'query';
}

function pathDifference(ours: string, theirs: string): Difference {
  if (theirs === `${ours}/` || ours === `${theirs}/`) return 'trailing slash';
  if (theirs.toLowerCase() === ours.toLowerCase()) return 'case';
  if (isSameDecoded(ours, theirs)) return 'encoding';
  // A library that encodes the query together with the path.
  return theirs.toUpperCase().startsWith(`${ours.toUpperCase()}%3F`) ? 'query' : 'path';
}

/** Percent-encoding that a library took off, or put on. */
function isSameDecoded(one: string, two: string): boolean {
  try {
    return decodeURIComponent(one) === decodeURIComponent(two);
  } catch {
    return false; // no encoding to take off: another path
  }
}

/** `encoding` where a text is the same hash written in another way: hexadecimal, base64, or base64url with padding. */
export function hashDifference(text: string, sha256: string): 'encoding' | 'value' {
  const readings = (['hex', 'base64'] as const).map((encoding) => Buffer.from(text, encoding).toString('base64url'));
  return text !== sha256 && text.length <= 100 && readings.includes(sha256) ? 'encoding' : 'value';
}

/** Characters of an unverified value that are shown. */
const LONGEST = 256;
/** Characters before the first one that differs, where a value is too long to be shown from its beginning. */
const BEFORE = 64;

/**
 * A value that nobody verified, fit to be shown: cut, and every character escaped that a reader would not see, or that would steer a
 * terminal.
 * @param from where it begins to matter
 */
export function untrusted(text: string, longest: number = LONGEST, from = 0): string {
  const start = from + BEFORE < longest ? 0 : Math.max(0, from - BEFORE);
  const part = text.slice(start, start + longest);
  const escaped = part.replace(/[^\x20-\x7e]/g, (odd) => `\\u${odd.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const cut = escaped.length > longest * 2 ? escaped.slice(0, longest * 2) : escaped;
  const more = start + longest < text.length || cut.length < escaped.length;
  return `${start > 0 ? '…' : ''}${cut}${more ? '…' : ''}`;
}

/** Cut so that the first character that differs from what was expected is in it. */
function shownBeside(expected: readonly string[], received: string): string {
  return untrusted(received, LONGEST, Math.max(0, ...expected.map((one) => firstDifference(one, received))));
}

/** Where two texts part. */
export function firstDifference(one: string, two: string): number {
  let at = 0;
  while (at < one.length && one[at] === two[at]) at += 1;
  return at;
}

/** A member of a header or of claims as text; undefined: it is not there, or is no text. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : value === undefined ? undefined : JSON.stringify(typeof value);
}

/** Whether a time is one of today in milliseconds. @param now seconds since the epoch */
export function isMilliseconds(time: number, now: number): boolean {
  return time > now * 500 && time < now * 2000;
}
