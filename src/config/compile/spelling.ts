// Warnings of weak routes to which other spellings of a stricter route's path belong.

import type { ConfigPath } from '../problem.ts';
import type { Listener, Route, RouteTable } from '../../policy/policy.ts';
import { possibleGroups } from '../../policy/route-table.ts';
import { type Compilation, listed } from './compilation.ts';
import { ANY, sampleHosts } from './reach.ts';
import { waysAround } from './way-around.ts';

type Routes = ReadonlyMap<Route, ConfigPath>;

/**
 * Warns of a route that demands less than another one, has the same upstream, and takes what a lenient upstream reads as the path of
 * that one: `/ADMIN/1`, and below an exact path `/admin/1`. Paths are compared exactly (RFC 3986 §6.2.2.1); not every upstream does.
 */
export function warnOfSpellings(
  compilation: Compilation,
  listeners: readonly Listener[],
  routes: Routes,
  table: RouteTable,
): void {
  const taken = new Map<Route, Map<Route, string>>();
  for (const strict of routes.keys()) {
    for (const { weak, path } of takers(strict, listeners, table)) {
      const before = taken.get(weak) ?? new Map<Route, string>();
      if (!before.has(strict)) before.set(strict, path);
      taken.set(weak, before);
    }
  }
  for (const [weak, stricter] of taken) {
    const paths = [...stricter].map(([strict, path]) => `${path} of ${strict.name}`);
    compilation.warning(
      [...(routes.get(weak) ?? []), 'match', 'path'],
      `takes ${listed(paths)}, demands less and has the same upstream: one that ignores case, or serves more below a path, ` +
        'answers there without what the other route demands',
    );
  }
}

/** Routes that a near spelling of this route's path leads to and that demand less, for the same upstream. */
function takers(strict: Route, listeners: readonly Listener[], table: RouteTable) {
  if (strict.demand.requirement === 'public') return [];
  const paths = nearSpellings(strict.match.path);
  return listeners
    .filter(({ name }) => strict.match.listeners?.includes(name) ?? true)
    .flatMap((listener) => sampleHosts(strict, listener).map((host) => [listener.name, host] as const))
    .flatMap(([listener, host]) => paths.map((path) => ({ path, groups: possibleGroups(table, listener, host, path) })))
    .flatMap(({ path, groups }) =>
      groups.flatMap((group) => waysAround(group, strict)).map((weak) => ({ weak, path: path.replaceAll(ANY, '…') })),
    );
}

/** `/admin/*` → `/ADMIN/1`; `/admin` → `/ADMIN`, `/admin/1`. */
function nearSpellings(pattern: string): readonly string[] {
  const below = pattern.endsWith('/*');
  const fixed = (below ? pattern.slice(0, -2) : pattern).replaceAll(/(?<=\/)\*(?=\/|$)/g, ANY);
  // A percent-encoded byte has one spelling here.
  const swap = (text: string) => text.replaceAll(/%[0-9A-F]{2}|[a-z]+|[A-Z]+/g, swapCase);
  const other = swap(fixed);
  const exact = below || fixed === '/' ? [] : [`${fixed}/${ANY}`];
  return [...(other === fixed ? [] : [below ? `${other}/${ANY}` : other]), ...exact];
}

function swapCase(letters: string): string {
  if (letters.startsWith('%')) return letters;
  return letters === letters.toLowerCase() ? letters.toUpperCase() : letters.toLowerCase();
}
