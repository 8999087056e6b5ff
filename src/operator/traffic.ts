// Recent traffic of all workers, added up and put into the words that an operator looks for.

import { type Reason, REASONS, reject, wordingOf } from '../rejection/rejection.ts';
import {
  type CountedRefusals,
  DURATIONS,
  type Recent,
  type RouteTraffic,
  type SeenRefusal,
  sum,
} from '../observe/recent.ts';
import { mergeConnections } from './refused-connections.ts';

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
  /** What was wrong, in words: `htu, host`. */
  readonly what: string;
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
    connections: mergeConnections(parts),
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
  const isSame = (key: 'client' | 'what' | 'differs') => others.every((one) => one[key] === first[key]);
  return {
    reason: first.reason,
    route: first.route,
    lastFiveMinutes: sum(parts.map((part) => part.lastFiveMinutes)),
    lastHour: sum(parts.map((part) => part.lastHour)),
    lastAt: Math.max(...parts.map((part) => part.lastAt)),
    client: isSame('client') ? first.client : undefined,
    what: isSame('what') ? first.what : undefined,
    differs: isSame('differs') ? first.differs : undefined,
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

/** What an operator should know where a reason comes often, beside what the table of reasons says to operators (rejection.ts). */
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

/** Words of the very cause, where all refusals have the same; else those of the reason. */
function lookAt({ reason, what, differs, client }: CountedRefusals): string {
  const same = { ...(what !== undefined && { what }), ...(differs !== undefined && { differs }) };
  const { title, operator } = wordingOf(reject(reason, same));
  const ofCause = title === REASONS[reason].title ? undefined : (operator ?? title);
  const known = (ofCause ?? LOOK_AT[reason] ?? operator)?.replace(/\.$/, '');
  return [known, client === undefined ? undefined : `one client, ${client}`]
    .filter((part) => part !== undefined)
    .join('; ');
}

export function lastRefusals({ last }: Recent): readonly LastRefusal[] {
  return last.map((one) => ({ ...one, ...difference(one) }));
}

/** What differed, what was expected and what came, in words. */
function difference({ facts }: SeenRefusal): Pick<LastRefusal, 'what' | 'expected' | 'received'> {
  const { what, differs, expected, received, received_in: receivedIn, clock_offset: offset, name, code } = facts;
  const over = facts.seconds_over === undefined ? [] : [`by ${facts.seconds_over} s`];
  const apart = offset === undefined ? [] : [`${Math.abs(offset)} s ${offset < 0 ? 'ago' : 'ahead'}`];
  const from = receivedIn === undefined ? [] : [`in ${receivedIn}`];
  return {
    what: [what, differs, name, code].filter((part) => part !== undefined).join(', '),
    expected: expected ?? facts.allow ?? '',
    received: [received, ...over, ...apart, ...from].filter((part) => part !== undefined).join(', '),
  };
}
