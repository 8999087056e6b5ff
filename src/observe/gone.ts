// The end of series: what a reload has taken out of the policy leaves the metrics too.

import { formatTarget } from '../policy/addresses.ts';
import type { Policy } from '../policy/policy.ts';
import type { MetricRegistry, Snapshot } from './instruments.ts';

/** Labels whose values are names of the policy. */
type Label = 'route' | 'listener' | 'issuer' | 'upstream' | 'target';

/** The names that series may have, by their label. */
export type KnownNames = Readonly<Record<Label, ReadonlySet<string>>>;

/** What series are named after. */
export type NamedParts = Pick<Policy, 'routes' | 'listeners' | 'issuers' | 'upstreams'>;

export function knownNames({ routes, listeners, issuers, upstreams }: NamedParts): KnownNames {
  const named = (all: readonly { readonly name: string }[], ...more: readonly string[]) =>
    new Set([...more, ...all.map(({ name }) => name)]);
  return {
    // Of requests for which no route was found.
    route: named(routes, 'none'),
    listener: named(listeners),
    issuer: named(issuers),
    upstream: named(upstreams),
    target: new Set(upstreams.flatMap(({ targets }) => targets.map(formatTarget))),
  };
}

/** Whether all names are still there, so that no series can have gone. */
function areKept(before: KnownNames, after: KnownNames): boolean {
  return (Object.keys(before) as Label[]).every((label) => before[label].isSubsetOf(after[label]));
}

type Labels = Readonly<Record<string, string | number>>;

function isKnown(labels: Labels, known: KnownNames): boolean {
  return (Object.keys(known) as Label[]).every(
    (label) => labels[label] === undefined || known[label].has(String(labels[label])),
  );
}

interface Removable {
  readonly type?: string;
  get(): Promise<{ readonly values: readonly { readonly labels: Labels; readonly value: number }[] }>;
  remove(labels: Labels): void;
}

/**
 * Takes the series of everything that has gone out of a registry. A gauge of what is still open stays until that has ended. What requests
 * in flight count afterwards is there until this is called again.
 */
async function forgetGone(registry: MetricRegistry, known: KnownNames): Promise<void> {
  const metrics = registry.getMetricsAsArray() as unknown as readonly (Removable & { readonly collect?: unknown })[];
  // A metric that is collected at each scrape has nothing else.
  for (const metric of metrics.filter(({ collect }) => collect === undefined)) {
    // oxlint-disable-next-line no-await-in-loop -- nothing in it waits
    const { values } = await metric.get();
    const gone = values.filter(({ labels, value }) => !isKnown(labels, known) && (value === 0 || !isGauge(metric)));
    for (const labels of gone.map(withoutBucket)) metric.remove(labels);
  }
}

/** Forgets what has gone between one policy and the next, and looks for it only where something has. */
export function createForgetting(registry: MetricRegistry): (policy: NamedParts) => Promise<void> {
  let before: KnownNames | undefined;
  return async (policy) => {
    const after = knownNames(policy);
    const isSame = before !== undefined && areKept(before, after);
    before = after;
    if (!isSame) await forgetGone(registry, after);
  };
}

/** Series of a snapshot that still have a name in the policy. */
export function withoutGone(snapshot: Snapshot, known: KnownNames): Snapshot {
  return (snapshot as readonly { readonly values: readonly { readonly labels: Labels }[] }[]).map((metric) => ({
    ...metric,
    values: metric.values.filter(({ labels }) => isKnown(labels, known)),
  }));
}

const isGauge = (metric: Removable) => 'set' in metric;

/** A series of a histogram has a line for each bucket. */
function withoutBucket({ labels }: { readonly labels: Labels }): Labels {
  const { le: _, ...others } = labels;
  return others;
}
