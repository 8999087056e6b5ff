// Live reload: a changed file or SIGHUP puts a new policy to work, or is refused.

import { CannotListen } from '../supervisor/binds.ts';
import type { Gateway, ReloadCause } from '../supervisor/gateway.ts';
import { compileMask } from '../config/report/mask.ts';
import { formatProblem } from '../config/problem.ts';
import type { ReadPolicy } from '../config/read/read.ts';
import type { Sources } from '../config/read/sources.ts';
import { changedRestartKeys } from '../config/report/restart.ts';
import { SourcesWatch } from './watch.ts';
import { type Good, type Loaded, loadPolicy, shownConfig } from './load.ts';
import type { Signals } from './signals.ts';

/** Where configurations come from, again and again. */
interface ConfigurationSource {
  /** Reads the one of now; absent: it cannot be read again. */
  readonly load: (() => Loaded) | undefined;
  /** Tells what was read, good or bad; from now on changes of it cause a reload. */
  readonly follow: (sources: Sources) => void;
}

/**
 * Keeps a gateway at what its configuration says. One reload after the other; a configuration that is wrong, or changes what needs a
 * restart, changes nothing.
 * @param started what the gateway was started with
 */
export class Reloading {
  readonly #source: ConfigurationSource;
  readonly #gateway: Gateway;
  #running: ReadPolicy;
  #last: Promise<void> = Promise.resolve();
  /** One that has not begun yet reads what is there then. */
  #queued = false;

  constructor(source: ConfigurationSource, started: Good, gateway: Gateway) {
    this.#source = source;
    this.#gateway = gateway;
    this.#running = started.read;
  }

  reload(cause: ReloadCause): void {
    if (this.#queued) return;
    this.#queued = true;
    this.#last = this.#last.then(async () => {
      this.#queued = false;
      await this.#readAgain(cause);
    });
  }

  async #readAgain(cause: ReloadCause): Promise<void> {
    const { load, follow } = this.#source;
    if (load === undefined) {
      return this.#gateway.refuse(
        ['the configuration was read from standard input, which cannot be read again'],
        cause,
      );
    }
    const loaded = load();
    const problems = 'policy' in loaded ? changedRestartKeys(this.#running, loaded.read) : loaded.problems;
    if (problems.length > 0) this.#gateway.refuse(problems.map(formatProblem), cause);
    else if ('policy' in loaded) await this.#adopt(loaded, cause);
    follow(loaded.sources);
  }

  async #adopt({ policy, read }: Good, cause: ReloadCause): Promise<void> {
    try {
      await this.#gateway.reload(policy, {
        cause,
        config: shownConfig(read),
        mask: compileMask(read.substitutions),
      });
      this.#running = read;
    } catch (error) {
      // Nothing has changed (Gateway.reload); what was thrown was written for people.
      this.#gateway.refuse([messageOf(error, read)], cause);
    }
  }
}

/** Reloads of a gateway whose configuration is in files, `-` for standard input. @returns what ends them */
export function reloadFiles(file: string, started: Good, gateway: Gateway, signals: Signals): () => void {
  const load = file === '-' ? undefined : () => loadPolicy(file);
  const reloading = new Reloading({ load, follow: (sources) => watch?.follow(sources) }, started, gateway);
  const watch = load && new SourcesWatch(started.sources, () => reloading.reload('files'));
  signals.onReload(() => reloading.reload('signal'));
  return () => watch?.close();
}

function messageOf(error: unknown, read: ReadPolicy): string {
  if (!(error instanceof CannotListen)) return error instanceof Error ? error.message : 'failed';
  const index = read.config.listeners.findIndex(({ name }) => name === error.listener);
  const at = ['listeners', index, 'bind'];
  const message = `cannot be bound: ${error.message}; nothing was changed`;
  return formatProblem({ ...read.position(at), path: read.shownPath(at), message });
}
