// Trace context (W3C Trace Context Level 2): traceparent and tracestate, read and written.

import { withoutBlanks } from './blanks.ts';

/** Where a request belongs in the trace of its caller. */
export interface TraceContext {
  /** 32 hex digits in lower case, not all zero. */
  readonly traceId: string;
  /** Of the caller's span: 16 hex digits in lower case, not all zero. */
  readonly parentId: string;
  /** The caller's trace is recorded. */
  readonly sampled: boolean;
  /** The last 56 bits of the trace id are random (Level 2 §3.2.2.5.2). */
  readonly random: boolean;
  /** tracestate as it goes on; '': none. */
  readonly state: string;
}

/** Version, trace id, parent id, flags, and what a later version adds (§3.2.2, §4.3). */
const PARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;
/** Characters of a traceparent of version 00, which has nothing more. */
const LENGTH = 55;
/** Flags (§3.2.2.5). */
const [SAMPLED, RANDOM] = [1, 2];

/** A list member of tracestate (§3.3.1.3): the key in the grammar of Level 2, which has that of Level 1 in it. */
const MEMBER = /^([a-z0-9][a-z0-9_*/@-]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
const MOST_MEMBERS = 32;
/** Characters of tracestate that are passed on, and of a member that is the first to go beyond that (§3.3.1.5). */
const STATE_LENGTH = 512;
const LONG_MEMBER = 128;

/**
 * Reads the trace context of a request. undefined: no traceparent, more than one line, or one that is not valid: the trace is begun anew
 * (§4.3). A tracestate that is not valid is dropped, and the trace goes on without it.
 * @param parents values of the lines of traceparent
 * @param states values of the lines of tracestate, which are one list
 * NOT checked: who sent it.
 */
export function readTraceContext(parents: readonly string[], states: readonly string[]): TraceContext | undefined {
  const [parent = '', ...others] = parents;
  const [, version, traceId = '', parentId = '', flags = ''] = PARENT.exec(parent) ?? [];
  if (version === undefined || others.length > 0 || (version === '00' && parent.length !== LENGTH)) return undefined;
  const bits = Number.parseInt(flags, 16);
  const [sampled, random] = [(bits & SAMPLED) !== 0, (bits & RANDOM) !== 0];
  return { traceId, parentId, sampled, random, state: readTraceState(states) };
}

/** The list of all lines, as it is passed on; '' where it is empty or not valid. */
function readTraceState(lines: readonly string[]): string {
  const members = lines.flatMap((line) => line.split(',')).map(withoutBlanks);
  const filled = members.filter((member) => member !== '');
  if (filled.length > MOST_MEMBERS) return '';
  const keys = new Set(filled.map((member) => MEMBER.exec(member)?.[1]));
  if (keys.has(undefined) || keys.size < filled.length) return '';
  return shortened(filled).join(',');
}

/** Whole members go: long ones first, then those at the end, which changed longest ago. */
function shortened(members: readonly string[]): readonly string[] {
  const lengthOf = (list: readonly string[]) => list.join(',').length;
  let kept = members;
  while (lengthOf(kept) > STATE_LENGTH) {
    const long = kept.findLastIndex((member) => member.length > LONG_MEMBER);
    kept = kept.toSpliced(long === -1 ? kept.length - 1 : long, 1);
  }
  return kept;
}

/** The value of traceparent that makes `spanId` the parent (§3.2). */
export function formatTraceParent(
  { traceId, sampled, random }: Pick<TraceContext, 'traceId' | 'sampled' | 'random'>,
  spanId: string,
): string {
  return `00-${traceId}-${spanId}-0${(sampled ? SAMPLED : 0) + (random ? RANDOM : 0)}`;
}
