// The compiler of configurations, asked about data that comes from no file.

import { compilePolicy } from '../config/compile/compile.ts';
import { contentOf } from '../config/content.ts';
import type { ConfigPath, Position } from '../config/problem.ts';
import type { NamedFile, ReadPolicy } from '../config/read/read.ts';
import { checkConfig } from '../config/schema/check.ts';
import { FILE_KEYS } from '../config/schema/marked-keys.ts';
import type { Config } from '../config/schema/schema.ts';
import { select } from '../config/schema/select.ts';
import { scalarAt } from './json.ts';

export interface DataProblem {
  readonly path: ConfigPath;
  readonly message: string;
}

/**
 * What is wrong with configuration data, at the place in it. Keys that name files have the content of them.
 * @returns the configuration with its defaults too, where the schema takes the data
 * NOT checked: whether addresses can be bound, and issuers and backends be reached.
 */
export function compileProblems(
  data: object,
  now: number,
): { readonly problems: readonly DataProblem[]; readonly config: Config | undefined } {
  const { config, findings } = checkConfig(data, (path) => scalarAt(data, path));
  if (config === undefined || findings.length > 0) return { problems: findings, config: undefined };
  const places: ConfigPath[] = [];
  const compiled = compilePolicy(readData(data, config, places), now);
  if ('policy' in compiled) return { problems: [], config };
  const problems = compiled.problems.map(({ line, message }) => ({ path: places[line] ?? [], message }));
  return { problems, config };
}

/** Places are numbered as they are asked for: problems come back with the number as their line. */
function readData(data: object, config: Config, places: ConfigPath[]): ReadPolicy {
  const position = (path: ConfigPath): Position => {
    places.push(path);
    return { file: 'cluster', line: places.length - 1, column: 1 };
  };
  const files = FILE_KEYS.flatMap((key) => select(data, key)).flatMap(([path, value]) => {
    const content = typeof value === 'string' ? contentOf(value) : undefined;
    return content === undefined ? [] : [[path.join('.'), { path: 'cluster', content, inline: true }] as const];
  });
  return {
    config,
    files: new Map<string, NamedFile>(files),
    position,
    shownPath: (path) => path.join('.'),
    written: (path) => scalarAt(data, path),
    includedBy: () => undefined,
    substitutions: [],
    text: '',
    data,
  };
}
