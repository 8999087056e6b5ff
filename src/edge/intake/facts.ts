// The facts of a request, read in one pass over its raw field lines (checks.md §0).

import { checkFieldName } from '../../policy/managed-fields.ts';
import type { Forwarding, Listener, ManagedFields } from '../../policy/policy.ts';
import { targetFault } from '../../http/target-fault.ts';
import { readAuthority, readRequestPath } from '../../http/uri.ts';
import { isKnownMethod } from '../../http/method.ts';
import { untrusted } from '../../rejection/difference.ts';
import type { RejectionFacts } from '../../rejection/facts.ts';
import { Rejection, reject } from '../../rejection/rejection.ts';
import type { Origin } from '../../http/origin.ts';
import type { RequestFacts } from '../../request-facts.ts';
import { type CertificateFieldReader, compileCertificateField } from './certificate-field.ts';
import type { Connection } from '../listen/connection.ts';
import { headerTooLarge, sizeOfLines } from '../listen/refusals.ts';
import { FORWARDED_FIELDS, type FieldLines, readStatedClient, readStatedOrigin } from './forwarded.ts';
import { type AskedOrigin, chooseOrigin, misdirection, otherConnection, readAskedOrigin } from './origin.ts';
import type { Peer } from '../fields/request-fields.ts';
import type { ReceivedRequest } from '../transaction/transaction.ts';

/** The facts that the decision needs, and those that only the edge does. */
export interface EdgeFacts extends RequestFacts {
  readonly peer: Peer;
  /** `OPTIONS *`, or OPTIONS with `Max-Forwards: 0` (RFC 9110 §7.6.2): answered by us. The target and path of the former are `*`. */
  readonly endsHere: boolean;
  /** Value of the Origin field (Fetch §3.2); undefined: none, or more than one line. */
  readonly browserOrigin: string | undefined;
  /** Method and field names for which a browser asks leave (Fetch §3.3.4); undefined: no preflight. */
  readonly preflight: { readonly method: string; readonly fieldNames: string } | undefined;
}

/** One listener under one policy, ready to read requests by. */
export interface IntakeRules {
  readonly listener: Listener;
  readonly managed: ManagedFields;
  /** Our name in Via. */
  readonly pseudonym: string;
  readonly certificateField: CertificateFieldReader | undefined;
}

/** @param pseudonym by which forwarded requests name us in Via (fields.ts) */
export function compileIntake(listener: Listener, managed: ManagedFields, pseudonym: string): IntakeRules {
  const source = listener.clientCertificateFrom;
  const certificateField = source && compileCertificateField(source, listener.clientCertificate);
  return { listener, managed, pseudonym, certificateField };
}

/**
 * Reads a request's facts from its raw field lines (checks.md §0). Rejections, in this order: `request_malformed`,
 * `method_unknown`, `uri_too_long`, `expectation_failed`, `field_forbidden`, `misdirected`.
 * HTTP/1.0 is held to the same rules, so without a Host it is refused.
 * NOT checked: what Node's strict parser refuses before (listener.ts); credentials, dates of certificates, a certificate field
 * that cannot be read (enforce.ts), and whether a route has the method; none has TRACE.
 * @param now seconds since the epoch
 */
