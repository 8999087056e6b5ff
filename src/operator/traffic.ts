// Recent traffic of all workers, added up and put into the words that an operator looks for.

import type { Reason } from '../rejection/rejection.ts';
import {
  type CountedRefusals,
  DURATIONS,
  type Recent,
  type RouteTraffic,
  type SeenRefusal,
  sum,
} from '../observe/recent.ts';

/** Shares are 0 to 1; undefined: there was no request. Durations are seconds. */
export interface Rates {
  /** Over the last five minutes. */
  readonly perSecond: number;
  readonly refused: number | undefined;
  readonly failed: number | undefined;
  readonly p50: number | undefined;
  readonly p99: number | undefined;
}

/** Requests of the last hour, the newest minute last. */
export interface TrafficStatus extends Rates {
  readonly requestsByMinute: readonly number[];
  readonly refusedByMinute: readonly number[];
  readonly routes: readonly (Rates & { readonly route: string })[];
}

export interface RefusalStatus extends CountedRefusals {
  /** Where to look first; '': nothing more is known than the reason says. */
  readonly lookAt: string;
}

export interface LastRefusal extends SeenRefusal {
  readonly expected: string;
  readonly received: string;
}

const MINUTES = 5;

/** Of every worker one part; routes and reasons that several have are added up. */
export function mergeRecent(parts: readonly Recent[]): Recent {
  const routes = Map.groupBy(
    parts.flatMap((part) => part.routes),
    ({ route }) => route,
  );
  const refusals = Map.groupBy(
    parts.flatMap((part) => part.refusals),
    ({ reason, route }) => `${reason} ${route}`,
  );
  return {
    routes: [...routes.values()].map(addTraffic),
    refusals: [...refusals.values()].map(addRefusals),
    last: parts
      .flatMap(({ last }) => last)
      .toSorted((a, b) => b.at - a.at)
      .slice(0, 50),
  };
}

function addTraffic(parts: readonly RouteTraffic[]): RouteTraffic {
  const [first] = parts;
  const column = (key: 'requests' | 'refused' | 'failed' | 'durations') =>
    (first?.[key] ?? []).map((_, at) => sum(parts.map((part) => part[key][at] ?? 0)));
  return {
    route: first?.route ?? '',
    requests: column('requests'),
    refused: column('refused'),
    failed: column('failed'),
    durations: column('durations'),
  };
}

function addRefusals(parts: readonly CountedRefusals[]): CountedRefusals {
  const [first, ...others] = parts as readonly [CountedRefusals, ...CountedRefusals[]];
  const same = (key: 'client' | 'what') => (others.every((one) => one[key] === first[key]) ? first[key] : undefined);
  return {
    reason: first.reason,
    route: first.route,
    lastFiveMinutes: sum(parts.map((part) => part.lastFiveMinutes)),
    lastHour: sum(parts.map((part) => part.lastHour)),
    lastAt: Math.max(...parts.map((part) => part.lastAt)),
    client: same('client'),
    what: same('what'),
  };
}

export function trafficStatus({ routes }: Recent): TrafficStatus {
  const all = addTraffic(routes.length === 0 ? [NO_TRAFFIC] : routes);
  return {
    ...ratesOf(all),
    requestsByMinute: all.requests,
    refusedByMinute: all.refused,
    routes: routes.map((one) => ({ route: one.route, ...ratesOf(one) })),
  };
}

const NOTHING: readonly number[] = Array.from({ length: 60 }, () => 0);
const NO_TRAFFIC: RouteTraffic = { route: '', requests: NOTHING, refused: NOTHING, failed: NOTHING, durations: [] };

function ratesOf({ requests, refused, failed, durations }: RouteTraffic): Rates {
  const lately = (counts: readonly number[]) => sum(counts.slice(-MINUTES));
  const count = lately(requests);
  const share = (part: readonly number[]) => (count === 0 ? undefined : lately(part) / count);
  return {
    perSecond: count / (MINUTES * 60),
    refused: share(refused),
    failed: share(failed),
    p50: quantile(durations, 0.5),
    p99: quantile(durations, 0.99),
  };
}

