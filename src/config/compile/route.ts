// Compilation of routes: their matches, and everything that is merged under them.

import { isKnownMethod } from '../../http/method.ts';
import { compileRequestLimits } from './limits.ts';
import { readAuthority, readRequestPath } from '../../http/uri.ts';
import { QUOTA_FIELDS } from '../../rate/quota.ts';
import type { Issuer } from '../../token/issuer.ts';
import type { RateLimit } from '../../rate/limit.ts';
import { type Compilation, expectedName, merged, unlessNone } from './compilation.ts';
import { compileChallenge, compileDemands, type RouteConfig } from './demand.ts';
import { checkFields, compileForward } from './forward.ts';
import { compileDestination } from './destination.ts';
import { compileRouteLimit } from './rate-limit.ts';
import { compileResource } from './resource.ts';
import { checkWeaker } from './weaker.ts';
import type { ConfigPath } from '../problem.ts';
import type { CorsRules, Demand, Route, RouteMatch } from '../../policy/policy.ts';
import type { Upstream } from '../../policy/upstream.ts';

/** What routes refer to by name. */
export interface Named {
  readonly listeners: readonly string[];
  readonly issuers: ReadonlyMap<string, Issuer>;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly rateLimits: ReadonlyMap<string, RateLimit>;
}

/**
 * All routes that can be compiled, each with its place in the configuration. Problems: names that nothing has or that two
 * routes have, hosts and paths that no request can match, demands weaker than the defaults that no key names, and what
 * the parts report (demand.ts, forward.ts, weaker.ts).
 * NOT checked: how routes meet each other and the listeners (route-table.ts, reach.ts).
 */
export function compileRoutes(compilation: Compilation, named: Named): ReadonlyMap<Route, ConfigPath> {
  const { routes, defaults } = compilation.read.config;
  checkFields(compilation, ['defaults', 'forward'], defaults.forward);
  const compiled = new Map<Route, ConfigPath>();
  for (const [index, config] of routes.entries()) {
    const at = ['routes', index];
    const earlier = routes.findIndex(({ name }) => name === config.name);
    if (earlier < index) {
      const [here, there] = [at, ['routes', earlier, 'name']].map((path) => compilation.read.position(path).file);
      const place = here === there ? '' : ` (${compilation.placeOf(['routes', earlier, 'name'])})`;
      compilation.problem([...at, 'name'], `is the name of an earlier route${place}, expected another one`);
    }
    compiled.set(compileRoute(compilation, at, config, named), at);
  }
  return compiled;
}

function compileRoute(compilation: Compilation, at: ConfigPath, config: RouteConfig, named: Named): Route {
  checkWeaker(compilation, at, config);
  if (config.forward) checkFields(compilation, [...at, 'forward'], config.forward);
  const { demand, shadow } = compileDemands(compilation, at, config, named.issuers);
  const match = compileMatch(compilation, [...at, 'match'], config, named.listeners);
  const { defaults } = compilation.read.config;
  const timeouts = merged(defaults.timeouts, config.timeouts);
  const limitAt = [...at, 'rate_limit'];
  const rateLimit = compileRouteLimit(
    compilation,
    limitAt,
    { name: config.rate_limit, requirement: demand.requirement },
    named.rateLimits,
  );
  return {
    name: config.name,
    match,
    ...compileDestination(compilation, at, config, named.upstreams),
    demand,
    shadow,
    challenge: compileChallenge(demand, config.resource?.identifier),
    encodedSlash: config.encoded.includes('slash'),
    stripPrefix: compileStripPrefix(compilation, at, config, match.path),
    forward: compileForward(compilation, at, config, { issuers: demand.issuers, upstream: config.upstream ?? '' }),
    cors: config.cors && compileCors(compilation, [...at, 'cors'], config.cors, exposedBy(rateLimit, demand)),
    rateLimit,
    limits: compileRequestLimits(config.limits ?? {}),
    timeouts: {
      connect: timeouts.connect,
      responseHeader: timeouts.response_header,
      idle: timeouts.idle,
      total: unlessNone(timeouts.total),
    },
    resource: config.resource && compileResource(config.resource),
  };
}

function compileMatch(
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
      'is not a valid host, expected one such as api.example.com or "*.example.com"',
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
  const methods = match.methods?.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  return {
    listeners: match.listeners,
    host,
    path: typeof path === 'string' ? path : match.path,
    methods: methods && [...new Set(methods)],
  };
}

/** A host pattern with its host as requests have it; undefined: not a host. */
export function readHostPattern(written: string): string | undefined {
  const [, wildcard = '', name = ''] = /^(\*\.)?(.+)$/.exec(written) ?? [];
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
      problem: 'is not a path that a request can have, expected no empty or dot segments, "?", "#", "\\" or broken %',
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

function compileStripPrefix(
  compilation: Compilation,
  at: ConfigPath,
  { rewrite }: RouteConfig,
  path: string,
): string | undefined {
  if (rewrite === undefined) return undefined;
  const prefix = readRequestPath(rewrite.strip_prefix)?.path;
  if (prefix !== undefined && !prefix.includes('*') && (path === prefix || path.startsWith(`${prefix}/`)))
    return prefix;
  compilation.problem(
    [...at, 'rewrite', 'strip_prefix'],
    `does not begin every path of this route, expected whole leading segments of ${path}, without "*"`,
  );
  return undefined;
}

/** What a script has to read in order to do better. */
function exposedBy(rateLimit: RateLimit | undefined, { signature }: Demand): readonly string[] {
  return [
    ...(rateLimit === undefined ? [] : [...QUOTA_FIELDS, 'Retry-After']),
    ...(signature === undefined ? [] : ['Accept-Signature', 'Want-Content-Digest']),
  ];
}

/** Pages may always read the request id. @param exposed and what the route says of itself */
function compileCors(
  compilation: Compilation,
  at: ConfigPath,
  config: NonNullable<RouteConfig['cors']>,
  exposed: readonly string[],
): CorsRules {
  for (const [index, origin] of config.origins.entries()) {
    const serialised = serialiseOrigin(origin);
    if (serialised === origin) continue;
    const expected = serialised ?? 'one such as https://app.example.com';
    compilation.problem([...at, 'origins', index], `is not as browsers write it, expected ${expected}`);
  }
  const requestId = [unlessNone(compilation.read.config.request_id) ?? []].flat();
  return {
    origins: config.origins,
    expose: [...new Set([...config.expose, ...requestId, ...exposed])],
    maxAge: Math.floor(config.max_age),
    credentials: config.credentials,
  };
}

/** An origin as a browser sends it (RFC 6454 §6.2); applications in their own shell have other schemes, such as `capacitor:`. */
function serialiseOrigin(written: string): string | undefined {
  const url = URL.parse(written);
  if (url === null) return undefined;
  return url.origin === 'null' ? `${url.protocol}//${url.host}`.toLowerCase() : url.origin;
}
