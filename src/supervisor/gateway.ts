// The gateway: the supervisor that starts, reloads, drains and stops its workers.

import { randomBytes } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { claimBind } from '../edge/listen/claim.ts';
import { type Announcement, openAdmin } from '../operator/admin.ts';
import type { OpenPages } from '../operator/pages.ts';
import type { Reload, Status } from '../operator/status.ts';
import { openTelemetry, type Readiness, type Telemetry } from '../operator/telemetry.ts';
import { assertionKeys } from '../edge/fields/assertion.ts';
import { compileTlsMaterial } from '../edge/listen/tls-material.ts';
import type { Log } from '../observe/log.ts';
import { describeChanges } from '../config/report/changes.ts';
import type { Mask } from '../config/report/mask.ts';
import { collectReadiness } from './collect-readiness.ts';
import { collectStatus, countConnections, replicaStatus } from './collect-status.ts';
import { Arrivals, createArrivalsMemory } from '../observe/arrivals.ts';
import { createChallengedMemory } from '../observe/challenged.ts';
import { createProcessMetrics, type ProcessMetrics } from '../observe/process-metrics.ts';
import type { Bind, Policy } from '../policy/policy.ts';
import type { ShorterMemory } from '../proof/dpop-proof.ts';
import { createRateMemory } from '../rate/limiter.ts';
import { createReplayMemory, ProcessReplayStore } from '../memory/process-replay-store.ts';
import { Crew, sizeOfCrew, type WorkerState } from './crew.ts';
import { CannotListen, placeListeners } from './binds.ts';
import { IssuersAtWork } from './issuers-at-work.ts';
import { linger } from './linger.ts';
import { changeOf } from '../worker/policy-change.ts';
import type { Binds } from '../worker/listeners-at-work.ts';
import type { PolicyInForce, SharedState, StartOrder } from '../worker/messages.ts';
import { type Spawn, spawnThread } from './spawn.ts';

const SECRET_BYTES = 32;
/** Milliseconds. Whoever gets hold of the secret of session tickets can read what was sent under them (RFC 8446 §F.1). */
const TICKET_SECRET_AGE = 12 * 3600 * 1000;
/** Seconds. No route accepts a proof that is older than max_age and tolerance at their longest. */
const OLDEST_PROOF = 1200;
/** Seconds within which every worker has taken a new policy, clients' clocks ahead included. */
const CHANGEOVER = 60;

export type ReloadCause = Reload['cause'];

export interface GatewayOptions {
  readonly version: string;
  readonly log: Log;
  /** Name of the configuration file, and the configuration in force without secrets: for the admin port. */
  readonly file?: string;
  readonly config?: ShownConfig;
  /** Hides in the status what is hidden in `config`. */
  readonly mask?: Mask;
  /** Seconds since the epoch; for tests. */
  readonly now?: () => number;
  /** Milliseconds for which session tickets are made under one secret; for tests. */
  readonly ticketSecretAge?: number;
  /** How workers are started, and how names of issuers are resolved; for tests. */
  readonly spawn?: Spawn;
  readonly lookup?: LookupFunction | undefined;
}

/** Makes the text when it is asked for: what it is made of would be a tenth of a start. */
type ShownConfig = () => string | Promise<string>;

/** What goes with a policy that is put to work. */
interface Adopted extends Pick<GatewayOptions, 'mask'> {
  readonly cause: ReloadCause;
  readonly config: ShownConfig;
}

