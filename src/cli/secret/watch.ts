// The watch of one Secret: its content now, and whenever it becomes another.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './access.ts';
import { SecretFailure, listSecret, type SecretName, watchSecret } from './api.ts';
import type { Secret } from './document.ts';

/** Milliseconds that a watch has to last so that those before it count no more. */
const SETTLED = 10_000;
/** Milliseconds before the next try after a failure, doubling, and with as much again by chance: all pods of a cluster fail at once. */
const RETRY = { first: 250, most: 10_000 } as const;

export interface SecretEvents {
  /** Its content, the first one or another one than before. */
  readonly changed: (secret: Secret) => void;
  /** There is none, for the first time or any more. */
  readonly gone: () => void;
  /** It could not be had; it is tried again after so many seconds. */
  readonly failed: (message: string, retry: number) => void;
}

/**
 * Watches a Secret until the signal: lists it, then hears of each change. What the API server does not know any more (410) is listed
 * again at once; whatever else fails is tried again, and what was told stays true meanwhile.
 */
export async function followSecret(
  cluster: Cluster,
  name: SecretName,
  events: SecretEvents,
  signal: AbortSignal,
): Promise<void> {
  const follow = new Follow(cluster, name, events, signal);
  let failures = 0;
  while (!signal.aborted) {
    const began = performance.now();
    const failure = await follow.once();
    if (performance.now() - began > SETTLED) failures = 0;
    // A watch that ends at once is none either.
    else if (failure === undefined || !failure.gone) failures += 1;
    if (failures === 0 || signal.aborted) continue;
    const delay = Math.min(RETRY.most, RETRY.first * 2 ** (failures - 1)) * (1 + Math.random());
    if (failure !== undefined) events.failed(failure.message, Math.round(delay) / 1000);
    await sleep(delay, undefined, { signal }).catch(() => {});
  }
}

/** Tells what is new, once: a list after a failure mostly says what was known. */
class Follow {
  readonly #about: readonly [Cluster, SecretName];
  readonly #events: SecretEvents;
  readonly #signal: AbortSignal;
  #known: string | undefined;
  /** From which changes are asked for; undefined: it has to be listed. */
  #version: string | undefined;

  constructor(cluster: Cluster, name: SecretName, events: SecretEvents, signal: AbortSignal) {
    this.#about = [cluster, name];
    this.#events = events;
    this.#signal = signal;
  }

  /** One watch, to its end. @returns why it failed, if it did */
  async once(): Promise<SecretFailure | undefined> {
    try {
      if (this.#version === undefined) {
        const { secret = 'gone', version } = await listSecret(...this.#about, this.#signal);
        this.#version = version;
        this.#hear(secret);
      }
      for await (const { version, secret } of watchSecret(...this.#about, this.#version, this.#signal)) {
        this.#version = version;
        if (secret !== undefined) this.#hear(secret);
      }
      return undefined;
    } catch (error) {
      if (!(error instanceof SecretFailure)) throw error;
      // What was missed is in the list, whatever the server remembers.
      this.#version = undefined;
      return error;
    }
  }

  #hear(secret: Secret | 'gone'): void {
    const content = secret === 'gone' ? 'gone' : JSON.stringify(secret.data);
    if (content === this.#known) return;
    this.#known = content;
    if (secret === 'gone') this.#events.gone();
    else this.#events.changed(secret);
  }
}
