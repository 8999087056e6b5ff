// HTTP dialects of mode decide: nginx, Caddy, Traefik, Envoy and the Gateway API.

import { type Rejection, reject } from '../../rejection/rejection.ts';
import type { Field } from '../../http/field.ts';
import type { StatedOrigin } from '../intake/forwarded.ts';
import { answer } from '../transaction/answer.ts';
import type { ReceivedRequest, Transaction } from '../transaction/transaction.ts';
import type { DescribedRequest, Dialect } from './dialect.ts';

/** In every refusal, for fronts that pass on a few statuses only. */
const STATUS = 'X-Holdfast-Status';

type Describe = (request: ReceivedRequest) => DescribedRequest | Rejection;

/** X-Forwarded-Method, -Proto, -Host and -Uri describe the request; its fields are those of the question. */
export const FORWARDED: Dialect = httpDialect(
  (request) => {
    const [method, scheme, host, target] = METHOD_SCHEME_HOST_URI.map((name) => oneLine(request, name));
    for (const [at, value] of [method, scheme, host, target].entries()) {
      if (value === undefined) return reject('request_malformed', { what: METHOD_SCHEME_HOST_URI[at] ?? '' });
    }
    return describedBy(request, METHOD_SCHEME_HOST_URI, { method, scheme, host, target });
  },
  (status) => status < 300,
);

const METHOD_SCHEME_HOST_URI = [
  'x-forwarded-method',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-uri',
] as const;

/**
 * Method, Host and target are those of the question, the target below `pathPrefix`; X-Forwarded-Proto has the scheme. Envoy
 * writes `x-envoy-auth-headers-to-remove` itself into what it sends on, so it may name fields there.
 */
export function envoyHttp(pathPrefix: string): Dialect {
  const dialect = httpDialect(
    (request) => {
      const [scheme, host] = [oneLine(request, 'x-forwarded-proto'), oneLine(request, 'host')];
      if (scheme === undefined) return reject('request_malformed', { what: 'x-forwarded-proto' });
      if (host === undefined) return reject('request_malformed', { what: 'host' });
      const below = request.target.startsWith(`${pathPrefix}/`);
      if (!below) return reject('request_malformed', { what: 'path_prefix' });
      const target = request.target.slice(pathPrefix.length);
      return describedBy(request, ['x-forwarded-proto'], { method: request.method, scheme, host, target });
    },
    (status) => status === 200,
  );
  return {
    ...dialect,
    permit: (question, permitted) => {
      const remove =
        permitted.remove.length === 0 ? [] : ['x-envoy-auth-headers-to-remove', permitted.remove.join(',')];
      dialect.permit(question, { ...permitted, answer: [...permitted.answer, ...remove] });
    },
  };
}

/** @param passes statuses of answers that let the request pass: a refusal never has one */
function httpDialect(describe: Describe, passes: (status: number) => boolean): Dialect {
  return {
    describe,
    permit: (question, { set, answer: forClient }) => write(question, [...set, ...forClient]),
    refuse: (question, refusal) => {
      const status = passes(refusal.status) ? 403 : refusal.status;
      const fields: readonly Field[] = [...refusal.fields.filter(isOurs), [STATUS, String(refusal.status)]];
      answer(question, { ...refusal, status, fields });
    },
  };
}

/** answer() frames by itself. */
const isOurs = ([name]: Field) => name !== 'Content-Length';

function write(question: Transaction, fields: readonly string[]): void {
  question.answer(200, [...fields, 'Cache-Control', 'no-store', 'Content-Length', '0'], '');
}

/** The value of the only line of a field; undefined: there is none, it is empty, or there are more. */
function oneLine({ rawHeaders }: ReceivedRequest, wanted: string): string | undefined {
  let found: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() !== wanted) continue;
    if (found !== undefined) return undefined;
    found = rawHeaders[at + 1];
  }
  return found === '' ? undefined : found;
}

interface Parts {
  readonly method: string | undefined;
  readonly scheme: string | undefined;
  readonly host: string | undefined;
  readonly target: string | undefined;
}

/** @param spent fields that described the request and are not the client's */
function describedBy(
  request: ReceivedRequest,
  spent: readonly string[],
  { method = '', scheme, host = '', target = '' }: Parts,
): DescribedRequest | Rejection {
  if (scheme !== 'http' && scheme !== 'https') return reject('request_malformed', { what: 'x-forwarded-proto' });
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method)) return reject('request_malformed', { what: 'x-forwarded-method' });
  const rawHeaders = ['Host', host];
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    const [name = '', value = ''] = [request.rawHeaders[at], request.rawHeaders[at + 1]];
    const lower = name.toLowerCase();
    if (lower !== 'host' && !spent.includes(lower)) rawHeaders.push(name, value);
  }
  const stated: StatedOrigin = { scheme, host };
  return { method, target, scheme, httpVersion: '1.1', rawHeaders, stated };
}
