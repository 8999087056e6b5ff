// Image, environment, words, user and mounts of a container, settled before it starts.

import { mkdirSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Settled } from './container.ts';
import { findImage } from './images.ts';
import type { Node } from './node.ts';
import type { Container, EnvironmentVariable, Pod } from './objects.ts';
import { logFile } from './pod-container.ts';
import { readData, type Volumes } from './volumes.ts';

/** Of images that do not say: that of ours. */
const USER = 65532;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface Unsettled {
  readonly node: Node;
  readonly pod: Pod;
  readonly container: Container;
  readonly folder: string;
  /** File of the network namespace. */
  readonly network: string;
  readonly volumes: Volumes;
  readonly field: (path: string) => string;
}

/** @throws what is missing */
export async function settle(one: Unsettled): Promise<Settled> {
  const { node, pod, container, volumes } = one;
  const image = findImage(node.images, container);
  if (image === undefined) throw new Error(`no program here stands for the image ${container.image}`);
  const environment: Record<string, string> = {
    PATH,
    HOME: '/',
    HOSTNAME: pod.metadata.name,
    KUBERNETES_SERVICE_HOST: node.network.address(128, 1),
    KUBERNETES_SERVICE_PORT: '443',
    ...heapWithin(container),
    ...image.environment,
  };
  for (const variable of container.env ?? [])
    environment[variable.name] = expand(await valueOf(one, variable), environment);
  const folder = join(one.folder, container.name);
  mkdirSync(folder, { recursive: true });
  const user = container.securityContext?.runAsUser ?? pod.spec.securityContext?.runAsUser ?? image.user ?? USER;
  const group = container.securityContext?.runAsGroup ?? pod.spec.securityContext?.runAsGroup ?? user;
  const { fsGroup } = pod.spec.securityContext ?? {};
  const given = container.args ?? (container.command ? [] : (image.command ?? []));
  return {
    name: container.name,
    folder,
    log: logFile(one.folder, container.name),
    network: one.network,
    hostname: pod.metadata.name,
    words: [...(container.command ?? image.entrypoint), ...given].map((word) => expand(word, environment)),
    environment,
    workingFolder: container.workingDir ?? image.folder ?? '/',
    readOnly: container.securityContext?.readOnlyRootFilesystem === true,
    user,
    group,
    groups: fsGroup === undefined ? [] : [fsGroup],
    mounts: [
      ...image.mounts.map(([source, target]) => ({
        source,
        target,
        writable: false,
      })),
      {
        source: join(node.folder, 'resolv', pod.metadata.namespace),
        target: '/etc/resolv.conf',
        writable: false,
      },
      ...(container.volumeMounts ?? []).map(({ name, mountPath, readOnly = false, subPath = '' }) => ({
        source: join(volumes.at(name), subPath),
        target: mountPath,
        writable: !readOnly,
      })),
    ],
  };
}

/** `$(NAME)` of variables that are there. */
const expand = (text: string, environment: Readonly<Record<string, string>>): string =>
  text.replaceAll(/\$\(([A-Za-z_][\w.-]*)\)/g, (whole, name: string) => environment[name] ?? whole);

async function valueOf(
  { node, pod, container, field }: Unsettled,
  { value, valueFrom }: EnvironmentVariable,
): Promise<string> {
  if (valueFrom === undefined) return value ?? '';
  if (valueFrom.fieldRef) return field(valueFrom.fieldRef.fieldPath);
  if (valueFrom.resourceFieldRef) return resourceOf(container, valueFrom.resourceFieldRef.resource);
  const reference = valueFrom.secretKeyRef ?? valueFrom.configMapKeyRef;
  if (reference === undefined) throw new Error(`the harness does not know ${JSON.stringify(valueFrom)}`);
  const kind = valueFrom.secretKeyRef ? 'secrets' : 'configmaps';
  const data = await readData(node.api, kind, pod.metadata.namespace, reference.name);
  const found = data?.get(reference.key);
  if (found === undefined && !reference.optional)
    throw new Error(`couldn't find key ${reference.key} in ${kind.slice(0, -1)} ${reference.name}`);
  return found?.toString() ?? '';
}

/** No limit of memory holds here: each thread gets the heap that V8 gives itself in a container with that limit, the half of it. */
function heapWithin(container: Container): Readonly<Record<string, string>> {
  if (container.resources?.limits?.['memory'] === undefined) return {};
  const mebibytes = Number(resourceOf(container, 'limits.memory')) / 2 ** 20;
  const young = Math.max(1, Math.floor(mebibytes / 512));
  return { NODE_OPTIONS: `--max-old-space-size=${Math.floor(mebibytes / 2)} --max-semi-space-size=${young}` };
}

/** Units of memory in bytes, and thousandths of processors; a processor that is begun counts as one. */
const UNITS: Readonly<Record<string, number>> = {
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  m: 1e-3,
};

/** What a container may use; where it has no limit, what this machine has. */
function resourceOf({ resources }: Container, path: string): string {
  const [which, name = ''] = path.split('.');
  const said = which === 'requests' ? resources?.requests?.[name] : resources?.limits?.[name];
  if (said === undefined)
    return which === 'requests' ? '0' : String(name === 'cpu' ? availableParallelism() : totalmem());
  const [, number, unit = ''] = /^([\d.]+)([A-Za-z]*)$/.exec(String(said)) ?? [];
  return String(Math.ceil(Number(number) * (UNITS[unit] ?? 1)));
}
