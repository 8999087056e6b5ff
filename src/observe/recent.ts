// Traffic and refusals of the last hour, in memory, and the last refusals in full.

import type { Reason } from '../rejection/rejection.ts';
import type { Difference } from '../rejection/difference.ts';
import { type ShownFacts, shownFacts } from '../rejection/facts.ts';
import type { RequestLine } from './log.ts';
import { Minutes } from './minutes.ts';
import { type CountedConnections, RecentConnections } from './recent-connections.ts';
import { shortText } from '../rejection/short.ts';

/** Refusals that are kept in full. */
const KEPT = 50;
/** Pairs of reason and route that are counted apart; routes of others are counted as `other`. */
const PAIRS = 1000;
/** Routes that are counted apart. */
const ROUTES = 1000;
/** Bytes of the path, in JSON. */
const PATH = 200;
/** Upper bounds of durations in seconds, each √2 times the one before: 0.25 ms to 23 s, and the rest. */
export const DURATIONS: readonly number[] = [
  ...Array.from({ length: 34 }, (_, at) => 0.000_25 * Math.SQRT2 ** at),
  Infinity,
];
/** Counters of one minute of a route, in front of its durations. */
const [REQUESTS, REFUSED, FAILED, FIRST_DURATION] = [0, 1, 2, 3];
const WIDTH = FIRST_DURATION + DURATIONS.length;

/** One refusal as the log has it, without anything that the log does not have. */
export interface SeenRefusal {
  /** Seconds since the epoch. */
  readonly at: number;
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly route: string;
  readonly reason: Reason;
  readonly status: number | undefined;
  readonly client: string | undefined;
  /** By the names of the log. */
  readonly facts: Partial<ShownFacts>;
}

/** Refusals of one reason on one route. */
export interface CountedRefusals {
  readonly reason: Reason;
  readonly route: string;
  readonly lastFiveMinutes: number;
  readonly lastHour: number;
  readonly lastAt: number;
  /** The only client of the last hour; undefined: there were several, or it is not known. */
  readonly client: string | undefined;
  /** These facts of all of them; undefined: they differ, or have none. */
  readonly what: string | undefined;
  readonly differs: Difference | undefined;
}

/** Traffic of one route: counters per minute, the newest last. */
export interface RouteTraffic {
  readonly route: string;
  readonly requests: readonly number[];
  readonly refused: readonly number[];
  readonly failed: readonly number[];
  /** Of the last five minutes, by DURATIONS. */
  readonly durations: readonly number[];
}

/** Plain data, to be handed to the supervisor. */
export interface Recent {
  readonly routes: readonly RouteTraffic[];
  readonly refusals: readonly CountedRefusals[];
  /** The newest first. */
  readonly last: readonly SeenRefusal[];
  readonly connections: readonly CountedConnections[];
}

export const NOTHING_RECENT: Recent = { routes: [], refusals: [], last: [], connections: [] };

interface Pair {
  readonly reason: Reason;
  readonly route: string;
  readonly minutes: Minutes;
  lastAt: number;
  /** null: several. */
  client: string | undefined | null;
  what: string | undefined | null;
  differs: Difference | undefined | null;
}

/** Of one worker. What is kept is bounded by its own numbers and by the routes of the policy, whatever clients send. */
export class RecentTraffic {
  readonly #routes = new Map<string, Minutes>();
  readonly #pairs = new Map<string, Pair>();
  readonly #last: SeenRefusal[] = [];
  /** Those that were refused before they carried a request. */
  readonly connections = new RecentConnections();

  /** Counts a request that has ended. @param now seconds since the epoch */
  count(line: RequestLine, now: number): void {
    const route = line.route?.name ?? 'none';
    const minutes = this.#minutesOf(route);
    minutes.add(REQUESTS, now);
    if (line.outcome === 'upstream_failed') minutes.add(FAILED, now);
    minutes.add(FIRST_DURATION + bucketOf(line.seconds), now);
    if (line.rejection === undefined) return;
    // A challenge is among the reasons, and no refusal in the share of them: metrics count the same.
    if (line.outcome === 'rejected') minutes.add(REFUSED, now);
    this.#countRefusal(line, route, now);
  }

