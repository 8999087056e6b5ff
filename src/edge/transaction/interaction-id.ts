// The interaction id of a request (FAPI 1.0 Part 1 §6.2.1): the client's name for it.

import type { Field } from '../../http/field.ts';

/** RFC 9562 §4. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The client's interaction id, from raw field lines. undefined: there is none, more than one, or something other than a UUID, which
 * would go into answers and logs as the client wrote it.
 * @param name of the field, in any case; undefined: the listener has none
 */
export function readInteractionId(name: string | undefined, rawHeaders: readonly string[]): string | undefined {
  if (name === undefined) return undefined;
  const lower = name.toLowerCase();
  const values = rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === lower);
  const [value = ''] = values;
  return values.length === 1 && UUID.test(value) ? value : undefined;
}

/** The field for an answer of the gateway itself. @param requestId what the request is called where its client gave it no name */
export function interactionFields(
  name: string | undefined,
  rawHeaders: readonly string[],
  requestId: string,
): readonly Field[] {
  return name === undefined ? [] : [[name, readInteractionId(name, rawHeaders) ?? requestId]];
}
