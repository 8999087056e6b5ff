// The objects of a cluster by name, and the questions that the translation asks of them.

import type { AllowedNamespaces, AttachedRoute, Content, Meta, Selector, Service } from './objects.ts';
import { Memory } from './memory.ts';
import type { ClusterState } from './state.ts';

interface Located {
  readonly meta: Meta;
}

export function nameKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

/** From where, and to what, a reference goes. */
export interface Crossing {
  readonly from: { readonly group: string; readonly kind: string; readonly namespace: string };
  readonly to: { readonly group: string; readonly kind: string; readonly namespace: string; readonly name: string };
}

/** Looks objects up; every question costs the same, however many objects there are. */
export class ClusterIndex {
  readonly state: ClusterState;
  /** For what is looked up to be taken apart once. */
  readonly memory: Memory;
  readonly #services: ReadonlyMap<string, Service>;
  readonly #secrets: ReadonlyMap<string, Content>;
  readonly #configMaps: ReadonlyMap<string, Content>;
  readonly #slices: ReadonlyMap<string, ClusterState['endpointSlices']>;
  readonly #labels: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly #grants: ReadonlyMap<string, ClusterState['referenceGrants']>;

  constructor(state: ClusterState, memory = new Memory()) {
    this.state = state;
    this.memory = memory;
    this.#services = byName(state.services);
    this.#secrets = byName(state.secrets);
    this.#configMaps = byName(state.configMaps);
    this.#slices = Map.groupBy(state.endpointSlices, ({ meta, service }) => nameKey(meta.namespace, service));
    this.#labels = new Map(state.namespaces.map(({ meta }) => [meta.name, meta.labels]));
    this.#grants = Map.groupBy(state.referenceGrants, ({ meta }) => meta.namespace);
  }

  service(namespace: string, name: string): Service | undefined {
    return this.#services.get(nameKey(namespace, name));
  }

  secret(namespace: string, name: string): Content | undefined {
    return this.#secrets.get(nameKey(namespace, name));
  }

  configMap(namespace: string, name: string): Content | undefined {
    return this.#configMaps.get(nameKey(namespace, name));
  }

  slices(namespace: string, service: string): ClusterState['endpointSlices'] {
    return this.#slices.get(nameKey(namespace, service)) ?? [];
  }

  /** Whether a reference into another namespace is granted there; inside one namespace none is needed. */
  permits({ from, to }: Crossing): boolean {
    if (from.namespace === to.namespace) return true;
    return (this.#grants.get(to.namespace) ?? []).some(
      (grant) =>
        grant.from.some(
          (one) => one.group === from.group && one.kind === from.kind && one.namespace === from.namespace,
        ) &&
        grant.to.some((one) => one.group === to.group && one.kind === to.kind && (one.name ?? to.name) === to.name),
    );
  }

  /** Whether objects of one namespace may attach to one in another. A namespace that is not known has no labels. */
  admits({ from, selector }: AllowedNamespaces, own: string, other: string): boolean {
    if (from === 'All') return true;
    if (from === 'Same') return own === other;
    return from === 'Selector' && selector !== undefined && selects(selector, this.#labels.get(other) ?? {});
  }
}

function byName<T extends Located>(objects: readonly T[]): ReadonlyMap<string, T> {
  return new Map(objects.map((object) => [nameKey(object.meta.namespace, object.meta.name), object]));
}

/** Label selectors of Kubernetes; an operator that is not known selects nothing. */
function selects({ matchLabels, matchExpressions }: Selector, labels: Readonly<Record<string, string>>): boolean {
  const label = (key: string) => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  return (
    Object.entries(matchLabels).every(([key, value]) => label(key) === value) &&
    matchExpressions.every(({ key, operator, values }) => {
      const value = label(key);
      if (operator === 'Exists') return value !== undefined;
      if (operator === 'DoesNotExist') return value === undefined;
      if (operator === 'In') return value !== undefined && values.includes(value);
      return operator === 'NotIn' && (value === undefined || !values.includes(value));
    })
  );
}

/** Older ones first, then by namespace and name: the order in which objects of the Gateway API take precedence. */
export function inPrecedence<T extends Located>(objects: readonly T[]): readonly T[] {
  return objects.toSorted((a, b) => compareMeta(a.meta, b.meta));
}

function compareMeta(a: Meta, b: Meta): number {
  return compareTexts(a.created, b.created) || compareTexts(nameKey(a.namespace, a.name), nameKey(b.namespace, b.name));
}

export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What a route is called in messages and as the origin of parts of a configuration. */
export function routeId({ kind, meta }: Pick<AttachedRoute, 'kind' | 'meta'>): string {
  return `${kind} ${meta.namespace}/${meta.name}`;
}
