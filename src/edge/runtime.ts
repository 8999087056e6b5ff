// One compiled policy at work: what every exchange of a thread reads.

import type { PermitFacts } from '../binding/permit.ts';
import type { Ports } from '../enforce.ts';
import { type GrpcCall, readGrpcCall } from '../http/grpc.ts';
import type { Log } from '../observe/log.ts';
import type { RecentTraffic } from '../observe/recent.ts';
import type { TrafficMetrics } from '../observe/metrics.ts';
import type { TraceSink } from '../observe/trace-record.ts';
import type { Policy, Route } from '../policy/policy.ts';
import type { Rejection } from '../rejection/rejection.ts';
import type { TokenExchangeTerms } from '../token/exchanged-token.ts';
import type { Deciding } from './decide/decide.ts';
import type { ChooseWay } from './forward/route-at-work.ts';
import type { CorrelationRules } from './intake/correlation.ts';
import type { IntakeRules } from './intake/facts.ts';
import type { Connection } from './listen/connection.ts';
import type { Transaction } from './transaction/transaction.ts';
import type { Turns } from './turns.ts';

/** One compiled policy at work. A reload makes another one; an exchange keeps the one it began with. */
export interface Runtime {
  readonly policy: Policy;
  readonly ports: Ports;
  readonly turns: Turns;
  readonly exchangeToken: ExchangeToken;
  readonly listeners: ReadonlyMap<string, ListenerAtWork>;
  readonly metrics: TrafficMetrics;
  readonly log: Log;
  readonly recent: RecentTraffic;
  /** undefined: nothing is traced. */
  readonly traces: TraceSink | undefined;
  /** Seconds since the epoch. */
  readonly now: () => number;
  /** Whether new requests are refused because the process stops. */
  readonly stopping: () => boolean;
  /** Whether what is still in flight is cut off, because the time to stop is over. */
  readonly cutting: () => boolean;
}

/**
 * A token for the upstream of a route, in exchange for that of a permit (issuer/token-exchange.ts).
 * @param now seconds since the epoch
 */
export type ExchangeToken = (
  permit: PermitFacts,
  terms: TokenExchangeTerms,
  now: number,
) => string | Rejection | Promise<string | Rejection>;

/** One listener under one policy. */
export interface ListenerAtWork {
  readonly intake: IntakeRules;
  /** What a route is put to work with; undefined: it is none of this policy, or leads nowhere. */
  readonly routes: Pick<ReadonlyMap<Route, ChooseWay>, 'get'>;
  /** undefined: it forwards. */
  readonly deciding: Deciding | undefined;
}

/** A request as a listener hands it over. */
export interface Arrival {
  readonly transaction: Transaction;
  readonly connection: Connection;
}

/** How requests of this listener are named and traced. */
export function correlationRules({ policy }: Runtime, at: ListenerAtWork | undefined): CorrelationRules {
  const { managedFields, tracing } = policy;
  return { request: managedFields.requestId, interaction: at?.intake.listener.interactionId, tracing };
}

/**
 * A front that asks for a decision translates for its gRPC clients, and takes the 200 of a gRPC refusal for a permit: no question is
 * ever answered so, not even one that could not be read.
 */
export function grpcCallOf(at: ListenerAtWork | undefined, transaction: Transaction): GrpcCall | undefined {
  return at === undefined || at.deciding !== undefined ? undefined : readGrpcCall(transaction);
}
