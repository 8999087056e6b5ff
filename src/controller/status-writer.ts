// The writing of statuses: only those that change, after the delivery, the newest first.

import { mapInSteps } from '../long-work.ts';
import type { ObjectStatus } from '../kubernetes/state.ts';
import { type ClusterObject, objectsPath } from './kinds.ts';
import { inSlices } from './slices.ts';
import { statusChange } from './statuses.ts';
import type { ClusterView } from './view.ts';
import type { Writer } from './writer.ts';

/** Statuses in the making at once; the writer has a bound of its requests as well. */
const LANES = 12;
/** Milliseconds until those that could not be written are tried again, doubled each time to the second. */
const RETRY = [200, 15_000] as const;

/**
 * Writes statuses after the delivery, which does not wait for them: ten thousand take a while. A newer translation replaces what is still to
 * be written, and of one object only one status is on its way at a time.
 */
export class StatusWriter {
  readonly #view: ClusterView;
  readonly #writer: Writer;
  readonly #controllerName: string;
  /** By kind, namespace and name. */
  #wanted: ReadonlyMap<string, ObjectStatus> = new Map();
  readonly #queue = new Set<string>();
  readonly #inFlight = new Set<string>();
  /** Objects that have a status. A translation gives the same status for as long as it is the same. */
  readonly #same = new WeakMap<ObjectStatus, ClusterObject>();
  #failures = 0;
  #retry: NodeJS.Timeout | undefined;

  constructor(view: ClusterView, writer: Writer, controllerName: string) {
    this.#view = view;
    this.#writer = writer;
    this.#controllerName = controllerName;
  }

  /**
   * Finds out which have to be written, and begins with that.
   * @param statuses all of them, as the newest translation has them
   */
  async write(statuses: readonly ObjectStatus[]): Promise<void> {
    this.#wanted = new Map(statuses.map((status) => [`${status.kind}/${status.namespace}/${status.name}`, status]));
    this.#failures = 0;
    await this.#begin();
  }

  /** Nothing more is begun. */
  stop(): void {
    clearTimeout(this.#retry);
    this.#wanted = new Map();
    this.#queue.clear();
  }

  async #begin(): Promise<void> {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const now = nowInSeconds();
    const wanted = this.#wanted;
    const look = ([key, status]: readonly [string, ObjectStatus]) => {
      // Newer ones are looked through by themselves.
      if (this.#wanted !== wanted || this.#inFlight.has(key) || this.#change(status, now) === undefined) return;
      this.#queue.add(key);
      if (this.#inFlight.size < LANES) this.#next();
    };
    await inSlices(mapInSteps(wanted, look));
  }

  #next(): void {
    const [key] = this.#queue;
    if (key === undefined) return;
    this.#queue.delete(key);
    this.#inFlight.add(key);
    const status = this.#wanted.get(key);
    void this.#writeOne(status).then((written) => {
      this.#inFlight.delete(key);
      if (!written) this.#retryLater();
      // Another translation may have come meanwhile. The same status is not looked at again: what a server leaves out of it would be written for ever.
      const wanted = this.#wanted.get(key);
      if (wanted !== undefined && wanted !== status && this.#change(wanted, nowInSeconds())) this.#queue.add(key);
      this.#next();
    });
  }

  #retryLater(): void {
    const [first, longest] = RETRY;
    if (this.#retry !== undefined) return;
    const wait = Math.min(longest, first * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    this.#retry = setTimeout(() => void this.#begin(), wait).unref();
  }

  #change(status: ObjectStatus, now: string) {
    const found = this.#view.find(status.kind, status);
    if (found === undefined || this.#same.get(status) === found.object) return undefined;
    const change = statusChange(found.object, status, this.#controllerName, now);
    if (change === undefined) this.#same.set(status, found.object);
    return change && { ...found, change };
  }

  async #writeOne(status: ObjectStatus | undefined): Promise<boolean> {
    const found = status && this.#change(status, nowInSeconds());
    if (found === undefined) return true;
    const { object, of, change } = found;
    const { name, namespace, resourceVersion } = object.metadata;
    const answer = await this.#writer.patchStatus(
      of.kind.kind,
      `${objectsPath(of.kind, of.apiVersion, namespace)}/${name}`,
      // The list of parents is written as a whole: an entry that another controller added meanwhile makes this a conflict.
      { metadata: { resourceVersion }, status: change },
    );
    of.note(answer);
    return answer !== undefined;
  }
}

/** Times of conditions have no fractions. */
function nowInSeconds(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z');
}
