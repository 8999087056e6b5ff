// Compilation of the answers that a route gives in place of an upstream.

import { readAuthority } from '../../http/uri.ts';
import type { FixedAnswer, OwnAnswer, Redirect } from '../../policy/own-answer.ts';
import type { ConfigPath } from '../problem.ts';
import type { Compilation } from './compilation.ts';
import type { RouteConfig } from './demand.ts';
import { refuseWhereDecided } from './destination.ts';
import { compilePath } from './rewrite.ts';

/** Statuses whose answers need more than a body: a challenge, a part of something, a form that is emptied. */
const OTHERS = new Set([205, 206, 401, 407]);
const PLAIN = 'text/plain; charset=utf-8';

/**
 * `respond` or `redirect` of a route; undefined: it has neither. Problems: an upstream, a rewrite or the other one next to it, a listener
 * that decides, statuses that a fixed answer cannot have, a body where there can be none, redirects that change nothing, and paths and
 * hosts that no request can have.
 * @param path of the route's match
 * NOT checked: that the host of a redirect is known (reach.ts).
 */
export function compileOwnAnswer(
  compilation: Compilation,
  at: ConfigPath,
  config: RouteConfig,
  path: string,
): OwnAnswer | undefined {
  const { respond, redirect } = config;
  const ways = (['upstream', 'upstreams', 'respond', 'redirect'] as const).filter((key) => config[key] !== undefined);
  if (respond === undefined && redirect === undefined) return undefined;
  if (ways.length > 1) compilation.problem(at, `has ${ways.join(' and ')}, expected one of them`);
  if (config.rewrite !== undefined)
    compilation.problem([...at, 'rewrite'], 'is about an upstream, and this route has none, expected no rewrite');
  for (const key of ['mirror', 'retries'] as const) {
    if (config[key] === undefined) continue;
    compilation.problem([...at, key], `is about an upstream, and this route has none, expected no ${key}`);
  }
  for (const key of ['respond', 'redirect'] as const)
    if (config[key] !== undefined) refuseWhereDecided(compilation, at, config, key);
  if (respond !== undefined) return compileRespond(compilation, [...at, 'respond'], respond);
  return redirect && compileRedirect(compilation, [...at, 'redirect'], redirect, path);
}

function compileRespond(
  compilation: Compilation,
  at: ConfigPath,
  { status, body = '', content_type: type }: NonNullable<RouteConfig['respond']>,
): FixedAnswer {
  if (OTHERS.has(status)) {
    compilation.problem([...at, 'status'], 'needs more than a fixed answer has, expected another status');
  }
  if (status === 204 && body !== '') compilation.problem([...at, 'body'], 'cannot be sent with 204, expected no body');
  if (body === '' && type !== undefined)
    compilation.problem([...at, 'content_type'], 'is that of no body, expected a body, or no content_type');
  return { kind: 'respond', status, body, contentType: body === '' ? undefined : (type ?? PLAIN) };
}

function compileRedirect(
  compilation: Compilation,
  at: ConfigPath,
  redirect: NonNullable<RouteConfig['redirect']>,
  path: string,
): Redirect {
  const { status, scheme, host, port } = redirect;
  const authority = host === undefined ? undefined : readAuthority(host, 'https');
  if (host !== undefined && authority === undefined)
    compilation.problem([...at, 'host'], 'is not a valid host, expected one such as www.example.com');
  const rewrite = { path: redirect.path, prefix: redirect.prefix };
  return { kind: 'redirect', status, scheme, host: authority, port, path: compilePath(compilation, at, rewrite, path) };
}
