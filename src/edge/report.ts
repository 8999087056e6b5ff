// The end of an exchange in words: its line in the log, and its trace.

import type { Permit } from '../binding/permit.ts';
import type { OutcomeLabel } from '../observe/labels.ts';
import type { RequestLine } from '../observe/log.ts';
import type { Sent, ExchangeStep, TraceRecord } from '../observe/trace-record.ts';
import type { LogRules, Route } from '../policy/policy.ts';
import { clientOf } from '../rate/limit.ts';
import type { Rejection } from '../rejection/rejection.ts';
import { presentedScheme } from '../token/presentation.ts';
import type { Correlation } from './intake/correlation.ts';
import type { EdgeFacts } from './intake/facts.ts';
import type { Outcome } from './outcome.ts';
import type { Arrival } from './runtime.ts';
import type { Sending } from './upstream/sending.ts';

/** How an exchange ended. */
export type Ending = Pick<RequestLine, 'outcome' | 'status' | 'sent'> &
  Partial<Pick<RequestLine, 'rejection' | 'grpcStatus' | 'tunnel'>>;

/** What an exchange knows of itself at its end. */
export interface Ended {
  readonly arrival: Arrival;
  readonly listener: string;
  readonly correlation: Correlation;
  readonly facts: EdgeFacts | undefined;
  readonly route: Route | undefined;
  readonly permit: Permit | undefined;
  readonly shadowed: Rejection | undefined;
  /** undefined: nothing was sent. */
  readonly sending: Pick<Sending, 'attempts' | 'upstream' | 'target' | 'count'> | undefined;
  readonly ending: Ending;
  readonly log: Pick<LogRules, 'client'>;
  /** Milliseconds on the monotonic clock. */
  readonly from: number;
  readonly to: number;
}

export function lineOf(ended: Ended): RequestLine {
  const { arrival, correlation, facts, permit, ending } = ended;
  const { transaction, connection } = arrival;
  const { remoteAddress } = connection;
  // Rates, log and traces mean the same client: whom a trusted peer states.
  const clientAddress = facts === undefined ? remoteAddress : facts.clientAddress;
  const permitted = permit?.facts;
  return {
    requestId: correlation.requestId,
    interactionId: correlation.interaction?.[1],
    traceId: correlation.trace?.traceId,
    listener: { name: ended.listener },
    route: ended.route,
    method: transaction.method,
    host: facts?.origin.authority,
    target: transaction.target,
    status: ending.status,
    grpcStatus: ending.grpcStatus,
    scheme: permitted?.scheme ?? presentedScheme(facts?.authorization ?? []),
    binding: permitted?.binding ?? 'none',
    outcome: ending.outcome,
    rejection: ending.rejection,
    shadow: ended.shadowed,
    seconds: (ended.to - ended.from) / 1000,
    client: clientAddress,
    peer: clientAddress === remoteAddress ? undefined : remoteAddress,
    tokenClient: ended.log.client === undefined ? undefined : tokenClientOf(permit),
    sent: ending.sent,
    tunnel: ending.tunnel,
    upstream: ended.route?.split && ended.sending?.upstream,
    attempts: ended.sending?.attempts,
  };
}

function tokenClientOf(permit: Permit | undefined): RequestLine['tokenClient'] {
  const { claims, issuer } = permit?.facts ?? {};
  const id = claims && clientOf(claims);
  return id === undefined || issuer === undefined ? undefined : { issuer: issuer.issuer, id };
}

/** Of an exchange that is recorded. @param upstreamFrom when it was forwarded, on the monotonic clock */
export function recordOf(
  { arrival, facts, route, sending, from, to }: Ended,
  line: RequestLine,
  steps: readonly ExchangeStep[],
  upstreamFrom: number | undefined,
): Omit<TraceRecord, 'trace'> {
  const { scheme } = facts?.origin ?? {};
  const pathPattern = route?.match.path;
  const { target } = sending ?? {};
  const upstream: Sent | undefined =
    sending === undefined || target === undefined || upstreamFrom === undefined
      ? undefined
      : { from: upstreamFrom, to, name: sending.upstream, target, count: sending.count };
  return { line, scheme, httpVersion: arrival.transaction.httpVersion, pathPattern, steps, upstream, from, to };
}

const LABELS = {
  forwarded: 'forwarded',
  cut_off: 'rejected',
  client_gone: 'client_gone',
  upstream_broke: 'upstream_failed',
} as const;

/** The outcome of a forwarding, as log and metrics call it. */
export function labelOf(outcome: Exclude<Outcome, { kind: 'rejected' }>): OutcomeLabel {
  if (outcome.kind === 'tunnelled') return outcome.tunnel.end === 'upstream_broke' ? 'upstream_failed' : 'forwarded';
  return LABELS[outcome.kind];
}
