// The address and options of Redis, where the replica replay store is.

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export type RedisPlace =
  | ({ readonly kind: 'server'; readonly db: number } & Endpoint)
  | { readonly kind: 'cluster'; readonly nodes: readonly Endpoint[] }
  | { readonly kind: 'sentinel'; readonly name: string; readonly nodes: readonly Endpoint[] };

/** The replica replay store. */
export interface RedisPolicy {
  readonly place: RedisPlace;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** undefined: in the clear. `ca`: PEM text; undefined: the system's. */
  readonly tls: { readonly ca: string | undefined } | undefined;
  /** Seconds. */
  readonly timeout: number;
  /** Of every key. */
  readonly prefix: string;
  /** When it does not answer. */
  readonly whenUnavailable: 'reject' | 'nonce-fallback';
  /** Seconds, the longest `clock_tolerance` of any route. */
  readonly clockTolerance: number;
  /** Seconds, `replay.retention` of the policy. */
  readonly retention: number;
}
