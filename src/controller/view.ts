// A view of the cluster: reflections of all kinds, and the state that they add up to.

import { isDeepStrictEqual } from 'node:util';
import { mapInSteps, type InSteps } from '../long-work.ts';
import { type Kind, KINDS } from '../kubernetes/kinds.ts';
import { asText, type Json, mapping, mappings } from '../kubernetes/json.ts';
import type { ClusterState, Name, RunningDataPlane } from '../kubernetes/state.ts';
import type { ApiFailure } from './api-failure.ts';
import type { ApiServer } from './api.ts';
import { type ClusterObject, madeKinds, watched } from './kinds.ts';
import { dataPlaneName } from './names.ts';
import { Reflection } from './reflection.ts';

export interface ViewSettings {
  readonly api: ApiServer;
  readonly controllerName: string;
  /** Where data planes are made. */
  readonly namespace: string;
  /** In which Secrets are read, besides `namespace`, where those of parameters are; undefined: in all. */
  readonly secretsIn: readonly string[] | undefined;
  readonly onChange: () => void;
  readonly onFailure: (kind: string, failure: ApiFailure) => void;
  readonly onList: (kind: string) => void;
}

/** Reflections of one kind: of Secrets there is one for each namespace that is read. */
interface Watching {
  readonly kind: Kind;
  readonly reflections: readonly Reflection[];
}

/** An object, and what the translation takes of it. */
interface ReadObject {
  readonly object: ClusterObject;
  /** Undefined: it cannot be read. */
  readonly content: object | undefined;
}

type Objects = Reflection['objects'];

/** What means the same stays the same object: most changes are those of statuses, which are our own. */
function* readAll(
  kind: Kind,
  objects: Objects,
  before: ReadonlyMap<string, ReadObject> = new Map(),
): InSteps<ReadonlyMap<string, ReadObject>> {
  const read = new Map<string, ReadObject>();
  yield* mapInSteps(objects, ([key, object]) => {
    const old = before.get(key);
    if (old?.object === object) read.set(key, old);
    else {
      const content = kind.read(object);
      read.set(key, { object, content: isDeepStrictEqual(old?.content, content) ? old?.content : content });
    }
  });
  return read;
}

/** Everything that the controller knows of a cluster. NOT checked: the objects, which the readers of each kind take apart. */
export class ClusterView {
  readonly #namespace: string;
  readonly #translated: readonly Watching[];
  readonly #made: readonly Reflection[];
  /** What was read of objects, by their keys. */
  #read = new Map<Reflection, ReadonlyMap<string, ReadObject>>();

  constructor(settings: ViewSettings) {
    const { api, namespace, controllerName, secretsIn, onChange, onList } = settings;
    this.#namespace = namespace;
    const reflect = (kind: Reflection['kind'], within?: string) =>
      new Reflection({
        api,
        kind,
        namespace: within,
        onChange,
        onList,
        onFailure: (failure) => settings.onFailure(kind.kind, failure),
      });
    this.#translated = KINDS.map((kind) => {
      const places =
        kind.kind === 'Secret' && secretsIn !== undefined ? new Set([namespace, ...secretsIn]) : [undefined];
      return { kind, reflections: [...places].map((place) => reflect(watched(kind), place)) };
    });
    this.#made = madeKinds(controllerName).map((kind) => reflect(kind, namespace));
  }

  get #all(): readonly Reflection[] {
    return [...this.#translated.flatMap(({ reflections }) => reflections), ...this.#made];
  }

  /** Kinds of which it is not known what there is: as long as there is one, nothing may be concluded. */
  get unsettled(): readonly string[] {
    return [...new Set(this.#all.filter(({ settled }) => !settled).map(({ kind }) => kind.kind))];
  }

  /** How many objects there are of each kind of the translation. */
  get counts(): readonly (readonly [kind: string, count: number])[] {
    return this.#translated.map(({ kind, reflections }) => [
      kind.kind,
      reflections.reduce((sum, { objects }) => sum + objects.size, 0),
    ]);
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#all.map((reflection) => reflection.run(signal)));
  }

  /**
   * The state as it is at the first step: what changes while it is read is part of the next one.
   * @param troubles of deliveries, by the names of data planes
   */
  *state(troubles: ReadonlyMap<string, string>): InSteps<ClusterState> {
    const seen = new Map(this.#all.map((reflection) => [reflection, new Map(reflection.objects)]));
    const members: Record<string, object[]> = {};
    for (const { kind, reflections } of this.#translated) {
      const list = (members[kind.member] ??= []);
      for (const reflection of reflections) {
        const read = yield* readAll(kind, seen.get(reflection) ?? new Map(), this.#read.get(reflection));
        this.#read.set(reflection, read);
        for (const { content } of read.values()) if (content !== undefined) list.push(content);
      }
    }
    const state = members as unknown as Omit<ClusterState, 'running'>;
    return { ...state, running: state.gateways.map(({ meta }) => this.#running(meta, troubles, seen)) };
  }

  /** An object of the translation as the API server has it, with the version of the API by which it is read. */
  find(
    kind: string,
    { namespace, name }: Name,
  ): { readonly object: ClusterObject; readonly of: Reflection } | undefined {
    const watching = this.#translated.find((one) => one.kind.kind === kind);
    for (const reflection of watching?.reflections ?? []) {
      const object = reflection.objects.get(`${namespace}/${name}`);
      if (object !== undefined) return { object, of: reflection };
    }
    return undefined;
  }

  /** What the controller made, in the order in which it is taken away. */
  get made(): readonly Reflection[] {
    return this.#made;
  }

  #running(
    gateway: Name,
    troubles: ReadonlyMap<string, string>,
    seen: ReadonlyMap<Reflection, Objects>,
  ): RunningDataPlane {
    const name = dataPlaneName(gateway);
    const found = (kind: string) => {
      const reflection = this.#made.find((one) => one.kind.kind === kind);
      return reflection && seen.get(reflection)?.get(`${this.#namespace}/${name}`);
    };
    const ready = mapping(found('Deployment')?.['status'])?.readyReplicas;
    return {
      gateway: { namespace: gateway.namespace, name: gateway.name },
      addresses: addressesOf(found('Service')),
      ready: typeof ready === 'number' && ready > 0,
      trouble: troubles.get(name),
    };
  }
}

/** Of a load balancer what it was given; of any other Service the address inside the cluster. */
function addressesOf(service: Json | undefined): RunningDataPlane['addresses'] {
  const spec = mapping(service?.spec);
  if (asText(spec?.type) !== 'LoadBalancer') {
    const address = asText(spec?.clusterIP);
    return address === undefined || address === 'None' ? [] : [{ type: 'IPAddress', value: address }];
  }
  const given = mappings(mapping(mapping(service?.status)?.loadBalancer)?.ingress);
  return given.flatMap(({ ip, hostname }): RunningDataPlane['addresses'] => {
    if (typeof ip === 'string') return [{ type: 'IPAddress', value: ip }];
    return typeof hostname === 'string' ? [{ type: 'Hostname', value: hostname }] : [];
  });
}
