// Compilation of matches: hosts, paths, methods, fields and query as requests have them.

import { squeezeName } from '../../http/field.ts';
import { isKnownMethod } from '../../http/method.ts';
import { readAuthority, readRequestPath } from '../../http/uri.ts';
import { checkFieldName, compileManagedFields } from '../../policy/managed-fields.ts';
import type { MatchCondition, RouteMatch } from '../../policy/match.ts';
import type { Listener, Route } from '../../policy/policy.ts';
import { type Compilation, expectedName } from './compilation.ts';
import type { RouteConfig } from './demand.ts';
import { wrongMatchedField } from './field.ts';
import type { ConfigPath } from '../problem.ts';

/**
 * The match of one route. Problems: listeners that are not declared, hosts, paths and methods with which no request gets here, and
 * fields and parameters by which no route may be chosen.
 * NOT checked: fields that only the gateway sets (`checkMatchedFields`), and how matches meet each other (route-table.ts).
 */
export function compileMatch(
  compilation: Compilation,
  at: ConfigPath,
  { match, encoded }: RouteConfig,
  listeners: readonly string[],
): RouteMatch {
  for (const [index, name] of (match.listeners ?? []).entries()) {
    if (listeners.includes(name)) continue;
    compilation.problem([...at, 'listeners', index], `is not a declared listener, ${expectedName(name, listeners)}`);
  }
  const host = match.host === undefined ? undefined : readHostPattern(match.host);
  if (match.host !== undefined && host === undefined) {
    compilation.problem(
      [...at, 'host'],
      'is not a valid host, expected one such as api.example.com, "*.example.com" or "**.example.com"',
    );
  } else if (host === undefined && compilation.read.includedBy(at) !== undefined) {
    compilation.problem([...at, 'host'], 'is missing, expected a host: routes of an included file name theirs');
  }
  const path = readPathPattern(match.path);
  if (typeof path === 'object') compilation.problem([...at, 'path'], path.problem);
  else if (path.includes('%2F') && !encoded.includes('slash')) {
    compilation.problem(
      [...at, 'path'],
      'has %2F, with which no request gets here, expected encoded: [slash] on this route',
    );
  }
  for (const [index, method] of (match.methods ?? []).entries()) {
    if (isKnownMethod(method)) continue;
    const expected = 'expected a registered one such as GET, POST or PROPFIND';
    compilation.problem([...at, 'methods', index], `is a method with which no request gets here, ${expected}`);
  }
  const methods = match.methods?.flatMap((method) => (method === 'GET' && match.head ? ['GET', 'HEAD'] : [method]));
  return {
    listeners: match.listeners,
    host,
    path: typeof path === 'string' ? path : match.path,
    methods: methods && [...new Set(methods)],
    ...compileConditions(compilation, at, match),
  };
}

/** Where nothing is asked, nothing is there. */
function compileConditions(
  compilation: Compilation,
  at: ConfigPath,
  { headers: fields, query: parameters }: RouteConfig['match'],
): Pick<RouteMatch, 'headers' | 'query'> {
  const headers = conditionsOf(fields).map(({ name, value }) => ({ name: name.toLowerCase(), value }));
  for (const [index, written] of Object.keys(fields ?? {}).entries()) {
    const name = written.toLowerCase();
    const wrong = wrongMatchedField(name);
    if (wrong !== undefined) compilation.problem([...at, 'headers', written], `${wrong}, expected another field`);
    else if (headers.findIndex((one) => one.name === name) < index)
      compilation.problem([...at, 'headers', written], 'is named before in other capitals, expected each field once');
  }
  // A token there is refused, or none of our business (RFC 6750 §2.3).
  if (parameters?.access_token !== undefined) {
    const here = [...at, 'query', 'access_token'];
    compilation.problem(here, 'holds credentials, which choose no route, expected another parameter');
  }
  const query = conditionsOf(parameters);
  return { ...(headers.length > 0 && { headers }), ...(query.length > 0 && { query }) };
}

type Written = Readonly<Record<string, string>> | undefined;

function conditionsOf(written: Written): readonly MatchCondition[] {
  return Object.entries(written ?? {}).map(([name, value]) => ({ name, value }));
}

/** ext_authz over HTTP brings Host, method, path and length of a request, and other fields where it is told to. */
function warnOfUnseenFields(
  compilation: Compilation,
  at: ConfigPath,
  { headers, listeners: on }: RouteMatch,
  listeners: readonly Listener[],
): void {
  const front = listeners.find(
    ({ name, decides }) => decides?.dialect === 'envoy-http' && (on?.includes(name) ?? true),
  );
  if (headers === undefined || front === undefined) return;
  compilation.warning(
    [...at, 'match', 'headers'],
    `asks for fields that listener ${front.name} sees only where the proxy in front brings them (allowed_headers of ext_authz): where it does not, ` +
      'no request gets here',
  );
}

/** Warnings: see above. Problems: fields that no request has here because only the gateway sets them, or that imitate such a one. */
export function checkMatchedFields(
  compilation: Compilation,
  routes: ReadonlyMap<Route, ConfigPath>,
  listeners: readonly Listener[],
  requestId: string | undefined,
): void {
  if (![...routes.keys()].some(({ match }) => match.headers !== undefined)) return;
  const managed = compileManagedFields([...routes.keys()], listeners, requestId);
  for (const [{ match, signed }, at] of routes) {
    warnOfUnseenFields(compilation, at, match, listeners);
    for (const { name } of match.headers ?? []) {
      const isImitation = signed?.get(squeezeName(name))?.includes(name) === false;
      const standing = isImitation ? 'forbidden' : checkFieldName(managed, name);
      if (standing === 'free' || wrongMatchedField(name) !== undefined) continue;
      const written = Object.keys(compilation.read.config.routes[Number(at[1])]?.match.headers ?? {});
      compilation.problem(
        [...at, 'match', 'headers', written.find((one) => one.toLowerCase() === name) ?? name],
        standing === 'managed'
          ? 'is a field that only the gateway sets and that never comes from clients, expected another one'
          : 'imitates a field of the gateway, with which every request is refused, expected another one',
      );
    }
  }
}

/** A host pattern with its host as requests have it; undefined: not a host. */
export function readHostPattern(written: string): string | undefined {
  const [, wildcard = '', name = ''] = /^(\*{1,2}\.)?(.+)$/.exec(written) ?? [];
  const host = readAuthority(name, 'https');
  if (host === undefined) return undefined;
  const isAddress = host.startsWith('[') || !/[a-z][^.]*$/.test(host);
  if (wildcard !== '' && isAddress) return undefined;
  return `${wildcard}${host}`;
}

/** A path pattern in the form of request paths (C0.10), or why no request can match it. */
export function readPathPattern(written: string): string | { readonly problem: string } {
  const below = written.endsWith('/*');
  const fixed = below ? written.slice(0, -2) : written;
  const read = readRequestPath(fixed === '' ? '/' : fixed);
  if (read === undefined || (below && fixed.endsWith('/'))) {
    return {
      problem:
        'is not a path that a request can have, expected no empty or dot segments, "?" (parameters are match.query), "#", "\\" or broken %',
    };
  }
  if (read.matchPath !== read.path) {
    return {
      problem: 'has ";", and parameters are cut from paths before they are matched, expected a path without them',
    };
  }
  if (read.path.split('/').some((segment) => segment.includes('*') && segment !== '*')) {
    return { problem: 'has "*" next to other characters, expected it to stand for one whole segment' };
  }
  return fixed === '' ? '/*' : `${read.path}${below ? '/*' : ''}`;
}
