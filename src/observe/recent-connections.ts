// Connections of the last hour that were refused before they carried a request, in memory.

import { Minutes } from './minutes.ts';

/** Kinds of refusals that are counted apart: names of listeners and codes of the source and of OpenSSL, so that there are few. */
const KINDS = 1000;

/** Why a connection was refused, and on which listener. */
export interface ConnectionKind {
  readonly listener: string;
  readonly refusal: string;
  /** Of Node or OpenSSL; '': the refusal says it all. */
  readonly code: string;
}

export interface CountedConnections extends ConnectionKind {
  readonly lastFiveMinutes: number;
  readonly lastHour: number;
  readonly lastAt: number;
  /** Of the last one, an address or an IPv6 network; undefined: not known. */
  readonly lastClient: string | undefined;
}

interface Kind extends ConnectionKind {
  readonly minutes: Minutes;
  lastAt: number;
  lastClient: string | undefined;
}

/** Of one worker. Bounded, whatever clients send. */
export class RecentConnections {
  readonly #kinds = new Map<string, Kind>();

  /** @param now seconds since the epoch */
  count(kind: ConnectionKind, client: string | undefined, now: number): void {
    const key = JSON.stringify([kind.listener, kind.refusal, kind.code]);
    const known = this.#kinds.get(key);
    if (known === undefined && this.#kinds.size >= KINDS) return;
    const counted = known ?? { ...kind, minutes: new Minutes(1), lastAt: now, lastClient: client };
    this.#kinds.set(key, counted);
    counted.minutes.add(0, now);
    counted.lastAt = now;
    counted.lastClient = client;
  }

  snapshot(now: number): readonly CountedConnections[] {
    return [...this.#kinds.values()].flatMap(({ minutes, ...kind }) => {
      const hour = minutes.last(60, now).map(([count = 0]) => count);
      const [lastHour, lastFiveMinutes] = [total(hour), total(hour.slice(-5))];
      return lastHour === 0 ? [] : [{ ...kind, lastFiveMinutes, lastHour }];
    });
  }
}

const total = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);
