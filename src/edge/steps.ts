// The steps of one sampled exchange, timed while they are taken.

import type { Ports, Watch } from '../enforce.ts';
import type { ExchangeStep, StepName } from '../observe/trace-record.ts';
import type { Rejection } from '../rejection/rejection.ts';

/** Each step begins where the one before it ended. */
export class Steps implements Watch {
  readonly #taken: ExchangeStep[] = [];
  readonly #also: Watch | undefined;
  #last: number;

  /** @param from milliseconds on the monotonic clock @param also another watch that measures the same request */
  constructor(from: number, also: Watch | undefined) {
    this.#last = from;
    this.#also = also;
  }

  passed(stage: Parameters<Watch['passed']>[0]): void {
    this.#also?.passed(stage);
    this.took(stage);
  }

  clock(...clock: Parameters<Watch['clock']>): void {
    this.#also?.clock(...clock);
  }

  took(name: StepName): void {
    const to = performance.now();
    this.#taken.push({ name, from: this.#last, to });
    this.#last = to;
  }

  /** The ports of a decision, which tell how long issuers were waited for within a step. */
  timed(ports: Ports): Ports {
    return {
      ...ports,
      introspect: (issuer, ...rest) => this.#within('introspection', issuer.name, ports.introspect(issuer, ...rest)),
      keysOf: (issuer) => {
        const keys = ports.keysOf(issuer);
        return {
          current: (now) => keys.current(now),
          refreshFor: (kid) => this.#waitFor('keys', issuer.name, keys.refreshFor(kid)),
        };
      },
    };
  }

  /** What is known at once was not waited for. */
  #within<T>(name: StepName, issuer: string, work: T | Promise<T>): T | Promise<T> {
    return work instanceof Promise ? this.#waitFor(name, issuer, work) : work;
  }

  async #waitFor<T>(name: StepName, issuer: string, work: Promise<T>): Promise<T> {
    const from = performance.now();
    try {
      return await work;
    } finally {
      this.#taken.push({ name, issuer, from, to: performance.now() });
    }
  }

  /** All that were taken. @param rejection of the step that was not passed, other than at the upstream */
  taken(rejection: Rejection | undefined): readonly ExchangeStep[] {
    if (rejection !== undefined && rejection.stage !== 'upstream') this.took(rejection.stage);
    return this.#taken;
  }
}
