// The ids of a request: for its log line, its answer and its upstream.

import { randomUUID } from 'node:crypto';
import type { Field } from '../../http/field.ts';
import type { Trace } from '../../observe/trace-record.ts';
import type { TracingRules } from '../../policy/tracing.ts';
import type { Connection } from '../listen/connection.ts';
import { traceOf } from './trace.ts';
import type { ReceivedRequest } from '../transaction/transaction.ts';

/** By what a request is known to everybody who had to do with it. */
export interface Correlation {
  readonly requestId: string;
  /** The field with it, for the upstream and for every answer; undefined: the policy has none. */
  readonly requestField: Field | undefined;
  /** FAPI 1.0 Part 1 §6.2.1: for answers that have none of the upstream's; undefined: the listener has no such field. */
  readonly interaction: Field | undefined;
  /** Absent: nothing is traced. */
  readonly trace?: Trace | undefined;
}

/** Names of fields, in any case, and whether requests are traced. */
export interface CorrelationRules {
  readonly request: string | undefined;
  readonly interaction: string | undefined;
  readonly tracing?: TracingRules | undefined;
}

/**
 * What ids of other products are made of: UUIDs, hex, base64, `Root=1-67891233-…`, and HAProxy's addresses and counters. Fewer
 * characters than eight are not unique, and more than 128 not an id.
 */
const ID = /^[A-Za-z0-9+/=_.:@~-]{8,128}$/;
/** RFC 9562 §4. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The request id is that of a trusted peer where it sends one good line of the field, else a new UUID: a client must not choose the
 * name of its line in the log. The interaction id is the client's where it sends one UUID, else the request id or a UUID for it.
 * @param request undefined: its fields are not known
 * @param now seconds since the epoch
 * NOT checked: that the peer made its id itself, and no two alike.
 */
export function correlate(
  request: Pick<ReceivedRequest, 'rawHeaders'> | undefined,
  connection: Pick<Connection, 'trustedUntil'>,
  rules: CorrelationRules,
  now: () => number,
): Correlation {
  const rawHeaders = request?.rawHeaders ?? [];
  const trusted = connection.trustedUntil > 0 && now() <= connection.trustedUntil;
  const requestId = (trusted ? readRequestId(rules.request, rawHeaders) : undefined) ?? randomUUID();
  const { request: field, interaction, tracing } = rules;
  return {
    requestId,
    requestField: field === undefined ? undefined : [field, requestId],
    interaction:
      interaction === undefined ? undefined : [interaction, interactionIdOf(interaction, rawHeaders, requestId)],
    trace: tracing && traceOf(rawHeaders, trusted, tracing),
  };
}

/** For an answer of the gateway itself. */
export function idFields({ requestField, interaction }: Correlation): readonly Field[] {
  return [requestField, interaction].filter((field) => field !== undefined);
}

/** The id that a peer states, from raw field lines. undefined: none, more than one, or nothing that could be an id. @param name of the field */
export function readRequestId(name: string | undefined, rawHeaders: readonly string[]): string | undefined {
  return onlyValue(name, rawHeaders, ID);
}

/** The client's interaction id, from raw field lines. undefined: none, more than one, or no UUID: it goes into answers and logs. */
export function readInteractionId(name: string | undefined, rawHeaders: readonly string[]): string | undefined {
  return onlyValue(name, rawHeaders, UUID);
}

function interactionIdOf(name: string, rawHeaders: readonly string[], requestId: string): string {
  return readInteractionId(name, rawHeaders) ?? (UUID.test(requestId) ? requestId : randomUUID());
}

/** Of the one line with this name. */
function onlyValue(name: string | undefined, rawHeaders: readonly string[], good: RegExp): string | undefined {
  if (name === undefined) return undefined;
  const lower = name.toLowerCase();
  let found: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== lower) continue;
    if (found !== undefined) return undefined;
    found = rawHeaders[at + 1] ?? '';
  }
  return found !== undefined && good.test(found) ? found : undefined;
}

/** Names and values in turn, and this field behind them unless one of them has its name. */
export function withDefault(fields: string[], field: Field | undefined): string[] {
  if (field === undefined) return fields;
  const lower = field[0].toLowerCase();
  const isThere = fields.some((name, at) => at % 2 === 0 && name.toLowerCase() === lower);
  if (!isThere) fields.push(...field);
  return fields;
}

/** The trace that an operator can look up; undefined: nothing of the request is recorded. */
export function recordedTrace({ trace }: Pick<Correlation, 'trace'>): string | undefined {
  return trace?.sampled === true ? trace.traceId : undefined;
}
