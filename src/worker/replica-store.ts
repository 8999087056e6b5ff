// The replica replay store of one thread, over reloads: `unavailable` while Redis is away.

import type { LookupFunction } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Log } from '../observe/log.ts';
import type { StoreMetrics } from '../observe/store-metrics.ts';
import { RedisReplayStore, type StoreEvents, type StoreState } from '../memory/redis/replay-store.ts';
import type { Coverage, Remembered, ReplayStore } from '../proof/replay-store.ts';
import type { RateStore } from '../memory/replica-rates.ts';
import type { NonceSource } from '../memory/replica-nonces.ts';
import type { ReplicaTerms } from './replica-terms.ts';

/** Milliseconds for requests in flight to end with the connection that they began with. */
const FAREWELL = 1000;

export interface ReplicaReplayStoreOptions {
  readonly log: Log;
  /** Seconds since the epoch. */
  readonly now: () => number;
  readonly metrics: StoreMetrics;
  /** Tells the supervisor. */
  readonly report: (state: StoreState) => void;
  /** For tests. */
  readonly lookup?: LookupFunction | undefined;
}

export class ReplicaReplayStore implements ReplayStore, NonceSource, RateStore {
  readonly #options: ReplicaReplayStoreOptions;
  #terms: ReplicaTerms;
  /** The one that is asked. */
  #store: RedisReplayStore;
  readonly #all = new Set<RedisReplayStore>();
  /** One after the other, however fast reloads come. */
  #adopted: Promise<void> = Promise.resolve();
  #closed = false;
  #scriptless = false;

  /** Starts connecting. */
  constructor(terms: ReplicaTerms, options: ReplicaReplayStoreOptions) {
    this.#options = options;
    this.#terms = terms;
    options.metrics.setUp(false);
    this.#store = this.#open(terms);
  }

  /** Settles when the store is up, or is known not to be. */
  async settled(): Promise<void> {
    await this.#store.open();
  }

  /** Another policy: with the connection that there is, where that is the same; else when the new one is up, or is known not to be. */
  adopt(terms: ReplicaTerms): Promise<void> {
    this.#adopted = this.#adopted.then(() => this.#adopt(terms));
    return this.#adopted;
  }

  async #adopt(terms: ReplicaTerms): Promise<void> {
    if (this.#closed) return;
    const before = this.#terms;
    this.#terms = terms;
    if (isDeepStrictEqual(connectionOf(before), connectionOf(terms))) return this.#store.configure(terms.redis);
    const next = this.#open(terms);
    await next.open();
    const { now, log } = this.#options;
    // Elsewhere nobody knows what was used here.
    if (!isDeepStrictEqual(memoryOf(before), memoryOf(terms))) next.distrustBefore(now());
    const last = this.#store;
    this.#store = next;
    this.#tell(next.state);
    log.event('info', 'the replica replay store has another connection');
    setTimeout(() => {
      last.close();
      this.#all.delete(last);
    }, FAREWELL);
  }

  close(): void {
    this.#closed = true;
    for (const store of this.#all) store.close();
  }

  get coverage(): Coverage {
    return this.#store.coverage;
  }

  get entries(): number {
    return this.#store.entries;
  }

  get away(): boolean {
    return this.#store.away;
  }

  get secrets(): NonceSource['secrets'] {
    return this.#store.secrets;
  }

  remember(jkt: string, jti: string, expiresAt: number, now: number, judgedBy?: Coverage): Promise<Remembered> {
    return this.#store.remember(jkt, jti, expiresAt, now, judgedBy);
  }

  get fallsBack(): boolean {
    return this.#store.fallsBack;
  }

  ask: RateStore['ask'] = (question) => this.#store.ask(question);

  #open({ redis, wantsSecrets }: ReplicaTerms): RedisReplayStore {
    const { now, metrics, lookup } = this.#options;
    const events: StoreEvents = {
      answered: (seconds) => metrics.answered(seconds),
      failed: (reason) => {
        metrics.failed(reason);
        if (reason === 'no_scripts') this.#tellScriptless();
      },
      state: (state) => {
        if (store === this.#store) this.#tell(state);
      },
    };
    const store = new RedisReplayStore({ policy: redis, now, wantsSecrets, events, lookup });
    this.#all.add(store);
    void store.open();
    return store;
  }

  /** Once: it is so for every request of a shared rate limit, until somebody changes the user. */
  #tellScriptless(): void {
    if (this.#scriptless) return;
    this.#scriptless = true;
    const expected = 'an ACL user with +eval +time +get +set +del';
    this.#options.log.event('warn', 'shared rate limits cannot be counted in the replica replay store', { expected });
  }

  #tell(state: StoreState): void {
    const { log, report, metrics } = this.#options;
    metrics.setUp(state.up);
    report(state);
    const { up, reason } = state;
    if (!up) log.event('warn', 'the replica replay store is away', { reason });
    else if (reason === undefined) log.event('info', 'the replica replay store is there');
    else log.event('warn', 'the replica replay store does not say whether it evicts', { expected: 'noeviction' });
  }
}

/** What cannot be changed on an open connection. */
const connectionOf = ({ redis: { place, prefix, username, password, tls }, wantsSecrets }: ReplicaTerms) => [
  [place, prefix, username, password, tls],
  wantsSecrets,
];
const memoryOf = ({ redis: { place, prefix } }: ReplicaTerms) => [place, prefix];
