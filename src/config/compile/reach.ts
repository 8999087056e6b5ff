// The meeting of routes and listeners: unreachable routes, missing origins, mixed nonces.

import { mapInSteps, type InSteps } from '../../long-work.ts';
import { ANY_HOST, sharedPattern } from '../../http/host-pattern.ts';
import { hostOf } from '../../http/uri.ts';
import { type Compilation, listed } from './compilation.ts';
import type { ConfigPath } from '../problem.ts';
import { hasConditions } from '../../policy/match.ts';
import { chooseGroup, possibleGroups } from '../../policy/route-table.ts';
import type { Listener, Route, RouteTable } from '../../policy/policy.ts';

type Routes = ReadonlyMap<Route, ConfigPath>;

/** Stands for a label or segment that no configuration names. */
export const ANY = '\0';

/**
 * Problems: non-public routes on a listener without `origins`, or without a host where any is taken; certificates demanded where none can come, or their
 * names where they prove nothing; redirects to whatever host was called; hosts that no
 * origin of the route's listeners has; signatures over bodies that nobody sees or that have no limit; the upstream's nonces next to ours on one origin (C7.5).
 * NOT checked: whether a more specific route leaves this one any request (`checkChosen`).
 */
export function* checkReach(compilation: Compilation, listeners: readonly Listener[], routes: Routes): InSteps<void> {
  for (const [index, listener] of listeners.entries()) {
    const here = [...routes].filter(([route]) => isOn(route, listener));
    const needing = here.find(([route]) => requirements(route).some((one) => one !== 'public'));
    if (needing !== undefined && compilation.read.config.listeners[index]?.origins.length === 0) {
      compilation.problem(
        ['listeners', index, 'origins'],
        `is empty although route ${needing[0].name}, which is not public, can be reached, ` +
          'expected the origins by which clients call this listener',
      );
    }
    yield* mapInSteps(here, ([route, at]) => {
      checkNamesHost(compilation, at, route, listener);
      checkCertificates(compilation, at, route, listener);
      checkSubject(compilation, at, route, listener);
      checkSignable(compilation, at, route, listener);
      checkRedirect(compilation, at, route, listener);
    });
  }
  yield* mapInSteps(routes, ([route, at]) => checkHost(compilation, at, route, listeners));
  checkNonces(compilation, listeners, routes);
}

/**
 * Problems: routes that are never chosen, because for each of their requests another group comes first (route-table.ts). A warning where
 * all their listeners have `fall_through`: routes of many authors meet there.
 */
export function* checkChosen(
  compilation: Compilation,
  listeners: readonly Listener[],
  routes: Routes,
  table: RouteTable,
): InSteps<void> {
  yield* mapInSteps(routes, ([route, at]) => {
    const rivals = new Set<string>();
    const samples = listeners
      .filter((listener) => isOn(route, listener))
      .flatMap((listener) => sampleHosts(route, listener).map((host) => [listener.name, host] as const));
    const chosen = samples.some(([listener, host]) =>
      samplePaths(route.match.path).some((path) => {
        if (chooseGroup(table, listener, host, path)?.routes.includes(route)) return true;
        for (const group of possibleGroups(table, listener, host, path)) {
          if (group.routes.includes(route)) return true;
          for (const other of group.routes) rivals.add(other.name);
          if (group.routes.some(takesAll)) return false;
        }
        return false;
      }),
    );
    if (chosen || samples.length === 0) return;
    const here = [...at, 'match'];
    const taken =
      rivals.size > 0
        ? `more specific hosts or paths take all its requests: ${listed([...rivals])}`
        : 'its hosts have more specific routes, and with fall_through the most specific host is final';
    if (listeners.every((one) => !isOn(route, one) || one.fallThrough === true)) {
      compilation.warning(here, `is never chosen, because ${taken}`);
    } else compilation.problem(here, `is never chosen, because ${taken}; expected a different match`);
  });
}

