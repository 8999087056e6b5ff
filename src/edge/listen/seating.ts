// The connections of one door, with the place and the client of each.

import type { Socket } from 'node:net';
import { unmapped } from '../../http/address.ts';
import { networkOf } from '../../rate/limit.ts';
import type { Admission, Seat, NoPlace } from './admission.ts';
import { type TrustedPeers, trustedUntil } from './trusted-peer.ts';

export interface SeatingTerms {
  readonly admission: Admission;
  readonly peers: TrustedPeers;
  /** Told of a connection for which there was no place, and which is closed. */
  readonly refused: (reason: NoPlace, client: string | undefined) => void;
  /** Told when a connection has closed. */
  readonly left: () => void;
}

export class Seating {
  readonly #terms: SeatingTerms;
  readonly #seats = new Map<Socket, Seat>();

  constructor(terms: SeatingTerms) {
    this.#terms = terms;
  }

  get size(): number {
    return this.#seats.size;
  }

  /** As accepted, in the middle of a handshake or past it. */
  sockets(): Iterable<Socket> {
    return this.#seats.keys();
  }

  /** @param address of the client; undefined: not known yet @returns whether there is a place; where not, the socket is closed */
  enter(socket: Socket, address: string | undefined): boolean {
    const { admission, refused, left } = this.#terms;
    const client = this.#shareOf(address);
    const seat = admission.enter(socket, client);
    if (typeof seat === 'string') {
      socket.destroy();
      refused(seat, client);
      return false;
    }
    this.#seats.set(socket, seat);
    socket.once('close', () => {
      this.#seats.delete(socket);
      left();
    });
    return true;
  }

  /** The address of its client is known now. @param address undefined: it never will be */
  identify(socket: Socket, address: string | undefined): void {
    this.#assign(socket, this.#shareOf(address));
  }

  /** It speaks for many clients. */
  exempt(socket: Socket): void {
    this.#assign(socket, undefined);
  }

  #assign(socket: Socket, client: string | undefined): void {
    const seat = this.of(socket);
    if (seat !== undefined) this.#terms.admission.assign(seat, client);
  }

  /** It is ready, and has work from now on. @param socket over which requests come */
  ready(socket: Socket, work: Seat['work']): void {
    const seat = this.of(socket);
    if (seat === undefined) return;
    seat.top = socket;
    seat.work = work;
  }

  /**
   * Whose connection it is, as far as that is known, also of one that was closed a moment ago.
   * @returns of a trusted peer, which speaks for many clients, its own address
   */
  clientOf(socket: Socket): string | undefined {
    const { _parent: below } = socket as { _parent?: Socket | null };
    return this.of(socket)?.client ?? unmapped((below ?? socket).remoteAddress);
  }

  /** @param socket as accepted, or the TLS socket over it */
  of(socket: Socket): Seat | undefined {
    // Node has no public name for the socket below.
    const { _parent: below } = socket as { _parent?: Socket | null };
    return this.#seats.get(below ?? socket);
  }

  /**
   * IPv6 by /64. undefined: not known, or a trusted peer, which speaks for many clients. One that is trusted by its certificate is
   * exempted when that is known.
   */
  #shareOf(remoteAddress: string | undefined): string | undefined {
    const address = unmapped(remoteAddress);
    if (address === undefined || trustedUntil(this.#terms.peers, address, undefined) > 0) return undefined;
    return networkOf(address);
  }
}