/** A gateway at work. */
export interface Gateway {
  /** As bound: ports are known where the policy said 0. */
  readonly listeners: readonly { readonly name: string; readonly bind: Bind }[];
  readonly telemetry: Bind;
  readonly admin: Bind;
  readonly ready: () => Readiness;
  readonly workers: readonly WorkerState[];
  /**
   * Puts another policy to work: requests that come from now on are decided by it, those in flight by the one they began with.
   * What needs a restart (config/report/restart.ts) must be the same. @throws Error for people where TLS material is unusable, CannotListen
   * where an address cannot be bound: nothing has changed then
   */
  reload(policy: Policy, of: Adopted): Promise<void>;
  /** A configuration that cannot be put to work: nothing changes; it is logged, counted and shown. @param problems for people */
  refuse(problems: readonly string[], cause: ReloadCause): void;
  /**
   * Not ready, and clients are told that their connections end; after `drain.delay`, and as soon as none come (linger.ts), no new connections; ends when
   * nothing is in flight, or after `drain.grace`.
   */
  drain(): Promise<void>;
  /** Ends everything at once. */
  close(): Promise<void>;
  /** Ends a worker as a crash would; for tests. */
  kill(worker: number): void;
}

/**
 * Starts a gateway. Keys of issuers are being loaded when this returns: `ready` tells when they are there.
 * @throws Error that names the address where a listener or the telemetry port cannot be bound; nothing stays open then
 */
export async function startGateway(policy: Policy, options: GatewayOptions): Promise<Gateway> {
  const running = new RunningGateway(policy, options);
  try {
    await running.open();
  } catch (error) {
    await running.close();
    throw error;
  }
  return running;
}

class RunningGateway implements Gateway {
  #policy: Policy;
  #epoch = 0;
  #shorterMemories: readonly ShorterMemory[] = [];
  readonly #log: Log;
  readonly #now: () => number;
  #shared: SharedState;
  readonly #replay: ProcessReplayStore;
  readonly #issuers: IssuersAtWork;
  readonly #metrics: ProcessMetrics;
  readonly #crew: Crew;
  readonly #options: GatewayOptions;
  readonly #startedAt: number;
  #adoptedAt: number;
  /** The configuration in force, without secrets. */
  #config: ShownConfig;
  #mask: Mask;
  #lastReload: Reload | undefined;
  #binds: Binds = new Map();
  readonly #ticketTimer: NodeJS.Timeout;
  #telemetry: Telemetry | undefined;
  #admin: OpenPages | undefined;
  /** Ends the waiting of a drain. */
  readonly #closed = new AbortController();
  #state: Status['state'] = 'starting';
  /** A drain was announced, and whether requests are still wanted meanwhile. */
  #announced: Announcement | undefined;

