// The keys that need a restart, compared between two configurations.

import { isDeepStrictEqual } from 'node:util';
import { formatBind } from '../../policy/addresses.ts';
import { type ConfigPath, inOrder, type Problem } from '../problem.ts';
import type { ReadPolicy } from '../read/read.ts';
import { RESTART_KEYS } from '../schema/keys.ts';
import { select } from '../schema/select.ts';
import type { Bind } from '../../policy/policy.ts';

/**
 * Everything in `after` that needs a restart, given that `before` is what runs: other values of RESTART_KEYS, and listeners that
 * came or went. A reload with such a problem changes nothing. Values are compared, not how they are written; `auto` stays `auto`
 * although what it stands for may change.
 * @returns problems at the places of the new file, in its order; empty: all of it can be changed live
 */
export function changedRestartKeys(before: ReadPolicy, after: ReadPolicy): readonly Problem[] {
  return inOrder([...changedListeners(before, after), ...RESTART_KEYS.flatMap((key) => changes(key, before, after))]);
}

function changes(key: string, before: ReadPolicy, after: ReadPolicy): readonly Problem[] {
  return select(after.config, key).flatMap(([path, value]) => {
    const [old] = select(before.config, pathBefore(path, before, after).join('.'));
    if (old === undefined || isDeepStrictEqual(old[1], value)) return [];
    const [was, is] = [shown(before, ...old), shown(after, path, value)];
    const [section, index] = path;
    const whose = section === 'listeners' ? `of listener ${nameAt(after, index)} ` : '';
    return [at(after, path, `${whose}needs a restart: is ${was} in the running gateway, ${is} here; ${NOTHING}`)];
  });
}

const NOTHING = 'nothing was changed';

/** The same place in the running configuration: its listeners may have been in another order. */
function pathBefore(path: ConfigPath, before: ReadPolicy, after: ReadPolicy): ConfigPath {
  const [section, index, ...rest] = path;
  if (section !== 'listeners') return path;
  const name = nameAt(after, index);
  return [section, before.config.listeners.findIndex((listener) => listener.name === name), ...rest];
}

function nameAt({ config }: ReadPolicy, index: string | number | undefined): string {
  return config.listeners[Number(index)]?.name ?? '';
}

function changedListeners(before: ReadPolicy, after: ReadPolicy): readonly Problem[] {
  const [olds, news] = [before, after].map(({ config }) => config.listeners.map(({ name }) => name));
  const come = (news ?? []).flatMap((name, index) =>
    olds?.includes(name)
      ? []
      : [
          at(
            after,
            ['listeners', index, 'name'],
            `needs a restart: no listener of the running gateway is ${name}; ${NOTHING}`,
          ),
        ],
  );
  const gone = (olds ?? []).filter((name) => !news?.includes(name));
  return [
    ...come,
    ...gone.map((name) =>
      at(after, ['listeners'], `needs a restart: listener ${name} of the running gateway is missing here; ${NOTHING}`),
    ),
  ];
}

/** As written, where it is: what came from the environment is not for everybody. */
function shown(read: ReadPolicy, path: ConfigPath, value: unknown): string {
  return read.written(path) ?? (typeof value === 'object' ? formatBind(value as Bind) : `${value as string | number}`);
}

function at(read: ReadPolicy, path: ConfigPath, message: string): Problem {
  return { ...read.position(path), path: read.shownPath(path), message };
}
