// Upstreams as compiled: their targets, and how these are called and left alone.

export interface HealthRules {
  readonly path: string;
  /** Seconds. */
  readonly interval: number;
  /** Answers in a row. */
  readonly unhealthyAfter: number;
  readonly healthyAfter: number;
}

export interface CircuitRules {
  /** In a row, of one target. */
  readonly failures: number;
  /** Seconds. */
  readonly open: number;
}

export interface Upstream {
  readonly name: string;
  /** Empty: nothing can be sent at the moment. */
  readonly targets: readonly Target[];
  /** HTTP/2 alone; otherwise HTTP/1.1 alone. */
  readonly http2: boolean;
  /** Per target and worker; of HTTP/1.1 as many requests, of HTTP/2 connections with up to 100 each. */
  readonly connections: number;
  /** WebSockets at once, per target and worker. */
  readonly tunnels: number;
  readonly balance: 'least-pending' | 'round-robin';
  readonly health: HealthRules | undefined;
  readonly circuit: CircuitRules | undefined;
  /** Answers over https that end with their connection are taken; a cut one then looks whole. */
  readonly closeDelimited: boolean;
  /** Further attempts to connect; 0: nothing is ever sent again. */
  readonly retries: number;
  readonly tls: {
    readonly ca: string | undefined;
    readonly cert: string | undefined;
    readonly key: string | undefined;
    /** Called, and verified where there are no `subjectAltNames`. */
    readonly serverName: string | undefined;
    /** DNS names and URIs: the certificate has to have one of them. */
    readonly subjectAltNames: readonly string[] | undefined;
  };
}

/** Of routes that only listeners in mode decide reach: the proxy in front forwards. */
export const NO_UPSTREAM: Upstream = {
  name: '',
  targets: [],
  http2: false,
  connections: 0,
  tunnels: 0,
  balance: 'least-pending',
  health: undefined,
  circuit: undefined,
  closeDelimited: false,
  retries: 0,
  tls: { ca: undefined, cert: undefined, key: undefined, serverName: undefined, subjectAltNames: undefined },
};

export interface Target {
  /** `http://127.0.0.1:9000`, or `http://localhost` with a socket path. */
  readonly origin: string;
  readonly socketPath: string | undefined;
}

/** A share of a route's requests. */
export interface UpstreamShare {
  /** undefined: these requests lead nowhere, and are refused. */
  readonly upstream: Upstream | undefined;
  /** In relation to the sum of all. */
  readonly weight: number;
}

/** What gets copies of a route's requests. */
export interface Mirror {
  readonly upstream: Upstream;
  /** Of the requests that are copied, 0 to 1. */
  readonly share: number;
}

/** Where the requests of a route go, and how many of them; empty: the proxy in front forwards. */
export function sharesOf({ upstream, split }: Destination): readonly UpstreamShare[] {
  if (split !== undefined) return split;
  return upstream.name === NO_UPSTREAM.name ? [] : [{ upstream, weight: 1 }];
}

interface Destination {
  readonly mirrors?: readonly Mirror[];
  readonly upstream: Upstream;
  readonly split?: readonly UpstreamShare[];
}

/** Everything to which requests of a route, or copies of them, may be sent, each once. */
export function upstreamsOf(route: Destination): readonly Upstream[] {
  const shares = sharesOf(route).flatMap(({ upstream }) => (upstream === undefined ? [] : [upstream]));
  const all = [...shares, ...(route.mirrors ?? []).map(({ upstream }) => upstream)];
  return [...new Set(all)].filter(({ name }) => name !== NO_UPSTREAM.name);
}

/** The routes of each upstream that has any. */
export function usersOf<T extends Destination>(routes: readonly T[]): ReadonlyMap<Upstream, readonly T[]> {
  const users = new Map<Upstream, T[]>();
  for (const route of routes) {
    for (const upstream of upstreamsOf(route)) {
      const others = users.get(upstream);
      if (others === undefined) users.set(upstream, [route]);
      else others.push(route);
    }
  }
  return users;
}
