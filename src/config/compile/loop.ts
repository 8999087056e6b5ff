// Warnings of redirects that lead back to their own route: clients go in a circle.

import { ANY_HOST, sharedPattern } from '../../http/host-pattern.ts';
import type { Origin } from '../../http/origin.ts';
import { hostOf } from '../../http/uri.ts';
import { locationOf, type Redirect } from '../../policy/own-answer.ts';
import type { Listener, Route, RouteTable } from '../../policy/policy.ts';
import { chooseGroup } from '../../policy/route-table.ts';
import type { ConfigPath } from '../problem.ts';
import type { Compilation } from './compilation.ts';

/** Stands for what a client writes where a pattern has a star; no configuration is likely to have it. */
const SOME = 'x--x--x';
/** Statuses after which a client sends GET, whatever it sent before. */
const BECOMES_GET = new Set([301, 302, 303]);

/** NOT checked: circles of several routes, and of other servers. */
export function warnOfLoops(
  compilation: Compilation,
  listeners: readonly Listener[],
  routes: ReadonlyMap<Route, ConfigPath>,
  table: RouteTable,
): void {
  for (const [route, at] of routes) {
    const { own } = route;
    if (own?.kind !== 'redirect' || !takesNext(route, own)) continue;
    const circle = firstCircle(route, own, listeners, table);
    if (circle === undefined) continue;
    compilation.warning(
      [...at, 'redirect'],
      `leads from ${circle.from} to ${circle.to}, which this route takes again: clients go in a circle`,
    );
  }
}

/** Whether the next request of the client is one that the route takes by its method. */
function takesNext({ match: { methods } }: Route, { status }: Redirect): boolean {
  return methods === undefined || methods.includes('GET') || !BECOMES_GET.has(status);
}

function firstCircle(
  route: Route,
  own: Redirect,
  listeners: readonly Listener[],
  table: RouteTable,
): { readonly from: string; readonly to: string } | undefined {
  const here = listeners.filter(({ name }) => route.match.listeners?.includes(name) ?? true);
  const path = samplePath(route.match.path);
  for (const { origins } of here) {
    for (const origin of origins.flatMap((one) => sampleOrigin(route, one))) {
      const to = locationOf(own, { origin, target: path });
      const next = URL.parse(to);
      if (next !== null && here.some((listener) => takes(listener, next, { route, table })))
        return { from: shown(`${origin.scheme}://${origin.authority}${origin.pathPrefix}${path}`), to: shown(to) };
    }
  }
  return undefined;
}

function samplePath(pattern: string): string {
  return pattern.replaceAll(/(?<=\/)\*(?=\/|$)/g, SOME);
}

/** An origin with a host in it that the route takes, too. */
function sampleOrigin({ match }: Route, origin: Origin): readonly Origin[] {
  const host = sharedPattern(match.host ?? ANY_HOST, hostOf(origin.authority));
  if (host === undefined) return [];
  const port = origin.authority.slice(hostOf(origin.authority).length).replace(/^:\*$/, '');
  return [{ ...origin, authority: `${host.replace(/^\*{1,2}(?=\.|$)/, SOME)}${port}` }];
}

/** Whether a listener takes a URL for the route, by its origins, host and path. */
function takes(
  { name, origins }: Listener,
  { protocol, hostname, host, pathname }: URL,
  { route, table }: { readonly route: Route; readonly table: RouteTable },
): boolean {
  const port = host.slice(hostname.length);
  const origin = origins.find(({ scheme, authority, pathPrefix }) => {
    const ours = hostOf(authority);
    const theirs = authority.slice(ours.length);
    return (
      `${scheme}:` === protocol &&
      (theirs === port || theirs === ':*') &&
      sharedPattern(ours, hostname) !== undefined &&
      pathname.startsWith(pathPrefix)
    );
  });
  if (origin === undefined) return false;
  const group = chooseGroup(table, name, hostname, pathname.slice(origin.pathPrefix.length) || '/');
  return group?.routes.includes(route) ?? false;
}

const shown = (url: string) => url.replaceAll(SOME, '…');
