// The data plane of one thread: listeners, policy, upstreams and caches, and its reloads.

import type { LookupFunction } from 'node:net';
import { SeenCertificates } from '../certificate/seen-certificates.ts';
import { serve } from '../edge/exchange.ts';
import type { Runtime } from '../edge/runtime.ts';
import { Turns } from '../edge/turns.ts';
import { refuseUnread } from '../edge/unread.ts';
import { compileDeciding } from '../edge/decide/decide.ts';
import { compileIntake } from '../edge/intake/facts.ts';
import { compileFieldRules, pseudonymOf } from '../edge/fields/fields.ts';
import { BodyMemory } from '../edge/forward/body-memory.ts';
import type { Draining, OpenListener } from '../edge/listen/generations.ts';
import { openListener } from '../edge/listen/listener.ts';
import type { HandshakeRefusal } from '../edge/listen/serve.ts';
import { reportUpstream } from '../edge/upstream/report.ts';
import { type OpenUpstream, openUpstream, type UpstreamEvent } from '../edge/upstream/upstream.ts';
import { Arrivals } from '../observe/arrivals.ts';
import type { Log } from '../observe/log.ts';
import { TraceExport } from '../observe/trace-export.ts';
import type { CountSpans } from '../observe/trace-metrics.ts';
import { type Recent, RecentTraffic } from '../observe/recent.ts';
import type { ConnectionKind } from '../observe/recent-connections.ts';
import { createTrafficMetrics, type TrafficMetrics } from '../observe/metrics.ts';
import type { Listener, Policy, Route } from '../policy/policy.ts';
import { type Upstream, usersOf } from '../policy/upstream.ts';
import { NonceKeys, type Nonces } from '../proof/nonce.ts';
import { SharedRateLimiter } from '../rate/limiter.ts';
import type { StoreState } from '../memory/redis/replay-store.ts';
import { ProcessReplayStore } from '../memory/process-replay-store.ts';
import type { PolicyInForce, Preparation, StartOrder } from './messages.ts';
import { IssuerCalls } from './issuer-calls.ts';
import { type Called, ListenersAtWork } from './listeners-at-work.ts';
import { RefusedConnections } from './refused-connections.ts';
import { Ebb } from './spare-memory.ts';
import { MirroredKeys } from '../issuer/mirrored-keys.ts';
import type { ReplicaReplayStore } from './replica-store.ts';
import type { OpenReplicaStore } from './replica-load.ts';
import { RoutesAtWork } from './routes-at-work.ts';
import { replicaTerms } from './replica-terms.ts';
import { CountedCache } from './counted-cache.ts';
import { watchLoopDelay } from './loop-delay.ts';
import { ReplicaRateLimiter } from '../memory/replica-rates.ts';
import { StoreNonces } from '../memory/replica-nonces.ts';

/** Entries; one costs a signature check to get back. A token takes at most 16 KiB and its claims, a proof key a few KiB. */
export const CACHED_TOKENS = 10_000;
const CACHED_PROOF_KEYS = 10_000;

export interface DataPlaneOptions {
  readonly log: Log;
  /** Seconds since the epoch. */
  readonly now: () => number;
  /** Tells the supervisor of a kid that no key has; settles when the keys are as new as they get. */
  readonly refreshKeys: (issuer: string, kid: string | undefined) => Promise<void>;
  /** Tells the supervisor how the replica replay store is. */
  readonly replayStore: (state: StoreState) => void;
  /** For tests. */
  readonly lookup?: LookupFunction | undefined;
}

