// `holdfast serve`: runs the gateway until a signal ends it.

import { type Gateway, startGateway } from '../supervisor/gateway.ts';
import { createLog, type Log } from '../observe/log.ts';
import { formatBind } from '../config/report/describe.ts';
import { effectiveConfig } from '../config/report/effective.ts';
import type { Policy } from '../policy/policy.ts';
import { spareMemory } from '../worker/spare-memory.ts';
import { EXIT } from './arguments.ts';
import { Reloading } from './reloading.ts';
import { loadPolicy, type Printed, printFailure, printProblems } from './load.ts';

/** Settles when the gateway has ended; a second signal ends it at once. */
export async function serveUntilSignal(file: string, version: string, json: boolean): Promise<Printed> {
  const loaded = loadPolicy(file);
  if ('problems' in loaded) return printProblems(loaded.problems, json);
  const log = createLog(loaded.policy.log);
  const signals = hearSignals();
  const broken = hearFailures(log);
  try {
    const config = effectiveConfig(loaded.read);
    const gateway = await startGateway(loaded.policy, { version, log, file, config });
    spareMemory();
    announce(gateway, loaded.policy, log, version);
    const reloading = new Reloading(file, loaded, gateway);
    void signals.first.then(() => reloading.stop());
    await Promise.race([drainOnSignal(gateway, log, signals), broken]);
    return { exit: EXIT.ok, stdout: '', stderr: '' };
  } catch (error) {
    return printFailure(EXIT.failed, error instanceof Error ? error.message : 'failed to start', json);
  } finally {
    await log.flush();
  }
}

function announce(gateway: Gateway, policy: Policy, log: Log, version: string): void {
  const listeners = gateway.listeners.map(({ name, bind }) => `${name} ${formatBind(bind)}`);
  log.event('info', 'serving', {
    version,
    policy: policy.id,
    listeners,
    telemetry: formatBind(gateway.telemetry),
    admin: formatBind(gateway.admin),
  });
}

interface Signals {
  readonly first: Promise<NodeJS.Signals>;
  readonly second: Promise<NodeJS.Signals>;
}

/** Heard from the start to the end of the process: one that came while nobody listened would kill it. */
function hearSignals(): Signals {
  const [first, second] = [Promise.withResolvers<NodeJS.Signals>(), Promise.withResolvers<NodeJS.Signals>()];
  let next = first;
  const hear = (signal: NodeJS.Signals) => {
    next.resolve(signal);
    next = second;
  };
  process.on('SIGTERM', hear).on('SIGINT', hear);
  return { first: first.promise, second: second.promise };
}

/**
 * Rejects on an exception that nobody caught: the process is in no known state and ends. Only the log tells what it was, without
 * its message, which may quote a client; Node would print that.
 */
function hearFailures(log: Log): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  const hear = (error: unknown) => {
    log.failure('an error that nobody expected ends the process', error);
    reject(new Error('an error that nobody expected, see the log'));
  };
  process.on('uncaughtException', hear).on('unhandledRejection', hear);
  promise.catch(() => {}); // Before the gateway runs nobody waits for it.
  return promise;
}

async function drainOnSignal(gateway: Gateway, log: Log, { first, second }: Signals): Promise<void> {
  log.event('info', 'draining', { signal: await first });
  await Promise.race([gateway.drain(), second.then(() => gateway.close())]);
  log.event('info', 'stopped');
}
