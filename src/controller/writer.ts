// The writes of the controller: few at once, only while it leads, each one counted.

import { ApiFailure } from './api-failure.ts';
import { type ApiServer, type Asked, BODY } from './api.ts';
import type { Manifest } from './manifests.ts';
import { APPLIED_ANNOTATION, digestOf, MANAGER } from './names.ts';

export type WriteResult = 'done' | 'conflict' | 'failed' | 'not_leading';

export interface WriterSettings {
  readonly api: ApiServer;
  /** Asked before each write. */
  readonly leads: () => boolean;
  readonly onWrite: (verb: string, kind: string, result: WriteResult) => void;
  readonly onFailure: (kind: string, failure: ApiFailure) => void;
}

/** Writes in flight: an API server has to serve others as well. Reports leave some of them to what data planes wait for. */
const AT_ONCE = 16;
const REPORTS_AT_ONCE = 12;

/** Paths of what is applied, without the name. */
const PLACES: Readonly<Record<string, string>> = {
  ServiceAccount: 'serviceaccounts',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  Service: 'services',
  Deployment: 'deployments',
  PodDisruptionBudget: 'poddisruptionbudgets',
  Secret: 'secrets',
};

/** Writes objects. A conflict or a failure is told, and left to the next reconciliation. */
export class Writer {
  readonly #settings: WriterSettings;
  #running = 0;
  #reports = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #waitingReports: (() => void)[] = [];

  constructor(settings: WriterSettings) {
    this.#settings = settings;
  }

  /**
   * Makes an object, or changes the members of it that are ours (server-side apply).
   * @returns the object as it is now; undefined: it could not be written
   */
  async apply(manifest: Manifest): Promise<unknown> {
    const { apiVersion, kind, metadata } = manifest;
    const path = `${pathOfMade(kind, apiVersion, metadata.namespace)}/${metadata.name}`;
    const query = { fieldManager: MANAGER, force: true };
    return await this.#write('apply', kind, { method: 'PATCH', path, query, body: manifest, type: BODY.apply });
  }

  /** @returns whether it is gone */
  async remove(
    kind: string,
    apiVersion: string,
    at: { readonly namespace: string; readonly name: string },
  ): Promise<boolean> {
    const path = `${pathOfMade(kind, apiVersion, at.namespace)}/${at.name}`;
    const body = { propagationPolicy: 'Background' };
    return (await this.#write('delete', kind, { method: 'DELETE', path, body })) !== undefined;
  }

  /** @param path of the object; the version in `body` makes a change that came in between a conflict */
  async patchStatus(kind: string, path: string, body: object): Promise<unknown> {
    const query = { fieldManager: MANAGER };
    return await this.#write('status', kind, {
      method: 'PATCH',
      path: `${path}/status`,
      query,
      body,
      type: BODY.merge,
    });
  }

  async create(kind: string, path: string, body: object): Promise<unknown> {
    return await this.#write('create', kind, { method: 'POST', path, body });
  }

  async #write(verb: string, kind: string, asked: Asked): Promise<unknown> {
    const { api, leads, onWrite, onFailure } = this.#settings;
    // Statuses and Events: what data planes wait for goes first.
    const isReport = verb === 'status' || verb === 'create';
    await this.#enter(isReport);
    try {
      if (!leads()) {
        onWrite(verb, kind, 'not_leading');
        return undefined;
      }
      const answer = await api.ask(asked);
      onWrite(verb, kind, 'done');
      return answer ?? {};
    } catch (error) {
      const failure = error instanceof ApiFailure ? error : new ApiFailure(undefined, 'broken', `${verb} ${kind}`);
      // What is to be taken away is gone, and what should get a status too.
      if (failure.status === 404 && verb !== 'apply' && verb !== 'create') return {};
      onWrite(verb, kind, failure.status === 409 ? 'conflict' : 'failed');
      if (failure.status !== 409) onFailure(kind, failure);
      return undefined;
    } finally {
      this.#leave(isReport);
    }
  }

  async #enter(isReport: boolean): Promise<void> {
    if (!this.#hasRoom(isReport)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      (isReport ? this.#waitingReports : this.#waiting).push(resolve);
      await promise;
      return;
    }
    this.#take(isReport);
  }

  #hasRoom(isReport: boolean): boolean {
    return this.#running < AT_ONCE && (!isReport || this.#reports < REPORTS_AT_ONCE);
  }

  #take(isReport: boolean): void {
    this.#running += 1;
    if (isReport) this.#reports += 1;
  }

  /** The place goes to the one that waited longest of those who may have it. */
  #leave(isReport: boolean): void {
    this.#running -= 1;
    if (isReport) this.#reports -= 1;
    const next = this.#waiting.shift();
    if (next !== undefined) {
      this.#take(false);
      next();
    } else if (this.#hasRoom(true)) {
      const report = this.#waitingReports.shift();
      if (report === undefined) return;
      this.#take(true);
      report();
    }
  }
}

function pathOfMade(kind: string, apiVersion: string, namespace: string): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${root}/namespaces/${namespace}/${PLACES[kind] ?? ''}`;
}

/** The same with the hash of itself, by which it is seen that it need not be applied again. */
export function withDigest(manifest: Manifest, content: unknown = manifest): Manifest {
  const { metadata } = manifest;
  const annotations = { ...metadata.annotations, [APPLIED_ANNOTATION]: digestOf(content) };
  return { ...manifest, metadata: { ...metadata, annotations } };
}
