// Names of fields in the configuration: which may be set, read or removed.

import type { Compilation } from './compilation.ts';
import type { ConfigPath } from '../problem.ts';

/** What every message needs to arrive at all (RFC 9110 §7.6.1, §7.2, §8.6, §10.1.1), and the credentials. */
// biome-ignore format: two groups
const FRAMING = new Set([
  'connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade',
  'host', 'content-length', 'expect', 'date', 'via', 'authorization', 'proxy-authorization', 'proxy-authenticate',
]);
/** Fields that the gateway sets itself, each with its meaning (C6.1, C6.15). */
const OURS = new Set(['dpop', 'forwarded', 'x-real-ip', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']);

/**
 * A field that the gateway sets or reads a certificate from. Problems: names of message framing and credentials, names that
 * the gateway sets with another meaning (the one of `request_id` too), and names without a letter.
 */
export function checkSettableField(compilation: Compilation, at: ConfigPath, name: string): void {
  if (!checkRemovableField(compilation, at, name)) return;
  const { request_id: requestId } = compilation.read.config;
  if (OURS.has(name.toLowerCase())) {
    compilation.problem(at, 'is what the gateway sets itself, expected another field name');
  } else if (at[0] !== 'request_id' && requestId.toLowerCase() === name.toLowerCase()) {
    compilation.problem(at, 'is the field of request_id, expected another field name, or another one there');
  }
}

/** A field that is never passed on. Problems as above, except for fields that the gateway sets: they never pass anyway. */
export function checkRemovableField(compilation: Compilation, at: ConfigPath, name: string): boolean {
  const problem = wrongName(name.toLowerCase());
  if (problem !== undefined) compilation.problem(at, `${problem}, expected another field name`);
  return problem === undefined;
}

/** What is wrong with a lower-cased name in either direction; undefined: nothing. */
export function wrongName(lower: string): string | undefined {
  if (lower === 'authorization') return 'is what forward.authorization decides about';
  if (FRAMING.has(lower)) return 'frames or routes the message itself';
  return /[a-z]/.test(lower) ? undefined : 'has no letter';
}

/** Credentials: what chooses a route is in the configuration for all to read. */
const CREDENTIALS = new Set(['authorization', 'proxy-authorization', 'dpop', 'cookie']);

/** Why no route can be chosen by a field; undefined: it can. @param lower its name in lower case */
export function wrongMatchedField(lower: string): string | undefined {
  if (lower === 'host') return 'is what match.host is about';
  return CREDENTIALS.has(lower) ? 'holds credentials, which choose no route' : wrongName(lower);
}
