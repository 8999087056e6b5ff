// `holdfast serve`: runs the gateway until a signal ends it.

import { type Gateway, startGateway } from '../gateway.ts';
import { createLog, type Log } from '../observe/log.ts';
import { formatBind } from '../policy/describe.ts';
import type { Policy } from '../policy/route.ts';
import { EXIT } from './arguments.ts';
import { loadPolicy, printProblems, type Printed } from './policy.ts';

/** Settles when the gateway has ended; a second signal ends it at once. */
export async function serveUntilSignal(file: string, version: string): Promise<Printed> {
  const loaded = loadPolicy(file);
  if ('problems' in loaded)
    return { exit: EXIT.configuration, stdout: '', stderr: printProblems(loaded.problems, false) };
  const log = createLog(loaded.policy.log);
  try {
    const gateway = await startGateway(loaded.policy, { version, log });
    announce(gateway, loaded.policy, log, version);
    await drainOnSignal(gateway, log);
    return { exit: EXIT.ok, stdout: '', stderr: '' };
  } catch (error) {
    return {
      exit: EXIT.failed,
      stdout: '',
      stderr: `holdfast: ${error instanceof Error ? error.message : 'failed to start'}\n`,
    };
  } finally {
    await log.flush();
  }
}

function announce(gateway: Gateway, policy: Policy, log: Log, version: string): void {
  const listeners = gateway.listeners.map(({ name, bind }) => `${name} ${formatBind(bind)}`);
  log.event('info', 'serving', { version, policy: policy.id, listeners, telemetry: formatBind(gateway.telemetry) });
}

async function drainOnSignal(gateway: Gateway, log: Log): Promise<void> {
  const signal = await nextSignal();
  log.event('info', 'draining', { signal });
  await Promise.race([gateway.drain(), nextSignal().then(() => gateway.close())]);
  log.event('info', 'stopped');
}

function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const signals: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT'];
    const listen = (signal: NodeJS.Signals) => {
      for (const one of signals) process.off(one, listen);
      resolve(signal);
    };
    for (const one of signals) process.on(one, listen);
  });
}
