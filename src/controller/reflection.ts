// A reflection of the objects of one kind: listed, then watched, through interruptions.

import { setTimeout as sleep } from 'node:timers/promises';
import { ApiFailure } from './api-failure.ts';
import type { ApiServer, Query, WatchEvent } from './api.ts';
import { type ClusterObject, keyOf, meansTheSame, objectsPath, readObject, type WatchedKind } from './kinds.ts';
import { listObjects, readKept, selectorsOf, versionOf } from './listing.ts';

/** `listing`: never listed yet. `unknown`: the API server has no such kind. `current`: as the cluster is, or was when it last answered. */
export type ReflectionState = 'listing' | 'unknown' | 'current';

export interface ReflectionSettings {
  readonly api: ApiServer;
  readonly kind: WatchedKind;
  /** undefined: of all namespaces. */
  readonly namespace?: string | undefined;
  /** Something changed that can mean something to the translation. */
  readonly onChange: () => void;
  readonly onFailure: (failure: ApiFailure) => void;
  /** Told when a list has replaced what was there. */
  readonly onList?: (kind: string) => void;
  /** Milliseconds of the first wait after a failure, which doubles to the second. */
  readonly waits?: readonly [first: number, longest: number];
}

/** Milliseconds for which a kind that was there has to be unknown before its objects count as gone: an API server that starts has few kinds. */
const GONE = 15_000;

/**
 * Objects as they were last seen: kept through outages of the API server, however long. A list replaces them as a whole, so that none is
 * missing in between.
 * NOT checked: what stands in the objects.
 */
export class Reflection {
  readonly kind: WatchedKind;
  readonly #settings: ReflectionSettings;
  #objects = new Map<string, ClusterObject>();
  #state: ReflectionState = 'listing';
  #version: string | undefined;
  #apiVersion: string;
  #unknownSince: number | undefined;
  #wait = 0;

  constructor(settings: ReflectionSettings) {
    this.#settings = settings;
    this.kind = settings.kind;
    this.#apiVersion = settings.kind.apiVersions[0] ?? 'v1';
  }

  get state(): ReflectionState {
    return this.#state;
  }

  /** Whether the objects can be relied on: they were listed, or there can be none. */
  get settled(): boolean {
    return this.#state === 'current' || (this.#state === 'unknown' && this.kind.whenUnknown === 'none');
  }

  get objects(): ReadonlyMap<string, ClusterObject> {
    return this.#objects;
  }

  get apiVersion(): string {
    return this.#apiVersion;
  }

  /** An object as the API server answered to a change of ours; the watch will tell the same, later. */
  note(given: unknown): void {
    const object = readObject(given);
    const before = object && this.#objects.get(keyOf(object));
    if (before !== undefined && object !== undefined && !isOlder(object, before)) this.#put(object);
  }

  /** Runs until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      const failure = await this.#follow(signal).catch(toFailure);
      if (signal.aborted) return;
      // oxlint-disable-next-line no-await-in-loop
      await this.#recover(failure, signal);
    }
  }

  async #follow(signal: AbortSignal): Promise<ApiFailure | undefined> {
    if (this.#version === undefined) await this.#list(signal);
    const query: Query = { ...selectorsOf(this.kind), resourceVersion: this.#version ?? '', allowWatchBookmarks: true };
    return await this.#settings.api.watch(this.#path(), query, (event) => this.#hear(event), signal);
  }

  async #recover(failure: ApiFailure | undefined, signal: AbortSignal): Promise<void> {
    const [first, longest] = this.#settings.waits ?? [500, 15_000];
    if (failure === undefined) {
      this.#wait = 0;
      return;
    }
    if (failure.status === 410 && this.#version !== undefined) {
      this.#version = undefined;
      return;
    }
    this.#version = failure.status === 410 || failure.status === 404 ? undefined : this.#version;
    if (failure.status === 404) this.#missing();
    else this.#settings.onFailure(failure);
    this.#wait = Math.min(longest, Math.max(first, this.#wait * 2));
    const patience = failure.status === 404 ? Math.min(longest, 5000) : this.#wait;
    // Replicas and kinds do not come back in step.
    await sleep(patience * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {});
  }

  /** The kind is not known in this version: the next one is tried, and then there is none. */
  #missing(): void {
    const { apiVersions } = this.kind;
    const next = apiVersions.indexOf(this.#apiVersion) + 1;
    this.#apiVersion = apiVersions[next % apiVersions.length] ?? this.#apiVersion;
    if (next < apiVersions.length) return;
    this.#unknownSince ??= performance.now();
    if (this.#state === 'current' && performance.now() - this.#unknownSince < GONE) return;
    if (this.#state === 'unknown') return;
    this.#state = 'unknown';
    this.#objects = new Map();
    this.#settings.onChange();
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { api, namespace } = this.#settings;
    const { objects, version } = await listObjects(api, this.kind, { apiVersion: this.#apiVersion, namespace, signal });
    this.#version = version;
    this.#replace(objects);
  }

  #replace(listed: Map<string, ClusterObject>): void {
    const before = this.#objects;
    const same =
      this.#state === 'current' &&
      before.size === listed.size &&
      [...listed].every(([key, object]) => {
        const old = before.get(key);
        return old !== undefined && meansTheSame(this.kind, old, object);
      });
    this.#objects = listed;
    this.#state = 'current';
    this.#unknownSince = undefined;
    this.#settings.onList?.(this.kind.kind);
    if (!same) this.#settings.onChange();
  }

  #hear({ type, object: given }: WatchEvent): void {
    const object = readKept(this.kind, given);
    const version = versionOf(given);
    if (version !== undefined) this.#version = version;
    this.#wait = 0;
    if (object === undefined || type === 'BOOKMARK') return;
    if (type === 'DELETED') {
      if (this.#objects.delete(keyOf(object))) this.#settings.onChange();
    } else this.#put(object);
  }

  #put(object: ClusterObject): void {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (before !== undefined && isOlder(object, before)) return;
    this.#objects.set(key, object);
    if (before === undefined || !meansTheSame(this.kind, before, object)) this.#settings.onChange();
  }

  #path(): string {
    return objectsPath(this.kind, this.#apiVersion, this.#settings.namespace);
  }
}

function toFailure(error: unknown): ApiFailure {
  return error instanceof ApiFailure ? error : new ApiFailure(undefined, 'broken', 'list');
}

/** Versions of one kind are numbers that grow (since 1.35 by contract); what is none is never older. */
function isOlder({ metadata: { resourceVersion: one } }: ClusterObject, { metadata }: ClusterObject): boolean {
  const number = (text: string | undefined) =>
    text !== undefined && /^\d{1,30}$/.test(text) ? BigInt(text) : undefined;
  const [first, second] = [number(one), number(metadata.resourceVersion)];
  return first !== undefined && second !== undefined && first < second;
}
