// Events of objects, each written once for as long as it stays true.

import type { ObjectEvent } from '../kubernetes/state.ts';
import { MANAGER } from './names.ts';
import type { ClusterView } from './view.ts';
import type { Writer } from './writer.ts';

/** Events in an hour: objects that change all the time do not fill the API server. */
const HOURLY = 1000;
/** A namespace has room for this part of what is left for all: the more of them write much, the less each has, and forty leave something for others. */
const SHARE = 1 / 10;
const HOUR = 3_600_000;
/** Characters of a note, by the API. */
const NOTE = 1024;

interface Hour {
  readonly since: number;
  left: number;
  /** By namespace: at most as many as Events in an hour. */
  readonly written: Map<string, number>;
}

export interface EventWriterParts {
  readonly view: Pick<ClusterView, 'find'>;
  readonly writer: Pick<Writer, 'create'>;
  readonly controllerName: string;
  /** Of this process. */
  readonly instance: string;
}

/**
 * Writes Events (events.k8s.io/v1). One that cannot be written is left out: the condition of the object says the same. One for which there is
 * no room is written when there is, if it is still true.
 */
export class EventWriter {
  readonly #view: Pick<ClusterView, 'find'>;
  readonly #writer: Pick<Writer, 'create'>;
  readonly #controllerName: string;
  readonly #instance: string;
  #told: ReadonlySet<string> = new Set();
  #hour: Hour | undefined;

  constructor({ view, writer, controllerName, instance }: EventWriterParts) {
    this.#view = view;
    this.#writer = writer;
    this.#controllerName = controllerName;
    this.#instance = instance;
  }

  /** @param events all that are true now: what was among the last ones is not written again */
  async write(events: readonly ObjectEvent[]): Promise<void> {
    const told = new Set<string>();
    const fresh = events.filter((event) => {
      const text = JSON.stringify(event);
      const isFresh = !this.#told.has(text) && !told.has(text);
      if (isFresh && !this.#takeRoom(event.namespace)) return false;
      told.add(text);
      return isFresh;
    });
    this.#told = told;
    await Promise.all(fresh.map((event) => this.#write(event)));
  }

  #takeRoom(namespace: string): boolean {
    const now = performance.now();
    if (this.#hour === undefined || now - this.#hour.since > HOUR)
      this.#hour = { since: now, left: HOURLY, written: new Map() };
    const { left, written } = this.#hour;
    const own = written.get(namespace) ?? 0;
    if (own >= left * SHARE) return false;
    written.set(namespace, own + 1);
    this.#hour.left -= 1;
    return true;
  }

  async #write({ kind, namespace, name, type, reason, message }: ObjectEvent): Promise<void> {
    const found = this.#view.find(kind, { namespace, name });
    if (found === undefined) return;
    // Events of objects without a namespace are in the one named default.
    const place = namespace === '' ? 'default' : namespace;
    const { uid, resourceVersion } = found.object.metadata;
    await this.#writer.create('Event', `/apis/events.k8s.io/v1/namespaces/${place}/events`, {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { generateName: `${name.slice(0, 200)}.`, namespace: place },
      eventTime: `${new Date().toISOString().slice(0, -1)}000Z`,
      regarding: {
        apiVersion: found.of.apiVersion,
        kind,
        ...(namespace !== '' && { namespace }),
        name,
        uid,
        resourceVersion,
      },
      reportingController: this.#controllerName,
      reportingInstance: this.#instance.slice(0, 128) || MANAGER,
      action: 'Translate',
      type,
      reason,
      note: message.slice(0, NOTE),
    });
  }
}
