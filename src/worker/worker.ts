// A worker: a data plane that obeys the supervisor's messages.

import type { LookupFunction } from 'node:net';
import { NOTHING_RECENT } from '../observe/recent.ts';
import type { Log } from '../observe/log.ts';
import type { StoreState } from '../memory/redis/replay-store.ts';
import { DataPlane } from './data-plane.ts';
import { loadReplicaStore } from './replica-load.ts';
import type { Order, PolicyInForce, Report } from './messages.ts';
import { applyChange } from './policy-change.ts';

export interface WorkerOptions {
  readonly report: (report: Report) => void;
  /** Made when the first order says how. */
  readonly log: (order: Extract<Order, { type: 'start' }>) => Log;
  /** Seconds since the epoch. */
  readonly now: () => number;
  /** A wave of connections has ended: memory can be given back. */
  readonly giveBack?: () => Promise<void>;
  /** Everything is closed and written: the thread can go. */
  readonly ended: () => void;
  /** For tests. */
  readonly lookup?: LookupFunction | undefined;
}

/** Obeys orders in their order, none before it has started; what fails and is nobody's fault but ours is thrown, and ends the thread. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #refreshes = new Map<number, () => void>();
  #plane: DataPlane | undefined;
  #log: Log | undefined;
  #tickets = 0;
  /** What the data plane serves. */
  #inForce: Pick<PolicyInForce, 'epoch' | 'policy'> | undefined;
  /** What opens listeners: orders that come meanwhile wait, or they would miss those that are not open yet. */
  #opening: Promise<void> = Promise.resolve();

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  async obey(order: Order): Promise<void> {
    const { report } = this.#options;
    if (order.type !== 'start') await this.#opening;
    switch (order.type) {
      case 'start':
        return (this.#opening = this.#start(order));
      case 'prepare':
        return (this.#opening = this.#prepare(order));
      case 'discard':
        return (this.#opening = this.#plane?.discard() ?? Promise.resolve());
      case 'policy':
        return (this.#opening = this.#adopt(order));
      case 'keys':
        return this.#plane?.updateKeys(order.issuer, order.keys);
      case 'refreshed':
        this.#refreshes.get(order.ticket)?.();
        this.#refreshes.delete(order.ticket);
        return;
      case 'snapshot':
        report({ type: 'snapshot', metrics: (await this.#plane?.metrics.snapshot()) ?? [] });
        if (this.#plane?.hasEbbed() === true) await this.#options.giveBack?.();
        return;
      case 'recent':
        return report({ type: 'recent', recent: this.#plane?.recentTraffic() ?? NOTHING_RECENT });
      case 'tickets':
        return this.#plane?.setTicketSecret(order.secret);
      case 'drain':
        return this.#plane?.drain(order.whom);
      case 'stop':
        await this.#plane?.stop();
        return report({ type: 'stopped' });
      case 'close':
        await this.#plane?.close();
        await this.#log?.flush();
        return this.#options.ended();
    }
  }

  async #start(order: Extract<Order, { type: 'start' }>): Promise<void> {
    const { report, now, lookup } = this.#options;
    this.#log = this.#options.log(order);
    const refreshKeys = (issuer: string, kid: string | undefined) => this.#refresh(issuer, kid);
    try {
      const replayStore = (state: StoreState) => report({ type: 'replay-store', state });
      const openReplicaStore = await loadReplicaStore(order.policy);
      this.#plane = new DataPlane(order, { log: this.#log, now, refreshKeys, lookup, replayStore }, openReplicaStore);
      await this.#plane.open();
      this.#inForce = { epoch: order.epoch, policy: order.policy };
      if (order.draining !== undefined) this.#plane.drain(order.draining);
      report({ type: 'serving' });
    } catch (error) {
      await this.#plane?.close();
      report({ type: 'failed', message: messageOf(error) });
    }
  }

  async #prepare(order: Extract<Order, { type: 'prepare' }>): Promise<void> {
    await this.#answer(order.epoch, 'prepared', async () => this.#plane?.prepare(order));
  }

  async #adopt(order: Extract<Order, { type: 'policy' }>): Promise<void> {
    await this.#answer(order.epoch, 'adopted', async () => {
      const { change, epoch, ...rest } = order;
      if (this.#inForce?.epoch !== epoch - 1)
        throw new Error('the change is from another policy than the one in force');
      const policy = applyChange(this.#inForce.policy, change);
      await this.#plane?.adopt({ ...rest, epoch, policy });
      this.#inForce = { epoch, policy };
    });
  }

  async #answer(epoch: number, type: 'prepared' | 'adopted', done: () => Promise<void>): Promise<void> {
    const { report } = this.#options;
    try {
      await done();
      report({ type, epoch });
    } catch (error) {
      report({ type: 'refused', epoch, message: messageOf(error) });
    }
  }

  #refresh(issuer: string, kid: string | undefined): Promise<void> {
    const ticket = ++this.#tickets;
    return new Promise((resolve) => {
      this.#refreshes.set(ticket, resolve);
      this.#options.report({ type: 'refresh', issuer, kid, ticket });
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'failed';
}
