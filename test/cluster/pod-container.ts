// A container of a pod over its whole life: starts, looks, restarts, end.

import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ContainerProcess, type Ended, type Settled } from './container.ts';
import type { Container, Probe } from './objects.ts';
import { perform } from './probe.ts';

/** First pause before a restart, and the longest. */
const BACKOFF = [500, 20_000] as const;
/** As kubelet has it: so much is left for the end even if preStop took all there was. */
const LEAST_GRACE = 2000;
const SECOND = 1000;

/** What a container needs of its pod. */
export interface Pod {
  readonly address: string;
  settle(container: Container): Promise<Settled>;
  restarts(container: Container, code: number): boolean;
  /** Something of the status has changed. */
  report(): void;
  event(type: 'Normal' | 'Warning', reason: string, message: string): void;
}

export class PodContainer {
  readonly container: Container;
  readonly #pod: Pod;
  #process: ContainerProcess | undefined;
  #last: { readonly ended: Ended; readonly from: Date; readonly to: Date } | undefined;
  #waiting: string | undefined = 'ContainerCreating';
  #message = '';
  #restarts = 0;
  #ready = false;
  #stopping = false;
  started = false;
  /** Ended for good. */
  readonly done: Promise<number>;
  readonly #finish: (code: number) => void;
  #code: number | undefined;

  constructor(container: Container, pod: Pod) {
    this.container = container;
    this.#pod = pod;
    const { promise, resolve } = Promise.withResolvers<number>();
    this.done = promise;
    this.#finish = resolve;
  }

  get code(): number | undefined {
    return this.#code;
  }

  get running(): boolean {
    return this.#process !== undefined;
  }

  get ready(): boolean {
    return this.running && this.started && this.#ready;
  }

  /** Starts it, and again as its pod says, until it is done or stopped. */
  async run(): Promise<void> {
    for (let wait: number = BACKOFF[0]; ; wait = Math.min(wait * 2, BACKOFF[1])) {
      const code = await this.#once();
      if (this.#stopping || !this.#pod.restarts(this.container, code)) {
        this.#code = code;
        this.#finish(code);
        this.#pod.report();
        return;
      }
      this.#waiting = 'CrashLoopBackOff';
      this.#pod.report();
      await pause(wait);
      if (this.#stopping) continue;
      this.#restarts += 1;
    }
  }

  async #once(): Promise<number> {
    if (this.#stopping) return this.#last?.ended.code ?? 0;
    const settled = await this.#settle();
    if (settled === undefined) return 0;
    const process = new ContainerProcess(settled);
    this.#process = process;
    this.#waiting = undefined;
    this.started = this.container.startupProbe === undefined;
    this.#ready = this.container.readinessProbe === undefined;
    this.#pod.report();
    void this.#look(process);
    const ended = await process.ended;
    this.#last = { ended, from: process.startedAt, to: new Date() };
    this.#process = undefined;
    this.#pod.report();
    return ended.code;
  }

  /** What it needs may come later. */
  async #settle(): Promise<Settled | undefined> {
    while (!this.#stopping) {
      try {
        return await this.#pod.settle(this.container);
      } catch (error) {
        const message = String(error);
        if (message !== this.#message) this.#pod.event('Warning', 'Failed', message);
        this.#message = message;
        this.#waiting = message.includes('no program here stands for') ? 'ErrImagePull' : 'CreateContainerConfigError';
        this.#pod.report();
        await pause(SECOND);
      }
    }
    return undefined;
  }

  async #look(process: ContainerProcess): Promise<void> {
    const alive = () => this.#process === process;
    const { startupProbe, readinessProbe, livenessProbe } = this.container;
    if (startupProbe) {
      await this.#watch(
        startupProbe,
        () => alive() && !this.started,
        'Startup',
        (good) => {
          if (good) this.started = true;
          else process.signal('SIGTERM');
        },
      );
    }
    const readiness = this.#watch(readinessProbe, alive, 'Readiness', (good) => (this.#ready = good));
    const liveness = this.#watch(
      livenessProbe,
      () => alive() && !this.#stopping,
      'Liveness',
      (good) => {
        if (!good) process.signal('SIGTERM');
      },
    );
    await Promise.all([readiness, liveness]);
  }

  /** Looks again and again, and tells when enough looks in a row have agreed. */
  async #watch(
    probe: Probe | undefined,
    on: () => boolean,
    name: string,
    tell: (good: boolean) => void,
  ): Promise<void> {
    if (probe === undefined) return;
    await pause((probe.initialDelaySeconds ?? 0) * SECOND);
    let [good, bad] = [0, 0];
    let told: boolean | undefined;
    while (on()) {
      const process = this.#process;
      if (process === undefined) return;
      const looking = { container: this.container, process, address: this.#pod.address };
      const well = await perform(probe, looking, (probe.timeoutSeconds ?? 1) * SECOND);
      if (!on()) return;
      [good, bad] = well ? [good + 1, 0] : [0, bad + 1];
      if (!well) this.#pod.event('Warning', 'Unhealthy', `${name} probe failed`);
      const judged = well ? good >= (probe.successThreshold ?? 1) : bad < (probe.failureThreshold ?? 3) && told;
      if (judged !== undefined && judged !== told) {
        told = judged;
        tell(judged);
        this.#pod.report();
      }
      await pause((probe.periodSeconds ?? 10) * SECOND);
    }
  }

  /** preStop, then the turn of this container, then SIGTERM, and SIGKILL when its time is over. */
  async stop(until: number, turn: Promise<unknown>): Promise<void> {
    this.#stopping = true;
    const process = this.#process;
    if (process === undefined) return;
    const preStop = this.container.lifecycle?.preStop;
    if (preStop) {
      const looking = { container: this.container, process, address: this.#pod.address };
      const well = await perform(preStop, looking, Math.max(0, until - Date.now()));
      if (!well && this.running) this.#pod.event('Warning', 'FailedPreStopHook', 'PreStopHook failed');
    }
    await Promise.race([turn, pause(Math.max(0, until - Date.now()), undefined, { ref: false })]);
    process.signal('SIGTERM');
    const left = Math.max(until - Date.now(), LEAST_GRACE);
    const late = setTimeout(() => {
      this.#pod.event('Warning', 'Killing', `container ${this.container.name} did not end in time: SIGKILL`);
      process.signal('SIGKILL');
    }, left);
    await process.ended;
    clearTimeout(late);
  }

  /** At once, when the whole harness ends. */
  kill(): void {
    this.#stopping = true;
    this.#process?.signal('SIGKILL');
  }

  /** As in status.containerStatuses. */
  status(): object {
    const { name, image } = this.container;
    const past = this.#last && {
      terminated: {
        exitCode: this.#last.ended.code,
        reason: this.#last.ended.code === 0 ? 'Completed' : 'Error',
        startedAt: seconds(this.#last.from),
        finishedAt: seconds(this.#last.to),
      },
    };
    const now = this.#process
      ? { running: { startedAt: seconds(this.#process.startedAt) } }
      : this.#waiting === undefined && past
        ? past
        : { waiting: { reason: this.#waiting, message: this.#message } };
    return {
      name,
      image,
      imageID: `local://${image}`,
      restartCount: this.#restarts,
      ready: this.ready,
      started: this.running && this.started,
      state: now,
      ...(past !== undefined && now !== past && { lastState: past }),
    };
  }
}

/** As Kubernetes writes times. */
export const seconds = (time: Date): string => `${time.toISOString().slice(0, 19)}Z`;

export const logFile = (folder: string, container: string): string => join(folder, `${container}.log`);