  constructor(policy: Policy, options: GatewayOptions) {
    const { version, log, config = () => '', now = () => Date.now() / 1000, spawn = spawnThread } = options;
    this.#options = options;
    this.#policy = policy;
    this.#config = config;
    this.#mask = options.mask ?? maskNothing;
    this.#startedAt = this.#adoptedAt = now();
    this.#log = log;
    this.#now = now;
    const replay = createReplayMemory({ capacity: policy.replay.capacity, since: now() });
    this.#shared = {
      replay,
      rates: createRateMemory(now()),
      challenged: createChallengedMemory(),
      arrivals: createArrivalsMemory(),
      nonceSecret: randomBytes(SECRET_BYTES),
      logSecret: randomBytes(SECRET_BYTES),
      ticketSecret: randomBytes(SECRET_BYTES),
    };
    this.#replay = new ProcessReplayStore(replay, now);
    this.#issuers = new IssuersAtWork(policy, {
      log,
      now,
      lookup: options.lookup,
      count: (event) => this.#metrics.countKeyRefresh(event),
      tell: (issuer, keys) => this.#crew.tell({ type: 'keys', issuer, keys }),
    });
    this.#metrics = createProcessMetrics({
      version,
      policy: () => this.#policy,
      replay: () => ({ entries: this.#replay.entries, capacity: replay.capacity }),
      issuerKeys: () => this.#issuers.all,
      reload: () => ({ result: this.#lastReload?.result ?? 'adopted', adoptedAt: this.#adoptedAt }),
      workers: () => this.#crew.states,
    });
    this.#crew = new Crew({
      size: sizeOfCrew(policy, log),
      spawn,
      log,
      start: (index) => this.#startOrder(index),
      refreshKeys: (issuer, kid) => this.#issuers.refresh(issuer, kid),
      lost: (last) => this.#metrics.countLostWorker(last),
    });
    this.#ticketTimer = setInterval(() => this.#rotateTickets(), options.ticketSecretAge ?? TICKET_SECRET_AGE).unref();
  }

  #rotateTickets(): void {
    const secret = randomBytes(SECRET_BYTES);
    this.#shared = { ...this.#shared, ticketSecret: secret };
    this.#crew.tell({ type: 'tickets', secret });
  }

  get #inForce(): PolicyInForce {
    return {
      epoch: this.#epoch,
      policy: this.#policy,
      keys: this.#issuers.states,
      shorterMemories: this.#shorterMemories,
      binds: this.#binds,
    };
  }

  #startOrder(index: number): StartOrder {
    return {
      type: 'start',
      worker: index,
      ...this.#inForce,
      shared: this.#shared,
      reusePort: this.#crew.size > 1,
      draining: this.#announced !== undefined ? 'all' : this.#state === 'draining' ? 'http1' : undefined,
    };
  }

  async open(): Promise<void> {
    compileListeners(this.#policy);
    this.#issuers.start();
    const binds = new Map<string, Bind>();
    for (const { name, bind } of this.#policy.listeners) binds.set(name, await claimBind(bind, `listener "${name}"`));
    this.#binds = binds;
    await this.#crew.start();
    this.#telemetry = await openTelemetry(this.#policy.telemetry.bind, {
      hosts: () => this.#policy.telemetry.hosts,
      ready: () => this.ready(),
      assertionKeys: () => assertionKeys(this.#policy.routes),
      metrics: async () => this.#metrics.collect(await this.#crew.snapshots()),
      onFailure: (error) => this.#log.failure('the telemetry port failed', error),
    });
    this.#admin = await openAdmin(this.#policy.admin, {
      status: () => this.#status(),
      config: () => this.#config(),
      announce: (announcement) => this.#announce(announcement),
      onFailure: (error) => this.#log.failure('the admin port failed', error),
    });
    this.#state = 'serving';
  }

  get listeners(): Gateway['listeners'] {
    return [...this.#binds].map(([name, bind]) => ({ name, bind }));
  }

  get telemetry(): Bind {
    return this.#telemetry?.bind ?? this.#policy.telemetry.bind;
  }

  get admin(): Bind {
    return this.#admin?.bind ?? this.#policy.admin;
  }

  get workers(): readonly WorkerState[] {
    return this.#crew.states;
  }

  get #shownState(): Status['state'] {
    return this.#state === 'serving' && this.#announced !== undefined ? 'draining' : this.#state;
  }

  ready(): Readiness {
    return collectReadiness({
      state: this.#shownState,
      wanted: this.#state === 'serving' && this.#announced?.ready !== false,
      policy: this.#policy,
      workers: this.#crew.states,
      lastReload: this.#lastReload?.result,
      listeners: [...this.#binds.keys()],
      keys: this.#issuers.all,
      mask: this.#mask,
    });
  }

  async #status(): Promise<Status> {
    const { version, file = '' } = this.#options;
    const { capacity } = this.#shared.replay;
    const replica = this.#policy.replay.redis && replicaStatus(this.#crew.states);
    return collectStatus({
      version,
      host: hostname(),
      file,
      policy: this.#policy,
      mask: this.#mask,
      state: this.#shownState,
      ready: this.ready().ready,
      now: this.#now(),
      startedAt: this.#startedAt,
      adoptedAt: this.#adoptedAt,
      lastReload: this.#lastReload,
      workers: this.#crew.states,
      keys: this.#issuers.all,
      replay: { entries: this.#replay.entries, capacity, replica },
      snapshots: await this.#crew.snapshots(),
      recents: await this.#crew.recents(),
    });
  }

  async reload(policy: Policy, { cause, config, mask = maskNothing }: Adopted): Promise<void> {
    compileListeners(policy);
    const changes = describeChanges(this.#policy, policy);
    const keys = await this.#issuers.takeOver(policy);
    const binds = await this.#listen(policy).catch((error: unknown) => {
      keys.discard();
      throw error;
    });
    this.#shorterMemories = this.#remember(policy);
    await keys.adopt();
    const change = changeOf(this.#policy, policy);
    [this.#policy, this.#binds] = [policy, binds];
    this.#epoch += 1;
    this.#log.change(policy.log);
    await this.#crew.adopt(this.#inForce, change);
    this.#adoptedAt = this.#now();
    this.#config = config;
    this.#mask = mask;
    this.#lastReload = { at: this.#adoptedAt, cause, result: 'adopted', changes, problems: [] };
    this.#metrics.countReload('adopted');
    void this.#metrics.forget(policy);
    this.#log.event('info', 'policy adopted', { policy: policy.id, cause, changes, workers: this.#crew.size });
  }

  /** Opens the new listeners of a policy in every worker, where they serve nobody yet. @throws CannotListen: nothing has changed then */
  async #listen({ listeners }: Policy): Promise<Binds> {
    const { binds, fresh } = await placeListeners(listeners, { listeners: this.#policy.listeners, binds: this.#binds });
    const [first] = fresh;
    if (first === undefined) return binds;
    const refused = await this.#crew.prepare({ epoch: this.#epoch + 1, listeners, binds });
    if (refused === undefined) return binds;
    this.#crew.tell({ type: 'discard' });
    const listener = fresh.find((name) => refused.startsWith(`listener "${name}"`)) ?? first;
    throw new CannotListen(listener, refused.replace(/^listener "[^"]*" cannot bind \S+: /, ''));
  }

  refuse(problems: readonly string[], cause: ReloadCause): void {
    this.#lastReload = { at: this.#now(), cause, result: 'refused', changes: [], problems };
    this.#metrics.countReload('refused');
    const about = { policy: this.#policy.id, cause, problems };
    this.#log.event('error', 'configuration refused: nothing was changed', about);
  }

  /** What was forgotten under the policy so far stays forgotten under one that remembers longer (C4.28). */
  #remember(next: Policy): readonly ShorterMemory[] {
    const now = this.#now();
    const live = this.#shorterMemories.filter(({ until }) => until + OLDEST_PROOF > now);
    const { retention } = this.#policy.replay;
    if (next.replay.retention <= retention) return live;
    return [...live, { until: now + CHANGEOVER, rememberedFor: retention }];
  }

  async #announce(announcement: Announcement): Promise<number> {
    const ready = announcement.ready && this.#announced?.ready !== false;
    if (this.#announced?.ready !== ready) {
      this.#announced = { ready };
      this.#log.event('info', 'drain announced', { ready });
      this.#crew.tell({ type: 'drain', whom: 'all' });
    }
    return countConnections(await this.#crew.snapshots());
  }

  async drain(): Promise<void> {
    this.#state = 'draining';
    if (this.#announced === undefined) this.#crew.tell({ type: 'drain', whom: 'http1' });
    const left = await linger(this.#policy.drain, {
      arrivals: new Arrivals(this.#shared.arrivals),
      pause: (seconds) => this.#pause(seconds),
      prolonged: () => this.#log.event('info', 'drain prolonged'),
    });
    this.#state = 'stopping';
    await Promise.race([this.#crew.stop(), this.#pause(left)]);
    await this.close();
  }

  async #pause(seconds: number): Promise<void> {
    const { signal } = this.#closed;
    await sleep(seconds * 1000, undefined, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }

  async close(): Promise<void> {
    this.#state = 'stopping';
    clearInterval(this.#ticketTimer);
    this.#closed.abort();
    await this.#crew.close();
    this.#issuers.stop();
    await this.#telemetry?.close();
    await this.#admin?.close();
  }

  kill(worker: number): void {
    this.#crew.kill(worker);
  }
}

/** Of a gateway without a configuration file. */
const maskNothing: Mask = (value) => value;

/** What the workers are going to do, so that material that cannot be used is refused before any of them has it. */
function compileListeners({ listeners }: Policy): void {
  for (const listener of listeners) if (listener.tls !== undefined) compileTlsMaterial(listener, listener.tls);
}
