// The folders of deploy/ that kustomize builds, as Kubernetes objects.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type KubernetesObject, readObjects, type Rendering } from './golden.ts';

const DEPLOY = join(import.meta.dirname, '../../deploy');

/** Folders below deploy/. */
export const FOLDERS = ['kustomize', 'sidecar'];
export const deployFolder = (name: string) => join(DEPLOY, name);

interface Kustomization {
  readonly namespace: string;
  readonly resources: readonly string[];
  readonly configMapGenerator: readonly { readonly name: string; readonly files: readonly string[] }[];
  readonly images: readonly { readonly name: string; readonly newName: string; readonly newTag: string }[];
}

function readFolder(folder: string): Rendering {
  const read = (file: string) => readFileSync(join(DEPLOY, folder, file), 'utf8');
  const kustomization = parse(read('kustomization.yaml')) as Kustomization;
  const maps = kustomization.configMapGenerator.map(({ name, files }): KubernetesObject => {
    const data = Object.fromEntries(files.map((file) => [file, read(file)]));
    return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
  });
  const resources = kustomization.resources.flatMap((file) => readObjects(read(file)));
  const objects = [...maps, ...resources];
  for (const { kind, metadata } of objects) if (kind !== 'Namespace') metadata.namespace = kustomization.namespace;
  return { name: `deploy/${folder}`, objects };
}

export const DEPLOYED: readonly Rendering[] = FOLDERS.map(readFolder);
