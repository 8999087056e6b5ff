// Events of objects, each written once for as long as it stays true.

import type { ObjectEvent } from '../kubernetes/state.ts';
import { MANAGER } from './names.ts';
import type { ClusterView } from './view.ts';
import type { Writer } from './writer.ts';

/** Events in an hour: objects that change all the time do not fill the API server. */
const HOURLY = 1000;
const HOUR = 3_600_000;
/** Characters of a note, by the API. */
const NOTE = 1024;

/** Writes Events (events.k8s.io/v1). One that cannot be written is left out: the condition of the object says the same. */
export class EventWriter {
  readonly #view: ClusterView;
  readonly #writer: Writer;
  readonly #controllerName: string;
  readonly #instance: string;
  #told = new Set<string>();
  #hour = { since: 0, written: 0 };

  constructor(view: ClusterView, writer: Writer, by: { readonly controllerName: string; readonly instance: string }) {
    this.#view = view;
    this.#writer = writer;
    this.#controllerName = by.controllerName;
    this.#instance = by.instance;
  }

  /** @param events all that are true now: what was among the last ones is not written again */
  async write(events: readonly ObjectEvent[]): Promise<void> {
    const before = this.#told;
    this.#told = new Set(events.map((event) => JSON.stringify(event)));
    const fresh = events.filter((event) => !before.has(JSON.stringify(event)) && this.#hasRoom());
    await Promise.all(fresh.map((event) => this.#write(event)));
  }

  #hasRoom(): boolean {
    const now = performance.now();
    if (now - this.#hour.since > HOUR || this.#hour.since === 0) this.#hour = { since: now, written: 0 };
    this.#hour.written += 1;
    return this.#hour.written <= HOURLY;
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
