// An upstream at work: its targets, the choice among them, and its graceful end.

import type { LookupFunction } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { formatTarget } from '../../policy/addresses.ts';
import type { Target, Upstream } from '../../policy/upstream.ts';
import { type Rejection, reject } from '../../rejection/rejection.ts';
import { compileConnector } from './connect.ts';
import { Entrance } from './entrance.ts';
import { HealthChecks } from './health.ts';
import type { Loss } from './loss.ts';
import { type SendingOwner, Sending, type SendOptions, type Targets } from './sending.ts';
import { OpenTarget, type TargetEvent } from './target.ts';

/** Seconds after which a connection takes no more requests: the next one goes where the name leads then. */
const CONNECTION_AGE = 60;
/** Seconds for which an upstream that closes still takes requests: those that were being decided when another policy came. */
const LINGER = 10;

/** What became of a copy that a mirror was to get. */
export type CopyResult = 'sent' | 'busy' | 'too_large';

/** What happened at an upstream. `retried`: a request goes to `target` now that was lost before. */
export type UpstreamEvent =
  | ((TargetEvent | { readonly kind: 'retried'; readonly after: Loss }) & {
      readonly upstream: string;
      readonly target: string;
    })
  /** A copy for a mirror, or none: too much else is under way there, or its body is too large. */
  | { readonly kind: 'copied'; readonly result: CopyResult; readonly upstream: string }
  /** A request waited at the entrance, and was let in or gave up. */
  | { readonly kind: 'waited'; readonly seconds: number; readonly upstream: string };

export interface UpstreamOptions {
  /** Seconds; the longest `timeouts.connect` of the upstream's routes, each of which enforces its own (forward.ts). */
  readonly connect: number;
  readonly onEvent?: (event: UpstreamEvent) => void;
  /** For tests. */
  readonly lookup?: LookupFunction;
  /** Seconds; for tests. */
  readonly connectionAge?: number;
  readonly linger?: number;
}

/**
 * Opens nothing yet: connections are made when requests need them, and closed after 4 s without one. Health checks begin.
 * NOT checked: that targets exist or are not ourselves.
 */
export function openUpstream(upstream: Upstream, options: UpstreamOptions): OpenUpstream {
  return new OpenUpstream(upstream, options);
}

export class OpenUpstream implements Targets {
  readonly http2: boolean;
  readonly entrance: Entrance;
  #upstream: Upstream;
  #targets: readonly OpenTarget[] = [];
  /** Those that a reload took away, until their requests are answered. */
  readonly #leaving = new Set<OpenTarget>();
  readonly #options: UpstreamOptions;
  readonly #checks = new Map<OpenTarget, HealthChecks>();
  readonly #tell: (event: UpstreamEvent) => void;
  readonly #linger: number;
  readonly #destroyed = new AbortController();
  /** Copies for mirrors under way. */
  #copies = 0;
  /** Index of the target that was chosen last. */
  #last = -1;

  constructor(upstream: Upstream, options: UpstreamOptions) {
    const { onEvent = () => {}, linger = LINGER } = options;
    this.#upstream = upstream;
    this.#options = options;
    this.http2 = upstream.http2;
    // What ends because of `destroy` is nobody's failure.
    this.#tell = (event) => {
      if (!this.#destroyed.signal.aborted) onEvent(event);
    };
    this.#linger = linger;
    this.#targets = upstream.targets.map((configured) => this.#open(configured));
    this.entrance = new Entrance({
      room: () => this.room,
      tunnels: () => this.#upstream.tunnels * this.#targets.length,
      waited: (seconds) => onEvent({ kind: 'waited', seconds, upstream: upstream.name }),
    });
  }

  get upstream(): Upstream {
    return this.#upstream;
  }

  get targets(): readonly OpenTarget[] {
    return this.#targets;
  }

  /** Whether answers that end with their connection are taken: not over TLS, unless the configuration says so. */
  get takesCloseDelimited(): boolean {
    const { closeDelimited, targets } = this.#upstream;
    return closeDelimited || !targets.some(({ origin }) => origin.startsWith('https:'));
  }

