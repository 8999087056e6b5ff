// Leader election by a Lease of coordination.k8s.io: one of several controllers writes.

import { setTimeout as sleep } from 'node:timers/promises';
import { ApiFailure } from './api-failure.ts';
import type { ApiServer } from './api.ts';

export interface LeaseSettings {
  readonly api: ApiServer;
  readonly namespace: string;
  readonly name: string;
  /** Of this process: no two have the same. */
  readonly identity: string;
  readonly onFailure: (failure: ApiFailure) => void;
  /** Seconds; for tests. */
  readonly times?: LeaseTimes;
}

interface LeaseTimes {
  /** After which others may take a lease that is not renewed. */
  readonly duration: number;
  /** After which a leader whose renewals fail stops writing: less than `duration`, so that there are never two. */
  readonly deadline: number;
  readonly renewal: number;
}

const TIMES: LeaseTimes = { duration: 15, deadline: 10, renewal: 2 };

interface Held {
  readonly holder: string;
  readonly version: string;
  readonly transitions: number;
  readonly seconds: number;
  readonly acquired: string;
}

/**
 * Holds the lease, or waits for it. Clocks of machines are not compared: a lease has run out when it did not change for its duration as
 * this process saw it. Who holds it stops before others may begin.
 */
export class Lease {
  readonly #settings: LeaseSettings;
  readonly #times: LeaseTimes;
  /** performance.now() until which this process may write. */
  #leadsUntil = 0;
  #seen: { readonly version: string; readonly at: number } | undefined;
  #change: ((leads: boolean) => void)[] = [];
  #led = false;

  constructor(settings: LeaseSettings) {
    this.#settings = settings;
    this.#times = settings.times ?? TIMES;
  }

  get leads(): boolean {
    return performance.now() < this.#leadsUntil;
  }

  /** Told when this process begins and ceases to lead. */
  onChange(hear: (leads: boolean) => void): void {
    this.#change.push(hear);
  }

  /** Runs until the signal, then gives the lease back. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      await this.#try().catch((error: unknown) => this.#fail(error));
      this.#tell();
      // oxlint-disable-next-line no-await-in-loop
      await sleep(this.#pause(), undefined, { signal }).catch(() => {});
    }
    await this.#giveBack().catch((error: unknown) => this.#fail(error));
    this.#leadsUntil = 0;
    this.#tell();
  }

  #fail(error: unknown): void {
    const failure = error instanceof ApiFailure ? error : new ApiFailure(undefined, 'broken', 'lease');
    // Another one was quicker: the order of things.
    if (failure.status !== 409) this.#settings.onFailure(failure);
    else this.#leadsUntil = 0;
  }

  #pause(): number {
    const renewal = this.#times.renewal * 1000;
    return this.leads ? Math.min(renewal, this.#leadsUntil - performance.now()) : renewal * (0.5 + Math.random() / 2);
  }

  #tell(): void {
    const { leads } = this;
    if (leads === this.#led) return;
    this.#led = leads;
    for (const hear of this.#change) hear(leads);
  }

  async #try(): Promise<void> {
    const asked = performance.now();
    const held = await this.#read();
    if (held !== undefined && held.holder !== this.#settings.identity && held.holder !== '') {
      if (this.#seen?.version !== held.version) this.#seen = { version: held.version, at: asked };
      if (asked - this.#seen.at < held.seconds * 1000) {
        this.#leadsUntil = 0;
        return;
      }
    }
    await this.#write(held, this.#settings.identity);
    this.#leadsUntil = asked + this.#times.deadline * 1000;
  }

  async #giveBack(): Promise<void> {
    if (!this.leads) return;
    const held = await this.#read();
    if (held?.holder === this.#settings.identity) await this.#write(held, '');
  }

  async #read(): Promise<Held | undefined> {
    try {
      return readLease(await this.#settings.api.ask({ method: 'GET', path: this.#path(), signal: this.#inTime() }));
    } catch (error) {
      if (error instanceof ApiFailure && error.status === 404) return undefined;
      throw error;
    }
  }

  async #write(held: Held | undefined, holder: string): Promise<void> {
    const { api, name, namespace } = this.#settings;
    const now = `${new Date().toISOString().slice(0, -1)}000Z`;
    const same = held?.holder === holder;
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace, ...(held && { resourceVersion: held.version }) },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: holder === '' ? 1 : this.#times.duration,
        acquireTime: same ? held.acquired : now,
        renewTime: now,
        leaseTransitions: (held?.transitions ?? 0) + (same || held === undefined || holder === '' ? 0 : 1),
      },
    };
    const signal = this.#inTime();
    if (held === undefined) await api.ask({ method: 'POST', path: this.#path(''), body, signal });
    else await api.ask({ method: 'PUT', path: this.#path(), body, signal });
  }

  /** A slow answer has to come before the deadline, or the lease is lost for one answer. */
  #inTime(): AbortSignal {
    return AbortSignal.timeout((this.#times.deadline * 1000) / 2);
  }

  #path(name = `/${this.#settings.name}`): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${this.#settings.namespace}/leases${name}`;
  }
}

/** @throws ApiFailure where it is no Lease */
function readLease(given: unknown): Held {
  const { metadata, spec } = (given ?? {}) as {
    readonly metadata?: { readonly resourceVersion?: unknown };
    readonly spec?: Readonly<Record<string, unknown>>;
  };
  const version = metadata?.resourceVersion;
  if (typeof version !== 'string') throw new ApiFailure(undefined, 'malformed', 'lease');
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  const number = (value: unknown, otherwise: number) => (typeof value === 'number' ? value : otherwise);
  return {
    version,
    holder: text(spec?.['holderIdentity']),
    seconds: number(spec?.['leaseDurationSeconds'], TIMES.duration),
    transitions: number(spec?.['leaseTransitions'], 0),
    acquired: text(spec?.['acquireTime']),
  };
}
