// A finished exchange as its trace has it: plain facts, from which spans are made.

import type { Rejection } from '../rejection/rejection.ts';
import type { RequestLine } from './log.ts';

/** Where an exchange belongs, and the ids of what is recorded of it. Ids are lower-case hex. */
export interface Trace {
  readonly traceId: string;
  /** Of the caller's span; undefined: the trace begins here. */
  readonly parentId: string | undefined;
  readonly sampled: boolean;
  readonly random: boolean;
  /** tracestate; '': none. */
  readonly state: string;
  /** Of the exchange. */
  readonly spanId: string;
  /** Of its forwarding: what the upstream is told as its parent. */
  readonly upstreamSpanId: string;
  /** What a caller said who is not believed. */
  readonly link: { readonly traceId: string; readonly spanId: string } | undefined;
}

/** Milliseconds on the monotonic clock. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

/** One step of an exchange. */
export interface ExchangeStep extends Interval {
  readonly name: StepName;
  /** Name of the issuer that was waited for. */
  readonly issuer?: string;
}

/** Stages of the decision, in which a refusal may end; `introspection` and `keys` are waits within `token`. */
export type StepName = Rejection['stage'] | 'introspection' | 'keys' | 'shadow';

/** Everything that a trace says of one exchange. */
export interface TraceRecord extends Interval {
  readonly trace: Trace;
  /** The line of the log: what is not in there is not in spans. */
  readonly line: RequestLine;
  readonly scheme: 'http' | 'https' | undefined;
  /** `1.0`, `1.1` or `2.0`. */
  readonly httpVersion: string;
  /** Of the route: `/orders/*`. */
  readonly pathPattern: string | undefined;
  readonly steps: readonly ExchangeStep[];
  /** undefined: nothing was sent. */
  readonly upstream: Sent | undefined;
}

/** A forwarding. */
export interface Sent extends Interval {
  readonly name: string;
  /** The last one that was tried: `http://127.0.0.1:9000` or `unix:/run/orders.sock`. */
  readonly target: string;
  /** How often it was sent. */
  readonly count: number;
}

/** Where records go. */
export interface TraceSink {
  /** Of a sampled exchange. */
  record(record: TraceRecord): void;
}
