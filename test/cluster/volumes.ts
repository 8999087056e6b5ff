// The volumes of a pod as folders: written as kubelet writes them, all files of one at once.

import { chmodSync, chownSync, mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Api, ApiError } from './api.ts';
import type { Data, Pod, Source, Volume } from './objects.ts';

type Files = Map<string, { readonly content: Buffer; readonly mode: number }>;

/** A token is asked for again when this share of its life is over. */
const RENEWAL = 0.8;

export class Volumes {
  readonly #api: Api;
  readonly #pod: Pod;
  readonly #folder: string;
  /** A field of the pod, as in a fieldRef. */
  readonly #field: (path: string) => string;
  readonly #written = new Map<string, string>();
  readonly #tokens = new Map<string, { readonly token: string; readonly until: number }>();

  constructor(api: Api, pod: Pod, folder: string, field: (path: string) => string) {
    this.#api = api;
    this.#pod = pod;
    this.#folder = folder;
    this.#field = field;
  }

  at(name: string): string {
    return join(this.#folder, name);
  }

  /** Writes what is new. @throws what is missing, in kubelet's words */
  async write(): Promise<void> {
    for (const volume of this.#pod.spec.volumes ?? []) await this.#writeOne(volume);
  }

  async #writeOne(volume: Volume): Promise<void> {
    const folder = this.at(volume.name);
    if (volume.emptyDir) {
      mkdirSync(folder, { recursive: true });
      chmodSync(folder, 0o777);
      return;
    }
    const files: Files = new Map();
    const mode = volume.projected?.defaultMode ?? 0o644;
    for (const source of volume.projected?.sources ?? [volume]) await this.#read(source, mode, files);
    this.#replace(folder, files);
  }

  async #read(source: Source, mode: number, files: Files): Promise<void> {
    if (source.configMap) await this.#readObject('configmaps', source.configMap, mode, files);
    if (source.secret) await this.#readObject('secrets', source.secret, mode, files);
    if (source.serviceAccountToken) {
      const { path } = source.serviceAccountToken;
      files.set(path, { content: Buffer.from(await this.#token(source.serviceAccountToken)), mode: 0o644 });
    }
    for (const { path, fieldRef } of source.downwardAPI?.items ?? [])
      files.set(path, { content: Buffer.from(this.#field(fieldRef?.fieldPath ?? '')), mode });
  }

  async #readObject(
    kind: 'configmaps' | 'secrets',
    reference: NonNullable<Source['configMap']>,
    mode: number,
    files: Files,
  ): Promise<void> {
    const name = reference.name ?? reference.secretName ?? '';
    const found = await readData(this.#api, kind, this.#pod.metadata.namespace, name);
    if (found === undefined) {
      if (reference.optional) return;
      throw new Error(`MountVolume.SetUp failed: ${kind.slice(0, -1)} "${name}" not found`);
    }
    const items = reference.items ?? [...found.keys()].map((key) => ({ key, path: key }));
    for (const { key, path } of items) {
      const content = found.get(key);
      if (content === undefined && !reference.optional)
        throw new Error(`MountVolume.SetUp failed: references non-existent ${kind.slice(0, -1)} key: ${key}`);
      if (content !== undefined) files.set(path, { content, mode: reference.defaultMode ?? mode });
    }
  }

  async #token(wanted: NonNullable<Source['serviceAccountToken']>): Promise<string> {
    const held = this.#tokens.get(wanted.path);
    if (held !== undefined && Date.now() < held.until) return held.token;
    const { namespace, name, uid } = this.#pod.metadata;
    const account = this.#pod.spec.serviceAccountName ?? 'default';
    const spec = {
      expirationSeconds: wanted.expirationSeconds ?? 3600,
      ...(wanted.audience !== undefined && { audiences: [wanted.audience] }),
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
    };
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
    const { status } = await this.#api.post<{ status: { token: string; expirationTimestamp: string } }>(path, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec,
    });
    const life = Date.parse(status.expirationTimestamp) - Date.now();
    this.#tokens.set(wanted.path, { token: status.token, until: Date.now() + life * RENEWAL });
    return status.token;
  }

  /** A folder by time, a link to it that is exchanged by one rename, and links to its files: nothing is ever seen half changed. */
  #replace(folder: string, files: Files): void {
    const sum = JSON.stringify(
      [...files].map(([path, { content }]) => `${path} ${content.toString('base64')}`).toSorted(),
    );
    if (this.#written.get(folder) === sum) return;
    this.#written.set(folder, sum);
    const stamp = `..${new Date().toISOString().replaceAll(/[:.]/g, '_')}`;
    mkdirSync(join(folder, stamp), { recursive: true });
    const group = this.#pod.spec.securityContext?.fsGroup;
    for (const [path, { content, mode }] of files) {
      const file = join(folder, stamp, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
      chmodSync(file, group === undefined ? mode : mode | 0o040);
      if (group !== undefined) chownSync(file, 0, group);
    }
    const before = linkAt(join(folder, '..data'));
    symlinkSync(stamp, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    for (const top of new Set([...files.keys()].map((path) => path.split('/')[0] ?? ''))) {
      if (linkAt(join(folder, top)) === undefined) symlinkSync(join('..data', top), join(folder, top));
    }
    if (before !== undefined) rmSync(join(folder, before), { recursive: true });
  }
}

function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** What a Secret or ConfigMap holds, by key; undefined: there is none. */
export async function readData(
  api: Api,
  kind: 'configmaps' | 'secrets',
  namespace: string,
  name: string,
): Promise<Map<string, Buffer> | undefined> {
  try {
    const { data = {}, binaryData = {} } = await api.get<Data>(`/api/v1/namespaces/${namespace}/${kind}/${name}`);
    const encoding = kind === 'secrets' ? 'base64' : 'utf8';
    const texts = Object.entries(data).map(([key, text]) => [key, Buffer.from(text, encoding)] as const);
    const bytes = Object.entries(binaryData).map(([key, text]) => [key, Buffer.from(text, 'base64')] as const);
    return new Map([...texts, ...bytes]);
  } catch (error) {
    if (error instanceof ApiError && error.code === 404) return undefined;
    throw error;
  }
}
