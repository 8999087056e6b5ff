// A tunnel: two connections joined byte for byte, until an end or the permit's expiry.

import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { PermitFacts } from '../../binding/permit.ts';
import type { TunnelEnd, TunnelFacts } from '../../observe/log.ts';
import { LONGEST_TIMER } from './deadline.ts';
import { LINGER } from '../transaction/http1.ts';

export interface Tunnel {
  readonly client: Socket;
  readonly upstream: Socket;
  /** Seconds in which no byte moves, either way. */
  readonly idle: number;
  /** Seconds from now after which it ends in any case, and what it ends by. */
  readonly lasts: readonly [seconds: number, end: TunnelEnd];
  /** Called once, when both connections are closed. @param sent bytes to the client */
  readonly ended: (sent: number, facts: TunnelFacts) => void;
}

/** Seconds for which a tunnel may use a permit: until the access token or a certificate that was verified expires (C7.12). */
export function permitLasts({ expiresAt, certificate }: Pick<PermitFacts, 'expiresAt' | 'certificate'>, now: number) {
  // Under `possession` nobody looks at the dates of a certificate.
  const notAfter = certificate?.verify === 'chain' ? certificate.facts.notAfter : Number.POSITIVE_INFINITY;
  return Math.min(expiresAt ?? Number.POSITIVE_INFINITY, notAfter) - now;
}

/**
 * Joins two connections. A slow reader holds the other side back. When one side closes, what it sent is delivered, and then both
 * end (RFC 9110 §9.3.6): the other side has two seconds without movement to finish. A side that breaks, and the end of
 * the time, cut both at once: the tunnel knows nothing of what it carries, and cannot say goodbye in its language.
 * NOT checked: that the bytes are frames (RFC 6455 §5).
 */
export function openTunnel(tunnel: Tunnel): void {
  new Joined(tunnel).start();
}

class Joined {
  readonly #tunnel: Tunnel;
  readonly #until: number;
  #end: TunnelEnd | undefined;
  #timer: NodeJS.Timeout | undefined;
  #open = 2;
  #sent = 0;
  #received = 0;

  constructor(tunnel: Tunnel) {
    this.#tunnel = tunnel;
    this.#until = performance.now() + tunnel.lasts[0] * 1000;
  }

  start(): void {
    const { client, upstream, idle } = this.#tunnel;
    client.on('data', (chunk: Buffer) => void (this.#received += chunk.length));
    upstream.on('data', (chunk: Buffer) => void (this.#sent += chunk.length));
    this.#watch(client, upstream, 'client', 'client');
    this.#watch(upstream, client, 'upstream', 'upstream_broke');
    this.#limitIdle(idle * 1000);
    this.#limit();
    client.pipe(upstream);
    upstream.pipe(client);
  }

  #watch(side: Socket, other: Socket, ended: TunnelEnd, broke: TunnelEnd): void {
    side.once('end', () => {
      this.#end ??= ended;
      // `pipe` ends the other side. What that one still sends can be delivered to the client only: undici's sockets close as a whole.
      if (side === this.#tunnel.upstream) other.unpipe(side).resume();
      this.#limitIdle(Math.min(LINGER, this.#tunnel.idle * 1000));
    });
    side.on('error', () => {
      this.#end ??= broke;
    });
    side.on('timeout', () => this.#cut('idle'));
    side.once('close', () => {
      this.#end ??= 'stopped';
      if (side.errored !== null) reset(other);
      else if (side.readableEnded) other.destroySoon();
      else other.destroy();
      this.#open -= 1;
      if (this.#open === 0) this.#finish(this.#end);
    });
  }

  /** Every byte that moves is read on the one connection and written on the other, and so counts for both. */
  #limitIdle(milliseconds: number): void {
    for (const side of [this.#tunnel.client, this.#tunnel.upstream]) {
      side.setTimeout(Math.max(1, Math.min(milliseconds, LONGEST_TIMER)));
    }
  }

  #limit(): void {
    const left = this.#until - performance.now();
    if (left <= 0) this.#cut(this.#tunnel.lasts[1]);
    else this.#timer = setTimeout(() => this.#limit(), Math.min(left, LONGEST_TIMER));
  }

  #cut(end: TunnelEnd): void {
    this.#end ??= end;
    this.#tunnel.client.destroy();
    this.#tunnel.upstream.destroy();
  }

  #finish(end: TunnelEnd): void {
    clearTimeout(this.#timer);
    this.#tunnel.ended(this.#sent, { end, received: this.#received });
  }
}

/** So that the other end cannot take it for a close. TLS says that by what it does not say (RFC 8446 §6.1); unix sockets cannot. */
function reset(socket: Socket): void {
  if (socket instanceof TLSSocket || socket.remoteFamily === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
