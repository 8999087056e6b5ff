// Trailer fields of answers (RFC 9110 §6.5): which of them pass, and to whom.

import type { FieldRules } from './fields.ts';

/** What a recipient may have acted upon before the trailers come: framing, routing, authentication, control data (RFC 9110 §6.5.1). */
const NEVER: ReadonlySet<string> = new Set([
  'age',
  'authorization',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'date',
  'expires',
  'host',
  'location',
  'pragma',
  'retry-after',
  'set-cookie',
  'www-authenticate',
]);

/**
 * Raw trailer lines of an answer → names and values in turn. Fields that are removed or changed in answers are removed here, and so
 * are those that mean something only before the body. Does not check values.
 */
export function answerTrailers(received: readonly string[], rules: FieldRules): string[] {
  const passed: string[] = [];
  for (let at = 0; at < received.length; at += 2) {
    const name = (received[at] ?? '').toLowerCase();
    if (NEVER.has(name) || rules.answer.has(name) || name.startsWith('access-control-')) continue;
    if (rules.answerEdits?.drops(name) === true) continue;
    passed.push(name, received[at + 1] ?? '');
  }
  return passed;
}

/** Whether TE says that trailers are welcome (RFC 9110 §10.1.4). */
export function takesTrailers(te: string): boolean {
  return te.split(',').some((coding) => coding.trim().toLowerCase() === 'trailers');
}
