// `holdfast serve`: the gateway, until a signal ends it.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Gateway, startGateway } from '../supervisor/gateway.ts';
import { createLog, type Log, unblockStandardOutput } from '../observe/log.ts';
import { formatBind } from '../policy/addresses.ts';
import { compileMask } from '../config/report/mask.ts';
import type { Policy } from '../policy/policy.ts';
import { spareAtRest } from '../worker/spare-memory.ts';
import { EXIT } from './commands.ts';
import { type Good, loadPolicy, shownConfig } from './load.ts';
import { type Printed, printFailure, printProblems } from './printed.ts';
import { reloadFiles } from './reloading.ts';
import { Signals } from './signals.ts';
import { hearFailures } from './unexpected.ts';

/** Milliseconds that connections get to be closed after a second signal. */
const AT_ONCE = 500;

/** Settles when the gateway has ended; a second signal ends it at once. */
export async function serveUntilSignal(file: string, version: string, json: boolean): Promise<Printed> {
  const signals = new Signals();
  const loaded = loadPolicy(file);
  if ('problems' in loaded) return printProblems(loaded.problems, json);
  const log = createLog(loaded.policy.log);
  const reloads = (gateway: Gateway) => reloadFiles(file, loaded, gateway, signals);
  return untilWritten(log, signals, (broken) =>
    serveGood(loaded, { file, log, signals, version, json }, { broken, reloads }),
  );
}

/** Runs a gateway with a log: signals and unexpected errors are in it, and what it has left is written at the end. */
export async function untilWritten(
  log: Log,
  signals: Signals,
  work: (broken: Promise<never>) => Promise<Printed>,
): Promise<Printed> {
  const nonBlocking = unblockStandardOutput();
  signals.logTo(log);
  const ended = await work(hearFailures(log));
  const written = await log.flush();
  return { ...ended, stuck: !written && !nonBlocking };
}

export interface Serving {
  /** What the configuration is called. */
  readonly file: string;
  readonly log: Log;
  readonly signals: Signals;
  readonly version: string;
  readonly json: boolean;
}

/** Serves a policy until a signal. @param reloads begins reloads; what it returns ends them */
export async function serveGood(
  loaded: Good,
  { file, log, signals, version, json }: Serving,
  { broken, reloads }: { readonly broken: Promise<never>; readonly reloads: (gateway: Gateway) => () => void },
): Promise<Printed> {
  try {
    const [config, mask] = [shownConfig(loaded.read), compileMask(loaded.read.substitutions)];
    const gateway = await startGateway(loaded.policy, { version, log, file, config, mask });
    spareAtRest();
    announce(gateway, loaded.policy, log, version);
    void signals.first.then(reloads(gateway));
    await Promise.race([drainOnSignal(gateway, log, signals), broken]);
    return { exit: EXIT.ok, stdout: '', stderr: '' };
  } catch (error) {
    return printFailure(EXIT.failed, error instanceof Error ? error.message : 'failed to start', json);
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

async function drainOnSignal(gateway: Gateway, log: Log, { first, second }: Signals): Promise<void> {
  log.event('info', 'draining', { signal: await first });
  const atOnce = async () => {
    log.event('info', 'ending at once', { signal: await second });
    await Promise.race([gateway.close(), sleep(AT_ONCE)]);
  };
  await Promise.race([gateway.drain(), atOnce()]);
  log.event('info', 'stopped');
}
