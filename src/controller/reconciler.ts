// Reconciliation: one translation after changes have come to rest, delivered, then reported.

import { setTimeout as sleep } from 'node:timers/promises';
import type { InSteps } from '../long-work.ts';
import type { ClusterState, Settings, Translation } from '../kubernetes/state.ts';
import type { Delivery } from './delivery.ts';
import type { EventWriter } from './event-writer.ts';
import { gatewayKey } from './names.ts';
import { inSlices } from './slices.ts';
import type { StatusWriter } from './status-writer.ts';
import type { ClusterView } from './view.ts';

export interface ReconcilerParts {
  readonly view: Pick<ClusterView, 'state' | 'unsettled'>;
  readonly delivery: Pick<Delivery, 'deliver' | 'sweep'>;
  readonly statuses: Pick<StatusWriter, 'write'>;
  readonly events: Pick<EventWriter, 'write'>;
  readonly translate: (state: ClusterState, settings: Settings) => InSteps<Translation>;
  readonly controllerName: string;
  readonly leads: () => boolean;
  readonly onDone: (result: 'done' | 'incomplete' | 'failed', seconds: number, translation: number) => void;
  readonly onError: (error: unknown) => void;
}

/** Milliseconds without a change after which a translation begins, and after which it begins all the same. */
const REST = 25;
const LONGEST = 150;
/** Milliseconds after a write that failed, doubled each time to the second. */
const RETRY = [250, 15_000] as const;
/** Milliseconds after which everything is written again, and times of certificates are looked at. */
const AGAIN = 600_000;

/**
 * Runs one reconciliation at a time. Between two it rests for as long as the last translation took, so that a cluster that changes all the
 * time has half of the processor at most.
 */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  #firstChange: number | undefined;
  #lastChange = 0;
  #wake: (() => void) | undefined;
  #troubles: ReadonlyMap<string, string> = new Map();
  #failures = 0;
  #retryAt = Number.POSITIVE_INFINITY;
  #againAt = 0;
  #doneAt = 0;

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  /** When the last reconciliation was complete, milliseconds since the epoch; 0: none was. */
  get doneAt(): number {
    return this.#doneAt;
  }

  /** Something changed. */
  request(): void {
    const now = performance.now();
    this.#firstChange ??= now;
    this.#lastChange = now;
    this.#wake?.();
  }

  /** Runs until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    let took = 0;
    while (!signal.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      await this.#untilDue(took, signal);
      if (signal.aborted) return;
      this.#firstChange = undefined;
      // oxlint-disable-next-line no-await-in-loop
      took = await this.#reconcile(performance.now());
    }
  }

  async #untilDue(took: number, signal: AbortSignal): Promise<void> {
    const ended = performance.now();
    for (;;) {
      const now = performance.now();
      const change = Math.min((this.#firstChange ?? Number.POSITIVE_INFINITY) + LONGEST, this.#lastChange + REST);
      const due = Math.max(
        this.#firstChange === undefined ? Number.POSITIVE_INFINITY : change,
        ended + Math.min(took, 5000),
      );
      const next = Math.min(due, this.#retryAt, this.#againAt === 0 ? Number.POSITIVE_INFINITY : this.#againAt);
      if (now >= next || signal.aborted) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = new AbortController();
      const wait = Math.min(next - now, 60_000);
      // oxlint-disable-next-line no-await-in-loop -- each change moves the moment
      await Promise.race([
        promise,
        sleep(wait, undefined, { signal: AbortSignal.any([signal, timer.signal]) }).catch(() => {}),
      ]);
      timer.abort();
    }
  }

  /** @returns milliseconds of the translation */
  async #reconcile(started: number): Promise<number> {
    const { view, leads, onDone, onError } = this.#parts;
    this.#retryAt = Number.POSITIVE_INFINITY;
    if (!leads() || view.unsettled.length > 0) return 0;
    try {
      const { complete, translation } = await this.#deliver(started);
      this.#failures = complete ? 0 : this.#failures + 1;
      if (complete) this.#doneAt = Date.now();
      else this.#retry();
      onDone(complete ? 'done' : 'incomplete', (performance.now() - started) / 1000, translation / 1000);
      return translation;
    } catch (error) {
      this.#failures += 1;
      this.#retry();
      onError(error);
      const seconds = (performance.now() - started) / 1000;
      onDone('failed', seconds, 0);
      return seconds * 1000;
    }
  }

  #retry(): void {
    const [first, longest] = RETRY;
    const wait = Math.min(longest, first * 2 ** Math.min(this.#failures, 10));
    this.#retryAt = Math.min(this.#retryAt, performance.now() + wait);
  }

  async #deliver(started: number): Promise<{ readonly complete: boolean; readonly translation: number }> {
    const { view, delivery, statuses, events, translate, controllerName } = this.#parts;
    const again = started >= this.#againAt;
    if (again) this.#againAt = started + AGAIN;
    const state = await inSlices(view.state(this.#troubles));
    const now = Math.floor(Date.now() / 1000);
    const translated = await inSlices(translate(state, { controllerName, now }));
    const translation = performance.now() - started;
    const delivered = await delivery.deliver(translated.dataPlanes, { again });
    const swept = await delivery.sweep(keptGateways(state, translated, controllerName));
    if (!sameTroubles(this.#troubles, delivered.troubles)) this.request();
    this.#troubles = delivered.troubles;
    // No report is waited for: a change of policy comes before the reports on the last one.
    await statuses.write(translated.statuses);
    void events.write(translated.events);
    return { complete: delivered.complete && swept, translation };
  }
}

/**
 * Gateways whose data planes stay: those that are translated, and those whose class is not there. A class that was deleted by mistake, or that
 * is being made again, takes no traffic away.
 */
function keptGateways(state: ClusterState, { dataPlanes }: Translation, controllerName: string): ReadonlySet<string> {
  const classes = new Map(state.gatewayClasses.map(({ meta, controllerName: of }) => [meta.name, of]));
  const orphans = state.gateways.filter(
    ({ className }) => (classes.get(className) ?? controllerName) === controllerName,
  );
  return new Set([...dataPlanes.map(({ gateway }) => gateway), ...orphans.map(({ meta }) => meta)].map(gatewayKey));
}

function sameTroubles(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([name, text]) => other.get(name) === text);
}
