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
    const { values, others } = takeLines(request, METHOD_SCHEME_HOST_URI);
    const missing = values.indexOf(undefined);
    if (missing !== -1) return reject('request_malformed', { what: METHOD_SCHEME_HOST_URI[missing] ?? '' });
    const [method, scheme, host, target] = values;
    return describedBy(others, { method, scheme, host, target });
  },
  (status) => status < 300,
);

const METHOD_SCHEME_HOST_URI = ['x-forwarded-method', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-uri'];
const SCHEME_HOST = ['x-forwarded-proto', 'host'];

/**
 * Method, Host and target are those of the question, the target below `pathPrefix`; X-Forwarded-Proto has the scheme. Envoy
 * writes `x-envoy-auth-headers-to-remove` itself into what it sends on, so it may name fields there.
 */
export function envoyHttp(pathPrefix: string): Dialect {
  const dialect = httpDialect(
    (request) => {
      const {
        values: [scheme, host],
        others,
      } = takeLines(request, SCHEME_HOST);
      if (scheme === undefined) return reject('request_malformed', { what: 'x-forwarded-proto' });
      if (host === undefined) return reject('request_malformed', { what: 'host' });
      const below = request.target.startsWith(`${pathPrefix}/`);
      if (!below) return reject('request_malformed', { what: 'path of the question' });
      const target = request.target.slice(pathPrefix.length);
      return describedBy(others, { method: request.method, scheme, host, target });
    },
    (status) => status === 200,
  );
  return {
    ...dialect,
    permit: (question, permitted) => {
      const remove = [...permitted.removeAlways, ...permitted.remove()];
      const named = remove.length === 0 ? [] : ['x-envoy-auth-headers-to-remove', remove.join(',')];
      dialect.permit(question, { ...permitted, answer: [...permitted.answer, ...named] });
    },
  };
}

/** @param passes statuses of answers that let the request pass: a refusal never has one */
function httpDialect(describe: Describe, passes: (status: number) => boolean): Dialect {
  return {
    describe,
    permit: (question, { set, both, answer: forClient }) => write(question, [...set, ...both, ...forClient]),
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

interface TakenLines {
  /** Of the names, in their order: the value of the only line; undefined: there is none, it is empty, or there are more. */
  readonly values: readonly (string | undefined)[];
  /** All other fields, names and values in turn. */
  readonly others: string[];
}

/** Takes the lines that describe the request out of those of its client, in one walk. `Host` is that of the front. */
function takeLines({ rawHeaders }: ReceivedRequest, names: readonly string[]): TakenLines {
  const values = names.map((): string | undefined => undefined);
  const repeated = new Set<number>();
  const others: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = [rawHeaders[at], rawHeaders[at + 1]];
    const lower = name.toLowerCase();
    const nth = names.indexOf(lower);
    if (nth === -1) {
      if (lower !== 'host') others.push(name, value);
    } else if (values[nth] === undefined) values[nth] = value;
    else repeated.add(nth);
  }
  return { values: values.map((value, nth) => (value === '' || repeated.has(nth) ? undefined : value)), others };
}

interface Parts {
  readonly method: string | undefined;
  readonly scheme: string | undefined;
  readonly host: string | undefined;
  readonly target: string | undefined;
}

/** @param others fields of the client, names and values in turn */
function describedBy(
  others: readonly string[],
  { method = '', scheme, host = '', target = '' }: Parts,
): DescribedRequest | Rejection {
  if (scheme !== 'http' && scheme !== 'https') return reject('request_malformed', { what: 'x-forwarded-proto' });
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method)) return reject('request_malformed', { what: 'x-forwarded-method' });
  const stated: StatedOrigin = { scheme, host };
  return { method, target, scheme, httpVersion: '1.1', rawHeaders: ['Host', host, ...others], stated };
}
