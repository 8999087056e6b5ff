// Nonces of all replicas, and those of one process while Redis is away (`nonce-fallback`).

import { createHmac } from 'node:crypto';
import { NonceKeys, type Nonces, type ValidNonce } from '../proof/nonce.ts';

/** What a replica replay store says about nonces; memory/redis/replay-store.ts. */
export interface NonceSource {
  /** Nonces are minted and read by this process alone. */
  readonly away: boolean;
  /** undefined: it has never been seen. */
  readonly secrets: { readonly generation: string; readonly secrets: readonly Uint8Array[] } | undefined;
}

export interface StoreNoncesOptions {
  readonly source: NonceSource;
  /** Of the policy; empty: those in the source. */
  readonly configured: readonly Uint8Array[];
  /** Drawn by this process, and known to no other. */
  readonly ofProcess: Uint8Array;
  /** Seconds. */
  readonly lifetime: number;
}

/**
 * A nonce of a memory that has forgotten something does not count after it: its generation is part of the key. One of this process
 * counts here always, for what was used with it this process knows (decision 42), and is minted only while the store is away.
 */
export class StoreNonces implements Nonces {
  readonly #options: StoreNoncesOptions;
  readonly #own: NonceKeys;
  #shared: NonceKeys;
  #sharedBy: NonceSource['secrets'];

  constructor(options: StoreNoncesOptions) {
    this.#options = options;
    this.#own = new NonceKeys([derive(options.ofProcess, 'own')], options.lifetime);
    this.#shared = this.#compile(undefined);
  }

  mint(now: number): string {
    return (this.#options.source.away ? this.#own : this.#sharedNow()).mint(now);
  }

  read(nonce: string, now: number): ValidNonce | undefined {
    const own = this.#own.read(nonce, now);
    if (own !== undefined) return { ...own, own: true };
    return this.#options.source.away ? undefined : this.#sharedNow().read(nonce, now);
  }

  #sharedNow(): NonceKeys {
    const { secrets } = this.#options.source;
    if (secrets !== this.#sharedBy) {
      this.#sharedBy = secrets;
      this.#shared = this.#compile(secrets);
    }
    return this.#shared;
  }

  #compile(source: NonceSource['secrets']): NonceKeys {
    const { configured, ofProcess, lifetime } = this.#options;
    const fromStore = source?.secrets.length ? source.secrets : [ofProcess];
    const secrets = configured.length > 0 ? configured : fromStore;
    return new NonceKeys(
      secrets.map((secret) => derive(secret, `memory ${source?.generation ?? ''}`)),
      lifetime,
    );
  }
}

function derive(secret: Uint8Array, purpose: string): Uint8Array {
  return createHmac('sha256', secret).update(`holdfast nonce key 1 ${purpose}`).digest();
}
