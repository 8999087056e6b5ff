// Compilation of field edits: which names they may have, and each once.

import { QUOTA_FIELDS } from '../../rate/quota.ts';
import { squeezeName } from '../../http/field.ts';
import { checkFieldName } from '../../policy/managed-fields.ts';
import type { FieldEdits } from '../../policy/edits.ts';
import { upstreamsOf } from '../../policy/upstream.ts';
import type { Listener, ManagedFields, Route } from '../../policy/policy.ts';
import type { ConfigPath } from '../problem.ts';
import { type Compilation, listed } from './compilation.ts';
import type { RouteConfig } from './demand.ts';
import { refuseWhereDecided } from './destination.ts';
import { wrongName } from './field.ts';

type Written = NonNullable<RouteConfig['request_fields']>;
/** What is wrong with a lower-cased name; undefined: nothing. */
type Judge = (lower: string) => string | undefined;

/** Of which a message has one line: a second one would mean two things. */
// biome-ignore format: a list
const SINGLE = new Set([
  'content-type', 'content-location', 'content-disposition', 'from', 'referer', 'user-agent', 'origin', 'range', 'if-match', 'if-none-match',
  'if-modified-since', 'if-unmodified-since', 'if-range', 'location', 'etag', 'age', 'expires', 'last-modified', 'retry-after', 'server',
  'strict-transport-security',
]);
/** Frames or encodes the body, or belongs to what the gateway itself judges or writes, in either direction. */
// biome-ignore format: two groups
const NEVER = new Set([
  'close', 'http2-settings', 'max-forwards', 'content-encoding', 'content-range', 'proxy-authentication-info',
  'content-digest', 'repr-digest', 'signature', 'signature-input', 'dpop',
]);
/** In answers: what tells clients how to prove themselves, and what is ours to say. */
// biome-ignore format: two groups
const NEVER_IN_ANSWERS = new Set([
  'www-authenticate', 'authentication-info', 'dpop-nonce', 'accept-signature', 'want-content-digest', 'allow',
  'vary', 'client-cert', 'client-cert-chain', 'grpc-status', 'grpc-message',
]);

/**
 * `request_fields` and `response_fields` of a route. Problems: a name that is there twice, and either of them where the proxy in front
 * forwards. NOT checked: names (checkEdits, when all managed ones are known).
 */
export function compileFieldEdits(
  compilation: Compilation,
  at: ConfigPath,
  config: RouteConfig,
): Pick<Route, 'requestFields' | 'responseFields'> {
  for (const key of ['request_fields', 'response_fields'] as const)
    if (config[key] !== undefined) refuseWhereDecided(compilation, at, config, key);
  const requestFields = editsOf(compilation, [...at, 'request_fields'], config.request_fields);
  const responseFields = editsOf(compilation, [...at, 'response_fields'], config.response_fields);
  return { ...(requestFields && { requestFields }), ...(responseFields && { responseFields }) };
}

function editsOf(compilation: Compilation, at: ConfigPath, written: Written | undefined): FieldEdits | undefined {
  if (written === undefined) return undefined;
  const { set, add, remove } = written;
  const seen = new Set<string>();
  for (const [place, name] of placesOf(at, written)) {
    const key = squeezeName(name.toLowerCase());
    if (seen.has(key)) compilation.problem(place, 'is edited twice, expected each field in one of set, add and remove');
    seen.add(key);
  }
  return { set: Object.entries(set), add: Object.entries(add), remove };
}

function placesOf(at: ConfigPath, { set, add, remove }: Written): readonly (readonly [ConfigPath, string])[] {
  return [
    ...Object.keys(set).map((name) => [[...at, 'set', name], name] as const),
    ...Object.keys(add).map((name) => [[...at, 'add', name], name] as const),
    ...remove.map((name, index) => [[...at, 'remove', index], name] as const),
  ];
}

/**
 * Warns of a field that a route sets and another route with the same upstream lets clients send: an upstream that goes by it could be told
 * anything there. Such fields are not managed, since on the other route they may be the client's own.
 */
export function warnOfOpenFields(compilation: Compilation, routes: ReadonlyMap<Route, ConfigPath>): void {
  for (const [route, at] of routes) {
    const reached = upstreamsOf(route);
    for (const [name] of route.requestFields?.set ?? []) {
      const key = squeezeName(name.toLowerCase());
      const open = [...routes.keys()].filter(
        (other) => upstreamsOf(other).some((one) => reached.includes(one)) && !isClosed(other.requestFields, key),
      );
      if (open.length === 0) continue;
      compilation.warning(
        [...at, 'request_fields', 'set', name],
        `sets ${name}, which clients of route ${listed(open.map((other) => other.name))} may send themselves to the same upstream: ` +
          'set or remove it there too',
      );
    }
  }
}

function isClosed(edits: FieldEdits | undefined, key: string): boolean {
  const names = [...(edits?.set.map(([name]) => name) ?? []), ...(edits?.remove ?? [])];
  return names.some((name) => squeezeName(name.toLowerCase()) === key);
}

/**
 * Problems: edits of fields that are managed or imitate one that is (C6.1 to C6.3), that carry credentials, frame the message or belong
 * to one connection, and of answers those by which clients prove themselves and those that other keys write; `add` of a field that has one line.
 * @param managed over all routes and listeners
 */
export function checkEdits(
  compilation: Compilation,
  listeners: readonly Listener[],
  routes: ReadonlyMap<Route, ConfigPath>,
  managed: ManagedFields,
): void {
  const interaction = new Set(listeners.flatMap(({ interactionId }) => interactionId?.toLowerCase() ?? []));
  const { tracing } = compilation.read.config;
  for (const [route, at] of routes) {
    if (route.requestFields === undefined && route.responseFields === undefined) continue;
    const written = compilation.read.config.routes[Number(at[1])];
    const both: Judge = (lower) => {
      if (interaction.has(lower)) return 'is the field of interaction_id';
      if (NEVER.has(lower) || lower.startsWith('sec-websocket-')) return 'belongs to the message as it was sent';
      return wrongName(lower);
    };
    checkNames(compilation, [...at, 'request_fields'], written?.request_fields, (lower) => {
      const isImitation = route.signed?.get(squeezeName(lower))?.includes(lower) === false;
      if (isImitation || checkFieldName(managed, lower) !== 'free')
        return 'is what only the gateway may say to an upstream';
      if (tracing !== undefined && /^(?:traceparent|tracestate)$/.test(lower)) return 'is written by tracing';
      return both(lower);
    });
    checkNames(compilation, [...at, 'response_fields'], written?.response_fields, (lower) => {
      const quota = route.rateLimit !== undefined && QUOTA_FIELDS.some((name) => name.toLowerCase() === lower);
      if (quota) return 'is written by rate_limit';
      if (lower === managed.requestId?.toLowerCase()) return 'is the field of request_id';
      if (lower.startsWith('access-control-')) return 'is what cors decides about';
      return NEVER_IN_ANSWERS.has(lower) ? 'is what other keys, or clients that prove themselves, go by' : both(lower);
    });
  }
}

function checkNames(compilation: Compilation, at: ConfigPath, written: Written | undefined, judge: Judge): void {
  if (written === undefined) return;
  for (const [place, name] of placesOf(at, written)) {
    const lower = name.toLowerCase();
    const problem = judge(lower) ?? (place.at(-2) === 'add' && SINGLE.has(lower) ? 'has one line only' : undefined);
    if (problem !== undefined)
      compilation.problem(
        place,
        `${problem}, expected ${problem.startsWith('has one') ? 'set' : 'another field name'}`,
      );
  }
}
