// The types of configuration values: how they are written, and what they become.

import * as z from 'zod';
import { ALGORITHMS } from '../../jose/algorithms.ts';
import type { Bind } from '../../policy/policy.ts';
import { DURATION, secondsOf } from '../duration.ts';

// Every error text in the schema completes the sentence "is …, expected <text>" (check.ts).

const BYTES: Readonly<Record<string, number>> = { B: 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };
const SIZE = /^([0-9]{1,9})(?:(B)|([KMG])iB?)$/;
const BIND = /^(?:unix:(\/\S+)|(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5}))$/;

function bytes(written: string): number {
  const [, count, plain, binary] = SIZE.exec(written) ?? [];
  return Number(count) * (BYTES[plain ?? binary ?? ''] ?? Number.NaN);
}

function place(written: string): Bind {
  const [, path, address, name, port] = BIND.exec(written) ?? [];
  return path === undefined ? { host: address ?? name ?? '', port: Number(port) } : { path };
}

/** A part of a whole. */
export const share = z.number('a number from 0 to 1').min(0, 'a number from 0 to 1').max(1, 'a number from 0 to 1');

/** Alternatives in words: `none, required or on-skew`. */
function alternatives(values: readonly (string | number)[]): string {
  return values.length < 2 ? values.join('') : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
}

/** `250ms`, `60s`, `5m`, `1h`, read as seconds; `atLeast` and `atMost` are written the same way. */
export function duration(atLeast = '1ms', atMost?: string) {
  const bounds = `${atLeast === '1ms' ? '' : `, at least ${atLeast}`}${atMost === undefined ? '' : `, at most ${atMost}`}`;
  const expected = `a duration such as 250ms, 60s, 5m or 1h${bounds}`;
  const most = atMost === undefined ? Number.POSITIVE_INFINITY : secondsOf(atMost);
  return z
    .string(expected)
    .regex(DURATION, { error: expected, abort: true })
    .transform(secondsOf)
    .refine((value) => value >= secondsOf(atLeast) && value <= most, { error: expected, abort: true })
    .meta({ takes: expected });
}

const SIZE_EXPECTED = 'a size such as 512B, 16KiB, 10Mi or 1GiB';

/** `16KiB`, `10Mi`, `1GiB`, read as bytes; more than nothing. */
export const size = z
  .string(SIZE_EXPECTED)
  .regex(SIZE, { error: SIZE_EXPECTED, abort: true })
  .transform(bytes)
  .refine((value) => value > 0, { error: SIZE_EXPECTED, abort: true })
  .meta({ takes: SIZE_EXPECTED });

/** Text of which `pattern` says all; `expected` says it in words. */
export function text(expected: string, pattern = /^[^\0-\x1f\x7f]+$/) {
  return z.string(expected).regex(pattern, { error: expected, abort: true }).meta({ takes: expected });
}

export function flag() {
  return z.boolean('true or false');
}

/** A whole number from `least` to `most`. */
export function count(least: number, most: number) {
  const expected = `a whole number from ${least} to ${most}`;
  return z.int(expected).min(least, expected).max(most, expected);
}

/** `auto` or a whole number. */
export function automatic(least: number, most: number) {
  return z.union([z.literal('auto'), count(least, most)], `auto or a whole number from ${least} to ${most}`);
}

export function choice<const T extends readonly [string, ...string[]]>(...values: T) {
  return z.enum(values, alternatives(values));
}

const falseAsNone = z.literal(false).transform(() => 'none' as const);

/** `none` or one of `values`; the boolean false, which YAML 1.1 tools make of `off` and `no`, is read as `none`. */
export function choiceOrNone<const T extends readonly [string, ...string[]]>(...values: T) {
  return z.union([z.enum(['none', ...values]), falseAsNone], alternatives(['none', ...values]));
}

/** `none` (or false) or what `schema` takes. */
export function orNone<T extends z.ZodType>(schema: T, expected: string) {
  return z.union([z.literal('none'), falseAsNone, schema], `none or ${expected}`);
}

export const durationOrNone = orNone(duration(), 'a duration such as 250ms, 60s, 5m or 1h');
export const sizeOrNone = orNone(size, SIZE_EXPECTED);

/** A list; `least` 1 where an empty one would mean nothing. */
export function list<T extends z.ZodType>(item: T, expected: string, least: 0 | 1 = 1) {
  const whole = `a list of ${expected}${least === 1 ? ', at least one' : ''}`;
  const array = z.array(item, whole);
  return least === 0 ? array : array.min(least, whole);
}

/** Names of routes, listeners, issuers and so on: metric labels and words in messages. */
export const name = text(
  'a name of letters, digits, ".", "_" and "-", at most 64',
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
);

/** A host without a port, read in lower case. */
export const host = text(
  'a host name without scheme and port, such as gateway.monitoring.svc',
  /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})$/,
).transform((written) => written.toLowerCase());

/** Of a server's certificate (RFC 5280 §4.2.1.6): what has a colon is a URI. */
export const subjectAltName = text(
  'a host name, or a URI such as spiffe://cluster.local/ns/orders/sa/api',
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|[A-Za-z][A-Za-z0-9+.-]*:[!-~]+)$/,
);

/**
 * Name of a file; relative ones are meant relative to the file that names them. It is read and watched (keys.ts). Or its content
 * itself (content.ts).
 */
export const file = text(
  'the name of a file, or its content: PEM, or data:;base64,…',
  /^(?:\s*-----BEGIN [^\0]+|[^\0-\x1f\x7f]+)$/,
).meta({ file: true });

/** A key that a reload cannot change. */
export const RESTART = { restart: true } as const;

/** A field name (RFC 9110 §5.1). */
export const field = text('a field name such as X-Auth-Subject', /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/);

/** Where to listen: `host:port` or `unix:/path`, read as a Bind. */
export const bind = text('host:port, "[::]:8443" or unix:/run/holdfast.sock', BIND)
  .transform(place)
  .refine(
    (value) => 'path' in value || value.port <= 65_535,
    'host:port, "[::]:8443" or unix:/run/holdfast.sock, with a port up to 65535',
  );

/** An http or https URI without userinfo and fragment; `pattern` may say less. */
export function uri(expected: string, pattern = /^https?:\/\/[^\s/?#@\\]+[^\s#\\]*$/) {
  return text(expected, pattern).refine((value) => URL.canParse(value), expected);
}

/** Algorithms that we can verify, for tokens and proofs alike; all of them are asymmetric. */
export const algorithms = list(
  z.enum([...ALGORITHMS.keys()], alternatives([...ALGORITHMS.keys()])),
  'asymmetric algorithms such as ES256',
);

/** A member name of the claims; one with a leading @ is a fact of ours. */
export const claimName = text('the name of a claim', /^[^@\0-\x1f\x7f][^\0-\x1f\x7f]*$/);
