// The worker threads of a gateway: started together, watched, and replaced when one dies.

import type { Log } from '../observe/log.ts';
import { NOTHING_RECENT, type Recent } from '../observe/recent.ts';
import type { Snapshot } from '../observe/instruments.ts';
import type { Policy } from '../policy/policy.ts';
import type { StoreState } from '../memory/redis/replay-store.ts';
import type { PolicyChange } from '../worker/policy-change.ts';
import type { Order, PolicyInForce, PolicyOrder, Preparation, Report, StartOrder } from '../worker/messages.ts';
import type { Spawn, WorkerThread } from './spawn.ts';

/** Milliseconds. A worker that leaves so many snapshots in a row unanswered is stuck, and is replaced. */
const SNAPSHOT_EVERY = 5000;
const UNANSWERED = 6;
/** Milliseconds for which a scrape waits for the slowest worker before it takes what that one said last. */
const SNAPSHOT_PATIENCE = 1000;
/** Milliseconds before one is replaced again that died soon after it started, doubling. */
const RESTART = { min: 100, max: 10_000 };
/** Milliseconds that a worker gets to close and write its log. */
const LAST_WORDS = 2000;
/** Milliseconds for its end after that. A thread whose log nobody reads may not end at all. */
const TERMINATION = 500;
/** Milliseconds in which every worker has to take a policy. */
const ADOPTION = 10_000;

export interface CrewOptions {
  readonly size: number;
  readonly spawn: Spawn;
  readonly log: Log;
  /** What a worker with this index is to start with, now. */
  readonly start: (index: number) => StartOrder;
  readonly refreshKeys: (issuer: string, kid: string | undefined) => Promise<void>;
  /** A worker died although nobody told it to; its last snapshot would be lost otherwise. */
  readonly lost: (last: Snapshot) => void;
}

export interface WorkerState {
  readonly index: number;
  readonly state: 'starting' | 'serving' | 'stopped' | 'gone';
  /** How often it had to be replaced. */
  readonly restarts: number;
  /** Share of its time that it was busy since the last snapshot, 0 to 1. */
  readonly utilization: number;
  /** The replica replay store as it sees it; undefined: it did not say yet. */
  readonly replayStore: StoreState | undefined;
}

/** Where threads can share a port; elsewhere (macOS) there is one worker. */
const SHARE_PORTS: readonly NodeJS.Platform[] = ['linux', 'freebsd', 'sunos', 'aix'];

/** How many workers there can be, which is logged where they are fewer than wanted. */
export function sizeOfCrew({ workers }: Pick<Policy, 'workers'>, log: Log): number {
  if (workers === 1 || SHARE_PORTS.includes(process.platform)) return workers;
  log.event('warn', 'threads cannot share a port on this platform: there is one worker', { workers });
  return 1;
}

export class Crew {
  readonly #members: readonly Member[];
  readonly #timer: NodeJS.Timeout;

