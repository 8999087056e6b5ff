// The kept renderings under golden/, taken apart into Kubernetes objects.

import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseAllDocuments } from 'yaml';

const GOLDEN = join(import.meta.dirname, 'golden');
const VALUES = join(import.meta.dirname, 'values');

/** A Kubernetes object; its tests say what they expect in it. */
// oxlint-disable-next-line typescript/no-explicit-any
export type KubernetesObject = Record<string, any> & { readonly kind: string; readonly apiVersion: string };

export interface Rendering {
  readonly name: string;
  readonly objects: readonly KubernetesObject[];
}

/** Objects of a stream. YAML 1.1, as Kubernetes reads it. */
export function readObjects(text: string): KubernetesObject[] {
  const documents = parseAllDocuments(text, { version: '1.1' });
  if (!Array.isArray(documents)) return [];
  for (const { errors } of documents) if (errors[0] !== undefined) throw errors[0];
  return documents.map((document) => document.toJS() as KubernetesObject | null).filter((one) => one !== null);
}

export const goldenFile = (name: string) => join(GOLDEN, `${name}.yaml`);
export const valuesFile = (name: string) => join(VALUES, `${name}.yaml`);

/** Names of the files of values; `base` lies under all of them. */
export const CASES = readdirSync(VALUES)
  .map((file) => basename(file, '.yaml'))
  .filter((name) => name !== 'base')
  .toSorted();

export function readGolden(name: string): Rendering {
  return { name, objects: readObjects(readFileSync(goldenFile(name), 'utf8')) };
}

export function only(objects: readonly KubernetesObject[], kind: string, name?: string): KubernetesObject {
  const found = objects.filter((one) => one.kind === kind && (name === undefined || one['metadata'].name === name));
  if (found.length !== 1 || found[0] === undefined)
    throw new Error(`${found.length} objects are ${kind} ${name ?? ''}`);
  return found[0];
}

/** The pods that objects make: of Deployments and Jobs. */
export function podsOf(objects: readonly KubernetesObject[]): KubernetesObject[] {
  return objects.filter(({ spec }) => spec?.template?.spec !== undefined).map(({ spec }) => spec.template);
}

/** Pod and container of the gateway itself, not of the Job that checks. */
export function gatewayOf({ objects }: Rendering): { pod: KubernetesObject; container: KubernetesObject } {
  for (const pod of podsOf(objects)) {
    const container = containersOf(pod).find(({ name }) => name === 'holdfast');
    if (container !== undefined) return { pod, container };
  }
  throw new Error('no pod has a gateway');
}

export function containersOf({ spec }: KubernetesObject): KubernetesObject[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

/** The configuration in the ConfigMap that the gateway's pod mounts. */
export function configurationOf({ objects }: Rendering): string {
  const map = objects.find(
    ({ kind, metadata, data }) => kind === 'ConfigMap' && !metadata.annotations && data['holdfast.yaml'],
  );
  if (map === undefined) throw new Error('no ConfigMap has a configuration');
  return String(map['data']['holdfast.yaml']);
}
