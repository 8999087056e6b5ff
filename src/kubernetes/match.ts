// The matches of HTTPRoutes and GRPCRoutes as matches of the configuration.

import { isKnownMethod } from '../http/method.ts';
import { readPathPattern } from '../config/compile/match.ts';
import type { Condition, RouteMatchSpec } from './objects.ts';

/** What a route of the configuration matches by, its host and listeners left out. */
export interface PlannedMatch {
  readonly path: string;
  readonly methods?: readonly string[];
  readonly head?: false;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
}

/** A match that cannot be had as it is written. */
export interface UnsupportedMatch {
  /** Complete sentence. */
  readonly message: string;
  /** A match that has all its requests, and more. Undefined: which paths these are cannot be said. */
  readonly wider: PlannedMatch | undefined;
}

/**
 * A match in the words of the configuration. NOT checked: whether its fields may be matched (config/compile).
 */
export function planMatch(match: RouteMatchSpec): PlannedMatch | UnsupportedMatch {
  const path = match.path === undefined ? callPath(match.call) : plainPath(match.path);
  if (path === undefined) {
    const written = match.path ?? match.call;
    return { message: `A match of type ${written?.type} with these values is not supported.`, wider: undefined };
  }
  const wider = { path };
  if (match.unknown.length > 0) {
    return { message: `The match has members that are not known here: ${match.unknown.join(', ')}.`, wider };
  }
  if (match.method !== undefined && (!isKnownMethod(match.method) || /^(?:TRACE|CONNECT)$/.test(match.method))) {
    return { message: `Requests of method ${match.method} are never routed.`, wider };
  }
  const odd = [...match.headers, ...match.query].find(({ type, name }) => type !== 'Exact' || name === '');
  if (odd !== undefined) {
    return { message: `A condition of type ${odd.type} on ${odd.name} is not supported, expected Exact.`, wider };
  }
  return {
    path,
    ...(match.method !== undefined && { methods: [match.method], head: false }),
    ...(match.headers.length > 0 && { headers: byName(match.headers, (name) => name.toLowerCase()) }),
    ...(match.query.length > 0 && { query: byName(match.query, (name) => name) }),
  };
}

/** Of several conditions on one name the first counts. */
function byName(conditions: readonly Condition[], spell: (name: string) => string): Readonly<Record<string, string>> {
  return Object.fromEntries(conditions.toReversed().map(({ name, value }) => [spell(name), value]));
}

function plainPath({ type, value }: NonNullable<RouteMatchSpec['path']>): string | undefined {
  if (value.includes('*')) return undefined; // it would stand for a segment
  if (type === 'Exact') return taken(value);
  if (type !== 'PathPrefix') return undefined;
  const prefix = value.replace(/\/+$/, '');
  return taken(`${prefix}/*`);
}

/** As the configuration takes it, in the form of request paths. */
function taken(path: string): string | undefined {
  const read = readPathPattern(path);
  return typeof read === 'string' && read === path ? path : undefined;
}

/** `/package.Service/Method` (gRPC over HTTP/2); a method of any service has a star for it. */
function callPath(call: RouteMatchSpec['call']): string | undefined {
  if (call === undefined) return '/*';
  const { type, service, method } = call;
  if (type !== 'Exact' || /[*/]/.test(`${service}${method}`)) return undefined;
  if (service === '' && method === '') return '/*';
  return taken(method === '' ? `/${service}/*` : `/${service === '' ? '*' : service}/${method}`);
}
