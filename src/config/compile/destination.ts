// Compilation of where the requests of a route go: one upstream, or several by weight.

import { NO_UPSTREAM, type Upstream, type UpstreamShare } from '../../policy/upstream.ts';
import type { Route } from '../../policy/policy.ts';
import type { ConfigPath } from '../problem.ts';
import { type Compilation, expectedName, listed } from './compilation.ts';
import type { RouteConfig } from './demand.ts';

type Upstreams = ReadonlyMap<string, Upstream>;

/**
 * `upstream` or `upstreams`, and `mirror` of a route. Problems: both or, where a listener of the route forwards, neither; names that nothing has or
 * that stand there twice; several upstreams or mirrors where the
 * proxy in front forwards, and mirrors that get the requests themselves. Warning: no weight above 0.
 */
export function compileDestination(
  compilation: Compilation,
  at: ConfigPath,
  config: RouteConfig,
  upstreams: Upstreams,
): Pick<Route, 'upstream' | 'split' | 'mirrors'> {
  const mirrors = compileMirrors(compilation, at, config, upstreams);
  if (config.upstreams === undefined) return { upstream: upstreamOf(compilation, at, config, upstreams), ...mirrors };
  if (config.upstream !== undefined)
    compilation.problem([...at, 'upstreams'], 'stands next to upstream, expected one of the two');
  refuseWhereDecided(compilation, at, config, 'upstreams');
  return {
    upstream: NO_UPSTREAM,
    split: compileSplit(compilation, [...at, 'upstreams'], config.upstreams, upstreams),
    ...mirrors,
  };
}

/** Keys that only a listener can obey that forwards. */
export type DecidedKey =
  | 'upstreams'
  | 'respond'
  | 'redirect'
  | 'mirror'
  | 'retries'
  | 'request_fields'
  | 'response_fields'
  | `rewrite.${'host' | 'path' | 'prefix'}`;

/** For what only a listener that forwards can do. */
export function refuseWhereDecided(
  compilation: Compilation,
  at: ConfigPath,
  { match }: RouteConfig,
  key: DecidedKey,
): void {
  const { listeners } = compilation.read.config;
  const decides = listeners.find((one) => one.mode === 'decide' && (match.listeners?.includes(one.name) ?? true));
  if (decides === undefined) return;
  compilation.problem(
    [...at, ...key.split('.')],
    `is nothing that listener ${decides.name} can do (mode: decide), expected it in the proxy in front, or match.listeners with listeners that forward`,
  );
}

function compileSplit(
  compilation: Compilation,
  at: ConfigPath,
  written: NonNullable<RouteConfig['upstreams']>,
  upstreams: Upstreams,
): readonly UpstreamShare[] {
  for (const [index, { name }] of written.entries()) {
    if (name === undefined || written.findIndex((one) => one.name === name) === index) continue;
    compilation.problem([...at, index, 'name'], 'is there before, expected each upstream once');
  }
  if (written.every(({ weight }) => weight === 0))
    compilation.warning(at, 'has no weight above 0: every request is answered 500 (upstream_absent)');
  return written.map(({ name, weight }, index) => ({
    upstream: name === undefined ? undefined : namedUpstream(compilation, [...at, index, 'name'], name, upstreams),
    weight,
  }));
}

function compileMirrors(
  compilation: Compilation,
  at: ConfigPath,
  config: RouteConfig,
  upstreams: Upstreams,
): Pick<Route, 'mirrors'> {
  if (config.mirror === undefined) return {};
  refuseWhereDecided(compilation, at, config, 'mirror');
  const taken = new Set([config.upstream, ...(config.upstreams ?? []).map(({ name }) => name)]);
  const mirrors = config.mirror.map(({ upstream: name, percent }, index) => {
    const here = [...at, 'mirror', index, 'upstream'];
    if (taken.has(name)) compilation.problem(here, 'gets requests of this route already, expected each upstream once');
    taken.add(name);
    return { upstream: namedUpstream(compilation, here, name, upstreams), share: percent / 100 };
  });
  return { mirrors };
}

function upstreamOf(
  compilation: Compilation,
  at: ConfigPath,
  { upstream: name, match }: RouteConfig,
  upstreams: Upstreams,
): Upstream {
  if (name !== undefined) return namedUpstream(compilation, [...at, 'upstream'], name, upstreams);
  const { listeners } = compilation.read.config;
  const forwards = listeners.find((one) => one.mode === 'proxy' && (match.listeners?.includes(one.name) ?? true));
  if (forwards === undefined) return NO_UPSTREAM;
  compilation.problem(
    at,
    `has no upstream, and listener ${forwards.name} forwards; expected upstream (one of: ${listed([...upstreams.keys()])}), upstreams, respond or redirect`,
  );
  return NO_UPSTREAM;
}

/** What stands in for one that does not exist lets the rest of the route be looked at too. */
function namedUpstream(compilation: Compilation, at: ConfigPath, name: string, upstreams: Upstreams): Upstream {
  const upstream = upstreams.get(name);
  if (upstream !== undefined) return upstream;
  compilation.problem(at, `is not a declared upstream, ${expectedName(name, [...upstreams.keys()])}`);
  return NO_UPSTREAM;
}
