// Lines of the JSON log, made readable for a person at a terminal.

import { REASONS, type Reason, reject, wordingOf } from '../src/rejection/rejection.ts';

interface LogLine {
  readonly time?: string;
  readonly level?: string;
  readonly msg?: string;
  readonly method?: string;
  readonly path?: string;
  readonly status?: number;
  readonly route?: string;
  readonly scheme?: string;
  readonly binding?: string;
  readonly reason?: string;
  readonly facts?: { readonly what?: string };
}

/**
 * `12:03:01  GET /orders/1  401 proof_replayed: The DPoP proof was used before`. Events of the gateway keep their text;
 * a line that is no JSON object is returned as it is.
 */
export function describeLogLine(text: string): string {
  const line = readLine(text);
  if (line === undefined) return text;
  const { time = '', level, msg, method, path, status, route, scheme, binding, reason, facts, ...more } = line;
  const at = time.slice(11, 19);
  if (msg !== 'request') return `${at}  ${level === 'info' ? '' : `${level}: `}${msg ?? ''}${described(more)}`;
  const what = `${at}  ${method} ${path}`.padEnd(32);
  if (reason === undefined && route === undefined) return `${what}  ${status ?? '—'}  answered by the gateway`;
  if (reason === undefined) return `${what}  ${status ?? '—'}  route ${route}, scheme ${scheme}, binding ${binding}`;
  const words = reason in REASONS ? wordsOf(reason as Reason, facts?.what) : '';
  return `${what}  ${status ?? '—'}  ${reason}${words}${described(facts ?? {})}`;
}

function wordsOf(reason: Reason, what: string | undefined): string {
  const { title, remedy } = wordingOf(reject(reason, what === undefined ? {} : { what }));
  return `: ${title}. ${remedy}`;
}

function readLine(text: string): LogLine | undefined {
  try {
    const line: unknown = JSON.parse(text);
    return typeof line === 'object' && line !== null ? line : undefined;
  } catch {
    return undefined; // what Node itself wrote, perhaps
  }
}

function described(fields: object): string {
  const text = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return text.length === 0 ? '' : ` (${text.join(', ')})`;
}
