// The replica replay store: one atomic insert in Redis, within a deadline.

import { hash } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { RedisPolicy } from '../../policy/redis.ts';
import { RedisLink, spread } from './link.ts';
import { LEASE } from './retention.ts';
import { openSession, type Session } from './session.ts';
import { readTrouble, StoreTrouble, type StoreTroubleReason } from './trouble.ts';
import type { Coverage, Remembered, ReplayStore, Retention } from '../../proof/replay-store.ts';

/** Milliseconds between two looks at what is behind the connection, while all is well. */
const LOOK_EVERY = 15_000;
/** Milliseconds before the next trial of a store in trouble, doubling. */
const TRIAL = { min: 50, max: 1000 };
/** Milliseconds between two looks because a cluster sent somebody elsewhere. */
const MOVED_EVERY = 250;
/** Questions that wait for an answer or a connection; more are refused at once. */
const MOST_PENDING = 20_000;

/** Of these the connection has to recover, or other keys or questions are not concerned: they open no circuit. */
const PASSING: ReadonlySet<StoreTroubleReason> = new Set([
  'disconnected',
  'closed',
  'moved',
  'overloaded',
  'no_scripts',
]);

export interface StoreState {
  readonly up: boolean;
  /** Why not, or with what reservation. */
  readonly reason: StoreTroubleReason | 'eviction_unknown' | undefined;
}

export interface StoreEvents {
  /** The state is another one. */
  readonly state: (state: StoreState) => void;
  /** An answer came in so many seconds. */
  readonly answered: (seconds: number) => void;
  /** A question got no answer that counts. */
  readonly failed: (reason: StoreTroubleReason) => void;
}

export interface RedisStoreOptions {
  readonly policy: RedisPolicy;
  /** Seconds since the epoch. */
  readonly now: () => number;
  /** Nonce secrets are kept in Redis too. */
  readonly wantsSecrets: boolean;
  readonly events: StoreEvents;
  /** For tests. */
  readonly lookup?: LookupFunction | undefined;
}

/**
 * Remembers proofs in Redis. Until a session says since when what is there remembers, and while there is trouble, nobody is told
 * `fresh`. Trouble is a circuit: it costs no question its deadline but the one that found it, and a trial of our own ends it.
 */
export class RedisReplayStore implements ReplayStore {
  /** Redis is the place to ask (docs/scaling.md). */
  readonly entries = 0;
  readonly #options: RedisStoreOptions;
  #policy: RedisPolicy;
  readonly #link: RedisLink;
  #session: Session | undefined;
  /** When the look began that found the session: of the clock, and of the monotonic one. */
  #sessionAt = { seconds: Number.NEGATIVE_INFINITY, tick: Number.NEGATIVE_INFINITY };
  #at = Number.NEGATIVE_INFINITY;
  #retention: Retention | undefined;
  #coverage: Coverage;
  #elsewhereUntil = Number.NEGATIVE_INFINITY;
  #secrets: Pick<Session, 'generation' | 'secrets'> | undefined;
  #trouble: StoreTroubleReason | undefined;
  #said: StoreState = { up: false, reason: 'connecting' };
  /** Counts the changes of what may be behind the connection. */
  #epoch = 0;
  #looking = false;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #trials = 0;
  #timer: NodeJS.Timeout | undefined;
  #pending = 0;
  #opened = false;
  #closed = false;
  /** Questions that wait for a session; called when there is one or trouble. */
  readonly #waiting = new Set<() => void>();

  /** Connects nothing yet. */
  constructor(options: RedisStoreOptions) {
    this.#options = options;
    this.#policy = options.policy;
    this.#coverage = this.#coverageNow();
    const events = {
      connected: () => this.#look(),
      changed: () => this.#change(),
      fewer: () => this.#lookSoon(),
      ended: () => this.#lose(),
      failed: (reason: StoreTroubleReason) => this.#open(reason),
    };
    this.#link = new RedisLink(options.policy, events, options.lookup);
  }

