// The entrance of an upstream: which request gets a connection now, and which waits.

import { Shares } from './shares.ts';

/** Where an exchange is: `waiting` in the queue, `inside` with a connection to come or in use, or a `tunnel`. */
export type Place = 'outside' | 'waiting' | 'inside' | 'tunnel';

/** What is short: a closed set, for the log. `queue`: too many wait already. `tunnels`: too many WebSockets are open. */
export type Shortage = 'queue' | 'tunnels';

/** One exchange; `place` is the entrance's to write. */
export interface Entrant {
  /** Who counts as one client (`PermitFacts.client`). */
  readonly client: string;
  /** undefined: its upstream has no other route. */
  readonly route: string | undefined;
  /** It asks for a WebSocket. */
  readonly wantsTunnel: boolean;
  place: Place;
  /** Its turn has come: `place` is `inside`. Perhaps called before `enter` returns. */
  admitted(): void;
}

export interface EntranceTerms {
  /** Requests that could be given a connection now, on all targets that may be called. */
  readonly room: () => number;
  /** WebSockets at once. */
  readonly tunnels: () => number;
  /** Told of each wait that ended, however it ended. @param seconds */
  readonly waited: (seconds: number) => void;
}

/** Requests that wait at once. */
const QUEUE = 1024;
/** What one client may hold, as a multiple of what is free: two thirds of all where it is alone. */
const CLIENT = 2;
/** What one of several routes may hold: fifteen sixteenths. Much more than a client, or a few clients would close their route to others. */
const ROUTE = 15;
/** Of places in the queue: a half. */
const WAITING = 1;

/**
 * Clients take turns, each in the order in which its requests came. Does not time how long one waits: it leaves when it likes.
 * Counts for one worker alone.
 */
export class Entrance {
  readonly #terms: EntranceTerms;
  readonly #clients = new Shares(CLIENT);
  readonly #routes = new Shares(ROUTE);
  readonly #tunnelShares = new Shares(CLIENT);
  readonly #waitingShares = new Shares(WAITING);
  /** By client, the next one first; with the millisecond on the monotonic clock since which each waits. */
  readonly #queues = new Map<string, Map<Entrant, number>>();
  #waiting = 0;
  #tunnels = 0;
  #calling = false;
  #again = false;

  constructor(terms: EntranceTerms) {
    this.#terms = terms;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Lets one in, at once or later. @returns what is short, where it is neither let in nor waits */
  enter(entrant: Entrant): Shortage | undefined {
    const { client, wantsTunnel } = entrant;
    const entersAtOnce = this.#waiting === 0 && this.#allows(entrant, this.#terms.room());
    if (!entersAtOnce && !this.#waitingShares.allows(client, 1, QUEUE - this.#waiting)) return 'queue';
    if (wantsTunnel && !this.#takeTunnel(client)) return 'tunnels';
    if (entersAtOnce) this.#admit(entrant);
    else {
      this.#wait(entrant);
      this.#callNext();
    }
    return undefined;
  }

  /** It holds a tunnel in place of a connection from now on. */
  becameTunnel(entrant: Entrant): void {
    if (entrant.place !== 'inside') return;
    entrant.place = 'tunnel';
    this.#giveConnection(entrant);
    this.#callNext();
  }

  /** It needs nothing any more; says nothing where it had nothing. */
  leave(entrant: Entrant): void {
    const { place, client, wantsTunnel } = entrant;
    if (place === 'outside') return;
    entrant.place = 'outside';
    if (wantsTunnel) {
      this.#tunnels -= 1;
      this.#tunnelShares.give(client, 1);
    }
    if (place === 'waiting') return this.#stopWaiting(entrant);
    if (place === 'inside') this.#giveConnection(entrant);
    this.#callNext();
  }

  /** There may be more room than before. */
  roomChanged(): void {
    this.#callNext();
  }

  /** Counted from here on, so that those that wait cannot become too many together. */
  #takeTunnel(client: string): boolean {
    if (!this.#tunnelShares.allows(client, 1, this.#terms.tunnels() - this.#tunnels)) return false;
    this.#tunnels += 1;
    this.#tunnelShares.take(client, 1);
    return true;
  }

  #allows({ client, route }: Entrant, room: number): boolean {
    return this.#clients.allows(client, 1, room) && (route === undefined || this.#routes.allows(route, 1, room));
  }

  #admit(entrant: Entrant): void {
    const { client, route } = entrant;
    this.#clients.take(client, 1);
    if (route !== undefined) this.#routes.take(route, 1);
    entrant.place = 'inside';
    entrant.admitted();
  }

  #giveConnection({ client, route }: Entrant): void {
    this.#clients.give(client, 1);
    if (route !== undefined) this.#routes.give(route, 1);
  }

  #wait(entrant: Entrant): void {
    const queue = this.#queues.get(entrant.client) ?? new Map<Entrant, number>();
    queue.set(entrant, performance.now());
    this.#queues.set(entrant.client, queue);
    this.#waiting += 1;
    this.#waitingShares.take(entrant.client, 1);
    entrant.place = 'waiting';
  }

  #stopWaiting(entrant: Entrant): void {
    const queue = this.#queues.get(entrant.client);
    const since = queue?.get(entrant);
    if (queue === undefined || since === undefined) return;
    queue.delete(entrant);
    if (queue.size === 0) this.#queues.delete(entrant.client);
    this.#waiting -= 1;
    this.#waitingShares.give(entrant.client, 1);
    this.#terms.waited((performance.now() - since) / 1000);
  }

  /** Lets in who waits and may. What is let in may leave at once, and calls the next one: by this loop, not inside of it. */
  #callNext(): void {
    if (this.#waiting === 0) return;
    this.#again = true;
    if (this.#calling) return;
    this.#calling = true;
    while (this.#again) {
      this.#again = false;
      for (const [client, queue] of this.#queues) {
        const room = this.#terms.room();
        if (room <= 0) break;
        const next = this.#nextOf(queue, room);
        if (next === undefined) continue;
        this.#stopWaiting(next);
        // To the end of the row, which this loop has still to come to.
        if (this.#queues.delete(client)) this.#queues.set(client, queue);
        this.#admit(next);
      }
    }
    this.#calling = false;
  }

  #nextOf(queue: ReadonlyMap<Entrant, number>, room: number): Entrant | undefined {
    for (const entrant of queue.keys()) {
      if (this.#allows(entrant, room)) return entrant;
      if (!this.#clients.allows(entrant.client, 1, room)) return undefined;
    }
    return undefined;
  }
}