/** Leaves nothing to a less specific group. */
function takesAll({ match }: Route): boolean {
  return match.methods === undefined && !hasConditions(match);
}

function isOn({ match }: Route, listener: Listener): boolean {
  return match.listeners?.includes(listener.name) ?? true;
}

function requirements({ demand, shadow }: Route): readonly Route['demand']['requirement'][] {
  return shadow === undefined ? [demand.requirement] : [demand.requirement, shadow.requirement];
}

/**
 * `htu` is held against the host of the request, which its sender chooses: it says what the proof was made for only where the route
 * names the hosts that are ours (RFC 9449 §4.3 check 9). Otherwise a proof for the host of a thief would be good here.
 */
function checkNamesHost(compilation: Compilation, at: ConfigPath, route: Route, listener: Listener): void {
  const any = listener.origins.find(({ authority }) => hostOf(authority) === ANY_HOST);
  if (any === undefined || route.match.host !== undefined) return;
  if (!requirements(route).some((one) => one !== 'public')) return;
  compilation.problem(
    [...at, 'match', 'host'],
    `is missing on a route that is not public, although listener ${listener.name} takes any host (${any.scheme}://${any.authority}): ` +
      'a proof made for a host of a thief would be good here; expected the host by which clients call this route',
  );
}

function checkCertificates(compilation: Compilation, at: ConfigPath, route: Route, listener: Listener): void {
  if (!requirements(route).includes('mtls')) return;
  if (listener.clientCertificate.request !== 'none' || listener.clientCertificateFrom !== undefined) return;
  const key = route.demand.requirement === 'mtls' ? ['require'] : ['shadow'];
  compilation.problem(
    [...at, ...key],
    `demands a certificate that listener ${listener.name} neither asks for nor is told of, expected client_certificate.request: ` +
      'optional or required there, client_certificate_from, or match.listeners without it',
  );
}

/** Under possession anybody writes any name into a certificate, so it is never forwarded as identity (RFC 8705 §6.2). */
function checkSubject(compilation: Compilation, at: ConfigPath, { forward }: Route, listener: Listener): void {
  const rule = forward.identity.find(({ source }) => 'fact' in source && source.fact === 'certificate_subject');
  if (rule === undefined || listener.clientCertificate.verify === 'chain') return;
  compilation.problem(
    [...at, 'forward', 'identity', rule.field],
    `is a name that is not verified on listener ${listener.name}, expected verify: chain there, or no "@certificate_subject"`,
  );
}

/** A body is held against its digest as it passes, and within a bound (C4a.11). */
function checkSignable(compilation: Compilation, at: ConfigPath, route: Route, listener: Listener): void {
  const { demand, shadow, limits } = route;
  if (demand.signature === undefined && shadow?.signature === undefined) return;
  const key = demand.signature === undefined ? ['shadow', 'signature'] : ['signature'];
  if (listener.decides !== undefined) {
    const expected = 'expected match.listeners with listeners that forward';
    compilation.problem(
      [...at, ...key],
      `covers bodies, of which listener ${listener.name} sees none (mode: decide), ${expected}`,
    );
  }
  if ((limits.requestBody ?? listener.limits.requestBody) === Number.POSITIVE_INFINITY) {
    const expected = 'expected limits.request_body on the route, such as 10MiB';
    compilation.problem(
      [...at, ...key],
      `covers bodies, which on listener ${listener.name} have no limit, ${expected}`,
    );
  }
}

/** Where any host is taken, nothing says that the one of a request is ours. */
function checkRedirect(compilation: Compilation, at: ConfigPath, { own }: Route, { name, origins }: Listener): void {
  if (own?.kind !== 'redirect' || own.host !== undefined || origins.length > 0) return;
  compilation.problem(
    [...at, 'redirect'],
    `leads to whatever host a request names, because listener ${name} has no origins, expected host here, or origins there`,
  );
}

