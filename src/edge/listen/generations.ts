// The generations of a listener: a reload opens a new door, and old ones empty.

import { createServer, type Server, type Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Bind, Listener } from '../../policy/policy.ts';
import { Admission } from './admission.ts';
import { bindServer } from './bind.ts';
import { readDescriptorCeiling } from './descriptors.ts';

/** Which clients are told that their connections end. */
export type Draining = 'http1' | 'all';

/** Serves connections by one version of a listener's configuration, from the handshake to their end. */
export interface Door {
  readonly listener: Listener;
  /** From now on sockets may be taken. */
  open(): void;
  /** Serves it, where there is a place for it. */
  take(socket: Socket): void;
  /**
   * The listener has become another, or is gone (undefined): connections for which this changes whom they are from, or how they came, end gracefully;
   * all others live on. Calls `emptied` when the last one has ended, at once where there is none.
   */
  retire(now: Listener | undefined, emptied: () => void): void;
  /** The secret from which ticket keys are derived is another one. */
  setTicketSecret(secret: Uint8Array): void;
  drain(whom: Draining): void;
  stop(): void;
  close(): void;
}

export interface OpenListener {
  /** As bound: the port is known where the policy said 0. */
  readonly bind: Bind;
  /** From now on connections are served; those that came before were ended at once. */
  begin(): void;
  /** Connections that are open now, handshakes included. */
  connections(): number;
  /** The most that were open at once since the last call. */
  takePeak(): number;
  /**
   * Makes ready for another version of the listener, whose `bind` is not looked at, and changes nothing yet: so that all listeners are
   * ready before the first one changes. The answer makes it count, at once: whoever handles requests by a new policy calls it in
   * the same turn.
   *
   * Connections that come in then are of the new version. Others keep their handshake, limits and timeouts. Some end gracefully,
   * idle ones at once and others behind the answers that are on their way: all of them if `tls` came or went; those with a
   * certificate if anything of `client_certificate` changed (C5.4), those without if one is required now; and those
   * whose peer is now trusted otherwise than before. Ticket keys change with `client_certificate`.
   * Throws an Error for people where TLS material is unusable (tls-material.ts).
   */
  prepare(listener: Listener): () => void;
  /** Tickets of before are no longer taken. @param secret the same in every worker, so that each takes the others' tickets */
  setTicketSecret(secret: Uint8Array): void;
  /**
   * Serves everything, and tells clients that their connections end, so that none of those that send requests meets a closed connection
   * when `stop` comes: those of HTTP/1 with their next answer (`Connection: close`). Those of HTTP/2 are told by `stop` (decision 40);
   * with `all` by GOAWAY now, or behind their first request if they connect later, since it is long until then (decision 117).
   */
  drain(whom: Draining): void;
  /**
   * The listener is gone while the gateway serves on. Takes no new connections; those that exist end with the answers that are on their way
   * (`Connection: close`, GOAWAY), idle ones and tunnels at once, and no request that comes later is one. Resolves when all have ended.
   */
  leave(): Promise<void>;
  /**
   * Takes no new connections and ends those that exist with the answer they wait for; idle ones at once. Resolves when all
   * have ended. Requests that still come in are served, with `Connection: close`.
   */
  stop(): Promise<void>;
  /** Stops and breaks off whatever is left. */
  close(): Promise<void>;
}

/** What makes the doors of a listener. */
interface Making {
  /** Other threads listen there as well. */
  readonly reusePort: boolean;
  readonly ticketSecret: Uint8Array;
  /** Throws an Error for people where the listener cannot be served so. */
  readonly door: (listener: Listener, ticketSecret: Uint8Array, admission: Admission) => Door;
  /** Told of every connection that comes. */
  readonly accepted: () => void;
  /** Told of connections that could not be accepted. */
  readonly onError: (error: NodeJS.ErrnoException) => void;
  /** Told whose connection made room for another one. */
  readonly displaced: (client: string) => void;
}

/** Binds a listener's address, and hands every socket that comes in to the newest door. */
export async function openDoors(first: Listener, making: Making): Promise<OpenListener> {
  const admission = new Admission({
    most: first.limits.connections,
    ceiling: readDescriptorCeiling(),
    takesAll: false,
    displaced: making.displaced,
  });
  const doors = new Doors(making.door(first, making.ticketSecret, admission));
  let begun = false;
  const acceptor = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    making.accepted();
    if (begun) doors.newest.take(socket);
    else socket.destroy();
  });
  const who = `listener "${first.name}"`;
  const bind = await bindServer(acceptor, first.bind, who, making.reusePort).catch((error: unknown) => {
    doors.stop();
    throw error;
  });
  acceptor.on('error', making.onError);
  return {
    bind,
    begin: () => (begun = true),
    connections: () => admission.count,
    takePeak: () => admission.takePeak(),
    drain: (whom) => doors.drain(whom),
    ...changes(first, making, { doors, admission }),
    ...ends(acceptor, doors),
  };
}

function changes(
  { bind }: Listener,
  { door, ticketSecret }: Making,
  { doors, admission }: { readonly doors: Doors; readonly admission: Admission },
): Pick<OpenListener, 'prepare' | 'setTicketSecret'> {
  let secret = ticketSecret;
  return {
    prepare(wanted) {
      const listener = { ...wanted, bind };
      if (isDeepStrictEqual(listener, doors.newest.listener)) return () => {};
      const next = door(listener, secret, admission);
      return () => {
        admission.most = listener.limits.connections;
        doors.replace(next);
      };
    },
    setTicketSecret(next) {
      secret = next;
      doors.newest.setTicketSecret(next);
    },
  };
}

function ends(acceptor: Server, doors: Doors): Pick<OpenListener, 'leave' | 'stop' | 'close'> {
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= new Promise((resolve) => {
      acceptor.close(() => resolve());
      doors.stop();
    });
    return stopped;
  };
  return {
    async leave() {
      acceptor.close();
      await doors.leave();
    },
    stop,
    async close() {
      const all = stop();
      doors.close();
      await all;
    },
  };
}

/** Every door that still has connections, the newest last. */
class Doors {
  readonly #all = new Set<Door>();
  #newest: Door;
  #draining: Draining | undefined;

  constructor(first: Door) {
    this.#newest = first;
    this.#put(first);
  }

  get newest(): Door {
    return this.#newest;
  }

  replace(next: Door): void {
    const before = [...this.#all];
    this.#newest = next;
    this.#put(next);
    for (const door of before) door.retire(next.listener, () => this.#all.delete(door));
  }

  async leave(): Promise<void> {
    const all = [...this.#all].map((door) => new Promise<void>((resolve) => door.retire(undefined, resolve)));
    await Promise.all(all);
    this.#all.clear();
  }

  #put(door: Door): void {
    this.#all.add(door);
    door.open();
    if (this.#draining !== undefined) door.drain(this.#draining);
  }

  drain(whom: Draining): void {
    this.#draining = whom;
    for (const door of this.#all) door.drain(whom);
  }

  stop(): void {
    for (const door of this.#all) door.stop();
  }

  close(): void {
    for (const door of this.#all) door.close();
  }
}