export class DataPlane {
  readonly metrics: TrafficMetrics;
  readonly #recent = new RecentTraffic();
  readonly #options: DataPlaneOptions;
  readonly #order: StartOrder;
  readonly #replay: ProcessReplayStore;
  readonly #rates: SharedRateLimiter;
  readonly #arrivals: Arrivals;
  /** undefined: `store: memory`; which of both it is needs a restart. */
  readonly #replicaStore: ReplicaReplayStore | undefined;
  /** What is verified by a proof key depends on no policy. */
  readonly #proofKeys: Runtime['ports']['proofKeys'];
  readonly #lookups = { token: { hits: 0, misses: 0 }, proof_key: { hits: 0, misses: 0 } };
  readonly #keys = new Map<string, MirroredKeys>();
  readonly #listeners: ListenersAtWork;
  readonly #issuerCalls: IssuerCalls;
  readonly #bodies = new BodyMemory();
  readonly #turns = new Turns();
  #runtime: Runtime;
  #upstreams: ReadonlyMap<Upstream, OpenUpstream> = new Map();
  #traces: TraceExport | undefined;
  #countSpans: CountSpans | undefined;
  #stopping = false;
  #cutting = false;
  readonly #refused: RefusedConnections;
  readonly #ebb = new Ebb();
  #endLoopDelay = () => {};

  /** Opens no listener yet. @param openReplicaStore of the policy of this order (replica-load.ts) */
  constructor(order: StartOrder, options: DataPlaneOptions, openReplicaStore: OpenReplicaStore | undefined) {
    this.#order = order;
    this.#options = options;
    this.#replay = new ProcessReplayStore(order.shared.replay);
    this.#rates = new SharedRateLimiter(order.shared.rates);
    this.#arrivals = new Arrivals(order.shared.arrivals);
    this.#proofKeys = new CountedCache(CACHED_PROOF_KEYS, this.#lookups.proof_key);
    this.metrics = createTrafficMetrics({
      connections: () => [...this.#listeners.connections()].map(([name, open]) => [{ name }, open] as const),
      upstreams: () => this.#upstreams.values(),
      caches: () => Object.entries(this.#lookups),
      worker: order.worker,
      challenged: order.shared.challenged,
    });
    this.#listeners = new ListenersAtWork({
      unixSockets: order.worker === 0,
      ticketSecret: order.shared.ticketSecret,
      open: (listener, called, secret) => this.#openListener(listener, called, secret),
    });
    this.#refused = new RefusedConnections(options.log);
    const { log, now, replayStore: report, lookup } = options;
    this.#replicaStore = openReplicaStore?.({ log, now, report, lookup, metrics: this.metrics.addStore() });
    this.#issuerCalls = new IssuerCalls({ log, metrics: this.metrics, keysOf: (name) => this.#keysOf(name), lookup });
    this.#runtime = this.#wire(order);
  }

  /** @throws Error for people, where TLS material is unusable or an address cannot be bound */
  async open(): Promise<void> {
    const { policy, binds } = this.#order;
    await this.#replicaStore?.settled();
    await this.#traces?.loaded;
    this.#endLoopDelay = watchLoopDelay((seconds) => this.metrics.observeLoopDelay(seconds));
    await this.#listeners.prepare(policy.listeners, binds);
    this.#listeners.change(policy.listeners, binds)();
  }

  /** Opens the new listeners of a policy that is adopted next. @throws Error for people: nothing is open then that was not before */
  async prepare({ listeners, binds }: Preparation): Promise<void> {
    await this.#listeners.prepare(listeners, binds);
  }

  /** The policy that was prepared for is not adopted. */
  async discard(): Promise<void> {
    await this.#listeners.discard();
  }

