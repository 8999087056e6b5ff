// Log lines about connections that are closed at once, one a minute at most.

import type { Log } from '../observe/log.ts';
import type { ConnectionRefusal } from '../observe/metrics.ts';

/** Milliseconds between two lines about the same listener and reason. */
const QUIET = 60_000;

interface Told {
  readonly at: number;
  since: number;
}

export class RefusedConnections {
  readonly #log: Pick<Log, 'event'>;
  readonly #told = new Map<string, Told>();

  constructor(log: Pick<Log, 'event'>) {
    this.#log = log;
  }

  /** @param now milliseconds, of a clock that never goes back */
  add(listener: string, reason: ConnectionRefusal, now = performance.now()): void {
    const key = `${reason} ${listener}`;
    const told = this.#told.get(key);
    if (told !== undefined && now - told.at < QUIET) {
      told.since += 1;
      return;
    }
    this.#log.event('warn', 'connections are refused', { listener, reason, refused: (told?.since ?? 0) + 1 });
    this.#told.set(key, { at: now, since: 0 });
  }
}