function checkHost(compilation: Compilation, at: ConfigPath, route: Route, listeners: readonly Listener[]): void {
  const on = listeners.filter((listener) => isOn(route, listener));
  if (on.length === 0 || on.some((listener) => sampleHosts(route, listener).length > 0)) return;
  const hosts = on.flatMap(({ origins }) => origins.map(({ authority }) => hostOf(authority)));
  compilation.problem(
    [...at, 'match', 'host'],
    `is the host of no origin of its listeners, expected one of these: ${listed([...new Set(hosts)])}`,
  );
}

/** Hosts by which a route can be reached on a listener, each standing for its kind. Without origins every host is taken. */
export function sampleHosts({ match: { host = ANY_HOST } }: Route, { origins }: Listener): readonly string[] {
  if (origins.length === 0) return samplesOf(host);
  const hosts = origins.flatMap(({ authority }) => sharedPattern(host, hostOf(authority)) ?? []);
  return [...new Set(hosts.flatMap(samplesOf))];
}

/** `**.` stands for one label and for two. */
function samplesOf(pattern: string): readonly string[] {
  if (!pattern.startsWith('**.')) return [pattern.replace('*', ANY)];
  return [pattern.replace('**', ANY), pattern.replace('**', `${ANY}.${ANY}`)];
}

/**
 * Paths that fit the pattern and as few others as possible. For a final `/*`: the path itself, with a slash, and one segment
 * below; a group that takes this last one takes everything deeper too.
 */
export function samplePaths(pattern: string): readonly string[] {
  const below = pattern.endsWith('/*');
  const fixed = (below ? pattern.slice(0, -2) : pattern).replaceAll(/(?<=\/)\*(?=\/|$)/g, ANY);
  return below ? [fixed === '' ? '/' : fixed, `${fixed}/`, `${fixed}/${ANY}`] : [fixed];
}

/**
 * A client keeps one nonce per origin (RFC 9449 §8.2, §9), so an upstream whose DPoP-Nonce passes would overwrite ours. A problem of the
 * later of two routes where the upstream gets proofs as received; of a public route it is dropped, with a warning (docs/decisions/0011).
 */
function checkNonces(compilation: Compilation, listeners: readonly Listener[], routes: Routes): void {
  const blamed = new Set<Route>();
  for (const { route, at, asking } of clashes(listeners, routes)) {
    const [first] = asking;
    const where = `${shownOrigin(first.origin)}, where route ${first.route.name} asks for nonces of ours`;
    if (route.demand.requirement === 'public') {
      compilation.warning([...at, 'require'], `is public on ${where}: a DPoP-Nonce of its upstream is removed`);
      continue;
    }
    const expected = 'expected another origin for one of them, or nonce: none';
    const places = [...routes.keys()];
    if (places.indexOf(first.route) < places.indexOf(route)) {
      compilation.problem(
        [...at, 'forward', 'authorization'],
        `lets DPoP-Nonce of the upstream pass on ${where}, ${expected}`,
      );
      continue;
    }
    // Or whoever writes a route for an origin later would have those refused that are there.
    for (const { route: later, origin } of asking) {
      if (blamed.has(later)) continue;
      blamed.add(later);
      const passed = `${shownOrigin(origin)}, where route ${route.name} lets DPoP-Nonce of its upstream pass`;
      compilation.problem(
        [...(routes.get(later) ?? []), 'dpop', 'nonce'],
        `asks for nonces of ours on ${passed}, ${expected}`,
      );
    }
  }
}

const shownOrigin = ({ scheme, host, port }: Reached) => `${scheme}://${host}${port}`;

/** Public routes on an origin where another route asks for nonces of ours: a DPoP-Nonce of their upstreams must not pass. */
export function publicBesideNonces(listeners: readonly Listener[], routes: Routes): ReadonlySet<Route> {
  return new Set(clashes(listeners, routes).map(({ route }) => route));
}

