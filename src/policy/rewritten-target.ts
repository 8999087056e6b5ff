// A request target as received, but for a rewritten path.

import type { PathRewrite } from './edits.ts';

/**
 * By segments, since the raw path may spell what the route matched differently (`/%6Frders`, `/orders;v=1`). The query stays as it is, and so
 * does, byte for byte, what is behind a rewritten front. Never begins with two slashes.
 * @param target origin form, of a request that the route of the rewrite took
 */
export function rewrittenTarget(target: string, rewrite: PathRewrite | undefined): string {
  if (rewrite === undefined) return target;
  const at = target.indexOf('?');
  const [path, query] = at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at)];
  if (rewrite.part === 'whole') return `${rewrite.to}${query}`;
  const rest = path.split('/').slice(rewrite.segments + 1);
  return `${rest.length === 0 && rewrite.to !== '' ? rewrite.to : `${rewrite.to}/${rest.join('/')}`}${query}`;
}
