// Compilation of routes: their matches, and everything that is merged under them.

import { compileRequestLimits } from './limits.ts';
import { mapInSteps, type InSteps } from '../../long-work.ts';
import { QUOTA_FIELDS } from '../../rate/quota.ts';
import type { Issuer } from '../../token/issuer.ts';
import type { RateLimit } from '../../rate/limit.ts';
import { type Compilation, merged, unlessNone } from './compilation.ts';
import { compileChallenge, compileDemands, type RouteConfig } from './demand.ts';
import { checkFields, compileForward } from './forward.ts';
import { compileDestination, refuseWhereDecided } from './destination.ts';
import { compileRouteLimit } from './rate-limit.ts';
import { signedFields } from '../../policy/managed-fields.ts';
import { compileRewrite } from './rewrite.ts';
import { compileFieldEdits } from './edits.ts';
import { compileResource } from './resource.ts';
import { compileMatch } from './match.ts';
import { compileOwnAnswer } from './own-answer.ts';
import { checkWeaker } from './weaker.ts';
import type { ConfigPath } from '../problem.ts';
import type { CorsRules, Demand, Route } from '../../policy/policy.ts';
import { NO_UPSTREAM, type Upstream } from '../../policy/upstream.ts';

/** What routes refer to by name. */
export interface Named {
  /** Everything of the configuration but upstreams and routes. */
  readonly around: object;
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
export function* compileRoutes(compilation: Compilation, named: Named): InSteps<ReadonlyMap<Route, ConfigPath>> {
  const { routes, defaults } = compilation.read.config;
  checkFields(compilation, ['defaults', 'forward'], defaults.forward);
  const compiled = new Map<Route, ConfigPath>();
  const { around, issuers, rateLimits } = named;
  const firsts = new Map<string, number>();
  yield* mapInSteps(routes.entries(), ([index, config]) => {
    const at = ['routes', index];
    const earlier = firsts.get(config.name) ?? index;
    firsts.set(config.name, earlier);
    if (earlier < index) {
      const [here, there] = [at, ['routes', earlier, 'name']].map((path) => compilation.read.position(path).file);
      const place = here === there ? '' : ` (${compilation.placeOf(['routes', earlier, 'name'])})`;
      compilation.problem([...at, 'name'], `is the name of an earlier route${place}, expected another one`);
    }
    const from = [around, issuers, rateLimits, ...upstreamNames(config).map((name) => named.upstreams.get(name))];
    const compile = () => compileRoute(compilation, at, config, named);
    compiled.set(compilation.keep(config, at, from, compile), at);
  });
  return compiled;
}

function upstreamNames({ upstream, upstreams = [], mirror = [] }: RouteConfig): readonly string[] {
  const names = [upstream, ...upstreams.map(({ name }) => name), ...mirror.map((one) => one.upstream)];
  return names.filter((name) => name !== undefined);
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
  const own = compileOwnAnswer(compilation, at, config, match.path);
  return {
    name: config.name,
    match,
    ...(own === undefined
      ? compileDestination(compilation, at, config, named.upstreams)
      : { upstream: NO_UPSTREAM, own }),
    demand,
    shadow,
    ...(demand.signature && { signed: signedFields(demand.signature) }),
    challenge: compileChallenge(demand, config.resource?.identifier),
    encodedSlash: config.encoded.includes('slash'),
    ...compileRetries(compilation, at, config),
    ...compileRewrite(compilation, at, config, match.path),
    ...compileFieldEdits(compilation, at, config),
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

/** Problem: where the proxy in front forwards. */
function compileRetries(compilation: Compilation, at: ConfigPath, config: RouteConfig): Pick<Route, 'retries'> {
  const { retries } = config;
  if (retries === undefined) return {};
  refuseWhereDecided(compilation, at, config, 'retries');
  return { retries };
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
