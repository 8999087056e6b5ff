// The rules for fields on their way through, compiled once per route.

import { QUOTA_FIELDS } from '../../rate/quota.ts';
import { connectionOptions } from '../../http/connection-options.ts';
import { checkFieldName } from '../../policy/managed-fields.ts';
import type { CertificateFieldRule, Demand, ManagedFields, Route } from '../../policy/policy.ts';
import { type Assert, compileAssert } from './assertion.ts';
import { compileEdits, type EditRules } from './edits.ts';
import type { CertificateEvidence } from '../../request-facts.ts';

/** `pass` as received, `drop`, or keep the joined value of all its lines for what we write in its place. */
export type RequestAction =
  | 'pass'
  | 'drop'
  | 'connection'
  | 'via'
  | 'te'
  | 'forwarded'
  | 'x-forwarded-for'
  | 'max-forwards';

export type AnswerAction = 'drop' | 'connection' | 'via' | 'vary' | 'cache-control' | 'dpop-nonce';

/** The constant part of a route's field work. Names are lower-cased; a field that has no action passes unless it is managed. */
export interface FieldRules {
  readonly managed: ManagedFields;
  readonly request: ReadonlyMap<string, RequestAction>;
  readonly answer: ReadonlyMap<string, AnswerAction>;
  /** Our name in `Via`. */
  readonly pseudonym: string;
  /** The client's, or the authority of the target that the request goes to. */
  readonly host: 'preserve' | 'upstream';
  /** In place of both. */
  readonly authority: string | undefined;
  /** undefined: nothing is edited. */
  readonly requestEdits: EditRules | undefined;
  readonly answerEdits: EditRules | undefined;
  readonly credentials: 'remove' | 'as-received' | 'bearer' | 'exchange';
  readonly clientCertificate: readonly CertificateFieldRule[];
  readonly assertion: { readonly field: string; readonly assert: Assert } | undefined;
  /** Certificate fields written before: certificates belong to connections, and encoding one costs more than a request's other fields. */
  readonly written: WeakMap<CertificateEvidence, readonly string[]>;
  readonly cors: boolean;
  /** What the upstream speaks, as `Via` names it. */
  readonly upstreamVersion: '1.1' | '2.0';
}

/**
 * Fields about one connection (RFC 9110 §7.6.1) and about trailers, which are dropped both ways (`TE: trailers` is written anew). undici and Node frame and keep
 * alive by themselves; `Expect` is answered here.
 */
const HOP_BY_HOP = [
  'close',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'expect',
  'http2-settings',
];

/** Of senders, beside the two that every route decides about. */
const CREDENTIALS = ['cookie', 'signature', 'signature-input'];

/** What a route's rules depend on beside it. */
export interface RuleTerms {
  /** The upstream's DPoP-Nonce is removed, although nobody here verifies the requests of the route. */
  readonly withoutUpstreamNonce?: boolean;
  /** The upstream gets our traceparent in place of the client's. */
  readonly traced?: boolean;
  /** For a copy of a request: nothing goes along by which somebody could act as its sender. */
  readonly copied?: boolean;
}

/**
 * On public routes `Authorization` and `DPoP` pass as received, whatever `forward.authorization` says: nobody here looked at them.
 * @param policyId `Policy.id`; the same text makes a loop visible in `Via`
 */
export function compileFieldRules(
  route: Pick<Route, 'forward' | 'cors' | 'rateLimit' | 'path' | 'host' | 'requestFields' | 'responseFields'> & {
    readonly demand: Pick<Demand, 'requirement'>;
    readonly upstream: Pick<Route['upstream'], 'http2'>;
  },
  policyId: string,
  managed: ManagedFields,
  { withoutUpstreamNonce = false, traced = false, copied = false }: RuleTerms = {},
): FieldRules {
  const assertion = copied ? undefined : route.forward.assertion;
  const credentials = copied
    ? 'remove'
    : route.demand.requirement === 'public'
      ? 'as-received'
      : route.forward.authorization;
  return {
    managed,
    request: requestActions(credentials, { traced, copied }),
    answer: new Map<string, AnswerAction>([
      ...[...HOP_BY_HOP, 'client-cert', 'client-cert-chain'].map((name) => [name, 'drop'] as const),
      ...(managed.requestId === undefined ? [] : [[managed.requestId.toLowerCase(), 'drop'] as const]),
      ...(route.rateLimit ? QUOTA_FIELDS.map((name) => [name.toLowerCase(), 'drop'] as const) : []),
      ['connection', 'connection'],
      ['via', 'via'],
      ['vary', 'vary'],
      ['cache-control', 'cache-control'],
      ['dpop-nonce', credentials === 'as-received' && !withoutUpstreamNonce ? 'dpop-nonce' : 'drop'],
    ]),
    pseudonym: pseudonymOf(policyId),
    host: route.forward.host,
    authority: route.host,
    requestEdits: compileEdits(route.requestFields, true),
    answerEdits: compileEdits(route.responseFields, false),
    credentials,
    clientCertificate: route.forward.clientCertificate,
    assertion: assertion && { field: assertion.field, assert: compileAssert(assertion, route.path) },
    written: new WeakMap(),
    cors: route.cors !== undefined,
    upstreamVersion: route.upstream.http2 ? '2.0' : '1.1',
  };
}

/** By lower-cased name. */
function requestActions(
  credentials: FieldRules['credentials'],
  { traced, copied }: Pick<RuleTerms, 'traced' | 'copied'>,
): ReadonlyMap<string, RequestAction> {
  return new Map<string, RequestAction>([
    ...HOP_BY_HOP.map((name) => [name, 'drop'] as const),
    ['authorization', credentials === 'as-received' ? 'pass' : 'drop'],
    ['dpop', credentials === 'as-received' ? 'pass' : 'drop'],
    ['host', 'drop'],
    ...(copied ? CREDENTIALS.map((name) => [name, 'drop'] as const) : []),
    ...(traced ? (['traceparent', 'tracestate'] as const).map((name) => [name, 'drop'] as const) : []),
    ['connection', 'connection'],
    ['via', 'via'],
    ['te', 'te'],
    ['forwarded', 'forwarded'],
    ['x-forwarded-for', 'x-forwarded-for'],
    ['max-forwards', 'max-forwards'],
  ]);
}

/** Our name in `Via` (RFC 9110 §7.6.3): the same for all replicas of one policy, another for the next gateway in a chain. */
export function pseudonymOf(policyId: string): string {
  return `holdfast-${policyId}`;
}

/** What happens to a field of the client, named in any case. */
export function requestAction(rules: FieldRules, name: string): RequestAction {
  return rules.request.get(name.toLowerCase()) ?? (checkFieldName(rules.managed, name) === 'free' ? 'pass' : 'drop');
}

/** Names and values in turn → the same without the fields that `Connection` names (RFC 9110 §7.6.1). */
export function withoutNamed(fields: string[], connection: string): string[] {
  if (connection === '' || connection === 'keep-alive' || connection === 'close') return fields;
  const named = connectionOptions(connection);
  return fields.filter((_, at) => !named.has((fields[at - (at % 2)] ?? '').toLowerCase()));
}

/** Lines of one list field → one value (RFC 9110 §5.3). */
export function joinLines(before: string, line: string): string {
  return before === '' ? line : `${before}, ${line}`;
}
