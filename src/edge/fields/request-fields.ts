// Field lines to the upstream: managed and hop-by-hop ones removed, ours added.

import type { PermitFacts } from '../../binding/permit.ts';
import { formatClientCert, formatClientCertChain } from '../../certificate/client-cert.ts';
import { formatEscapedPem } from '../../certificate/pem-escaped.ts';
import { formatXfcc } from '../../certificate/xfcc.ts';
import type { Forwarding } from '../../policy/policy.ts';
import type { CertificateEvidence } from '../../request-facts.ts';
import type { AssertedRequest } from './assertion.ts';
import { applyEdits } from './edits.ts';
import { type FieldRules, joinLines, requestAction, withoutNamed } from './fields.ts';
import { type Correlation, withDefault } from '../intake/correlation.ts';
import { traceFields } from '../intake/trace.ts';
import { takesTrailers } from './trailers.ts';
import type { ReceivedRequest } from '../transaction/transaction.ts';

/** Who is at the other end of the client's connection. */
export interface Peer {
  /** IP address without brackets, IPv4-mapped ones as IPv4; undefined on unix sockets. */
  readonly address: string | undefined;
  /** Whether its Forwarded and X-Forwarded-For are believed, and so continued. */
  readonly trusted: boolean;
  /** Which of the two; undefined: both. */
  readonly forwarding?: Forwarding | undefined;
}

/** What the fields of a request are written from, beside the permit. */
export interface PermittedRequest {
  readonly transaction: Pick<ReceivedRequest, 'rawHeaders' | 'httpVersion'>;
  readonly facts: AssertedRequest & { readonly peer: Peer };
  /** Got in exchange for the client's; undefined: the route exchanges none. */
  readonly upstreamToken: string | undefined;
  readonly correlation: Pick<Correlation, 'requestField' | 'interaction' | 'trace'>;
}

/**
 * Raw field lines of a permitted request → names and values in turn, for undici. C6.4: managed fields go first, then
 * hop-by-hop ones and those that `Connection` names (RFC 9110 §7.6.1), then those that the route edits, then ours are added; all others pass as received, repeated
 * lines in order. `TE: trailers` goes to upstreams that speak HTTP/2. `Via` (RFC 9110 §7.6.3) is appended to; `Forwarded` (RFC 7239) and X-Forwarded-For only behind trusted peers.
 * Does not check for forbidden names, loops or Max-Forwards: 0 (facts.ts), nor the values of identity fields (identity.ts).
 */
export function requestFields(received: PermittedRequest, rules: FieldRules, permit: PermitFacts): string[] {
  const { facts, correlation } = received;
  const { rawHeaders, httpVersion } = received.transaction;
  const passed: string[] = [];
  const kept = { connection: '', via: '', te: '', forwarded: '', 'x-forwarded-for': '', 'max-forwards': '' };
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    const value = rawHeaders[at + 1] ?? '';
    const action = requestAction(rules, name);
    if (action === 'pass') passed.push(name, value);
    else if (action !== 'drop') kept[action] = joinLines(kept[action], value);
  }
  const named = withoutNamed(passed, kept.connection);
  const edited = rules.requestEdits === undefined ? named : applyEdits(named, rules.requestEdits);
  const fields = withDefault(edited, correlation.interaction);
  // undici sends the authority of its own target where there is none.
  if (rules.authority !== undefined) fields.push('Host', rules.authority);
  else if (rules.host === 'preserve') fields.push('Host', facts.origin.authority);
  fields.push('Via', joinLines(kept.via, `${httpVersion} ${rules.pseudonym}`));
  // In HTTP/1.1 it would have to be named in Connection, which undici writes.
  if (rules.upstreamVersion === '2.0' && takesTrailers(kept.te)) fields.push('TE', 'trailers');
  if (kept['max-forwards'] !== '') fields.push('Max-Forwards', lessOne(kept['max-forwards'], facts.method));
  if (correlation.trace !== undefined) fields.push(...traceFields(correlation.trace));
  if (correlation.requestField !== undefined) fields.push(...correlation.requestField);
  addForwarded(fields, kept.forwarded, kept['x-forwarded-for'], received);
  addOwnFields(fields, rules, permit, received);
  return fields;
}

