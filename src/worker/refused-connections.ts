// Log lines about connections closed for want of room, one a minute at most.

import type { Log } from '../observe/log.ts';
import type { ConnectionRefusal } from '../observe/labels.ts';

/** Milliseconds between two lines about the same listener and reason. */
const QUIET = 60_000;

interface Told {
  readonly at: number;
  since: number;
}

export interface RefusedConnection {
  readonly reason: ConnectionRefusal;
  /** Whose it was, an address or an IPv6 network, where that is known; a line has that of the newest one. */
  readonly client?: string | undefined;
}

export class RefusedConnections {
  readonly #log: Pick<Log, 'event'>;
  readonly #told = new Map<string, Told>();

  constructor(log: Pick<Log, 'event'>) {
    this.#log = log;
  }

  /** @param now milliseconds, of a clock that never goes back */
  add(listener: string, { reason, client }: RefusedConnection, now = performance.now()): void {
    const key = `${reason} ${listener}`;
    const told = this.#told.get(key);
    if (told !== undefined && now - told.at < QUIET) {
      told.since += 1;
      return;
    }
    this.#log.event('warn', 'connections are refused', {
      listener,
      reason,
      ...(client !== undefined && { client }),
      refused: (told?.since ?? 0) + 1,
    });
    this.#told.set(key, { at: now, since: 0 });
  }
}
