// The keys that need a restart, compared between two configurations.

import { isDeepStrictEqual } from 'node:util';
import { formatBind } from '../../policy/addresses.ts';
import { type ConfigPath, inOrder, type Problem } from '../problem.ts';
import type { ReadPolicy } from '../read/read.ts';
import { RESTART_KEYS } from '../schema/marked-keys.ts';
import { select } from '../schema/select.ts';
import type { Bind } from '../../policy/policy.ts';

/**
 * Everything in `after` that needs a restart, given that `before` is what runs: other values of RESTART_KEYS. A reload with such a
 * problem changes nothing. Values are compared, not how they are written; `auto` stays `auto` although what it stands for may change.
 * @returns problems at the places of the new file, in its order; empty: all of it can be changed live
 */
export function changedRestartKeys(before: ReadPolicy, after: ReadPolicy): readonly Problem[] {
  return inOrder(RESTART_KEYS.flatMap((key) => changes(key, before, after)));
}

function changes(key: string, before: ReadPolicy, after: ReadPolicy): readonly Problem[] {
  return select(after.config, key).flatMap(([path, value]) => {
    const [old] = select(before.config, path.join('.'));
    if (old === undefined || isDeepStrictEqual(old[1], value)) return [];
    const [was, is] = [shown(before, ...old), shown(after, path, value)];
    const message = `needs a restart: is ${was} in the running gateway, ${is} here; nothing was changed`;
    return [{ ...after.position(path), path: after.shownPath(path), message }];
  });
}

/** As written, where it is: what came from the environment is not for everybody. */
function shown(read: ReadPolicy, path: ConfigPath, value: unknown): string {
  return read.written(path) ?? (typeof value === 'object' ? formatBind(value as Bind) : `${value as string | number}`);
}
