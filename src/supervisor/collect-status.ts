// The status that the admin port shows, collected from supervisor and workers.

import { X509Certificate } from 'node:crypto';
import type { CertificateStatus, IssuerStatus, ReplicaStatus, Status, UpstreamStatus } from '../operator/status.ts';
import { connectionStatus } from '../operator/refused-connections.ts';
import { lastRefusals, mergeRecent, refusalStatus, trafficStatus } from '../operator/traffic.ts';
import { findTroubles } from '../operator/troubles.ts';
import type { Recent } from '../observe/recent.ts';
import type { Snapshot } from '../observe/instruments.ts';
import { METRICS } from '../observe/metric-table.ts';
import { describePolicy } from '../config/report/describe.ts';
import { formatTarget } from '../policy/addresses.ts';
import type { Policy } from '../policy/policy.ts';
import type { Mask } from '../config/report/mask.ts';
import type { IssuerKeys } from '../issuer/keys.ts';
import type { WorkerState } from './crew.ts';

type Collected = 'certificates' | 'traffic' | 'refusals' | 'lastRefusals' | 'refusedConnections' | 'troubles';

export interface StatusSources
  extends Omit<Status, 'policy' | 'listeners' | 'routes' | 'issuers' | 'upstreams' | Collected> {
  readonly file: string;
  readonly policy: Policy;
  /** Hides what came from the environment, and passwords in addresses. */
  readonly mask: Mask;
  readonly adoptedAt: number;
  readonly keys: readonly IssuerKeys[];
  /** Of the workers. */
  readonly snapshots: readonly Snapshot[];
  readonly recents: readonly Recent[];
}

export function collectStatus(sources: StatusSources): Status {
  const { file, policy, mask, adoptedAt, keys, snapshots, recents, ...rest } = sources;
  const { listeners, routes } = describePolicy(policy);
  const recent = mergeRecent(recents);
  const shown = {
    listeners: policy.listeners.map(({ name }, index) => ({
      name,
      description: listeners[index] ?? '',
      connections: sum(snapshots, METRICS.connections.name, { listener: name }),
    })),
    routes,
    issuers: keys.map((one) => issuerStatus(one, rest.now)),
    upstreams: policy.upstreams.map((upstream) => upstreamStatus(upstream, snapshots)),
    lastReload: rest.lastReload,
    certificates: certificatesOf(policy),
    traffic: trafficStatus(recent),
    refusals: refusalStatus(recent),
    lastRefusals: lastRefusals(recent),
    refusedConnections: connectionStatus(recent),
  };
  const status = { ...rest, policy: { id: policy.id, file, since: adoptedAt }, ...mask(shown) };
  return { ...status, troubles: findTroubles(status) };
}

/** Away as soon as one worker cannot ask it: its requests are refused. */
export function replicaStatus(workers: readonly Pick<WorkerState, 'replayStore'>[]): ReplicaStatus {
  const known = workers.flatMap(({ replayStore }) => replayStore ?? []);
  const away = known.find(({ up }) => !up);
  return { up: known.length === 0 ? undefined : away === undefined, reason: away?.reason };
}

/** Connections of clients, of all listeners and workers. */
export function countConnections(snapshots: readonly Snapshot[]): number {
  return sum(snapshots, METRICS.connections.name, {});
}

function certificatesOf({ listeners }: Policy): readonly CertificateStatus[] {
  const all = listeners.flatMap(({ name: listener, tls }) =>
    (tls?.certificates ?? []).map(({ cert, certFile: file }) => {
      const ends = new X509Certificate(cert).validToDate.getTime() / 1000;
      return { listener, file, ends };
    }),
  );
  return all.toSorted((a, b) => a.ends - b.ends);
}

function issuerStatus({ issuer, state, ageSeconds, lastError }: IssuerKeys, now: number): IssuerStatus {
  return {
    name: issuer.name,
    issuer: issuer.issuer,
    keys: state.keys?.length ?? 0,
    loadedAt: ageSeconds === undefined ? undefined : now - ageSeconds,
    lastError,
  };
}

/** Unhealthy where any worker finds it so; `unknown` where nobody looks. */
function upstreamStatus(
  { name, targets, health }: Policy['upstreams'][number],
  snapshots: readonly Snapshot[],
): UpstreamStatus {
  return {
    name,
    targets: targets.map((configured) => {
      const target = formatTarget(configured);
      const labels = { upstream: name, target };
      const found = values(snapshots, METRICS.upstreamTargetHealthy.name, labels);
      const known = health === undefined || found.length === 0 ? 'unknown' : 'healthy';
      return {
        target,
        health: found.includes(0) ? 'unhealthy' : known,
        pending: sum(snapshots, METRICS.upstreamPending.name, labels),
      };
    }),
  };
}

/** What prom-client's JSON looks like, as far as it is read here. */
interface Metric {
  readonly name: string;
  readonly values: readonly { readonly value: number; readonly labels: Readonly<Record<string, string>> }[];
}

type Labels = Readonly<Record<string, string>>;

const sum = (snapshots: readonly Snapshot[], name: string, labels: Labels) =>
  values(snapshots, name, labels).reduce((total, value) => total + value, 0);

function values(snapshots: readonly Snapshot[], name: string, labels: Labels): readonly number[] {
  return (snapshots.flat() as Metric[])
    .filter((metric) => metric.name === name)
    .flatMap((metric) => metric.values)
    .filter((one) => Object.entries(labels).every(([label, value]) => one.labels[label] === value))
    .map(({ value }) => value);
}