/** The upper bound of the bucket in which it lies; of the last one the lower. */
function quantile(durations: readonly number[], share: number): number | undefined {
  const wanted = sum(durations) * share;
  if (wanted === 0) return undefined;
  let seen = 0;
  const at = durations.findIndex((count) => (seen += count) >= wanted);
  return at >= DURATIONS.length - 1 ? DURATIONS.at(-2) : DURATIONS[at];
}

/** Those of the last minutes first, the most frequent first. */
export function refusalStatus({ refusals }: Recent): readonly RefusalStatus[] {
  return refusals
    .map((one) => ({ ...one, lookAt: lookAt(one) }))
    .toSorted((a, b) => b.lastFiveMinutes - a.lastFiveMinutes || b.lastHour - a.lastHour || b.lastAt - a.lastAt);
}

/** What an operator looks at where a reason comes often: for the page alone. What a client is told stands in rejection.ts. */
const LOOK_AT: Readonly<Partial<Record<Reason, string>>> = {
  proof_uri_mismatch: 'htu of the clients, or Host and X-Forwarded-Proto of the balancer',
  proof_stale: 'clocks of clients, or proofs that are kept and sent again',
  proof_from_future: 'clocks of clients',
  proof_replayed: 'clients that send a proof twice, retries among them, or a thief',
  nonce_required: 'usual: the first request of a client',
  nonce_stale: 'usual after a pause of the client',
  token_expired: 'usual before a client refreshes its token',
  token_not_yet_valid: 'clocks of issuer and gateway',
  token_audience_mismatch:
    'audiences of the issuer in the configuration, or resource and audience that clients ask for',
  token_key_unknown: 'keys of the issuer: rotated, or a token of another environment',
  issuer_unavailable: 'the issuers below',
  credentials_missing: 'usual: clients that try without a token first',
  misdirected: 'origins of the listener, or Host and X-Forwarded-Host of the balancer',
  certificate_missing: 'client_certificate of the listener, or the balancer that terminates TLS',
  upstream_unreachable: 'the upstreams below',
  upstream_timed_out: 'the upstreams below',
  upstream_circuit_open: 'the upstreams below',
  replay_store_full: 'replay.capacity',
  replay_store_unavailable: 'Redis',
};

/** By the fact `what` of every refusal of a reason, where all have the same. */
const LOOK_AT_HTU: Readonly<Record<string, string>> = {
  scheme: 'htu has another scheme: the clients, or X-Forwarded-Proto of the balancer',
  host: 'htu has another host: the clients, or Host of the balancer',
  port: 'htu has another port: the clients, or Host of the balancer',
  path: 'htu has another path: clients that decode or rewrite paths, or a prefix that the balancer strips',
};

function lookAt({ reason, what = '', client }: CountedRefusals): string {
  const known = (reason === 'proof_uri_mismatch' ? LOOK_AT_HTU[what] : undefined) ?? LOOK_AT[reason];
  return [known, client === undefined ? undefined : `one client, ${client}`]
    .filter((part) => part !== undefined)
    .join('; ');
}

export function lastRefusals({ last }: Recent): readonly LastRefusal[] {
  return last.map((one) => ({ ...one, ...difference(one) }));
}

/** What was expected and what came, of the facts that say both. */
function difference({ facts }: SeenRefusal): { readonly expected: string; readonly received: string } {
  const {
    htu,
    audience,
    clock_offset: offset,
    allow,
    what,
  } = facts as {
    readonly htu?: { readonly expected: string; readonly received: string };
    readonly audience?: { readonly expected: readonly string[]; readonly received: readonly string[] };
    readonly clock_offset?: number;
    readonly allow?: string;
    readonly what?: string;
  };
  if (htu !== undefined) return htu;
  if (audience !== undefined) return { expected: audience.expected.join(', '), received: audience.received.join(', ') };
  if (offset !== undefined)
    return { expected: 'a proof of now', received: `clock ${Math.abs(offset)} s ${offset < 0 ? 'slow' : 'fast'}` };
  if (allow !== undefined) return { expected: allow, received: '' };
  return { expected: '', received: what ?? '' };
}
