// Health checks of targets: unhealthy ones get no requests.

import { Client } from 'undici';
import type { HealthRules, Target, Upstream } from '../../policy/upstream.ts';
import { type Connector, isShortage } from './connect.ts';
import { prepareSocket } from './http1-socket.ts';
import type { OpenTarget } from './target.ts';

/** Seconds for which an answer is waited for, or the interval where that is shorter. */
const PATIENCE = 5;
/** Bytes of an answer's body that are read; with more its connection is closed. */
const READ_BODY = 16_384;

/**
 * Asks a target by GET, on a connection of its own each time, with the target's authority as Host. 2xx and 3xx are well; other
 * statuses, none within the interval or five seconds, and no connection are not. Starts within a second, and goes on at the
 * interval give or take a tenth, so that workers and replicas do not ask in step. The body of the answer counts for nothing.
 */
export class HealthChecks {
  readonly #target: OpenTarget;
  readonly #rules: HealthRules;
  readonly #client: Client;
  #timer: NodeJS.Timeout | undefined;
  /** Answers in a row that contradict what is believed. */
  #contrary = 0;
  #stopped = false;

  constructor(target: OpenTarget, { origin }: Target, connector: Connector, upstream: Upstream) {
    const { health: rules, http2 } = upstream;
    if (rules === undefined) throw new Error(`upstream ${upstream.name} has no health checks`);
    this.#target = target;
    this.#rules = rules;
    this.#client = new Client(origin, { connect: http2 ? connector : preparing(connector), allowH2: http2 });
    this.#schedule(Math.min(rules.interval, 1) * Math.random());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#client.destroy();
  }

  #schedule(seconds: number): void {
    this.#timer = setTimeout(() => void this.#check(), seconds * 1000);
    this.#timer.unref();
  }

  async #check(): Promise<void> {
    const wrong = await this.#ask();
    if (this.#stopped) return;
    if (wrong === undefined || !isShortage(wrong)) this.#believe(wrong);
    this.#schedule(this.#rules.interval * (0.9 + 0.2 * Math.random()));
  }

  /** What is wrong; undefined: nothing. */
  async #ask(): Promise<string | undefined> {
    const { path, interval } = this.#rules;
    const signal = AbortSignal.timeout(Math.min(interval, PATIENCE) * 1000);
    try {
      const { statusCode, body } = await this.#client.request({ method: 'GET', path, reset: true, signal });
      body.dump({ limit: READ_BODY }).catch(() => {}); // its end is not waited for
      return statusCode >= 200 && statusCode < 400 ? undefined : `HTTP ${statusCode}`;
    } catch (error) {
      const { name, code } = error as NodeJS.ErrnoException;
      return typeof code === 'string' ? code : name;
    }
  }

  #believe(wrong: string | undefined): void {
    const well = wrong === undefined;
    if (well === this.#target.healthy) {
      this.#contrary = 0;
      return;
    }
    this.#contrary += 1;
    if (this.#contrary < (well ? this.#rules.healthyAfter : this.#rules.unhealthyAfter)) return;
    this.#contrary = 0;
    this.#target.healthy = well;
    this.#target.tell(well ? { kind: 'healthy' } : { kind: 'unhealthy', what: wrong });
  }
}

/** As for requests: an unasked 100 (Continue) is no failure. Each connection carries one check. */
function preparing(connector: Connector): Connector {
  return (options, callback) => {
    connector(options, (...result) => {
      if (result[1] !== null) prepareSocket(result[1]).begin();
      callback(...result);
    });
  };
}