  constructor(options: CrewOptions) {
    this.#members = Array.from({ length: options.size }, (_, index) => new Member(index, options));
    this.#timer = setInterval(() => {
      for (const member of this.#members) member.poll();
    }, SNAPSHOT_EVERY);
  }

  /** Settles when all serve. @throws Error for people: why one cannot */
  async start(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.start()));
  }

  get size(): number {
    return this.#members.length;
  }

  get states(): readonly WorkerState[] {
    return this.#members.map(({ current }) => current);
  }

  /** To all that are there; those that come later get what they need with their first order. */
  tell(order: Order): void {
    for (const member of this.#members) member.post(order);
  }

  /**
   * Puts a policy to work in every worker, by what changes in the one that is in force; `start` gives it to replacements already. A
   * worker that does not take it is replaced, so that no two policies are in force.
   */
  async adopt({ epoch, keys, shorterMemories, binds }: PolicyInForce, change: PolicyChange): Promise<void> {
    const order = { epoch, keys, shorterMemories, binds, change };
    await Promise.all(this.#members.map((member) => member.adopt(order)));
  }

  /**
   * Has every worker open what a policy needs, before anything changes. @returns why one could not, for people; what others have opened has to be
   * discarded then. undefined: it is open everywhere
   */
  async prepare(preparation: Preparation): Promise<string | undefined> {
    const answers = await Promise.all(this.#members.map((member) => member.prepare(preparation)));
    return answers.find((answer) => answer !== undefined);
  }

  /** The metrics of each worker; of one that does not answer in time those it reported last. */
  async snapshots(): Promise<readonly Snapshot[]> {
    return await Promise.all(this.#members.map((member) => member.snapshot()));
  }

  /** What happened lately in each worker; nothing of one that does not answer in time. */
  async recents(): Promise<readonly Recent[]> {
    return await Promise.all(this.#members.map((member) => member.recent()));
  }

  /** Settles when no worker has a request in flight. */
  async stop(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.stop()));
  }

  /** Ends all workers, in at most two and a half seconds. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#members.map((member) => member.close()));
  }

  /** For tests: ends a worker as a crash would. */
  kill(index: number): void {
    this.#members[index]?.kill();
  }
}

/** One place in the crew, which one thread after the other can have. */
class Member {
  readonly #index: number;
  readonly #options: CrewOptions;
  #thread: WorkerThread | undefined;
  #state: WorkerState['state'] = 'starting';
  #restarts = 0;
  #utilization = 0;
  #replayStore: StoreState | undefined;
  #wanted = true;
  #last: Snapshot = [];
  #unanswered = 0;
  #delay = 0;
  #restart: NodeJS.Timeout | undefined;
  /** Waiting for reports: each is called with every report, and with undefined when the thread is gone. */
  readonly #waiting = new Set<(report: Report | undefined) => void>();

  constructor(index: number, options: CrewOptions) {
    this.#index = index;
    this.#options = options;
  }

  get current(): WorkerState {
    return {
      index: this.#index,
      state: this.#state,
      restarts: this.#restarts,
      utilization: this.#utilization,
      replayStore: this.#replayStore,
    };
  }

  async start(): Promise<void> {
    this.#spawn();
    const report = await this.#until((one) => one.type === 'serving' || one.type === 'failed');
    if (report?.type === 'serving') return;
    this.#wanted = false;
    throw new Error(report?.type === 'failed' ? report.message : `worker ${this.#index} died while it started`);
  }

  #spawn(): void {
    this.#state = 'starting';
    this.#unanswered = 0;
    this.#replayStore = undefined;
    const thread = this.#options.spawn(this.#index, {
      report: (report) => this.#hear(report),
      gone: (error) => this.#gone(error),
    });
    this.#thread = thread;
    thread.post(this.#options.start(this.#index));
  }

  #hear(report: Report): void {
    if (report.type === 'serving') {
      this.#state = 'serving';
    } else if (report.type === 'snapshot') {
      this.#last = report.metrics;
      this.#unanswered = 0;
    } else if (report.type === 'replay-store') this.#replayStore = report.state;
    else if (report.type === 'refresh') void this.#refresh(report.issuer, report.kid, report.ticket);
    else if (report.type === 'failed' && this.#restarts > 0) {
      this.#options.log.event('error', 'a worker cannot start', { worker: this.#index, error: report.message });
      this.kill();
    }
    for (const hear of this.#waiting) hear(report);
  }

  async #refresh(issuer: string, kid: string | undefined, ticket: number): Promise<void> {
    const thread = this.#thread;
    await this.#options.refreshKeys(issuer, kid);
    if (thread === this.#thread) thread?.post({ type: 'refreshed', ticket });
  }

  #gone(error: unknown): void {
    const starting = this.#state === 'starting' && this.#restarts === 0;
    this.#thread = undefined;
    this.#state = 'gone';
    for (const hear of this.#waiting) hear(undefined);
    if (!this.#wanted || starting) return;
    this.#options.log.failure(`worker ${this.#index} died and is replaced`, error);
    this.#options.lost(this.#last);
    this.#last = [];
    this.#restarts += 1;
    this.#restart = setTimeout(() => this.#spawn(), this.#delay);
    this.#delay = Math.min(RESTART.max, Math.max(RESTART.min, this.#delay * 2));
  }

  post(order: Order): void {
    this.#thread?.post(order);
  }

  /** One that dies or does not answer is replaced by one that opens what it needs when it adopts. */
  async prepare(preparation: Preparation): Promise<string | undefined> {
    const { epoch } = preparation;
    this.post({ type: 'prepare', ...preparation });
    const answer = await this.#until(
      (one) => (one.type === 'prepared' || one.type === 'refused') && one.epoch === epoch,
      ADOPTION,
    );
    return answer?.type === 'refused' ? answer.message : undefined;
  }

  async adopt(policy: PolicyOrder): Promise<void> {
    this.post({ type: 'policy', ...policy });
    const answer = await this.#until(
      (one) => (one.type === 'adopted' || one.type === 'refused') && one.epoch === policy.epoch,
      ADOPTION,
    );
    if (answer?.type === 'adopted' || this.#thread === undefined) return;
    const error = answer?.type === 'refused' ? answer.message : 'no answer';
    this.#options.log.event('error', 'a worker did not take the policy', { worker: this.#index, error });
    this.kill();
  }

  async snapshot(): Promise<Snapshot> {
    this.post({ type: 'snapshot' });
    await this.#until((one) => one.type === 'snapshot', SNAPSHOT_PATIENCE);
    return this.#last;
  }

  async recent(): Promise<Recent> {
    this.post({ type: 'recent' });
    const report = await this.#until((one) => one.type === 'recent', SNAPSHOT_PATIENCE);
    return report?.type === 'recent' ? report.recent : NOTHING_RECENT;
  }

  /** Between scrapes, so that little is lost with a worker that dies. */
  poll(): void {
    if (this.#thread === undefined) return;
    this.#utilization = this.#thread.utilization();
    if (this.#state === 'serving') this.#delay = 0;
    this.#unanswered += 1;
    // Counted, not timed: after the process was suspended all threads are late alike.
    if (this.#unanswered <= UNANSWERED) return this.post({ type: 'snapshot' });
    this.#options.log.event('error', 'a worker is stuck', { worker: this.#index });
    this.kill();
  }

  async stop(): Promise<void> {
    this.#wanted = false;
    clearTimeout(this.#restart);
    this.post({ type: 'stop' });
    await this.#until((one) => one.type === 'stopped');
    if (this.#thread !== undefined) this.#state = 'stopped';
  }

  async close(): Promise<void> {
    this.#wanted = false;
    clearTimeout(this.#restart);
    this.post({ type: 'close' });
    await this.#until(() => false, LAST_WORDS);
    if (this.#thread === undefined) return;
    this.kill();
    await this.#until(() => false, TERMINATION);
  }

  kill(): void {
    this.#thread?.terminate();
  }

  /** The first report that fits; undefined: the thread is gone, or there was none in so many milliseconds. */
  #until(fits: (report: Report) => boolean, patience?: number): Promise<Report | undefined> {
    if (this.#thread === undefined) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const end = (report: Report | undefined) => {
        clearTimeout(timer);
        this.#waiting.delete(hear);
        resolve(report);
      };
      const hear = (report: Report | undefined) => {
        if (report === undefined || fits(report)) end(report);
      };
      const timer = patience === undefined ? undefined : setTimeout(() => end(undefined), patience);
      this.#waiting.add(hear);
    });
  }
}
