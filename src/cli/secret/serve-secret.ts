// `holdfast serve --from-secret`: the gateway of a configuration in a Secret.

import type { Cluster } from './access.ts';
import type { SecretName } from './api.ts';
import { readDocument, type Secret } from './document.ts';
import { followSecret } from './watch.ts';
import { type Good, loadDocument, type Loaded } from '../load.ts';
import type { Printed } from '../printed.ts';
import { Reloading } from '../reloading.ts';
import { serveGood, untilWritten } from '../serve.ts';
import { Signals } from '../signals.ts';
import { EXIT } from '../commands.ts';
import { Kept } from '../../config/kept.ts';
import { formatProblem, type Problem } from '../../config/problem.ts';
import { createLog, type Log } from '../../observe/log.ts';
import { openTelemetry, type Readiness, type Telemetry } from '../../operator/telemetry.ts';
import type { Bind } from '../../policy/policy.ts';
import type { Gateway } from '../../supervisor/gateway.ts';

/** Where /livez and /readyz are until a policy says it: kubelet asks by the address of the pod. */
const WAITING: readonly Bind[] = [
  { host: '::', port: 9902 },
  { host: '0.0.0.0', port: 9902 },
];

export interface SecretServing {
  readonly cluster: Cluster;
  readonly secret: SecretName;
  readonly version: string;
  readonly json: boolean;
  /** For tests. */
  readonly waiting?: readonly Bind[];
  readonly signals?: Signals;
}

/**
 * Serves what the Secret says, until a signal. Without a good configuration there, from the start, it is live and not ready; once it has one,
 * it keeps the last good one, whatever becomes of the Secret or of the API server.
 */
export async function serveSecret(serving: SecretServing): Promise<Printed> {
  const { secret, version, json, signals = new Signals() } = serving;
  const called = `secret ${secret.namespace}/${secret.name}`;
  const log = createLog({ level: 'info', sampleSuccesses: 1 });
  return untilWritten(log, signals, async (broken) => {
    const end = new AbortController();
    void signals.first.then(() => end.abort());
    const source = new SecretSource(called, log);
    const follow = followSecret(serving.cluster, secret, source, end.signal);
    try {
      const started = await waitForPolicy(source, serving, Promise.race([signals.first, broken, follow]));
      if (started === undefined) return { exit: EXIT.ok, stdout: '', stderr: '' };
      log.change(started.policy.log);
      const reloads = (gateway: Gateway) => {
        const reloading = new Reloading({ load: () => source.load(), follow: () => {} }, started, gateway);
        signals.onReload(() => reloading.reload('signal'));
        source.beginTelling(() => reloading.reload('secret'));
        return () => {};
      };
      const failed = follow.then(() => new Promise<never>(() => {}));
      return await serveGood(
        started,
        { file: called, log, signals, version, json },
        { broken: Promise.race([broken, failed]), reloads },
      );
    } finally {
      end.abort();
      await follow;
    }
  });
}

/** @param ended settles when there is no more to wait for. @returns undefined: it was told to end */
async function waitForPolicy(
  source: SecretSource,
  { waiting = WAITING }: SecretServing,
  ended: Promise<unknown>,
): Promise<Good | undefined> {
  const telemetry = await openWaiting(waiting, source);
  try {
    return await Promise.race([source.first, ended.then(() => undefined)]);
  } finally {
    await telemetry.close();
  }
}

async function openWaiting([bind, ...others]: readonly Bind[], source: SecretSource): Promise<Telemetry> {
  if (bind === undefined) throw new Error('there is no address to wait at');
  try {
    return await openTelemetry(bind, {
      ready: () => source.readiness,
      metrics: () => Promise.resolve(() => Promise.resolve('')),
      assertionKeys: () => JSON.stringify({ keys: [] }),
      onFailure: () => {},
    });
  } catch (error) {
    if (others.length === 0) throw error;
    return openWaiting(others, source); // a machine without IPv6
  }
}

/** What is known of the Secret: the document of now, and the first good policy. */
class SecretSource {
  readonly #called: string;
  readonly #log: Log;
  readonly #first = Promise.withResolvers<Good>();
  readonly #kept = new Kept();
  #document: Secret | undefined;
  /** Of the first good policy. */
  #served: Secret | undefined;
  #problems: readonly string[] = [];
  /** Told of changes, once there is a gateway. */
  #changed: (() => void) | undefined;
  #isWaiting = true;

  constructor(called: string, log: Log) {
    this.#called = called;
    this.#log = log;
  }

  /** The first good policy. */
  get first(): Promise<Good> {
    return this.#first.promise;
  }

  get readiness(): Readiness {
    return { ready: false, details: { state: 'waiting', secret: this.#called, problems: this.#problems } };
  }

  /** From now on changes are told to a gateway that serves the first good policy; what came since then is one. */
  beginTelling(changed: () => void): void {
    this.#changed = changed;
    if (this.#document !== this.#served) changed();
  }

  /** The document of now as a policy, or what is wrong with it. */
  load(): Loaded {
    const document = this.#document && readDocument(this.#document);
    if (document === undefined) return this.#wrong('does not exist');
    return 'wrong' in document ? this.#wrong(document.wrong) : loadDocument(document.text, this.#called, this.#kept);
  }

  #wrong(message: string): Loaded {
    const problem: Problem = { file: this.#called, line: 1, column: 1, path: '', message };
    return { problems: [problem], sources: { files: [], patterns: [], directory: '', digest: '' } };
  }

  readonly changed = (secret: Secret): void => {
    this.#document = secret;
    if (this.#changed !== undefined) return this.#changed();
    if (!this.#isWaiting) return;
    const loaded = this.load();
    if ('policy' in loaded) {
      this.#isWaiting = false;
      this.#served = secret;
      this.#first.resolve(loaded);
    } else this.#refuse(loaded.problems.map(formatProblem));
  };

  /** The policy in force stays; before there is one, it is waited for. */
  readonly gone = (): void => {
    this.#log.event('warn', 'the secret does not exist', { secret: this.#called });
    if (this.#isWaiting) this.#problems = [`${this.#called} does not exist`];
  };

  readonly failed = (error: string, retry: number): void => {
    this.#log.event('warn', 'the secret cannot be watched', { secret: this.#called, error, retry });
    if (this.#isWaiting && this.#document === undefined) this.#problems = [error];
  };

  #refuse(problems: readonly string[]): void {
    this.#problems = problems;
    this.#log.event('error', 'configuration refused: there is none in force yet', { secret: this.#called, problems });
  }
}