export function readFacts(
  request: ReceivedRequest,
  connection: Connection,
  rules: IntakeRules,
  now: number,
): EdgeFacts | Rejection {
  const { listener } = rules;
  const { lines, imitated } = readLines(request.rawHeaders, rules);
  const trusted = now <= connection.trustedUntil;
  const forwarding = forwardingOf(request, connection);

  const malformed = checkMessage(request, lines, rules.pseudonym);
  if (malformed !== undefined) return malformed;
  const stated = request.stated ?? (trusted ? readStatedOrigin(lines, forwarding) : NOTHING_STATED);
  if (stated instanceof Rejection) return stated;
  const host = lines.get('host')?.[0] ?? '';
  const asked = readAskedOrigin(listener, host, trusted, stated);
  const target = readTarget(request.target, request.method, host, asked.scheme);
  if (target === undefined) return reject('request_malformed', { what: targetFault(request.target) });
  if (!schemeFits(request, listener, asked.scheme)) return reject('request_malformed', { what: ':scheme' });
  if (!isKnownMethod(request.method)) {
    return reject('method_unknown', { what: 'method', received: untrusted(request.method, 32) });
  }
  if (request.target.length > listener.limits.urlLength) return reject('uri_too_long', tooLong(request, listener));
  // Of a request that came by itself the listener has counted them.
  if (request.stated !== undefined && sizeOfLines(request.rawHeaders) > listener.limits.headerSize) {
    return reject('header_too_large', headerTooLarge(listener.limits));
  }
  if (!expectationMet(lines)) return reject('expectation_failed', { what: 'Expect', expected: '100-continue' });
  const forbidden = imitated ?? forbiddenOption(lines, rules.managed);
  if (forbidden !== undefined) return reject('field_forbidden', { what: forbidden });
  const certificate = trusted ? readCertificateLines(lines, rules) : connection.evidence;
  const origin = chooseOrigin(listener.origins, asked);
  if (origin === undefined) return reject('misdirected', misdirection({ listener, host, trusted, stated }));
  const other = trusted ? undefined : otherConnectionOf(listener, connection, asked);
  if (other !== undefined) return reject('misdirected', other);

  return {
    ...target,
    listener: listener.name,
    method: request.method,
    origin,
    authorization: lines.get('authorization') ?? NONE,
    dpop: lines.get('dpop') ?? NONE,
    message: request,
    certificate,
    clientAddress: (trusted ? readStatedClient(lines, forwarding) : undefined) ?? connection.remoteAddress,
    now,
    peer: { address: connection.remoteAddress, trusted, forwarding },
    endsHere: request.method === 'OPTIONS' && (target.path === '*' || lines.get('max-forwards')?.some(isZero) === true),
    ...readCors(request.method, lines),
  };
}

function otherConnectionOf({ tls }: Listener, { servername }: Connection, asked: AskedOrigin) {
  if (tls?.sniHosts === undefined || servername === undefined) return undefined;
  return otherConnection(tls.sniHosts, servername, asked);
}

/**
 * Which kind of fields the peer writes. What asks for a decision writes X-Forwarded-* unless the policy says otherwise: with origin
 * and URI described apart, nothing is left by which a `Forwarded` of the client could be told from one of the front.
 */
function forwardingOf({ stated }: ReceivedRequest, { forwarding }: Connection): Forwarding | undefined {
  return stated === undefined ? forwarding : (stated.forwarding ?? forwarding ?? 'x-forwarded');
}

const NONE: readonly string[] = [];
const NOTHING_STATED = { scheme: undefined, host: undefined };

/** Fields whose lines are kept; the one of `client_certificate_from` is added. */
const WATCHED: ReadonlySet<string> = new Set([
  'host',
  'transfer-encoding',
  'connection',
  'via',
  'expect',
  'max-forwards',
  'authorization',
  'dpop',
  'origin',
  'access-control-request-method',
  'access-control-request-headers',
  ...FORWARDED_FIELDS,
  'x-forwarded-for',
]);

interface ReadLines {
  readonly lines: FieldLines;
  /** The managed or guarded field that a field of the request imitates. */
  readonly imitated: string | undefined;
}

function readLines(rawHeaders: readonly string[], { listener, managed }: IntakeRules): ReadLines {
  const lines = new Map<string, string[]>();
  const certificateField = listener.clientCertificateFrom?.field;
  let imitated: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    const lower = name.toLowerCase();
    if (WATCHED.has(lower) || lower === certificateField) {
      const value = rawHeaders[at + 1] ?? '';
      const before = lines.get(lower);
      if (before === undefined) lines.set(lower, [value]);
      else before.push(value);
    } else if (checkFieldName(managed, name) === 'forbidden') imitated ??= imitatedName(managed, lower);
  }
  return { lines, imitated };
}

/** A name of the policy for the log: what clients write stays out of it. */
function imitatedName({ names, guarded }: ManagedFields, imitation: string): string {
  const squeeze = (name: string) => name.replaceAll(/[^a-z0-9]/g, '');
  return [...names, ...guarded].find((name) => squeeze(name) === squeeze(imitation)) ?? 'x-forwarded-*';
}

/** HTTP version, framing (RFC 9112 §6.1, §6.3), Host (RFC 9112 §3.2) and loops (RFC 9110 §7.6.3). */
function checkMessage(
  { httpVersion, scheme }: ReceivedRequest,
  lines: FieldLines,
  pseudonym: string,
): Rejection | undefined {
  if (scheme === undefined && httpVersion !== '1.1' && httpVersion !== '1.0')
    return reject('request_malformed', { what: 'HTTP version' });
  // Node tells us about a request before it refuses codings whose end it cannot find, and takes others off that we would lose.
  const codings = lines.get('transfer-encoding');
  if (codings !== undefined) {
    const chunked = codings.length === 1 && codings[0]?.toLowerCase() === 'chunked' && httpVersion === '1.1';
    if (!chunked) return reject('request_malformed', { what: 'Transfer-Encoding' });
  }
  const hosts = lines.get('host') ?? NONE;
  if (hosts.length !== 1 || readAuthority(hosts[0] ?? '', 'https') === undefined) {
    return reject('request_malformed', { what: 'Host' });
  }
  if (lines.get('via')?.some((value) => value.includes(pseudonym))) return reject('request_malformed', { what: 'Via' });
  return undefined;
}

