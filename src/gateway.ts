// The gateway: wires a compiled policy to keys, stores, listeners and the telemetry port; starts, drains and stops them.

import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { refuseUnread, type Runtime, serve } from './edge/exchange.ts';
import { compileIntake } from './edge/facts.ts';
import { compileFieldRules, pseudonymOf } from './edge/fields.ts';
import { SeenCertificates } from './certificate/seen-certificates.ts';
import { type HandshakeRefusal, type OpenListener, openListener } from './edge/listener.ts';
import { openTelemetry, type Readiness, type Telemetry } from './edge/telemetry.ts';
import { openUpstream } from './edge/upstream.ts';
import type { Log } from './observe/log.ts';
import { createMetrics, type Metrics } from './observe/metrics.ts';
import type { Bind, Listener, Policy, Upstream } from './policy/route.ts';
import { NonceKeys } from './proof/nonce.ts';
import { IssuerKeys, type IssuerKeysEvent } from './store/issuer-keys.ts';
import { createReplayMemory, SharedReplayStore } from './store/shared-replay-store.ts';
import { readKeySet } from './token/key-set.ts';

/** Entries; one costs a signature check to get back. A token takes at most 16 KiB and its claims, a proof key a few KiB. */
const CACHED_TOKENS = 10_000;
const CACHED_PROOF_KEYS = 10_000;

export interface GatewayOptions {
  readonly version: string;
  readonly log: Log;
  /** Seconds since the epoch; for tests. */
  readonly now?: () => number;
}

/** A gateway at work. */
export interface Gateway {
  /** As bound: ports are known where the policy said 0. */
  readonly listeners: readonly { readonly name: string; readonly bind: Bind }[];
  readonly telemetry: Bind;
  readonly ready: () => Readiness;
  /** Not ready; after `drain.delay` no new connections; ends when nothing is in flight, or after `drain.grace`. */
  drain(): Promise<void>;
  /** Ends everything at once. */
  close(): Promise<void>;
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
  readonly #policy: Policy;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #keys: ReadonlyMap<string, IssuerKeys>;
  /** What was last said of an issuer's keys: refreshes that change nothing are not logged. */
  readonly #keyNews = new Map<string, string>();
  readonly #replay: SharedReplayStore;
  readonly #metrics: Metrics;
  readonly #runtime: Runtime;
  readonly #open = new Map<Listener, OpenListener>();
  #telemetry: Telemetry | undefined;
  /** Ends the waiting of a drain. */
  readonly #closed = new AbortController();
  #state: 'starting' | 'serving' | 'draining' | 'stopping' = 'starting';

