// The request target for the upstream: as received, but for a stripped prefix.

import type { RequestFacts } from '../../request-facts.ts';

/**
 * By segments, since the raw path may spell the prefix differently (`/%6Frders`, `/orders;v=1`). A path that does not lie below
 * the prefix goes as it is.
 */
export function forwardedTarget(
  { target, matchPath }: Pick<RequestFacts, 'target' | 'matchPath'>,
  stripPrefix: string | undefined,
): string {
  if (stripPrefix === undefined || !`${matchPath}/`.startsWith(`${stripPrefix}/`)) return target;
  const [path, query] = splitAt(target, target.indexOf('?'));
  const segments = path.split('/').slice(stripPrefix.split('/').length);
  return `/${segments.join('/')}${query}`;
}

function splitAt(text: string, at: number): readonly [string, string] {
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at)];
}
