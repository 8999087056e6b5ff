// The keys of all issuers as the supervisor loads them, over reloads.

import type { LookupFunction } from 'node:net';
import { IssuerKeys, type IssuerKeysEvent } from '../issuer/keys.ts';
import type { KeyState } from '../issuer/held-keys.ts';
import type { Log } from '../observe/log.ts';
import type { Policy } from '../policy/policy.ts';
import type { Issuer } from '../token/issuer.ts';

export interface IssuersOptions {
  readonly log: Log;
  /** Seconds since the epoch. */
  readonly now: () => number;
  /** For tests. */
  readonly lookup?: LookupFunction | undefined;
  /** Told of each refresh, good or bad. */
  readonly count: (event: IssuerKeysEvent) => void;
  /** Tells the workers what the keys of an issuer are now. */
  readonly tell: (issuer: string, keys: KeyState) => void;
}

/** The keys for the next policy; one of both is called. */
interface TakenOver {
  /** From now on these are the keys. */
  adopt(): Promise<void>;
  /** The policy is not adopted: new ones are not needed. */
  discard(): void;
}

/** The keys of the issuers of a policy, by name; a reload takes over those of issuers that are read as before. */
export class IssuersAtWork {
  readonly #options: IssuersOptions;
  /** What was last said of an issuer's keys: refreshes that change nothing are not logged. */
  readonly #news = new Map<string, string>();
  #keys: ReadonlyMap<string, IssuerKeys>;

  /** Loads nothing yet. */
  constructor({ issuers }: Policy, options: IssuersOptions) {
    this.#options = options;
    this.#keys = new Map(issuers.map((issuer) => [issuer.name, this.#keysOf(issuer)]));
  }

  get all(): readonly IssuerKeys[] {
    return [...this.#keys.values()];
  }

  get states(): ReadonlyMap<string, KeyState> {
    return new Map([...this.#keys].map(([name, keys]) => [name, keys.state]));
  }

  start(): void {
    for (const keys of this.#keys.values()) void keys.start();
  }

  stop(): void {
    for (const keys of this.#keys.values()) keys.stop();
  }

  async refresh(issuer: string, kid: string | undefined): Promise<void> {
    await this.#keys.get(issuer)?.refreshFor(kid);
  }

  /**
   * Keys of issuers that are read as before, loaded again where they come from a file when that is adopted; those of new ones are waited for,
   * good or bad.
   * Nothing has changed until it is adopted.
   */
  async takeOver({ issuers }: Policy): Promise<TakenOver> {
    const entries = issuers.map(async (issuer): Promise<[Issuer, IssuerKeys]> => {
      const before = this.#keys.get(issuer.name);
      if (before?.isReadAs(issuer)) return [issuer, before];
      const keys = this.#keysOf(issuer);
      await keys.start();
      return [issuer, keys];
    });
    const next = await Promise.all(entries);
    const come = next.filter(([{ name }, keys]) => this.#keys.get(name) !== keys).map(([, keys]) => keys);
    return {
      adopt: async () => {
        const kept = next.filter(([, keys]) => !come.includes(keys));
        await Promise.all(kept.map(async ([issuer, keys]) => keys.goOnFor(issuer)));
        for (const one of this.all) if (!next.some(([, keys]) => keys === one)) one.stop();
        this.#keys = new Map(next.map(([{ name }, keys]) => [name, keys]));
      },
      discard: () => {
        for (const keys of come) keys.stop();
      },
    };
  }

  #keysOf(issuer: Issuer): IssuerKeys {
    const { lookup, now } = this.#options;
    return new IssuerKeys({ issuer, lookup, now, onEvent: (event) => this.#onKeys(event) });
  }

  #onKeys(event: IssuerKeysEvent): void {
    const { count, tell, log } = this.#options;
    count(event);
    const { issuer, result } = event;
    // After a failure as well: keys that became too old are withdrawn then, and no worker looks at what it has cached.
    const state = this.#keys.get(issuer)?.state;
    if (state !== undefined) tell(issuer, state);
    if (result === 'failed') return log.event('warn', 'keys could not be loaded', { issuer, error: event.error });
    const { keys, withdrawn, unused } = event;
    const news = `${keys} ${withdrawn} ${unused.join()}`;
    if (this.#news.get(issuer) === news) return;
    this.#news.set(issuer, news);
    log.event('info', 'keys loaded', { issuer, keys, withdrawn, unused: [...unused] });
    // Whoever reads the key set can sign tokens: somebody has to hear of it.
    if (unused.includes('private')) log.event('error', 'the issuer publishes a private key', { issuer });
  }
}
