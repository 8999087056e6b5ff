// The keys of one issuer: loaded, refreshed, looked up for unknown kids, withdrawn.

import type { LookupFunction } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { KeySource } from '../token/issuer-signature.ts';
import type { Issuer } from '../token/issuer.ts';
import { readKeySet, type UnusedKey, type VerificationKey } from '../jose/key-set.ts';
import { HeldKeys, type KeyState } from './held-keys.ts';
import { type FetchLimits, IssuerFailure } from './fetch.ts';
import { readKeyDocument } from './key-document.ts';

/** All times in seconds. */
export interface IssuerKeysLimits extends FetchLimits {
  /** Between two background readings: by the answer's max-age within these bounds, or the usual one. */
  readonly refetch: { readonly min: number; readonly usual: number; readonly max: number };
  /** After a failure, doubling. */
  readonly retry: { readonly min: number; readonly max: number };
  /** How long a set counts when no newer one can be had. */
  readonly keep: number;
  /** Between two readings for unknown kids, whichever they are. */
  readonly cooldown: number;
}

const LIMITS: IssuerKeysLimits = {
  timeout: 5,
  size: 1024 * 1024,
  refetch: { min: 60, usual: 600, max: 3600 },
  retry: { min: 1, max: 60 },
  keep: 24 * 3600,
  cooldown: 30,
};

/** What came of one reading. `error` is fit for logs. */
export type IssuerKeysEvent = { readonly issuer: string } & (
  | {
      readonly result: 'loaded';
      readonly keys: number;
      readonly withdrawn: number;
      readonly unused: readonly UnusedKey[];
    }
  | { readonly result: 'failed'; readonly error: string }
);

export interface IssuerKeysOptions {
  readonly issuer: Issuer;
  /** Seconds since the epoch. */
  readonly now: () => number;
  readonly onEvent: (event: IssuerKeysEvent) => void;
  /** For tests. */
  readonly limits?: Partial<IssuerKeysLimits>;
  readonly lookup?: LookupFunction | undefined;
}

/**
 * The key set of one issuer, kept fresh between start() and stop(). A good answer replaces the set, even by an empty one:
 * keys that are gone stop counting at once. A failure keeps the set, at most 24 hours. No more than one reading at a time.
 */
export class IssuerKeys implements KeySource {
  /** Why the last reading failed; undefined: it did not. */
  lastError: string | undefined;
  issuer: Issuer;
  readonly #options: IssuerKeysOptions;
  readonly #limits: IssuerKeysLimits;
  readonly #stopped = new AbortController();
  readonly #held = new HeldKeys();
  #loadedAt: number | undefined;
  #refreshedAt = -Infinity;
  #failures = 0;
  #loading: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: IssuerKeysOptions) {
    this.issuer = options.issuer;
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
  }

  /** Starts reading, now and from then on. Settles after the first attempt, whatever came of it. */
  start(): Promise<void> {
    return this.#load();
  }

  /** Ends it, a reading in flight too. The keys stay as they are. */
  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  /**
   * Whether the keys of another version of the issuer are the same ones, read in the same way: an audience or a tolerance that
   * changes while the issuer is down must not cost the keys that are there.
   */
  isReadAs(issuer: Issuer): boolean {
    return isDeepStrictEqual(sourceOf(issuer), sourceOf(this.issuer));
  }

  /** Goes on for another version of the issuer; a file is read now, since it may be what has changed. Settles when that is done. */
  async goOnFor(issuer: Issuer): Promise<void> {
    this.issuer = issuer;
    if (issuer.keys.from === 'jwks_file') await this.#load();
  }

  /** Whether a set has been loaded since the start. */
  get loadedOnce(): boolean {
    return this.#loadedAt !== undefined;
  }

  /** Seconds since the last good answer; undefined: there was none. */
  get ageSeconds(): number | undefined {
    return this.#loadedAt === undefined ? undefined : this.#options.now() - this.#loadedAt;
  }

  current(now: number): readonly VerificationKey[] | undefined {
    return this.#held.current(now);
  }

  /** For the threads that verify tokens. */
  get state(): KeyState {
    return this.#held.state;
  }

  /**
   * Reads the set once more for a kid that is not in it (undefined: for a token without kid), unless one of these was
   * done within the cooldown. The cooldown counts for all kids together and nothing is remembered of a kid that was not found:
   * so strangers cause two readings a minute at most, and cannot delay a key that is new by more than one cooldown (decision 67).
   */
  async refreshFor(kid: string | undefined): Promise<void> {
    // The worker that asks may have an older copy: the set came while the question was on its way.
    if (kid !== undefined && this.#held.state.keys?.some((key) => key.kid === kid)) return;
    if (this.#loading === undefined) {
      // By distance, so that a clock that steps back cannot prolong it.
      if (Math.abs(this.#options.now() - this.#refreshedAt) < this.#limits.cooldown) return;
      this.#refreshedAt = this.#options.now();
    }
    await this.#load();
  }

  #load(): Promise<void> {
    this.#loading ??= this.#loadOnce().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #loadOnce(): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    const { issuer, onEvent, now, lookup } = this.#options;
    try {
      const { json, maxAge } = await readKeyDocument(issuer, this.#limits, { signal: this.#stopped.signal, lookup });
      const set = readKeySet(json);
      if (set === 'malformed') throw new IssuerFailure('the document is not a JWK set');
      this.#loadedAt = now();
      const withdrawn = this.#held.replace({ keys: set.keys, keepUntil: this.#loadedAt + this.#limits.keep });
      this.#failures = 0;
      this.lastError = undefined;
      const { min, usual, max } = this.#limits.refetch;
      this.#schedule(Math.min(max, Math.max(min, maxAge ?? usual)));
      onEvent({ issuer: issuer.name, result: 'loaded', keys: set.keys.length, withdrawn, unused: set.unused });
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      this.lastError = error instanceof IssuerFailure ? error.message : 'internal error';
      this.#schedule(this.#retryDelay());
      onEvent({ issuer: issuer.name, result: 'failed', error: this.lastError });
    }
  }

  /** Backs off with jitter; but a set that becomes too old is looked at when it does. */
  #retryDelay(): number {
    this.#failures += 1;
    this.current(this.#options.now());
    const { min, max } = this.#limits.retry;
    const backoff = Math.min(max, min * 2 ** (this.#failures - 1)) * (0.5 + Math.random() / 2);
    const left = this.#held.state.keys === undefined ? Infinity : this.#limits.keep - (this.ageSeconds ?? 0);
    return Math.min(backoff, Math.max(min, left));
  }

  #schedule(seconds: number): void {
    clearTimeout(this.#timer);
    if (this.#stopped.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#load(), seconds * 1000).unref();
  }
}

/** All of an issuer on which it depends what is read. */
function sourceOf({ name, issuer, keys, ca, insecureHttp }: Issuer) {
  return { name, issuer, keys, ca, insecureHttp };
}