  constructor(policy: Policy, { version, log, now = () => Date.now() / 1000 }: GatewayOptions) {
    this.#policy = policy;
    this.#log = log;
    this.#now = now;
    this.#replay = new SharedReplayStore(createReplayMemory({ capacity: policy.replay.capacity, since: now() }), now);
    this.#keys = new Map(policy.issuers.map((issuer) => [issuer.name, this.#keysOf(issuer)]));
    this.#metrics = createMetrics({
      version,
      policy: () => policy,
      replay: this.#replay,
      issuerKeys: () => this.#keys.values(),
      connections: () => [...this.#open].map(([listener, open]) => [listener, open.connections()] as const),
    });
    this.#runtime = this.#wire();
  }

  #keysOf(issuer: Policy['issuers'][number]): IssuerKeys {
    return new IssuerKeys({ issuer, readKeySet, now: this.#now, onEvent: (event) => this.#onKeys(event) });
  }

  #onKeys(event: IssuerKeysEvent): void {
    this.#metrics.countKeyRefresh(event);
    const { issuer, result } = event;
    if (result === 'failed') return this.#log.event('warn', 'keys could not be loaded', { issuer, error: event.error });
    const { keys, withdrawn, unused } = event;
    const news = `${keys} ${withdrawn} ${unused.join()}`;
    if (this.#keyNews.get(issuer) === news) return;
    this.#keyNews.set(issuer, news);
    this.#log.event('info', 'keys loaded', { issuer, keys, withdrawn, unused: [...unused] });
    // Whoever reads the key set can sign tokens: somebody has to hear of it.
    if (unused.includes('private')) this.#log.event('error', 'the issuer publishes a private key', { issuer });
  }

  #wire(): Runtime {
    const policy = this.#policy;
    const { listeners, routes, upstreams, managedFields, nonce } = policy;
    const fieldRules = new Map(
      routes.map((route) => [
        route,
        compileFieldRules(route, policy.id, managedFields, policy.withoutUpstreamNonce.has(route)),
      ]),
    );
    return {
      policy,
      ports: {
        keysOf: ({ name }) => this.#keys.get(name) ?? NO_KEYS,
        tokens: new LRUCache({ max: CACHED_TOKENS }),
        proofKeys: new LRUCache({ max: CACHED_PROOF_KEYS }),
        nonces: new NonceKeys(nonce.secrets, nonce.lifetime),
        replay: this.#replay,
        rememberFor: policy.replay.retention,
        seenCertificates: new SeenCertificates(),
      },
      intake: new Map(listeners.map((one) => [one.name, compileIntake(one, managedFields, pseudonymOf(policy.id))])),
      fieldRules,
      upstreams: new Map(
        upstreams.map((upstream) => [upstream, openUpstream(upstream, this.#longestConnect(upstream))]),
      ),
      metrics: this.#metrics,
      log: this.#log,
      now: this.#now,
      stopping: () => this.#state === 'stopping',
    };
  }

  #longestConnect(upstream: Upstream): number {
    const routes = this.#policy.routes.filter((route) => route.upstream === upstream);
    return Math.max(1, ...routes.map(({ timeouts }) => timeouts.connect));
  }

  async open(): Promise<void> {
    for (const keys of this.#keys.values()) void keys.start();
    for (const listener of this.#policy.listeners) this.#open.set(listener, await this.#openListener(listener));
    this.#telemetry = await openTelemetry(this.#policy.telemetry, {
      ready: () => this.ready(),
      metrics: () => this.#metrics.text(),
      onFailure: (error) => this.#log.failure('the telemetry port failed', error),
    });
    this.#state = 'serving';
  }

  #openListener(listener: Listener): Promise<OpenListener> {
    return openListener(listener, {
      request: (request, response, connection, expectsContinue) =>
        serve(this.#runtime, listener.name, { request, response, connection, expectsContinue }),
      refused: (rejection, connection) => refuseUnread(this.#runtime, listener.name, rejection, connection),
      refusedHandshake: (refusal, code) => this.#onHandshake(listener, refusal, code),
    });
  }

  #onHandshake(listener: Listener, refusal: HandshakeRefusal, code: string): void {
    this.#metrics.countHandshakeFailure(listener, refusal === 'failed' ? code : refusal.toUpperCase());
    this.#log.event('info', 'handshake refused', { listener: listener.name, refusal, code });
  }

  get listeners(): Gateway['listeners'] {
    return [...this.#open].map(([{ name }, { bind }]) => ({ name, bind }));
  }

  get telemetry(): Bind {
    return this.#telemetry?.bind ?? this.#policy.telemetry;
  }

  ready(): Readiness {
    const issuers = [...this.#keys.values()].map(({ issuer, loadedOnce, lastError }) => ({
      issuer: issuer.name,
      keys_loaded: loadedOnce,
      required: issuer.requiredForReady,
      ...(lastError === undefined ? {} : { last_error: lastError }),
    }));
    const keysReady = issuers.every(({ keys_loaded: loaded, required }) => loaded || !required);
    return {
      ready: this.#state === 'serving' && keysReady,
      details: {
        state: this.#state,
        policy: this.#policy.id,
        listeners: [...this.#open.keys()].map(({ name }) => name),
        issuers,
      },
    };
  }

  async drain(): Promise<void> {
    const { delay, grace } = this.#policy.drain;
    this.#state = 'draining';
    await this.#pause(delay);
    this.#state = 'stopping';
    const finished = Promise.all([...this.#open.values()].map((listener) => listener.stop()));
    await Promise.race([finished, this.#pause(grace)]);
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
    this.#closed.abort();
    await Promise.all([...this.#open.values()].map((listener) => listener.close()));
    await Promise.all([...this.#runtime.upstreams.values()].map(({ pool }) => pool.destroy()));
    for (const keys of this.#keys.values()) keys.stop();
    await this.#telemetry?.close();
  }
}

/** For an issuer that is not of this policy; there is none. */
const NO_KEYS = { current: () => undefined, refreshFor: async () => {} };
