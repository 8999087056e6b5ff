// The writing of statuses: only those that change, after the delivery, the newest first.

import type { ObjectStatus } from '../kubernetes/state.ts';
import { objectsPath } from './kinds.ts';
import { statusChange } from './statuses.ts';
import type { ClusterView } from './view.ts';
import type { Writer } from './writer.ts';

/** Statuses in the making at once; the writer has a bound of its requests as well. */
const LANES = 12;

/**
 * Writes statuses beside the delivery, which does not wait for them: ten thousand take a while. A newer translation replaces what is still to
 * be written.
 */
export class StatusWriter {
  readonly #view: ClusterView;
  readonly #writer: Writer;
  readonly #controllerName: string;
  #queue = new Map<string, ObjectStatus>();
  #lanes = 0;
  #idle: (() => void)[] = [];
  #failed = false;

  constructor(view: ClusterView, writer: Writer, controllerName: string) {
    this.#view = view;
    this.#writer = writer;
    this.#controllerName = controllerName;
  }

  /** @returns when all of them are written, or replaced; false: some have to be tried again */
  async write(statuses: readonly ObjectStatus[]): Promise<boolean> {
    const now = nowInSeconds();
    this.#queue = new Map(
      statuses
        .filter((status) => this.#change(status, now) !== undefined)
        .map((status) => [`${status.kind}/${status.namespace}/${status.name}`, status]),
    );
    this.#failed = false;
    while (this.#lanes < LANES && this.#lanes < this.#queue.size) {
      this.#lanes += 1;
      void this.#lane();
    }
    if (this.#lanes > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    return !this.#failed;
  }

  async #lane(): Promise<void> {
    for (;;) {
      const [next] = this.#queue;
      if (next === undefined) break;
      this.#queue.delete(next[0]);
      // oxlint-disable-next-line no-await-in-loop -- one after the other is what a lane is
      if (!(await this.#writeOne(next[1]).catch(() => false))) this.#failed = true;
    }
    this.#lanes -= 1;
    if (this.#lanes > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #change(status: ObjectStatus, now: string) {
    const found = this.#view.find(status.kind, status);
    const change = found && statusChange(found.object, status, this.#controllerName, now);
    return change && found && { ...found, change };
  }

  async #writeOne(status: ObjectStatus): Promise<boolean> {
    const found = this.#change(status, nowInSeconds());
    if (found === undefined) return true;
    const { object, of, change } = found;
    const { name, namespace, resourceVersion } = object.metadata;
    const answer = await this.#writer.patchStatus(
      status.kind,
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
