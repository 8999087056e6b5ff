// The trace of a request: that of a caller who is believed, or a new one.

import { randomFillSync } from 'node:crypto';
import { formatTraceParent, readTraceContext, type TraceContext } from '../../http/trace-context.ts';
import type { TracingRules } from '../../policy/tracing.ts';
import type { Trace } from '../../observe/trace-record.ts';

/**
 * The trace that a request belongs to. A trusted peer's is continued, and sampled as the peer samples it; of anybody else only a link
 * to what it said is kept, because it would choose what is recorded, and join its requests to traces of others (W3C Trace Context §6).
 * @param trusted whether the peer is
 */
export function traceOf(
  rawHeaders: readonly string[],
  trusted: boolean,
  { sample, trust }: Pick<TracingRules, 'sample' | 'trust'>,
): Trace {
  const context = readTraceContext(linesOf(rawHeaders, 'traceparent'), linesOf(rawHeaders, 'tracestate'));
  const [spanId, upstreamSpanId] = [randomHex(8), randomHex(8)];
  if (context !== undefined && (trusted || trust === 'all'))
    return { ...context, spanId, upstreamSpanId, link: undefined };
  const traceId = randomHex(16);
  const link = context && { traceId: context.traceId, spanId: context.parentId };
  const sampled = isSampled(traceId, sample);
  return { traceId, parentId: undefined, sampled, random: true, state: '', spanId, upstreamSpanId, link };
}

/** Names and values in turn, for the upstream. */
export function traceFields(
  trace: Pick<TraceContext, 'traceId' | 'sampled' | 'random' | 'state'> & Pick<Trace, 'upstreamSpanId'>,
): string[] {
  const fields = ['traceparent', formatTraceParent(trace, trace.upstreamSpanId)];
  if (trace.state !== '') fields.push('tracestate', trace.state);
  return fields;
}

/** Hex digits that say whether a trace is sampled: as many of the random ones, at the end of a trace id, as a double holds. */
const DIGITS = 13;

/** All gateways with the same share sample the same traces (OpenTelemetry, consistent probability sampling). */
function isSampled(traceId: string, share: number): boolean {
  return Number.parseInt(traceId.slice(-DIGITS), 16) >= (1 - share) * 16 ** DIGITS;
}

/** One call for many ids costs a tenth of as many calls. */
const pool = Buffer.alloc(4096);
let used = pool.length;

/** Random hex digits, not all zero. */
function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const hex = pool.toString('hex', used, used + bytes);
  used += bytes;
  return /[^0]/.test(hex) ? hex : randomHex(bytes);
}

function linesOf(rawHeaders: readonly string[], name: string): readonly string[] {
  const values: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.length === name.length && rawHeaders[at]?.toLowerCase() === name)
      values.push(rawHeaders[at + 1] ?? '');
  }
  return values;
}
