// Compilation of rewrites: the path and the host that the upstream sees.

import { readAuthority, readRequestPath } from '../../http/uri.ts';
import type { PathRewrite } from '../../policy/edits.ts';
import type { Route } from '../../policy/policy.ts';
import type { ConfigPath } from '../problem.ts';
import type { Compilation } from './compilation.ts';
import type { RouteConfig } from './demand.ts';
import { refuseWhereDecided } from './destination.ts';

/**
 * `rewrite` of a route. Problems: one that changes nothing, paths and hosts that no request can have, several rewrites of the path, `prefix` on a route for one path, a
 * `strip_prefix` that does not begin every path of the route, `host` against `forward.host` of the same route, and any but `strip_prefix`
 * where the proxy in front forwards.
 * @param path of the route's match
 */
export function compileRewrite(
  compilation: Compilation,
  at: ConfigPath,
  config: RouteConfig,
  path: string,
): Pick<Route, 'path' | 'host'> {
  const { rewrite } = config;
  if (rewrite === undefined) return {};
  if (Object.values(rewrite).every((part) => part === undefined))
    compilation.problem([...at, 'rewrite'], 'changes nothing, expected host, path, prefix or strip_prefix');
  for (const key of ['prefix', 'path', 'host'] as const)
    if (rewrite[key] !== undefined) refuseWhereDecided(compilation, at, config, `rewrite.${key}`);
  const rewritten = compilePath(compilation, [...at, 'rewrite'], rewrite, path);
  const host = compileHost(compilation, at, config);
  return { ...(rewritten && { path: rewritten }), ...(host !== undefined && { host }) };
}

/**
 * A rewrite of the path, of an upstream's request or of a redirect. Problems as of `compileRewrite`, and both path and prefix.
 * @param path of the route's match
 */
export function compilePath(
  compilation: Compilation,
  at: ConfigPath,
  { strip_prefix: strip, prefix, path: whole }: Omit<NonNullable<RouteConfig['rewrite']>, 'host'>,
  path: string,
): PathRewrite | undefined {
  const parts = { strip_prefix: strip, prefix, path: whole };
  const written = Object.entries(parts).flatMap(([key, value]) => (value === undefined ? [] : [key]));
  if (written.length > 1) compilation.problem(at, `has ${written.join(' and ')}, expected one of them`);
  if (strip !== undefined) return compileStrip(compilation, [...at, 'strip_prefix'], strip, path);
  if (prefix !== undefined) {
    if (!path.endsWith('/*'))
      compilation.problem([...at, 'prefix'], 'is there although the path of the route has no last /*, expected path');
    const to = readTarget(compilation, [...at, 'prefix'], prefix).replace(/\/$/, '');
    return { part: 'front', segments: segmentsOf(path.slice(0, -2)), to };
  }
  if (whole === undefined) return undefined;
  return { part: 'whole', to: readTarget(compilation, [...at, 'path'], whole) };
}

/** A path as requests have it: what we send on is what we would take. */
function readTarget(compilation: Compilation, at: ConfigPath, written: string): string {
  const read = readRequestPath(written);
  if (read !== undefined && !read.encodedSlash && !read.path.includes('*')) return read.path;
  compilation.problem(
    at,
    'is not a path that a request can have, expected no "*", encoded slash, empty or dot segments, "?", "#", "\\" or broken %',
  );
  return '/';
}

function compileStrip(
  compilation: Compilation,
  at: ConfigPath,
  written: string,
  path: string,
): PathRewrite | undefined {
  const prefix = readRequestPath(written)?.path;
  if (prefix !== undefined && !prefix.includes('*') && (path === prefix || path.startsWith(`${prefix}/`)))
    return { part: 'front', segments: segmentsOf(prefix), to: '' };
  compilation.problem(
    at,
    `does not begin every path of this route, expected whole leading segments of ${path}, without "*"`,
  );
  return undefined;
}

function compileHost(compilation: Compilation, at: ConfigPath, { rewrite, forward }: RouteConfig): string | undefined {
  const host = rewrite?.host;
  if (host === undefined) return undefined;
  if (forward?.host !== undefined)
    compilation.problem(
      [...at, 'rewrite', 'host'],
      'says what forward.host of this route says too, expected one of them',
    );
  if (readAuthority(host, 'https') === undefined)
    compilation.problem([...at, 'rewrite', 'host'], 'is not a valid host with an optional port');
  return host.toLowerCase();
}

/** `/a/b` → 2; `` → 0. */
function segmentsOf(path: string): number {
  return path.split('/').length - 1;
}