/** Appends what only the gateway can say of a permitted request: identity, certificate and token. */
export function addOwnFields(
  fields: string[],
  rules: FieldRules,
  permit: PermitFacts,
  received: { readonly facts: AssertedRequest } & Pick<PermittedRequest, 'upstreamToken'>,
): void {
  for (const [name, value] of permit.identity) fields.push(name, value);
  if (permit.certificate !== undefined) fields.push(...certificateFields(rules, permit.certificate));
  const token = upstreamCredentials(rules, permit, received.upstreamToken);
  if (token !== undefined) fields.push('Authorization', `Bearer ${token}`);
  if (rules.assertion !== undefined) fields.push(rules.assertion.field, rules.assertion.assert(permit, received.facts));
}

/** The token of the client goes nowhere but where the route says `bearer`. */
function upstreamCredentials(
  { credentials }: FieldRules,
  { accessToken }: PermitFacts,
  exchanged: string | undefined,
): string | undefined {
  if (credentials === 'bearer') return accessToken;
  return credentials === 'exchange' ? exchanged : undefined;
}

function addForwarded(fields: string[], forwarded: string, forwardedFor: string, received: PermittedRequest): void {
  const { authority, scheme } = received.facts.origin;
  const { address, trusted, forwarding } = received.facts.peer;
  const element = `for=${forwardedNode(address)};host=${quoteUnlessToken(authority)};proto=${scheme}`;
  const addresses = trusted && forwarding !== 'forwarded' ? forwardedFor : '';
  fields.push('Forwarded', joinLines(trusted && forwarding !== 'x-forwarded' ? forwarded : '', element));
  if (address !== undefined) fields.push('X-Forwarded-For', joinLines(addresses, address));
  else if (addresses !== '') fields.push('X-Forwarded-For', addresses);
  fields.push('X-Forwarded-Proto', scheme, 'X-Forwarded-Host', authority);
}

/** RFC 7239 §6: IPv6 addresses in brackets and quotes, `unknown` for a peer without address. */
function forwardedNode(address: string | undefined): string {
  if (address === undefined) return 'unknown';
  return address.includes(':') ? `"[${address}]"` : address;
}

/** An authority has neither `"` nor `\`. */
function quoteUnlessToken(authority: string): string {
  return /^[\w.-]+$/.test(authority) ? authority : `"${authority}"`;
}

/** The maximum that we support of a field without one. */
const MAX_FORWARDS = 999_999_999;

/** RFC 9110 §7.6.2: counted down for OPTIONS; other methods may ignore it, and what is no number is not ours to mend. */
function lessOne(value: string, method: string): string {
  if (method !== 'OPTIONS' || !/^\d+$/.test(value)) return value;
  return String(Math.min(Math.max(0, Number(value) - 1), MAX_FORWARDS));
}

function certificateFields(rules: FieldRules, evidence: CertificateEvidence): readonly string[] {
  const before = rules.written.get(evidence);
  if (before !== undefined) return before;
  const fields: string[] = [];
  const add = (field: string, value: string | undefined) => value !== undefined && fields.push(field, value);
  for (const { format, field } of rules.clientCertificate) {
    if (format === 'xfcc') add(field, formatXfcc(evidence.facts, evidence.verify));
    else if (format === 'pem-escaped') add(field, formatEscapedPem(evidence.facts));
    else {
      add(field, formatClientCert(evidence.facts));
      // RFC 9440 §2.3: never without Client-Cert, and so not beside a field of another name.
      const chained = evidence.verify === 'chain' && field.toLowerCase() === 'client-cert';
      if (chained) add('Client-Cert-Chain', formatClientCertChain(evidence.facts));
    }
  }
  rules.written.set(evidence, fields);
  return fields;
}

/** Whether a DPoP proof goes with them. @param fields names and values in turn */
export function hasProof(fields: readonly string[]): boolean {
  return fields.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'dpop');
}