/** An origin with the hosts of a route in it. */
interface Reached {
  readonly scheme: string;
  /** A pattern of hosts. */
  readonly host: string;
  /** With its colon; ':*': any. */
  readonly port: string;
}

interface Asking {
  readonly route: Route;
  readonly origin: Reached;
}

interface Clash {
  readonly route: Route;
  readonly at: ConfigPath;
  /** In the order of the configuration. */
  readonly asking: readonly [Asking, ...Asking[]];
}

function clashes(listeners: readonly Listener[], routes: Routes): Clash[] {
  const asking = [...routes.keys()].filter(
    ({ demand }) => demand.requirement !== 'public' && demand.dpop.nonce !== 'none',
  );
  if (asking.length === 0) return [];
  const asked = asking.flatMap((route) => originsOf(route, listeners).map((origin) => ({ origin, route })));
  const firsts = new AskedOrigins(asked);
  return [...routes].flatMap(([route, at]) => {
    const passes = route.demand.requirement === 'public' || route.forward.authorization === 'as-received';
    const passing = passes ? originsOf(route, listeners) : [];
    // Of public routes there are many, and one reason is enough.
    const isPublic = route.demand.requirement === 'public';
    const met = isPublic ? [firsts.firstMet(passing)].filter((one) => one !== undefined) : allMet(asked, passing);
    const [first, ...others] = met;
    return first === undefined ? [] : [{ route, at, asking: [first, ...others] }];
  });
}

function allMet(asked: readonly Asking[], passing: readonly Reached[]): readonly Asking[] {
  if (passing.length === 0) return [];
  return asked.filter(({ origin }) => passing.some((one) => meet(one, origin)));
}

interface PlacedOrigin extends Asking {
  readonly place: number;
}

/** Origins where routes ask for nonces, in the order of those routes. */
class AskedOrigins {
  /** Each origin once. */
  readonly #all: readonly PlacedOrigin[];
  readonly #patterns: readonly PlacedOrigin[];
  readonly #byHost: ReadonlyMap<string, readonly PlacedOrigin[]>;

  constructor(asked: readonly Asking[]) {
    const firsts = new Map<string, Asking>();
    for (const one of asked) {
      const { scheme, host, port } = one.origin;
      const key = `${scheme}://${host}${port}`;
      if (!firsts.has(key)) firsts.set(key, one);
    }
    this.#all = [...firsts.values()].map((one, place) => ({ ...one, place }));
    this.#patterns = this.#all.filter(({ origin }) => origin.host.includes('*'));
    this.#byHost = Map.groupBy(this.#all, ({ origin }) => origin.host);
  }

  /** The first that meets any of these. */
  firstMet(origins: readonly Reached[]): Asking | undefined {
    const met = origins.flatMap((one) => this.#near(one).find(({ origin }) => meet(one, origin)) ?? []);
    return met.toSorted((a, b) => a.place - b.place)[0];
  }

  /** All that can meet this one: a host without a star meets itself and patterns. */
  #near({ host }: Reached): readonly PlacedOrigin[] {
    if (host.includes('*')) return this.#all;
    return [...(this.#byHost.get(host) ?? []), ...this.#patterns].toSorted((a, b) => a.place - b.place);
  }
}

/** Origins by which clients reach a route. */
function originsOf(route: Route, listeners: readonly Listener[]): readonly Reached[] {
  return listeners
    .filter((listener) => isOn(route, listener))
    .flatMap(({ origins }) => origins)
    .flatMap(({ scheme, authority }) => {
      const host = sharedPattern(route.match.host ?? ANY_HOST, hostOf(authority));
      const port = authority.slice(hostOf(authority).length);
      return host === undefined ? [] : [{ scheme, host, port }];
    });
}

/** Some host of both origins is one origin to a client. */
function meet(one: Reached, two: Reached): boolean {
  const ports = one.port === two.port || one.port === ':*' || two.port === ':*';
  return ports && one.scheme === two.scheme && sharedPattern(one.host, two.host) !== undefined;
}
