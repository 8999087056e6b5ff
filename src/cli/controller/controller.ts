// `holdfast controller`: the Gateway API of a cluster, until a signal ends it.

import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatBind } from '../../policy/addresses.ts';
import { bind } from '../../config/schema/values.ts';
import { connectCluster } from '../../controller/api.ts';
import { type ControllerSettings, startController } from '../../controller/controller.ts';
import { digestOf } from '../../controller/names.ts';
import { createLog, type Log, unblockStandardOutput } from '../../observe/log.ts';
import { type CommandLine, UsageError } from '../arguments.ts';
import { EXIT } from '../commands.ts';
import { type Printed, printFailure } from '../printed.ts';
import { Signals } from '../signals.ts';
import { CONTROLLER_NAME } from './options.ts';
import { hearFailures } from '../unexpected.ts';

const ABOUT = { command: 'controller' } as const;
const TELEMETRY = '0.0.0.0:9902';
const LEASE = 'holdfast-controller';
/** Milliseconds that the end of a controller may take: writes in flight, and the lease. */
const END = 8000;

/** Settles when the controller has ended; a second signal ends it at once. @throws UsageError */
export async function controlUntilSignal(options: CommandLine['options'], version: string): Promise<Printed> {
  const signals = new Signals();
  const json = options.json ?? false;
  const read = readOptions(options);
  const cluster = await connectCluster();
  if (typeof cluster === 'string') throw new UsageError(cluster, ABOUT);
  const namespace = options.namespace ?? cluster.namespace;
  if (namespace === undefined) throw new UsageError('"controller" needs --namespace outside of a pod', ABOUT);
  const nonBlocking = unblockStandardOutput();
  const log = createLog({ level: 'info', sampleSuccesses: 1 });
  signals.logTo(log);
  const identity = `${hostname()}_${randomBytes(4).toString('hex')}`;
  const settings = { ...read, log, identity, namespace, api: cluster.api };
  const ended = await control(settings, { version, signals, json });
  const written = await log.flush();
  return { ...ended, stuck: !written && !nonBlocking };
}

async function control(
  settings: ControllerSettings,
  { version, signals, json }: { readonly version: string; readonly signals: Signals; readonly json: boolean },
): Promise<Printed> {
  const { log, identity, namespace, controllerName } = settings;
  const broken = hearFailures(log);
  try {
    const controller = await startController(settings);
    log.event('info', 'controlling', {
      version,
      identity,
      namespace,
      controller_name: controllerName,
      telemetry: formatBind(controller.telemetry),
    });
    await Promise.race([endOnSignal(controller, log, signals), broken]);
    return { exit: EXIT.ok, stdout: '', stderr: '' };
  } catch (error) {
    return printFailure(EXIT.failed, error instanceof Error ? error.message : 'failed to start', json);
  }
}

async function endOnSignal(controller: { stop(): Promise<void> }, log: Log, { first, second }: Signals): Promise<void> {
  log.event('info', 'draining', { signal: await first });
  await Promise.race([controller.stop(), second, sleep(END)]);
  log.event('info', 'stopped');
}

type ReadOptions = Omit<ControllerSettings, 'api' | 'log' | 'identity' | 'namespace'>;

/** @throws UsageError */
function readOptions(options: CommandLine['options']): ReadOptions {
  const { image, 'controller-name': controllerName = CONTROLLER_NAME, 'secrets-in': secretsIn = [] } = options;
  if (image === undefined) throw new UsageError('"controller" needs --image', ABOUT);
  if (!/^[^/\s]+\.[^/\s]+\/\S+$/.test(controllerName)) {
    throw new UsageError(
      `--controller-name is not a name with a domain; expected one such as ${CONTROLLER_NAME}`,
      ABOUT,
    );
  }
  const telemetry = bind.safeParse(options.telemetry ?? TELEMETRY);
  if (!telemetry.success)
    throw new UsageError(`--telemetry is not an address; expected one such as ${TELEMETRY}`, ABOUT);
  return {
    image,
    controllerName,
    telemetry: telemetry.data,
    leaseName: controllerName === CONTROLLER_NAME ? LEASE : `${LEASE}-${digestOf(controllerName).slice(0, 8)}`,
    imagePullPolicy: options['image-pull-policy'],
    imagePullSecrets: options['image-pull-secret'] ?? [],
    secretsIn: secretsIn.includes('*') ? undefined : [...new Set(secretsIn)],
  };
}
