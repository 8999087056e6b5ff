// The controller: a cluster watched, translated, and brought to what was made of it.

import { Memory } from '../kubernetes/memory.ts';
import { translateInSteps } from '../kubernetes/translate.ts';
import type { Log } from '../observe/log.ts';
import { openTelemetry, type TelemetrySources } from '../operator/telemetry.ts';
import type { Bind } from '../policy/policy.ts';
import type { ApiFailure } from './api-failure.ts';
import type { ApiServer } from './api.ts';
import { ControllerMetrics } from './controller-metrics.ts';
import { Delivery } from './delivery.ts';
import { EventWriter } from './event-writer.ts';
import { Lease } from './lease.ts';
import type { DataPlanePlace } from './manifests.ts';
import { Reconciler } from './reconciler.ts';
import { StatusWriter } from './status-writer.ts';
import { ClusterView } from './view.ts';
import { Writer } from './writer.ts';

export interface ControllerSettings extends DataPlanePlace {
  readonly api: ApiServer;
  readonly log: Log;
  /** Of this process, as the Lease names it. */
  readonly identity: string;
  readonly leaseName: string;
  /** Namespaces whose Secrets are read; undefined: all. */
  readonly secretsIn: readonly string[] | undefined;
  readonly telemetry: Bind;
}

export interface RunningController {
  /** As bound. */
  readonly telemetry: Bind;
  /** Gives the lease back and ends. Data planes run on. */
  stop(): Promise<void>;
}

/** Milliseconds between two lines about failures of one kind. */
const QUIET = 60_000;

/**
 * Starts a controller. Those that do not lead watch as well, and so take over at once.
 * @throws Error that names the address of telemetry, where it cannot be bound
 */
export async function startController(settings: ControllerSettings): Promise<RunningController> {
  const { api, log, identity, namespace, leaseName } = settings;
  const tell = failureLog(log);
  const lease = new Lease({
    api,
    namespace,
    name: leaseName,
    identity,
    onFailure: (failure) => tell('Lease', failure),
  });
  const leads = () => lease.leads;
  const { view, metrics, reconciler, statuses } = assemble(settings, { leads, tell });
  lease.onChange((leading) => {
    if (leading) log.event('info', 'leading', { identity });
    else log.event('info', 'no longer leading', { identity });
    if (!leading) statuses.stop();
    reconciler.request();
  });
  const telemetry = await openTelemetry(settings.telemetry, pagesOf(view, lease, metrics, log));
  return { telemetry: telemetry.bind, stop: runParts([view, reconciler, lease], telemetry) };
}

type Tell = (kind: string, failure: ApiFailure) => void;

/** The parts, each knowing those that it needs. */
function assemble(
  settings: ControllerSettings,
  { leads, tell }: { readonly leads: () => boolean; readonly tell: Tell },
) {
  const { api, log, controllerName, identity, namespace, secretsIn } = settings;
  const view: ClusterView = new ClusterView({
    api,
    controllerName,
    namespace,
    secretsIn,
    onChange: () => reconciler.request(),
    onFailure: (kind, failure) => {
      metrics.countWatchFailure(kind);
      tell(kind, failure);
    },
    onList: (kind) => metrics.countList(kind),
  });
  const metrics: ControllerMetrics = new ControllerMetrics({
    leads,
    counts: () => view.counts,
    unsettled: () => view.unsettled.length,
    doneAt: () => reconciler.doneAt,
  });
  const writer = new Writer({
    api,
    leads,
    onWrite: (verb, kind, result) => metrics.countWrite(verb, kind, result),
    onFailure: tell,
  });
  const statuses = new StatusWriter(view, writer, controllerName);
  const memory = new Memory();
  const reconciler: Reconciler = new Reconciler({
    view,
    leads,
    translate: (state, given) => translateInSteps(state, given, memory),
    controllerName,
    delivery: new Delivery(settings, writer, {
      made: view.made,
      onDelivered: (bytes) => metrics.noteConfiguration(bytes),
    }),
    statuses,
    events: new EventWriter({ view, writer, controllerName, instance: identity }),
    onDone: (...counted) => metrics.countReconciliation(...counted),
    onError: (error) => log.failure('the cluster could not be translated', error),
  });
  return { view, metrics, reconciler, statuses };
}

interface Part {
  run(signal: AbortSignal): Promise<void>;
}

function runParts(parts: readonly Part[], telemetry: { close(): Promise<void> }): () => Promise<void> {
  const ending = new AbortController();
  const ended = Promise.all(parts.map((part) => part.run(ending.signal)));
  return async () => {
    ending.abort();
    await ended;
    await telemetry.close();
  };
}

function pagesOf(view: ClusterView, lease: Lease, metrics: ControllerMetrics, log: Log): TelemetrySources {
  return {
    ready: () => readinessOf(view, lease),
    metrics: async () => (format) => metrics.expose(format),
    assertionKeys: () => '{"keys":[]}',
    onFailure: (error) => log.failure('the telemetry port failed', error),
  };
}

/** Who waits for the lease is as ready as who has it: both know the cluster. */
function readinessOf(view: ClusterView, lease: Lease) {
  const { unsettled } = view;
  return { ready: unsettled.length === 0, details: { leader: lease.leads, waiting_for: unsettled } };
}

/** Failures of one kind and reason make one line a minute: an API server that is away is no flood. */
function failureLog(log: Log): Tell {
  const told = new Map<string, number>();
  return (kind, { status, reason, message }) => {
    const key = `${kind} ${status} ${reason}`;
    const now = performance.now();
    if (now - (told.get(key) ?? -QUIET) < QUIET) return;
    told.set(key, now);
    log.event('warn', 'the API server refused or did not answer', { kind, status, reason, request: message });
  };
}
