// Live reload: a changed file or SIGHUP puts a new policy to work, or is refused.

import { CannotListen } from '../supervisor/binds.ts';
import type { Gateway, ReloadCause } from '../supervisor/gateway.ts';
import { effectiveConfig } from '../config/report/effective.ts';
import { compileMask } from '../config/report/mask.ts';
import { formatProblem } from '../config/problem.ts';
import type { ReadPolicy } from '../config/read/read.ts';
import { changedRestartKeys } from '../config/report/restart.ts';
import { SourcesWatch } from './watch.ts';
import { type Good, loadPolicy } from './load.ts';

/**
 * Keeps a gateway at what its files say. One reload after the other; a configuration that is wrong, or changes what needs a
 * restart, changes nothing. A configuration from standard input cannot be read again.
 * @param started what the gateway was started with
 */
export class Reloading {
  readonly #file: string;
  readonly #gateway: Gateway;
  readonly #watch: SourcesWatch | undefined;
  #running: ReadPolicy;
  #last: Promise<void> = Promise.resolve();

  constructor(file: string, started: Good, gateway: Gateway) {
    this.#file = file;
    this.#gateway = gateway;
    this.#running = started.read;
    this.#watch = file === '-' ? undefined : new SourcesWatch(started.sources, () => this.reload('files'));
  }

  stop(): void {
    this.#watch?.close();
  }

  reload(cause: ReloadCause): void {
    this.#last = this.#last.then(() => this.#readAgain(cause));
  }

  async #readAgain(cause: ReloadCause): Promise<void> {
    if (this.#watch === undefined) {
      return this.#gateway.refuse(
        ['the configuration was read from standard input, which cannot be read again'],
        cause,
      );
    }
    const loaded = loadPolicy(this.#file);
    const problems = 'policy' in loaded ? changedRestartKeys(this.#running, loaded.read) : loaded.problems;
    if (problems.length > 0) this.#gateway.refuse(problems.map(formatProblem), cause);
    else if ('policy' in loaded) await this.#adopt(loaded, cause);
    this.#watch.follow(loaded.sources);
  }

  async #adopt({ policy, read }: Good, cause: ReloadCause): Promise<void> {
    try {
      await this.#gateway.reload(policy, {
        cause,
        config: effectiveConfig(read),
        mask: compileMask(read.substitutions),
      });
      this.#running = read;
    } catch (error) {
      // Nothing has changed (Gateway.reload); what was thrown was written for people.
      this.#gateway.refuse([messageOf(error, read)], cause);
    }
  }
}

function messageOf(error: unknown, read: ReadPolicy): string {
  if (!(error instanceof CannotListen)) return error instanceof Error ? error.message : 'failed';
  const index = read.config.listeners.findIndex(({ name }) => name === error.listener);
  const at = ['listeners', index, 'bind'];
  const message = `cannot be bound: ${error.message}; nothing was changed`;
  return formatProblem({ ...read.position(at), path: read.shownPath(at), message });
}
