// The attachment of routes to listeners, with the hosts that each takes, or the refusal.

import { mapInSteps, type InSteps } from '../long-work.ts';
import type { Unresolved } from './certificates.ts';
import { type Hostname, intersect, isHostname, mostSpecific } from './hostname.ts';
import { type ClusterIndex, inPrecedence, nameKey } from './index.ts';
import { type JudgedListener, listenerId, type RouteKind } from './listeners.ts';
import type { AttachedRoute, ParentReference } from './objects.ts';
import { GATEWAY_GROUP } from './read-common.ts';

/** A listener that takes a route, with the hosts for which it does. */
export interface TakenHosts {
  readonly listener: JudgedListener;
  /** At least one; undefined among them: every host. */
  readonly hosts: readonly Hostname[];
}

/** One reference of a route to a Gateway or ListenerSet, judged. */
export interface Attachment {
  readonly route: AttachedRoute;
  readonly parentRef: ParentReference;
  readonly taken: readonly TakenHosts[];
  /** Why no listener takes the route. */
  readonly refused: Unresolved | undefined;
}

/** The owner of listeners to which a reference goes, as `nameKey` has it, behind its kind. */
export function parentKey(route: AttachedRoute, { group, kind, name, namespace }: ParentReference): string | undefined {
  if (group !== GATEWAY_GROUP || (kind !== 'Gateway' && kind !== 'ListenerSet')) return undefined;
  return `${kind} ${nameKey(namespace ?? route.meta.namespace, name)}`;
}

function ownerKey({ owner }: JudgedListener): string {
  return `${owner.kind} ${nameKey(owner.meta.namespace, owner.meta.name)}`;
}

/**
 * All references of routes to the listeners of one Gateway, in the order in which routes take precedence. An HTTPRoute and a
 * GRPCRoute that share a host on a listener exclude each other: the first one stays.
 * @param byParent routes by `parentKey`
 */
export function* attachRoutes(
  index: ClusterIndex,
  listeners: readonly JudgedListener[],
  byParent: ReadonlyMap<string, readonly AttachedRoute[]>,
): InSteps<readonly Attachment[]> {
  const owners = Map.groupBy(listeners, ownerKey);
  const routes = new Set([...owners.keys()].flatMap((key) => byParent.get(key) ?? []));
  const hostnames = hostnamesByPort(listeners);
  const hosts = new HostKinds();
  const attached = yield* mapInSteps(inPrecedence([...routes]), (route) =>
    route.parentRefs.flatMap((parentRef) => {
      const own = owners.get(parentKey(route, parentRef) ?? '');
      if (own === undefined) return [];
      return [hosts.withoutOtherKind(attach({ index, hostnames, listeners: own }, route, parentRef))];
    }),
  );
  return attached.flat();
}

/** Hostnames of the listeners of each port; those that do not serve count, so that nothing else gets their hosts. */
function hostnamesByPort(listeners: readonly JudgedListener[]): ReadonlyMap<number, readonly Hostname[]> {
  const byPort = Map.groupBy(listeners, ({ spec }) => spec.port);
  return new Map([...byPort].map(([port, here]) => [port, here.map(({ hostname }) => hostname)]));
}

/** A listener that takes HTTPRoutes takes Ingresses. */
function kindOf({ kind }: AttachedRoute): RouteKind {
  return kind === 'Ingress' ? 'HTTPRoute' : kind;
}

interface Surroundings {
  readonly index: ClusterIndex;
  readonly hostnames: ReadonlyMap<number, readonly Hostname[]>;
  readonly listeners: readonly JudgedListener[];
}

function attach(
  { index, hostnames, listeners }: Surroundings,
  route: AttachedRoute,
  parentRef: ParentReference,
): Attachment {
  const refuse = (reason: string, message: string): Attachment => ({
    route,
    parentRef,
    taken: [],
    refused: { reason, message },
  });
  const named = listeners.filter(
    ({ spec }) =>
      (parentRef.sectionName === undefined || parentRef.sectionName === spec.name) &&
      (parentRef.port === undefined || parentRef.port === spec.port),
  );
  if (named.length === 0) return refuse('NoMatchingParent', 'No listener of the parent has this sectionName and port.');
  const allowing = named.filter(
    ({ spec, owner, kinds }) =>
      kinds.includes(kindOf(route)) && index.admits(spec.allowedNamespaces, owner.meta.namespace, route.meta.namespace),
  );
  if (allowing.length === 0) {
    return refuse(
      'NotAllowedByListeners',
      `No listener of the parent allows ${route.kind}s of ${route.meta.namespace}.`,
    );
  }
  const taken = allowing
    .map((listener) => ({ listener, hosts: hostsOn(route, listener, hostnames.get(listener.spec.port) ?? []) }))
    .filter(({ hosts }) => hosts.length > 0);
  if (taken.length > 0) return { route, parentRef, taken, refused: undefined };
  return refuse('NoMatchingListenerHostname', 'No listener of the parent has a hostname in common with the route.');
}

/** Hosts that a listener takes for a route; those that a more specific listener of the port has are none of its own. */
function hostsOn(route: AttachedRoute, { hostname }: JudgedListener, ofPort: readonly Hostname[]): readonly Hostname[] {
  const wanted: readonly Hostname[] = route.hostnames.length === 0 ? [undefined] : route.hostnames.filter(isHostname);
  const shared = wanted
    .map((one) => intersect(hostname, one))
    .filter((host) => host !== false)
    .filter((host) => mostSpecific(ofPort, host) === hostname);
  return [...new Set(shared)];
}

/** Which kind of routes has a host of a listener: the first one that comes. */
class HostKinds {
  readonly #taken = new Map<string, Set<Hostname>>();

  withoutOtherKind(attachment: Attachment): Attachment {
    const { route, taken } = attachment;
    const kept = taken.filter(({ listener, hosts }) => this.#isFree(listener, hosts, kindOf(route)));
    for (const { listener, hosts } of kept) {
      const own = this.#hosts(listener, kindOf(route));
      for (const host of hosts) own.add(host);
    }
    if (kept.length > 0 || taken.length === 0) return { ...attachment, taken: kept };
    const message = 'A route of the other kind, HTTPRoute or GRPCRoute, has these hostnames on the listener already.';
    return { ...attachment, taken: [], refused: { reason: 'HostnameConflict', message } };
  }

  #isFree(listener: JudgedListener, hosts: readonly Hostname[], kind: RouteKind): boolean {
    const others = this.#hosts(listener, kind === 'HTTPRoute' ? 'GRPCRoute' : 'HTTPRoute');
    return ![...others].some((other) => hosts.some((host) => intersect(other, host) !== false));
  }

  #hosts(listener: JudgedListener, kind: RouteKind): Set<Hostname> {
    const id = `${kind} ${listenerId(listener)}`;
    const hosts = this.#taken.get(id) ?? new Set<Hostname>();
    this.#taken.set(id, hosts);
    return hosts;
  }
}
