// Places for connections, and whose connection ends when all are taken.

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { takesReserve } from './descriptors.ts';

/** A connection in its place. */
export interface Seat {
  readonly socket: Socket;
  /** Who has it; undefined: not known, or a peer that speaks for many clients. Such a connection never makes room. */
  readonly client: string | undefined;
  /** What is destroyed where it has to make room: the socket, or the TLS socket over it. */
  top: Duplex;
  /** Whether a request is under way; undefined: the connection is not ready for one. */
  work: { readonly busy: boolean } | undefined;
}

type Held = { -readonly [Name in keyof Seat]: Seat[Name] };

/** Why there is no place: all are taken, or the descriptors of the process are running out. */
export type NoPlace = 'limit' | 'descriptors';

export interface AdmissionTerms {
  /** Connections at once. */
  readonly most: number;
  /** The first descriptor that no connection may have without another one ending (descriptors.ts). */
  readonly ceiling: number;
  /** A client of which no other has more makes room itself; otherwise it is refused. */
  readonly takesAll: boolean;
  /** Told whose connection made room. */
  readonly displaced: (client: string) => void;
}

/** A client with a larger share of all connections loses one even where each of them carries a request. */
const SHARE = 0.25;
/** Connections that are looked at for one without a request. */
const LOOKS = 10_000;
/** Connections that end for one that comes; more than one where the limit was lowered. */
const AT_ONCE = 2;

/**
 * Keeps connections to a number. Where all places are taken, a new connection gets one if another client has more than its own. Of the
 * client with the most the oldest connection without a request ends, handshakes and half-sent requests included. A client with more
 * than a quarter of all loses its oldest one then; otherwise other clients' connections without a request end first, and only then,
 * where it has two more than the client that comes, its oldest one.
 * Taking and leaving a place cost a few operations on maps, whatever the number of clients.
 * NOT checked: clients that share an address, or have many.
 */
export class Admission {
  most: number;
  readonly #terms: Omit<AdmissionTerms, 'most'>;
  readonly #all = new Set<Held>();
  /** Of each client, the oldest first. */
  readonly #clients = new Map<string, Set<Held>>();
  /** Clients, by how many connections they have; none has more than the last rank. */
  readonly #ranks: Set<string>[] = [new Set()];
  #peak = 0;

  constructor({ most, ...terms }: AdmissionTerms) {
    this.most = most;
    this.#terms = terms;
  }

  /** Connections that have a place. */
  get count(): number {
    return this.#all.size;
  }

  /** The most that had one at once since the last call. */
  takePeak(): number {
    const peak = this.#peak;
    this.#peak = this.count;
    return peak;
  }

  /** Gives a place to a connection that was just accepted, until it closes. Leaves the socket to the caller where there is none. */
  enter(socket: Socket, client: string | undefined): Seat | NoPlace {
    const isFull = this.count >= this.most;
    if (isFull || takesReserve(socket, this.#terms.ceiling)) {
      const wanted = isFull ? Math.min(AT_ONCE, this.count - this.most + 1) : 1;
      for (let made = 0; made < wanted; made += 1) {
        if (!this.#makeRoom(client)) return isFull ? 'limit' : 'descriptors';
      }
    }
    const seat: Held = { socket, client, top: socket, work: undefined };
    this.#all.add(seat);
    this.#peak = Math.max(this.#peak, this.count);
    if (client !== undefined) this.#add(client, seat);
    socket.once('close', () => this.#leave(seat));
    return seat;
  }

  /** It is known now who has it, or that it speaks for many clients. */
  assign(seat: Seat, client: string | undefined): void {
    const held: Held = seat;
    if (held.client === client || !this.#all.has(held)) return;
    if (held.client !== undefined) this.#remove(held.client, held);
    held.client = client;
    if (client !== undefined) this.#add(client, held);
  }

  #leave(seat: Held): void {
    if (this.#all.delete(seat) && seat.client !== undefined) this.#remove(seat.client, seat);
  }

  #makeRoom(newcomer: string | undefined): boolean {
    const loser = this.#loser(newcomer);
    if (loser?.client === undefined) return false;
    this.#leave(loser);
    loser.top.destroy();
    this.#terms.displaced(loser.client);
    return true;
  }

  /** Whose place the newcomer gets; undefined: there is none for it. */
  #loser(newcomer: string | undefined): Held | undefined {
    const own = newcomer === undefined ? undefined : this.#clients.get(newcomer);
    const has = own?.size ?? 0;
    const highest = this.#ranks.length - 1;
    const [most] = this.#ranks[highest] ?? [];
    const looks = { left: LOOKS };
    for (let rank = highest; rank > has; rank -= 1) {
      const spare = this.#spareOf(this.#ranks[rank] ?? [], looks);
      if (spare !== undefined) return spare;
      if (rank === highest && rank > this.count * SHARE) return this.#oldestOf(most);
    }
    if (highest >= has + 2) return this.#oldestOf(most);
    return own && this.#terms.takesAll ? firstSpare(own, looks) : undefined;
  }

  #spareOf(clients: Iterable<string>, looks: { left: number }): Held | undefined {
    for (const client of clients) {
      const spare = firstSpare(this.#clients.get(client) ?? [], looks);
      if (spare !== undefined) return spare;
      if (looks.left <= 0) return undefined;
    }
    return undefined;
  }

  #oldestOf(client = ''): Held | undefined {
    const [oldest] = this.#clients.get(client) ?? [];
    return oldest;
  }

  #add(client: string, seat: Held): void {
    const seats = this.#clients.get(client) ?? new Set();
    if (seats.size === 0) this.#clients.set(client, seats);
    else this.#ranks[seats.size]?.delete(client);
    seats.add(seat);
    (this.#ranks[seats.size] ??= new Set()).add(client);
  }

  #remove(client: string, seat: Held): void {
    const seats = this.#clients.get(client);
    if (seats?.delete(seat) !== true) return;
    this.#ranks[seats.size + 1]?.delete(client);
    if (seats.size === 0) this.#clients.delete(client);
    else this.#ranks[seats.size]?.add(client);
    while (this.#ranks.length > 1 && this.#ranks.at(-1)?.size === 0) this.#ranks.pop();
  }
}

/** The oldest one without a request. */
function firstSpare(seats: Iterable<Held>, looks: { left: number }): Held | undefined {
  for (const seat of seats) {
    if (seat.work?.busy !== true) return seat;
    looks.left -= 1;
    if (looks.left <= 0) return undefined;
  }
  return undefined;
}