/** A peer in front may repeat the scheme that its client used, or say how it connected itself. */
function schemeFits({ scheme }: ReceivedRequest, { tls }: Listener, asked: Origin['scheme']): boolean {
  return scheme === undefined || scheme === asked || scheme === (tls === undefined ? 'http' : 'https');
}

type Target = Pick<RequestFacts, 'target' | 'path' | 'matchPath' | 'encodedSlash' | 'query'>;

const SERVER_WIDE: Target = { target: '*', path: '*', matchPath: '*', encodedSlash: false, query: undefined };
const ABSOLUTE = /^(https?):\/\/([^/?#]*)(.*)$/i;

/** RFC 9112 §3.2: origin-form; absolute-form where it says what Host says; asterisk-form of OPTIONS. Never a WHATWG URL. */
function readTarget(url: string, method: string, host: string, scheme: Origin['scheme']): Target | undefined {
  if (url.startsWith('/')) return readOriginForm(url);
  if (url === '*') return method === 'OPTIONS' ? SERVER_WIDE : undefined;
  const [, itsScheme, authority = '', rest = ''] = ABSOLUTE.exec(url) ?? [];
  if (itsScheme?.toLowerCase() !== scheme) return undefined;
  const itsAuthority = readAuthority(authority, scheme);
  if (itsAuthority === undefined || itsAuthority !== readAuthority(host, scheme)) return undefined;
  if (rest === '' && method === 'OPTIONS') return SERVER_WIDE;
  return readOriginForm(rest.startsWith('/') ? rest : `/${rest}`);
}

function readOriginForm(target: string): Target | undefined {
  const mark = target.indexOf('?');
  const path = readRequestPath(mark === -1 ? target : target.slice(0, mark));
  const query = mark === -1 ? undefined : target.slice(mark + 1);
  return path === undefined || query?.includes('#') ? undefined : { target, ...path, query };
}

function tooLong({ target }: ReceivedRequest, { limits }: Listener): RejectionFacts {
  const expected = `at most ${limits.urlLength} bytes`;
  return { what: 'request target', differs: 'size', expected, received: `${target.length} bytes` };
}

/** RFC 9110 §10.1.1: the only expectation there is. */
function expectationMet(lines: FieldLines): boolean {
  const expectations = lines.get('expect');
  return expectations === undefined || (expectations.length === 1 && expectations[0]?.toLowerCase() === '100-continue');
}

/** Max-Forwards is digits, so zero has many spellings (RFC 9110 §7.6.2). */
function isZero(value: string): boolean {
  return /^0+$/.test(value);
}

/** A managed field named in Connection would be removed by the next hop, ours included; a guarded one would be hidden from the upstream. */
function forbiddenOption(lines: FieldLines, managed: ManagedFields): string | undefined {
  const named = lines.get('connection')?.some((value) => value.split(',').some((one) => isOurs(managed, one.trim())));
  return named ? 'Connection' : undefined;
}

function isOurs(managed: ManagedFields, option: string): boolean {
  return checkFieldName(managed, option) !== 'free' || managed.guarded.has(option.toLowerCase());
}

/** The peer's own certificate is never the client's (C5.9). */
function readCertificateLines(
  lines: FieldLines,
  { listener, certificateField }: IntakeRules,
): RequestFacts['certificate'] {
  return certificateField?.(lines.get(listener.clientCertificateFrom?.field ?? '') ?? NONE);
}

function readCors(method: string, lines: FieldLines): Pick<EdgeFacts, 'browserOrigin' | 'preflight'> {
  const origins = lines.get('origin') ?? NONE;
  const browserOrigin = origins.length === 1 ? origins[0] : undefined;
  const methods = lines.get('access-control-request-method') ?? NONE;
  if (browserOrigin === undefined || method !== 'OPTIONS' || methods.length !== 1) {
    return { browserOrigin, preflight: undefined };
  }
  const fieldNames = (lines.get('access-control-request-headers') ?? NONE).join(',');
  return { browserOrigin, preflight: { method: methods[0] ?? '', fieldNames } };
}
