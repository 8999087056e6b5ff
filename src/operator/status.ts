// The status of a gateway as plain data without secrets.

import type { LastRefusal, RefusalStatus, TrafficStatus } from './traffic.ts';
import type { RefusedConnectionStatus } from './refused-connections.ts';
import type { RouteDescription } from '../config/report/describe.ts';

/** Times are seconds since the epoch. */
export interface Status {
  readonly version: string;
  /** Name of the machine. */
  readonly host: string;
  readonly state: 'starting' | 'serving' | 'draining' | 'stopping';
  readonly ready: boolean;
  readonly now: number;
  readonly startedAt: number;
  /** The configuration in force, and since when. */
  readonly policy: { readonly id: string; readonly file: string; readonly since: number };
  /** undefined: none since the start. */
  readonly lastReload: Reload | undefined;
  readonly workers: readonly WorkerStatus[];
  readonly listeners: readonly ListenerStatus[];
  readonly routes: readonly RouteDescription[];
  readonly issuers: readonly IssuerStatus[];
  readonly replay: ReplayStatus;
  readonly upstreams: readonly UpstreamStatus[];
  /** Of listeners with TLS, the next one to end first. */
  readonly certificates: readonly CertificateStatus[];
  readonly traffic: TrafficStatus;
  readonly refusals: readonly RefusalStatus[];
  /** The newest first. */
  readonly lastRefusals: readonly LastRefusal[];
  /** Before they carried a request. */
  readonly refusedConnections: readonly RefusedConnectionStatus[];
  readonly troubles: readonly Trouble[];
}

/** Of the memory of used proofs. */
export interface ReplayStatus {
  /** Of this process: with a replica replay store, those that an own nonce made fresh. */
  readonly entries: number;
  readonly capacity: number;
  /** undefined: the memory is that of this process. */
  readonly replica: ReplicaStatus | undefined;
}

/** The replica replay store as the workers see it. */
export interface ReplicaStatus {
  /** Whether every worker can ask it; undefined: none has said so yet. */
  readonly up: boolean | undefined;
  /** Why not, of the first that cannot: a word of holdfast_replay_store_errors_total. */
  readonly reason: string | undefined;
}

/** Something that an operator should do something about. */
export interface Trouble {
  readonly what: string;
  /** Why, and what to do. */
  readonly more: string;
  readonly grave: boolean;
}

export interface CertificateStatus {
  readonly listener: string;
  readonly file: string;
  /** Seconds since the epoch. */
  readonly ends: number;
}

export interface Reload {
  readonly at: number;
  readonly cause: 'signal' | 'files' | 'secret';
  /** `refused`: the configuration of before is in force. */
  readonly result: 'adopted' | 'refused';
  /** In words (config/report/changes.ts). */
  readonly changes: readonly string[];
  /** Why it was refused, for people: `FILE:LINE:COLUMN …`. */
  readonly problems: readonly string[];
}

export interface WorkerStatus {
  readonly index: number;
  readonly state: 'starting' | 'serving' | 'stopped' | 'gone';
  /** How often this one had to be replaced. */
  readonly restarts: number;
  /** Share of the last seconds in which its event loop was busy, 0 to 1. */
  readonly utilization: number;
}

export interface ListenerStatus {
  readonly name: string;
  /** In words (describe.ts). */
  readonly description: string;
  readonly connections: number;
}

export interface IssuerStatus {
  readonly name: string;
  readonly issuer: string;
  /** Keys that verify tokens now. */
  readonly keys: number;
  /** Of the last good answer; undefined: none yet. */
  readonly loadedAt: number | undefined;
  /** Of the last attempt, in words without secrets; undefined: it was good. */
  readonly lastError: string | undefined;
}

export interface UpstreamStatus {
  readonly name: string;
  readonly targets: readonly {
    readonly target: string;
    readonly health: 'healthy' | 'unhealthy' | 'unknown';
    /** Requests that wait for their answers. */
    readonly pending: number;
  }[];
}

/** Why requests were refused lately, and the last refusals in full. */
export function refusalsJson({ now, refusals, lastRefusals, refusedConnections }: Status): string {
  return `${JSON.stringify(snakeCased({ now, refusals, lastRefusals, refusedConnections }), undefined, 2)}\n`;
}

/** The same, with member names as in the other JSON of this gateway: `started_at`. */
export function statusJson(status: Status): string {
  return `${JSON.stringify(snakeCased(status), undefined, 2)}\n`;
}

function snakeCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCased);
  if (typeof value !== 'object' || value === null) return value;
  const rename = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [rename(name), snakeCased(inner)]));
}