  /**
   * Puts another policy to work: for requests that come from now on, while those in flight keep theirs.
   * @throws Error for people, where TLS material is unusable or an address cannot be bound; everything is as it was then
   */
  async adopt(next: PolicyInForce): Promise<void> {
    // Open already, unless this thread took the place of another one since.
    await this.#listeners.prepare(next.policy.listeners, next.binds);
    const before = this.#upstreams;
    const change = this.#listeners.change(next.policy.listeners, next.binds);
    this.#runtime = this.#wire(next);
    change();
    const terms = replicaTerms(next.policy);
    if (terms !== undefined) void this.#replicaStore?.adopt(terms);
    for (const name of this.#keys.keys()) if (!next.keys.has(name)) this.#keys.delete(name);
    this.#options.log.change(next.policy.log);
    void this.metrics.forget(next.policy);
    const kept = new Set(this.#upstreams.values());
    for (const upstream of before.values()) if (!kept.has(upstream)) void upstream.close();
  }

  /** What happened lately in this thread. */
  recentTraffic(): Recent {
    return this.#recent.snapshot(this.#options.now());
  }

  updateKeys(issuer: string, keys: Parameters<MirroredKeys['update']>[0]): void {
    this.#keys.get(issuer)?.update(keys);
  }

  setTicketSecret(secret: Uint8Array): void {
    this.#listeners.setTicketSecret(secret);
  }

  /** Whether a wave of connections has ended since the last call. */
  hasEbbed(): boolean {
    const open = [...this.#listeners.connections().values()].reduce((sum, count) => sum + count, 0);
    return this.#ebb.hasCome(open, this.#listeners.takePeak());
  }

  /** Serves everything, and tells clients that their connections end. */
  drain(whom: Draining): void {
    this.#listeners.drain(whom);
  }

  /** Refuses new requests; settles when none is in flight any more. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#listeners.stop();
    await this.#traces?.close();
  }

  /** Ends everything at once. */
  async close(): Promise<void> {
    this.#stopping = true;
    this.#cutting = true;
    this.#endLoopDelay();
    await this.#listeners.close();
    await this.#issuerCalls.close();
    await this.#traces?.close();
    await Promise.all([...this.#upstreams.values()].map((upstream) => upstream.destroy()));
    this.#replicaStore?.close();
  }

  #wire({ policy, keys, shorterMemories }: PolicyInForce): Runtime {
    for (const [name, state] of keys) this.#keysOf(name).update(state);
    const { log, now } = this.#options;
    const { introspect, exchangeToken } = this.#issuerCalls.openFor(policy);
    const users = usersOf(policy.routes);
    const before = new Map([...this.#upstreams.values()].map((open) => [open.name, open]));
    this.#upstreams = new Map(
      policy.upstreams.map((one) => [one, this.#upstreamOf(one, users.get(one) ?? [], before.get(one.name))]),
    );
    return {
      policy,
      ports: {
        keysOf: ({ name }) => this.#keys.get(name) ?? NO_KEYS,
        tokens: new CountedCache(CACHED_TOKENS, this.#lookups.token),
        introspect,
        proofKeys: this.#proofKeys,
        nonces: this.#noncesOf(policy),
        replay: this.#replicaStore ?? this.#replay,
        ownReplay: this.#replay,
        rates: this.#replicaStore ? new ReplicaRateLimiter(this.#rates, this.#replicaStore) : this.#rates,
        rememberFor: policy.replay.retention,
        shorterMemories,
        seenCertificates: new SeenCertificates(),
      },
      turns: this.#turns,
      exchangeToken,
      listeners: this.#listenersAtWork(policy),
      metrics: this.metrics,
      log,
      recent: this.#recent,
      traces: this.#tracesOf(policy),
      now,
      stopping: () => this.#stopping,
      cutting: () => this.#cutting,
    };
  }

  #listenersAtWork(policy: Policy): Runtime['listeners'] {
    const { id, listeners, routes, managedFields } = policy;
    const rulesOf = ({ name }: Listener) => {
      const here = routes.filter(({ match }) => match.listeners?.includes(name) ?? true);
      return new Map(here.map((route) => [route, compileFieldRules(route, id, managedFields)]));
    };
    const work = new RoutesAtWork(policy, { upstreams: this.#upstreams, bodies: this.#bodies });
    return new Map(
      listeners.map((listener) => [
        listener.name,
        {
          intake: compileIntake(listener, managedFields, pseudonymOf(id)),
          deciding: listener.decides && compileDeciding(listener.decides, rulesOf(listener), managedFields),
          routes: work.under(listener.limits),
        },
      ]),
    );
  }

  /** One that another policy had just so keeps its connections, and what is known of its targets. */
  #upstreamOf(upstream: Upstream, users: readonly Route[], before: OpenUpstream | undefined): OpenUpstream {
    const connect = users.reduce((longest, { timeouts }) => Math.max(longest, timeouts.connect), 1);
    if (before?.fits(upstream, { connect })) {
      before.adopt(upstream);
      return before;
    }
    const onEvent = (event: UpstreamEvent) => reportUpstream(event, this.metrics, this.#options.log);
    return openUpstream(upstream, { connect, onEvent, ...this.#named });
  }

  /** Under other rules another export; the one before sends what it has. */
  #tracesOf({ tracing }: Policy): TraceExport | undefined {
    if (tracing !== undefined && this.#traces?.fits(tracing)) return this.#traces;
    void this.#traces?.close();
    const { log, lookup } = this.#options;
    if (tracing !== undefined) this.#countSpans ??= this.metrics.addTraces();
    this.#traces =
      tracing && new TraceExport(tracing, { log, lookup, count: (...spans) => this.#countSpans?.(...spans) });
    return this.#traces;
  }

  /** How names are resolved, where a test says it. */
  get #named(): { readonly lookup?: LookupFunction } {
    const { lookup } = this.#options;
    return lookup === undefined ? {} : { lookup };
  }

  #noncesOf({ nonce: { secrets, lifetime } }: Policy): Nonces {
    const source = this.#replicaStore;
    const { nonceSecret: ofProcess } = this.#order.shared;
    if (source !== undefined) return new StoreNonces({ source, configured: secrets, ofProcess, lifetime });
    return new NonceKeys(secrets.length > 0 ? secrets : [ofProcess], lifetime);
  }

  #keysOf(issuer: string): MirroredKeys {
    const { now, refreshKeys } = this.#options;
    const keys = this.#keys.get(issuer) ?? new MirroredKeys((kid) => refreshKeys(issuer, kid), now);
    this.#keys.set(issuer, keys);
    return keys;
  }

  /** @param called what the listener is called now, in metrics, log and routes */
  #openListener(listener: Listener, called: Called, ticketSecret: Uint8Array): Promise<OpenListener> {
    return openListener(
      listener,
      {
        accepted: () => this.#turns.connectionCame(),
        connected: () => this.#arrivals.add(),
        request: (transaction, connection) => serve(this.#runtime, called.name, { transaction, connection }),
        refused: (rejection, refused) => refuseUnread(this.#runtime, called.name, rejection, refused),
        handshake: (version, resumed) => this.metrics.countHandshake({ name: called.name }, version, resumed),
        refusedHandshake: (refusal, code, client) => this.#onHandshake(called.name, { refusal, code, client }),
        refusedConnection: (reason, client) => {
          const { name } = called;
          this.metrics.countRefusedConnection({ name }, reason);
          this.#refused.add(name, { reason, client });
          this.#countConnection({ listener: name, refusal: reason, code: '' }, client);
        },
      },
      this.#order.reusePort,
      ticketSecret,
    );
  }

  #onHandshake(listener: string, { refusal, code, client }: RefusedHandshake): void {
    this.metrics.countHandshakeFailure({ name: listener }, refusal === 'failed' ? code : refusal.toUpperCase());
    this.#options.log.event('info', 'handshake refused', { listener, refusal, code, client });
    this.#countConnection({ listener, refusal, code: code === refusal.toUpperCase() ? '' : code }, client);
  }

  #countConnection(kind: ConnectionKind, client: string | undefined): void {
    this.#recent.connections.count(kind, client, this.#options.now());
  }
}

interface RefusedHandshake {
  readonly refusal: HandshakeRefusal;
  readonly code: string;
  readonly client: string | undefined;
}

/** For an issuer that is not of this policy; there is none. */
const NO_KEYS = { current: () => undefined, refreshFor: async () => {} };