  /** Connects, and goes on trying for as long as it takes. Settles when the store is up or in trouble. */
  async open(): Promise<void> {
    if (!this.#opened) this.#link.open();
    this.#opened = true;
    await this.#settled().catch(() => {}); // the state says it
  }

  /** Another timeout, tolerance, retention or conduct without the store; of what a connection is made from, nothing may differ. */
  configure(policy: RedisPolicy): void {
    this.#policy = policy;
    this.#cover();
    // Every replica has to know of a longer retention before this one relies on it. A look that is under way is done again.
    this.#epoch += 1;
    this.#look();
  }

  /** @param time seconds since the epoch before which proofs may have been remembered elsewhere */
  distrustBefore(time: number): void {
    this.#elsewhereUntil = time;
    this.#cover();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#trouble = 'closed';
    this.#wake();
    this.#link.close();
  }

  get state(): StoreState {
    return this.#said;
  }

  get coverage(): Coverage {
    return this.#coverage;
  }

  /** Whoever judged by what was true before is told `challenge`: so it is another object only when it says something else. */
  #cover(): void {
    const now = this.#coverageNow();
    if (!isDeepStrictEqual(now, this.#coverage)) this.#coverage = now;
  }

  #coverageNow(): Coverage {
    const { clockTolerance, retention: own } = this.#policy;
    const { rememberFor = own, shorterMemories = [] } = this.#retention ?? {};
    // Not agreed upon yet: what is older than what all remember counts as forgotten.
    const pending = own > rememberFor ? [{ until: Infinity, rememberedFor: rememberFor - clockTolerance }] : [];
    return {
      // Under `nonce-fallback` every proof needs a nonce while the store is away. Else those dated before the memory began: a proof used
      // before may be dated so far ahead, and by a replica whose clock is as far ahead of the one that wrote `at`.
      since: this.away ? Infinity : Math.max(this.#at, this.#elsewhereUntil) + 2 * clockTolerance,
      // Nonces of a forgotten memory cannot be read: they are bound to its generation.
      noncesSince: Number.NEGATIVE_INFINITY,
      retention: { rememberFor, shorterMemories: [...shorterMemories, ...pending] },
    };
  }

  /** Nonces are minted and read by this process alone (`nonce-fallback`). */
  get away(): boolean {
    return this.#trouble !== undefined && this.fallsBack;
  }

  /** What nonces are made from; the last that were known, while the store is away. undefined: there never were any. */
  get secrets(): Pick<Session, 'generation' | 'secrets'> | undefined {
    return this.#secrets;
  }

  /** @param judgedBy the coverage by which the proof was judged: another memory cannot say whether it is fresh */
  remember(jkt: string, jti: string, expiresAt: number, now: number, judgedBy = this.coverage): Promise<Remembered> {
    // Redis counts the time that is left by its own clock. The tolerance in `expiresAt` is for replicas whose clocks differ.
    const left = Math.ceil((expiresAt - now) * 1000);
    if (!(left > 0)) return Promise.resolve('replayed');
    const key = this.#keyOf(jkt, jti);
    const refusal = this.fallsBack ? 'challenge' : 'unavailable';
    return this.#question<Remembered>((isLate) => this.#insert(key, left, judgedBy, isLate), refusal);
  }

  /** Whether gateways go on without the store, as far as they can (`nonce-fallback`). */
  get fallsBack(): boolean {
    return this.#policy.whenUnavailable === 'nonce-fallback';
  }

  /** Another question to the same Redis, once, under the same deadline and circuit. @returns undefined: no answer that counts */
  ask<T>(question: (link: RedisLink, prefix: string) => Promise<T>): Promise<T | undefined> {
    return this.#question<T | undefined>(async (isLate) => {
      await this.#generation(isLate);
      return await question(this.#link, this.#policy.prefix);
    }, undefined);
  }

  async #question<T>(work: (isLate: () => boolean) => Promise<T>, refusal: T): Promise<T> {
    if (this.#trouble !== undefined) return this.#refuse(this.#trouble, refusal);
    if (this.#pending >= MOST_PENDING) return this.#refuse('overloaded', refusal);
    const started = performance.now();
    this.#pending += 1;
    try {
      const answer = await this.#withinDeadline(work);
      this.#options.events.answered((performance.now() - started) / 1000);
      return answer;
    } catch (error) {
      return this.#fail(readTrouble(error), refusal);
    } finally {
      this.#pending -= 1;
    }
  }

  /** The length keeps (jkt, jti) apart from every other pair that concatenates to the same text. */
  #keyOf(jkt: string, jti: string): string {
    return `${this.#policy.prefix}${hash('sha256', `${jkt.length}:${jkt}${jti}`, 'base64url')}`;
  }

  #withinDeadline<T>(work: (isLate: () => boolean) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let late = false;
      const timer = setTimeout(() => {
        // An answer that has arrived while this thread was busy still counts: it is read before the next turn.
        setImmediate(() => {
          late = true;
          reject(new StoreTrouble('timeout'));
        });
      }, this.#policy.timeout * 1000);
      work(() => late)
        .finally(() => clearTimeout(timer))
        .then(resolve, reject);
    });
  }

  async #insert(key: string, left: number, judgedBy: Coverage, isLate: () => boolean): Promise<Remembered> {
    const generation = await this.#generation(isLate);
    if (judgedBy !== this.#coverage) return 'challenge';
    if (!(await this.#link.insert(key, left))) return 'replayed';
    // Whether it was this memory that took it is known only if it is still there.
    if (this.#session?.generation !== generation) throw new StoreTrouble('disconnected');
    return 'fresh';
  }

  /** Of the memory that is asked now; waits for one. @throws StoreTrouble */
  async #generation(isLate: () => boolean): Promise<string> {
    if (this.#session !== undefined && this.#isOld()) this.#change();
    if (this.#session === undefined) await this.#settled();
    const generation = this.#session?.generation;
    // Nobody waits for this any more: what is not sent is not remembered for nothing.
    if (isLate() || generation === undefined) throw new StoreTrouble('timeout');
    return generation;
  }

  /** What replicas agreed upon may be another thing by now: after a pause of the process, for example. By both clocks: one stops in some pauses. */
  #isOld(): boolean {
    const { seconds, tick } = this.#sessionAt;
    return performance.now() - tick > LEASE * 1000 || Math.abs(this.#options.now() - seconds) > LEASE;
  }

  /** @throws StoreTrouble */
  async #settled(): Promise<void> {
    while (this.#session === undefined) {
      if (this.#trouble !== undefined) throw new StoreTrouble(this.#trouble);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** A question that failed. Whether it was remembered nobody knows, so it is not asked again. */
  #fail<T>(reason: StoreTroubleReason, refusal: T): T {
    if (reason === 'moved' || this.#link.sharded) this.#lookSoon();
    if (!PASSING.has(reason) && !this.#link.sharded) this.#open(reason);
    return this.#refuse(reason, refusal);
  }

  #refuse<T>(reason: StoreTroubleReason, refusal: T): T {
    this.#options.events.failed(reason);
    return refusal;
  }

  #open(reason: StoreTroubleReason): void {
    if (this.#closed || this.#trouble !== undefined) return;
    this.#trouble = reason;
    this.#cover();
    this.#say({ up: false, reason });
    this.#wake();
    this.#try();
  }

  /** What answers now may be another server: nothing is asked before it was looked at. */
  #change(): void {
    this.#epoch += 1;
    this.#session = undefined;
    this.#look();
  }

  /** It is made again at once: questions wait for that, within their deadline. If it cannot be made, that is trouble. */
  #lose(): void {
    this.#epoch += 1;
    this.#session = undefined;
  }

  /** Not for each key that is answered by nobody. */
  #lookSoon(): void {
    const since = performance.now() - this.#lookedAt;
    if (since >= MOVED_EVERY) this.#look();
    else if (this.#trouble === undefined) this.#schedule(spread(MOVED_EVERY - since));
  }

  #look(): void {
    if (this.#looking || this.#closed || !this.#link.connected) return;
    this.#looking = true;
    this.#lookedAt = performance.now();
    void this.#lookOnce().then((conclude) => {
      this.#looking = false;
      if (!this.#closed) conclude();
    });
  }

  async #lookOnce(): Promise<() => void> {
    const { now, wantsSecrets } = this.#options;
    let epoch = this.#epoch;
    try {
      await this.#link.refresh();
      epoch = this.#epoch;
      const { prefix, timeout, retention, clockTolerance } = this.#policy;
      const at = { seconds: now(), tick: performance.now() };
      const terms = { prefix, now: at.seconds, deadline: timeout * 1000, wantsSecrets, retention, clockTolerance };
      const session = await openSession(this.#link, terms);
      return () => (epoch === this.#epoch ? this.#adopt(session, at) : this.#look());
    } catch (error) {
      return () => (epoch === this.#epoch ? this.#distrust(readTrouble(error)) : this.#look());
    }
  }

  #adopt(session: Session, at: { readonly seconds: number; readonly tick: number }): void {
    this.#session = session;
    this.#sessionAt = at;
    this.#at = session.at;
    this.#retention = session.retention;
    this.#secrets = session;
    // One that is well only between two troubles is tried less and less often.
    if (this.#trouble === undefined) this.#trials = 0;
    this.#trouble = undefined;
    this.#cover();
    this.#say({ up: true, reason: session.evictionUnknown ? 'eviction_unknown' : undefined });
    this.#wake();
    this.#schedule(spread(LOOK_EVERY));
  }

  #distrust(reason: StoreTroubleReason): void {
    this.#session = undefined;
    if (this.#trouble === undefined) return this.#open(reason);
    this.#trouble = reason;
    this.#say({ up: false, reason });
    this.#try();
  }

  #try(): void {
    this.#schedule(this.#trials === 0 ? 0 : spread(Math.min(TRIAL.max, TRIAL.min * 2 ** Math.min(this.#trials, 10))));
    this.#trials += 1;
  }

  #schedule(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      // Sentinels know which server takes writes now.
      if (this.#trouble === 'read_only') this.#link.reconnect();
      else this.#look();
    }, milliseconds).unref();
  }

  #say(state: StoreState): void {
    const { up, reason } = this.#said;
    if (up === state.up && reason === state.reason) return;
    this.#said = state;
    this.#options.events.state(state);
  }
}