  snapshot(now: number): Recent {
    return {
      routes: [...this.#routes].map(([route, minutes]) => trafficOf(route, minutes, now)),
      refusals: [...this.#pairs.values()].map((pair) => countedOf(pair, now)).filter(({ lastHour }) => lastHour > 0),
      last: this.#last.toReversed(),
      connections: this.connections.snapshot(now),
    };
  }

  #minutesOf(route: string): Minutes {
    const known = this.#routes.get(route);
    if (known !== undefined) return known;
    const name = this.#routes.size < ROUTES ? route : 'other';
    const minutes = this.#routes.get(name) ?? new Minutes(WIDTH);
    this.#routes.set(name, minutes);
    return minutes;
  }

  #countRefusal(line: RequestLine, route: string, now: number): void {
    const { rejection } = line;
    if (rejection === undefined) return;
    const pair = this.#pairOf(rejection.reason, route, line, now);
    pair.minutes.add(0, now);
    const { client } = line;
    const { what, differs } = rejection.facts;
    if (pair.lastAt < now - 3600) Object.assign(pair, { client, what, differs });
    pair.lastAt = now;
    if (pair.client !== client) pair.client = null;
    if (pair.what !== what) pair.what = null;
    if (pair.differs !== differs) pair.differs = null;
    if (this.#last.length >= KEPT) this.#last.shift();
    this.#last.push(seenOf(line, rejection.reason, route, now));
  }

  #pairOf(reason: Reason, route: string, line: RequestLine, now: number): Pair {
    const [key, full] = [`${reason} ${route}`, this.#pairs.size >= PAIRS];
    const known = this.#pairs.get(key) ?? (full ? this.#pairs.get(`${reason} other`) : undefined);
    if (known !== undefined) return known;
    const name = full ? 'other' : route;
    const { client, rejection } = line;
    const { what, differs } = rejection?.facts ?? {};
    const pair: Pair = { reason, route: name, minutes: new Minutes(1), lastAt: now, client, what, differs };
    this.#pairs.set(`${reason} ${name}`, pair);
    return pair;
  }
}

function bucketOf(seconds: number): number {
  const at = Math.ceil(2 * Math.log2(seconds / (DURATIONS[0] ?? 1)));
  return Math.max(0, Math.min(DURATIONS.length - 1, at));
}

function trafficOf(route: string, minutes: Minutes, now: number): RouteTraffic {
  const hour = minutes.last(60, now);
  const column = (counter: number) => hour.map((counters) => counters[counter] ?? 0);
  const durations = DURATIONS.map((_, at) => sum(column(FIRST_DURATION + at).slice(-5)));
  return { route, requests: column(REQUESTS), refused: column(REFUSED), failed: column(FAILED), durations };
}

function countedOf({ reason, route, minutes, lastAt, client, what, differs }: Pair, now: number): CountedRefusals {
  const hour = minutes.last(60, now).map(([count = 0]) => count);
  return {
    reason,
    route,
    lastFiveMinutes: sum(hour.slice(-5)),
    lastHour: sum(hour),
    lastAt,
    client: client ?? undefined,
    what: what ?? undefined,
    differs: differs ?? undefined,
  };
}

function seenOf(line: RequestLine, reason: Reason, route: string, at: number): SeenRefusal {
  const { requestId, method, target, status, client, rejection } = line;
  const facts = Object.entries(rejection === undefined ? {} : shownFacts(rejection.facts));
  return {
    at,
    requestId,
    method: shortText(method, 32),
    path: shortText(target.split('?', 1)[0] ?? '', PATH),
    route,
    reason,
    status,
    client,
    facts: Object.fromEntries(facts.filter(([, value]) => value !== undefined)) as Partial<ShownFacts>,
  };
}

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
