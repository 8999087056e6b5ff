// The signals of a gateway: which ones drain, reload, or are ignored.

import type { Log } from '../observe/log.ts';

/** What SIGQUIT does without a listener is to leave the memory of the process in a core file. */
const END = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;
/** Without a listener the first opens Node's inspector, through which everybody on the machine can run code, and the second kills. */
const NOTHING = ['SIGUSR1', 'SIGUSR2'] as const;

/** Hears signals from its making to the end of the process: one that comes while it has no listener would kill it. */
export class Signals {
  /** The first and the second signal to end. */
  readonly first: Promise<NodeJS.Signals>;
  readonly second: Promise<NodeJS.Signals>;
  #reload: (() => void) | undefined;
  #reloadAsked = false;
  #log: Pick<Log, 'event'> | undefined;

  constructor() {
    const [first, second] = [Promise.withResolvers<NodeJS.Signals>(), Promise.withResolvers<NodeJS.Signals>()];
    this.first = first.promise;
    this.second = second.promise;
    let next = first;
    const end = (signal: NodeJS.Signals) => {
      next.resolve(signal);
      next = second;
    };
    for (const signal of END) process.on(signal, end);
    for (const signal of NOTHING) process.on(signal, () => this.#ignore(signal, 'it means nothing here'));
    process.on('SIGHUP', () => this.#hearReload());
  }

  /** Signals that are ignored are logged from now on. */
  logTo(log: Pick<Log, 'event'>): void {
    this.#log = log;
  }

  /** From now on SIGHUP reloads; one that came before does so at once. After the first signal to end it is ignored. */
  onReload(reload: () => void): void {
    this.#reload = reload;
    if (this.#reloadAsked) reload();
    void this.first.then(() => (this.#reload = () => this.#ignore('SIGHUP', 'the gateway is ending')));
  }

  #hearReload(): void {
    if (this.#reload === undefined) this.#reloadAsked = true;
    else this.#reload();
  }

  #ignore(signal: NodeJS.Signals, why: string): void {
    this.#log?.event('warn', 'signal ignored', { signal, why });
  }
}
