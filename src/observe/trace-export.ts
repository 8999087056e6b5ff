// The export of traces by one thread: the SDK is loaded when the policy asks for it.

import { randomUUID } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { names } from '../dns/resolver.ts';
import type { TracingRules } from '../policy/tracing.ts';
import type { Log } from './log.ts';
import type { Exporter } from './otel.ts';
import type { CountSpans } from './trace-metrics.ts';
import type { TraceRecord } from './trace-record.ts';

export interface TraceTerms {
  readonly log: Log;
  readonly count: CountSpans;
  readonly lookup?: LookupFunction | undefined;
}

/** Milliseconds between two lines about a collector that does not take spans. */
const QUIET = 60_000;
/** Milliseconds that a flush may take where the thread ends. */
const LAST_FLUSH = 1500;

/** Takes records from its making on; those before the SDK is loaded are counted as dropped. */
export class TraceExport {
  readonly rules: TracingRules;
  /** Settles when records are taken. */
  readonly loaded: Promise<void>;
  readonly #terms: TraceTerms;
  #exporter: Exporter | undefined;
  #quietUntil = 0;

  constructor(rules: TracingRules, terms: TraceTerms) {
    this.rules = rules;
    this.#terms = terms;
    this.loaded = this.#load();
  }

  async #load(): Promise<void> {
    const { count, lookup = names.lookup } = this.#terms;
    const { Exporter } = await import('./otel.ts');
    const failed = (code: string) => this.#failed(code);
    this.#exporter = new Exporter(this.rules, { count, failed, lookup, instance: randomUUID() });
  }

  record(record: TraceRecord): void {
    if (this.#exporter === undefined) this.#terms.count('dropped', 1);
    else this.#exporter.write(record);
  }

  #failed(code: string): void {
    const now = performance.now();
    if (now < this.#quietUntil) return;
    this.#quietUntil = now + QUIET;
    this.#terms.log.event('warn', 'spans were not taken by the collector', {
      endpoint: this.rules.endpoint,
      error: code,
    });
  }

  /** Whether it can go on under these rules. */
  fits(rules: TracingRules): boolean {
    return isDeepStrictEqual(rules, this.rules);
  }

  /** Sends what is there, for a while. */
  async close(): Promise<void> {
    await this.loaded;
    await this.#exporter?.close(LAST_FLUSH);
  }
}