  #open(configured: Target): OpenTarget {
    const { connect, lookup, connectionAge = CONNECTION_AGE } = this.#options;
    const upstream = this.#upstream;
    const connector = compileConnector(configured, upstream, connect, lookup);
    const target: OpenTarget = new OpenTarget(configured, {
      upstream,
      connector,
      serverName: upstream.tls.serverName ?? new URL(configured.origin).hostname,
      connectionAge: connectionAge * 1000,
      tell: (event) => this.#tell({ ...event, upstream: upstream.name, target: target.name }),
    });
    if (upstream.health) this.#checks.set(target, new HealthChecks(target, configured, connector, upstream));
    return target;
  }

  /**
   * Takes the targets of an upstream that `fits`. Those that stay keep their connections, circuit and health; those that go get no
   * further requests, and close when they have answered what they had. Tunnels live on.
   */
  adopt(upstream: Upstream): void {
    if (upstream === this.#upstream) return;
    const before = new Map(this.#targets.map((target) => [target.name, target]));
    this.#upstream = upstream;
    this.#targets = upstream.targets.map(
      (configured) => before.get(formatTarget(configured)) ?? this.#open(configured),
    );
    for (const target of before.values()) if (!this.#targets.includes(target)) void this.#leave(target);
    this.entrance.roomChanged();
  }

  async #leave(target: OpenTarget): Promise<void> {
    this.#leaving.add(target);
    await Promise.all([this.#checks.get(target)?.stop(), target.pool.close()]);
    this.#checks.delete(target);
    this.#leaving.delete(target);
  }

  /** Requests that could be given a connection now: on targets that are ready, or on any where none is. */
  get room(): number {
    let [ready, others, anyReady] = [0, 0, false];
    for (const target of this.#targets) {
      if (target.blockedFor > 0) continue;
      if (target.ready) [ready, anyReady] = [ready + Math.max(0, target.room), true];
      else others += Math.max(0, target.room);
    }
    return anyReady ? ready : others;
  }

  /** Whether the circuit of every target is open, or there is none. */
  get blocked(): boolean {
    return this.#targets.every(({ blockedFor }) => blockedFor > 0);
  }

  /** Seconds until a circuit lets a trial through. */
  opensIn(): number {
    return Math.min(...this.#targets.map(({ blockedFor }) => blockedFor)) / 1000;
  }

  get name(): string {
    return this.#upstream.name;
  }

  get retries(): number {
    return this.#upstream.retries;
  }

  /**
   * A place for a copy, which is the caller's until `giveCopy`: at most half of what requests leave free, since routes may send requests
   * themselves here as well.
   */
  takeCopy(): boolean {
    if (this.blocked || this.#copies >= (this.room + this.#copies) / 2) return false;
    this.#copies += 1;
    return true;
  }

  giveCopy(): void {
    this.#copies -= 1;
    this.entrance.roomChanged();
  }

  copied(result: CopyResult): void {
    this.#tell({ kind: 'copied', result, upstream: this.name });
  }

  /** A request that goes out when it is started. */
  sending(options: SendOptions, sender: SendingOwner): Sending {
    return new Sending(this, options, sender);
  }

  /**
   * The best target by `rank`, among equals by `balance`, and among equals still the next one. Those that are left alone are
   * called all the same where there is no other, but for open circuits.
   */
  choose(tried: readonly OpenTarget[]): OpenTarget | undefined {
    const { length } = this.#targets;
    const counts = this.#upstream.balance === 'least-pending';
    let best: OpenTarget | undefined;
    let [rank, load, index] = [NEVER, 0, 0];
    for (let step = 1; step <= length; step += 1) {
      const at = (this.#last + step) % length;
      const target = this.#targets[at] as OpenTarget;
      const its = rankOf(target, tried);
      if (its > rank || its === NEVER || (its === rank && (!counts || target.pending >= load))) continue;
      [best, rank, load, index] = [target, its, target.pending, at];
    }
    if (best !== undefined) this.#last = index;
    return best;
  }

  /** Why nothing is sent, where every target is `blocked`. */
  whyBlocked(): Rejection {
    if (this.#targets.length === 0) return reject('upstream_without_targets', { what: this.#upstream.name });
    return reject('upstream_circuit_open', { retryAfter: this.opensIn() });
  }

  retried({ name: target }: OpenTarget, after: Loss): void {
    this.#tell({ kind: 'retried', upstream: this.#upstream.name, target, after });
  }

  /**
   * Whether this one can go on for an upstream of another policy: the same in all that it was opened with, contents of files
   * included, but for its targets, which `adopt` takes.
   */
  fits(upstream: Upstream, { connect }: Pick<UpstreamOptions, 'connect'>): boolean {
    if (connect !== this.#options.connect) return false;
    return (
      upstream === this.#upstream || isDeepStrictEqual({ ...upstream, targets: [] }, { ...this.#upstream, targets: [] })
    );
  }

  /**
   * For an upstream that no policy has any more. Requests that were being decided still come, for ten seconds; settles when all
   * that came are answered and every connection is closed.
   */
  async close(): Promise<void> {
    await this.#stopChecks();
    const { signal } = this.#destroyed;
    await sleep(this.#linger * 1000, undefined, { ref: false, signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    if (!signal.aborted) await Promise.all(this.#targets.map(({ pool }) => pool.close()));
  }

  /** Ends everything at once, also while it closes. */
  async destroy(): Promise<void> {
    this.#destroyed.abort();
    await this.#stopChecks();
    await Promise.all([...this.#targets, ...this.#leaving].map(({ pool }) => pool.destroy()));
  }

  async #stopChecks(): Promise<void> {
    await Promise.all([...this.#checks.values()].map((checks) => checks.stop()));
  }
}

const NEVER = 5;

/**
 * The lower the better: 0 is ready, 2 is left alone, each one more where all connections are busy, as only a retry may find them;
 * 4 was tried before for this request.
 */
function rankOf(target: OpenTarget, tried: readonly OpenTarget[]): number {
  if (target.blockedFor > 0) return NEVER;
  if (tried.includes(target)) return 4;
  return (target.ready ? 0 : 2) + (target.room > 0 ? 0 : 1);
}
