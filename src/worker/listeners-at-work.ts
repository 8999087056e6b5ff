// The listeners of one thread, over reloads: those that stay, come, go, and still empty.

import type { Draining, OpenListener } from '../edge/listen/generations.ts';
import { formatBind } from '../policy/addresses.ts';
import type { Bind, Listener } from '../policy/policy.ts';

/** By names of listeners: where each is bound, ports known. */
export type Binds = ReadonlyMap<string, Bind>;

/** What a listener is called now: whoever listens at its address can get another name. */
export interface Called {
  name: string;
}

interface Opened {
  readonly called: Called;
  readonly listener: OpenListener;
}

export interface ListenersOptions {
  /** A unix socket cannot be shared: only the first worker opens it. */
  readonly unixSockets: boolean;
  readonly ticketSecret: Uint8Array;
  /** Throws an Error for people where TLS material is unusable or the address cannot be bound. */
  readonly open: (listener: Listener, called: Called, ticketSecret: Uint8Array) => Promise<OpenListener>;
}

/** Known by their addresses: one that gets another name goes on listening, with no connection of before. */
export class ListenersAtWork {
  readonly #options: ListenersOptions;
  readonly #open = new Map<string, Opened>();
  /** Opened for the next policy, and serving nobody yet. */
  readonly #prepared = new Map<string, Opened>();
  /** Gone from the policy; their last connections end. */
  readonly #leaving = new Set<Opened>();
  #ticketSecret: Uint8Array;
  #draining: Draining | undefined;

  constructor(options: ListenersOptions) {
    this.#options = options;
    this.#ticketSecret = options.ticketSecret;
  }

  /**
   * Opens what is not open yet, for `adopt`; what comes in there until then is ended at once.
   * Throws an Error for people where a listener cannot be opened; nothing new is open then.
   */
  async prepare(listeners: readonly Listener[], binds: Binds): Promise<void> {
    const all = this.#placed(listeners, binds);
    const wanted = new Set(all.map(([place]) => place));
    for (const place of this.#prepared.keys()) if (!wanted.has(place)) await this.#discard(place);
    for (const [place, listener] of all) {
      if (this.#open.has(place) || this.#prepared.has(place)) continue;
      const called = { name: listener.name };
      const opened = this.#options.open(listener, called, this.#ticketSecret);
      this.#prepared.set(place, { called, listener: await this.#orDiscard(opened) });
    }
  }

  /** The next policy will not be adopted. */
  async discard(): Promise<void> {
    for (const place of this.#prepared.keys()) await this.#discard(place);
  }

  /**
   * Makes ready for the listeners of a policy, all of which were prepared, and changes nothing yet. The answer makes them count at once:
   * new ones serve, those that are not among them leave.
   * Throws an Error for people where TLS material is unusable.
   */
  change(listeners: readonly Listener[], binds: Binds): () => void {
    const all = this.#placed(listeners, binds);
    const apply = all.map(
      ([place, listener]) => [place, listener, this.#open.get(place)?.listener.prepare(listener)] as const,
    );
    return () => {
      for (const [place, { name }, change] of apply) this.#put(place, name, change);
      const wanted = new Set(all.map(([place]) => place));
      for (const [place, opened] of this.#open) if (!wanted.has(place)) this.#leave(place, opened);
    };
  }

  #placed(listeners: readonly Listener[], binds: Binds): readonly (readonly [place: string, Listener])[] {
    return listeners.flatMap((listener) => {
      const bind = binds.get(listener.name);
      const mine = bind !== undefined && ('port' in bind || this.#options.unixSockets);
      return mine ? [[formatBind(bind), { ...listener, bind }] as const] : [];
    });
  }

  #put(place: string, name: string, change: (() => void) | undefined): void {
    const opened = this.#open.get(place) ?? this.#prepared.get(place);
    if (opened === undefined) return;
    opened.called.name = name;
    change?.();
    if (!this.#prepared.delete(place)) return;
    this.#open.set(place, opened);
    if (this.#draining !== undefined) opened.listener.drain(this.#draining);
    opened.listener.begin();
  }

  #leave(place: string, opened: Opened): void {
    this.#open.delete(place);
    this.#leaving.add(opened);
    void opened.listener.leave().then(() => this.#leaving.delete(opened));
  }

  async #discard(place: string): Promise<void> {
    const opened = this.#prepared.get(place);
    this.#prepared.delete(place);
    await opened?.listener.close();
  }

  async #orDiscard(opening: Promise<OpenListener>): Promise<OpenListener> {
    try {
      return await opening;
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  get #all(): readonly OpenListener[] {
    return [...this.#open.values(), ...this.#leaving, ...this.#prepared.values()].map(({ listener }) => listener);
  }

  /** Open connections by the names of listeners, those of listeners that leave too. */
  connections(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { called, listener } of [...this.#open.values(), ...this.#leaving]) {
      counts.set(called.name, (counts.get(called.name) ?? 0) + listener.connections());
    }
    return counts;
  }

  /** The most connections that were open at once since the last call, of each listener for itself, added up. */
  takePeak(): number {
    return this.#all.reduce((sum, listener) => sum + listener.takePeak(), 0);
  }

  /** For all, and for those that are opened later. */
  setTicketSecret(secret: Uint8Array): void {
    this.#ticketSecret = secret;
    for (const listener of this.#all) listener.setTicketSecret(secret);
  }

  /** For all, and for those that are opened later. */
  drain(whom: Draining): void {
    this.#draining = whom;
    for (const listener of this.#all) listener.drain(whom);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((listener) => listener.stop()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((listener) => listener.close()));
  }
}
