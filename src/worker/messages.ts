// The messages between supervisor and workers, and the memory that they share.

import type { Draining } from '../edge/listen/generations.ts';
import type { Recent } from '../observe/recent.ts';
import type { Listener, Policy } from '../policy/policy.ts';
import type { ShorterMemory } from '../proof/dpop-proof.ts';
import type { KeyState } from '../issuer/held-keys.ts';
import type { RateMemory } from '../rate/limiter.ts';
import type { StoreState } from '../memory/redis/replay-store.ts';
import type { ReplayMemory } from '../memory/process-replay-store.ts';
import type { PolicyChange } from './policy-change.ts';
import type { Binds } from './listeners-at-work.ts';

/** What all threads of one process share, for as long as it lives. */
export interface SharedState {
  readonly replay: ReplayMemory;
  readonly rates: RateMemory;
  /** Tokens that were challenged for a nonce, for a metric (observe/challenged.ts). */
  readonly challenged: SharedArrayBuffer;
  /** Of connections (observe/arrivals.ts). */
  readonly arrivals: SharedArrayBuffer;
  /** For nonces where the policy names no secret of its own. */
  readonly nonceSecret: Uint8Array;
  /** For hashes of clients in the log, likewise. */
  readonly logSecret: Uint8Array;
  /** Session tickets of one thread are good at the others. */
  readonly ticketSecret: Uint8Array;
}

/** A policy, and what a thread needs beside it to put it to work. */
export interface PolicyInForce {
  /** Counts the policies of this process. */
  readonly epoch: number;
  readonly policy: Policy;
  /** By the names of the issuers: the keys that the supervisor has. */
  readonly keys: ReadonlyMap<string, KeyState>;
  /** Of policies before this one. */
  readonly shorterMemories: readonly ShorterMemory[];
  readonly binds: Binds;
}

/** The same for a thread in which the policy of the epoch before is in force. */
export interface PolicyOrder extends Omit<PolicyInForce, 'policy'> {
  readonly change: PolicyChange;
}

/** What has to be open before a policy is adopted, so that an address that cannot be had changes nothing. */
export interface Preparation {
  /** Of the policy that comes. */
  readonly epoch: number;
  readonly listeners: readonly Listener[];
  readonly binds: Binds;
}

export interface StartOrder extends PolicyInForce {
  readonly type: 'start';
  /** Which worker it is, from 0. */
  readonly worker: number;
  readonly shared: SharedState;
  /** Several threads listen on one port (SO_REUSEPORT). */
  readonly reusePort: boolean;
  /** It takes the place of one that died after the drain had begun, or was announced. */
  readonly draining: Draining | undefined;
}

/** From the supervisor. The first one is `start`; they are obeyed in their order. */
export type Order =
  | StartOrder
  | ({ readonly type: 'policy' } & PolicyOrder)
  /** Answered with `prepared` or `refused`. */
  | ({ readonly type: 'prepare' } & Preparation)
  /** What was prepared is not needed. */
  | { readonly type: 'discard' }
  | { readonly type: 'keys'; readonly issuer: string; readonly keys: KeyState }
  /** Answers `refresh`; new keys, if there are any, were sent before. */
  | { readonly type: 'refreshed'; readonly ticket: number }
  | { readonly type: 'snapshot' }
  | { readonly type: 'recent' }
  /** Session tickets of before are no longer taken. */
  | { readonly type: 'tickets'; readonly secret: Uint8Array }
  /** These clients are told that their connections end; everything is still served. */
  | { readonly type: 'drain'; readonly whom: Draining }
  /** New requests are refused, those in flight are answered, `stopped` is reported when there are none left. */
  | { readonly type: 'stop' }
  | { readonly type: 'close' };

/** From a worker. */
export type Report =
  | { readonly type: 'serving' }
  /** It cannot start; the message is for people. */
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'prepared'; readonly epoch: number }
  | { readonly type: 'adopted'; readonly epoch: number }
  /** It has kept the policy that it had; the message is for people. */
  | { readonly type: 'refused'; readonly epoch: number; readonly message: string }
  /** A token names a key that is not there. */
  | { readonly type: 'refresh'; readonly issuer: string; readonly kid: string | undefined; readonly ticket: number }
  /** How the replica replay store is, when that changes. */
  | { readonly type: 'replay-store'; readonly state: StoreState }
  /** Its metrics, as prom-client hands them out. */
  | { readonly type: 'snapshot'; readonly metrics: readonly object[] }
  /** What happened lately, when it was asked for. */
  | { readonly type: 'recent'; readonly recent: Recent }
  | { readonly type: 'stopped' };
