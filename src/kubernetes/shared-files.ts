// Files that parameters name, as keys of Secrets and ConfigMaps, put in their places.

import { FILE_KEYS } from '../config/schema/marked-keys.ts';
import { select } from '../config/schema/select.ts';
import type { ClusterIndex } from './index.ts';
import type { HoldfastParameters } from './objects.ts';

/** `secret:NAME/KEY` or `configMap:NAME/KEY`, in the namespace of the parameters. */
const PLACE = /^(secret|configMap):([a-z0-9.-]{1,253})\/([A-Za-z0-9._-]{1,253})$/;

type Path = readonly (string | number)[];

function filesOf(configuration: HoldfastParameters['configuration']): readonly (readonly [Path, string])[] {
  return FILE_KEYS.flatMap((key) => select(configuration, key)).flatMap(([path, value]) =>
    typeof value === 'string' ? [[path, value] as const] : [],
  );
}

/** The configuration with its files in it, or lines that say which of them cannot be had. */
export function withFiles(
  index: ClusterIndex,
  { meta, configuration }: HoldfastParameters,
): { readonly configuration: HoldfastParameters['configuration'] } | { readonly problems: readonly string[] } {
  const whole = structuredClone(configuration) as Record<string, unknown>;
  const problems: string[] = [];
  for (const [path, written] of filesOf(configuration)) {
    const [, kind, name = '', key = ''] = PLACE.exec(written) ?? [];
    const place = `spec.configuration.${path.join('.')}`;
    const object =
      kind === 'secret' ? index.secret(meta.namespace, name) : kind && index.configMap(meta.namespace, name);
    const content = typeof object === 'object' ? object.data.get(key) : undefined;
    if (kind === undefined)
      problems.push(`${place} is not a place in the cluster, expected secret:NAME/KEY or configMap:NAME/KEY.`);
    else if (content === undefined)
      problems.push(`${place} names what is not in namespace ${meta.namespace}: ${written}.`);
    else put(whole, path, inlineFile(content));
  }
  return problems.length > 0 ? { problems } : { configuration: whole };
}

function put(data: unknown, path: Path, value: string): void {
  const holder = path
    .slice(0, -1)
    .reduce<unknown>((inner, key) => (inner as Record<string | number, unknown>)[key], data);
  Reflect.set(holder as object, path.at(-1) ?? '', value);
}

/** The content of a file as the value of a key that names one. @param content each character an octet */
export function inlineFile(content: string): string {
  return `data:;base64,${Buffer.from(content, 'latin1').toString('base64')}`;
}
